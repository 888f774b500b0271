"""What of a sentence may leave: its main clause, where that is English prose without a derivation."""

from __future__ import annotations

import re

from hardening.transform import cues
from hardening.transform.masking import MASK
from hardening.transform.tagger import Part

_SPACED = str.maketrans({**dict.fromkeys('.,;:!?"()[]-—–*_#>“”', " "), "’": "'"})
_LEAD = re.compile(
    r"(?:[\s*_#>\-•]+|\(?(?:step\s+)?\d{1,2}[.):]+\s+"
    r"|(?:okay|ok|hm+|oh|well|now|next|first(?:ly| of all)?|second(?:ly)?|third(?:ly)?|then|finally|alright|right|"
    r"to start(?: with)?|to begin(?: with)?|also|and|in general|generally|basically|essentially)\b[,:.]?\s+"
    r"|so[,:]?\s+(?=(?:i|we|let|the (?:problem|question|task))\b))+",
    re.IGNORECASE,
)
_CLAUSE = re.compile(
    r"[\\;:(\[—–]|\s-\s|,?\s+(?:so|because|since|which|where|but|then|if|except|meaning|given|right|such that)\b",
    re.I,
)
_PLAN_CLAUSE = re.compile(r"[;:(\[—–]|\s-\s|,?\s+(?:so|because|since|but|meaning|right|such that)\b", re.I)
"""What ends a main clause. A plan may name the conditions of the question: it leaves with no value that the question does not hold."""
_STATED = re.compile(
    r"(?:i|we)(?:'ve|'m)?\s+(?:have |got |come across |came across |given |presented with )(?:got )?"
    r"(?:this|a|an|the|another) (?:\w+ ){0,2}(?:problem|question|riddle|puzzle|analogy|sequence|task|exercise)\b"
    r"(?: here)?(?: to solve)?(?:,? (?:where|in which|and|that says|which says) (?=i\b|we\b)|:\s+)",
    re.IGNORECASE,
)
"""What only leads in to the question told once more."""
_RECALL = re.compile(
    r"^(?:i|we)(?:'ve)?\s+(?:also\s+)?(?:(?:know|remember|recall|learned|heard|read)\s+"
    r"(?:(?:hearing|reading|learning|from \w+) )?that\s+|(?:know|remember|recall)\s+"
    r"(?!hearing|reading|learning|about|from|of|how|what|why|there)(?=\w+ \w+))",
    re.IGNORECASE,
)
_FINAL = re.compile(
    r"(?:in (?:conclusion|summary|short)|to (?:conclude|sum up|summari[sz]e)|overall|"
    r"(?:the|my) (?:final |correct |best )?(?:answer|conclusion|solution|result) (?:is|would|should))\b",
    re.IGNORECASE,
)
_GOAL = re.compile(
    r"(?:(?:i|we) (?:need|have|want) to |(?:i'm|i am|we're|we are) (?:trying|asked|supposed) to )"
    r"(?:find|figure|determine|work|know|understand|solve|calculate|compute|show|prove|explain|decide)\b"
    r"|(?:the|this|our) (?:question|problem|task|goal|aim|riddle|puzzle) (?:is|asks|wants|requires)\b"
    r"|to (?:find|figure out|determine|solve|calculate|compute) .*,? (?:i|we)(?:'ll| will| need| have| must)\b",
    re.IGNORECASE,
)
_WORKS = re.compile(
    r"\b(?:to|will|i'll|we'll|let me|let's|by|then|and) (?:first |just |simply )?(?:multipl|divid|add|subtract|sum|halv|doubl)"
    r"(?:y|e|ing|ying)?\b",
    re.IGNORECASE,
)
"""A plan that names the operation is a step of the derivation."""
_POINTING = re.compile(
    r"(?:it|its|this|that|these|those|they|their|he|she|his|her|there|here|one|another|both|either|such|same|"
    r"my|mine|our|the (?:first|second|third|other|next|last|result|answer|above|same))\b",
    re.IGNORECASE,
)
_MATHS = frozenset(
    "=+*/^\u00d7\u00f7\u2248<>\u2264\u2265\u221a\u2211\u220f\u222b\u00b1\u2208\u2200\u2203\u2192\u21d2\u2234%|{}\\`~$_"
)
_EXPRESSION = re.compile(r"\w\s?[-\u2212]\s\w|\d[-\u2212]\d|[\"\u201c][^\"\u201d]{24,}")
_PRICES = re.compile(r"\$(?=\d)|(?<=\d)%")
"""Signs of values, which go or stay with them, and not of maths."""
_DOUBT = ("...", "\u2026")
_BLANK = re.compile(r"_{2,}")
_PLANLESS = tuple(f" {phrase} " for phrase in cues.SELF_TALK_PHRASES)
_STRAY = cues.SELF_TALK | cues.CHECK | cues.DERIVATION
_STRAY_PHRASES = tuple(
    f" {phrase} " for phrase in cues.SELF_TALK_PHRASES + cues.CHECK_PHRASES + cues.DERIVATION_PHRASES
)
_FEWEST_WORDS, _MOST_WORDS = 5, 32
_ENGLISH_SHARE = 0.25


def is_conclusion(sentence: str) -> bool:
    """Whether a sentence says of itself that it concludes."""
    return _FINAL.match(_bare(sentence)) is not None


def is_goal(sentence: str) -> bool:
    """Whether a sentence says what is to be found."""
    return _GOAL.match(_STATED.sub("", _bare(sentence), count=1)) is not None


def clause(sentence: str, part: Part) -> str:
    """The main clause of a sentence without its lead-in, as a sentence; empty if it says too little.

    What follows "so", "because", a colon or a bracket is where derivations stand.
    """
    told = _STATED.sub("", _bare(sentence), count=1)
    border = (_PLAN_CLAUSE if part == "plan" else _CLAUSE).search(told)
    main = told[: border.start()] if border else told
    bare = _BLANK.sub(MASK, _RECALL.sub("", main)).strip(" \t\r\n.,!?*_\"'")
    if bare.count('"') % 2:
        bare = bare.replace('"', "")
    words = _words(bare)
    if (
        not _FEWEST_WORDS <= len(words) <= _MOST_WORDS
        or (border and words[-1] in cues.OPEN_ENDS)
        or not _is_english(words)
    ):
        return ""
    return f"{bare[0].upper()}{bare[1:]}."


def may_leave(sentence: str, clause: str, part: Part) -> bool:
    """Whether the clause of a sentence holds nothing that a student learns from, whatever its part is said to be."""
    asks = part == "plan" and _STATED.match(_bare(sentence)) is not None
    if (not asks and "?" in sentence) or any(mark in sentence for mark in _DOUBT):
        return False
    if not _MATHS.isdisjoint(_PRICES.sub("", clause)) or _EXPRESSION.search(clause):
        return False
    words = _words(clause)
    told = f" {' '.join(words)} "
    if part == "plan":
        return (
            cues.DOUBT.isdisjoint(words)
            and not _WORKS.search(clause)
            and cues.VERIFYING.isdisjoint(words)
            and not any(phrase in told for phrase in _PLANLESS)
        )
    return (
        _STRAY.isdisjoint(words)
        and not _POINTING.match(clause)
        and not any(phrase in told for phrase in _STRAY_PHRASES)
    )


def _words(sentence: str) -> list[str]:
    return sentence.lower().translate(_SPACED).split()


def _bare(sentence: str) -> str:
    """The sentence without bullets, step numbers and words that only lead in."""
    lead = _LEAD.match(sentence)
    return sentence[lead.end() :] if lead else sentence


def _is_english(words: list[str]) -> bool:
    common = sum(word in cues.COMMON for word in words)
    return common >= _ENGLISH_SHARE * len(words) and "".join(words).isascii()
