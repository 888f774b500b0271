"""Values in a sentence, masked unless the question names them."""

from __future__ import annotations

import re

MASK = "[...]"
_MASKED_SHARE = 6
"""A sentence with a mask among fewer words than this says more by its gaps than by its words."""

_ONES = (
    "two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|"
    "eighteen|nineteen"
)
_TENS = "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
_PARTS = (
    "half|halves|thirds?|fourths?|fifths?|sixths?|sevenths?|eighths?|ninths?|tenths?|quarters?|dozens?|hundreds?|"
    "thousands?|millions?|billions?|twice|thrice|doubles?|triples?|zero|none|single|couple"
)
_ONE = r"(?<!no )(?<!any )(?<!each )(?<!every )(?<!which )(?<!this )(?<!that )(?<!the )one(?! of\b)(?! another\b)"
_VALUE = re.compile(
    r"[$€£#]?\b\w*\d[\w,.:/]*(?<![,.:/])|[\u00b2\u00b3\u00b9\u00bc-\u00be\u2150-\u215e]"
    rf"|\b(?:{_ONES}|{_TENS}|{_PARTS}|{_ONE})\b(?:[- ](?:one|{_ONES}|{_PARTS})\b)*"
    r"|(?<![\w'’])[b-hj-z](?![\w'’])",
    re.IGNORECASE,
)
"""Digits, numbers in words, fractions, and single letters, which are names of quantities."""


def masked(sentence: str, question_values: frozenset[str]) -> str:
    """The sentence with each value that does not stand in the question masked; empty if mostly mask."""
    text = _VALUE.sub(lambda match: _shown(match[0], question_values), sentence)
    masks = text.count(MASK)
    return text if not masks or len(text.split()) > _MASKED_SHARE * masks else ""


def _shown(value: str, question_values: frozenset[str]) -> str:
    bare = value.strip("$€£#").replace(",", "").lower()
    return value if bare in question_values or value in question_values else MASK
