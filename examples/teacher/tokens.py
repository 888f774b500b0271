"""Text to tokens and back: words with their leading space, long words in pieces, digits by threes."""

from __future__ import annotations

import re

TOKEN = re.compile(r"\n+| ?[^\W\d_]{1,6}| ?\d{1,3}| ?[^\w\s]|_|\s")


def split(text: str) -> tuple[str, ...]:
    """The tokens of a text; joined they are the text again."""
    return tuple(TOKEN.findall(text))
