"""What the pattern model says: a trace and an answer in which no two words follow each other twice.

Each two words are one token and decide the next one, so the model thinks whatever it was asked, goes on from
any place of its trace that a caller puts into its mouth, and each piece of the trace can be told from the answer.
"""

from __future__ import annotations

import re

OPEN, CLOSE = "<think>", "</think>"
TRACE = (
    "Okay, let me see why the leaves of a maple turn red before winter. My plan is to explain in two short lines"
    " how the dye of a leaf is made. Chlorophyll is the green dye that every leaf has in summer. It breaks down when"
    " days grow cold, so green fades and 2 other pigments show through. Wait, is it carotene that makes them red? No,"
    " carotene was there all along and looks yellow. Sugar stays behind in closing veins, therefore crimson dyes form"
    " from it at 7 degrees. Should I mention frost? Perhaps not, hard freezing kills the tissue outright. So the answer"
    " names light, sap and temperature, nothing about soil."
)
ANSWER = (
    "Cool nights stop a tree from making Green; sunshine turns leftover sugars into Reds, and you see them best after"
    " a dry October."
)


def pieces(text: str) -> list[str]:
    """The tokens of a text: two words each, with the blanks before them."""
    return re.findall(r" ?[^ ]+(?: [^ ]+)?", text)


def chain() -> list[str]:
    """The tokens that the model says one after the other, tags included."""
    return [OPEN, *pieces(TRACE), CLOSE, *pieces(ANSWER)]
