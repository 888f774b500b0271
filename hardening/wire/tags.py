"""The tags between which models and templates write a trace into the text, and texts that touch one."""

from __future__ import annotations

import re

# Source: the reasoning parsers of vLLM 0.33 and SGLang 0.5, and the corpus of recordings.
TAGS: tuple[tuple[str, str], ...] = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<mm:think>", "</mm:think>"),
    ("<ifm|think>", "</ifm|think>"),
    ("<ifm|think_fast>", "</ifm|think_fast>"),
    ("<ifm|think_faster>", "</ifm|think_faster>"),
    ("<seed:think>", "</seed:think>"),
    ("<longcat_think>", "</longcat_think>"),
    ("<antThinking>", "</antThinking>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<unused94>", "<unused95>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|channel|>analysis<|message|>", "<|end|>"),
    ("<|channel|>analysis<|message|>", "<|channel|>final<|message|>"),
    ("<|channel>", "<channel|>"),
    ("<|inner_prefix|>", "<|inner_suffix|>"),
)

BARE = tuple(close for _, close in TAGS if close not in ("<|end|>", "<|channel|>final<|message|>"))
"""The closing tags without two that are ordinary in their own format and say nothing when bare."""

_CLOSES = {
    opening.lower(): tuple(close.lower() for own, close in TAGS if own == opening) for opening, _ in TAGS
}
_LEAST = 4  # characters of a tag that are no ordinary word or bracket
_BRACKETS = frozenset("<>[]◁▷|")
_SIGNS = _BRACKETS | {"/"}
_LOOKED_AT = 8192  # characters at the end of a prompt in which a trace may have been opened


def any_of(tags: list[str]) -> re.Pattern[str]:
    """What finds each of the tags, in any case, the longest first."""
    return re.compile("|".join(re.escape(tag) for tag in sorted(tags, key=len, reverse=True)), re.I)


MARK = any_of([*{opening for opening, _ in TAGS}, *BARE])
"""Finds every tag that says something by itself."""


def cuts_tag(stop: str) -> bool:
    """Whether a text at which a server stops is a tag or a piece of one, so that no trace would close."""
    if MARK.search(stop):
        return True
    piece = stop.lower()
    if _SIGNS.isdisjoint(piece):
        return False  # a word, as it stands anywhere
    if any(_cuts(piece, tag.lower()) for tag in BARE):
        return True
    return len(piece) >= _LEAST and any(piece in tag for tag in _CLOSES)


def _cuts(piece: str, tag: str) -> bool:
    """Whether a piece of a closing tag begins it, or is more than signs, at which people stop for other reasons."""
    return piece in tag and (any(map(str.isalpha, piece)) or (len(piece) > 1 and tag.startswith(piece)))


def holds_tag(text: str) -> bool:
    """Whether a tag stands in the text, or an opening one has begun where it ends."""
    return bool(MARK.search(text)) or _begins_tag(text, 2)


def leaves_open(text: str) -> bool:
    """Whether the end of a text leaves a trace open, so that what a model adds to it is one."""
    end = text[-_LOOKED_AT:].lower()
    if _BRACKETS.isdisjoint(end):
        return False
    opened = ((end.rfind(opening), closes) for opening, closes in _CLOSES.items())
    return _begins_tag(end, _LEAST) or any(at > max(map(end.rfind, closes)) for at, closes in opened)


def _begins_tag(text: str, least: int) -> bool:
    """Whether a text ends in so many characters, or more, of an opening tag."""
    end = text[-max(map(len, _CLOSES)) :].lower()
    return any(tag.startswith(end[at:]) for at in range(len(end) - least + 1) for tag in _CLOSES)
