"""Sentences of a reasoning trace: where they end, and what part each plays.

The rules know English. A sentence that no rule claims counts as derivation, so what they do not
understand is dropped, in any language.
"""

from __future__ import annotations

import re
from typing import Literal

from hardening.transform import cues

Part = Literal["self_talk", "derivation", "check", "knowledge", "plan", "final"]

_LONGEST = 400  # characters of a sentence; a longer one is dropped, so that an endless one holds no memory
_PENDING = 512  # characters gathered before they are split: flat cost per delta
_FENCES = ("```", "~~~")

_END = re.compile(r"[.!?]+[\"')\]*]*(?=\s)|\n")
_SPACED = str.maketrans({**dict.fromkeys('.,;:!?"()[]-—–*_#>“”', " "), "’": "'"})
_LEAD = re.compile(
    r"(?:[\s*_#>\-•]+|\(?(?:step\s+)?\d{1,2}[.):]+\s+"
    r"|(?:okay|ok|well|now|next|first(?:ly| of all)?|second(?:ly)?|third(?:ly)?|then|finally|alright|right|"
    r"to start(?: with)?|to begin(?: with)?|also|and|in general|generally|basically|essentially)\b[,:]?\s+"
    r"|so[,:]?\s+(?=(?:i|we)\b))+",
    re.IGNORECASE,
)
_CLAUSE = re.compile(
    r"\s*(?:[;:(\[—–]|\s-\s|,?\s+(?:so|because|since|which|where|but|then|if|except|meaning|given)\b).*",
    re.S | re.I,
)

_MATHS = frozenset(
    "=+*/^\u00d7\u00f7\u2248<>\u2264\u2265\u221a\u2211\u220f\u222b\u00b1\u2208\u2200\u2203\u2192\u21d2\u2234%|{}\\`~$_"
)
_DOUBT = ("?", "...", "\u2026")
_EXPRESSION = re.compile(r"\w\s?[-\u2212]\s\w|\d[-\u2212]\d|[\"\u201c][^\"\u201d]{24,}")
_PLAN = re.compile(
    r"(?:(?:i|we|you)\s*(?:'ll|will|shall|must|should|(?:need|have|want|ought|'d like|am going|are going)\s+to|"
    r"'re going to|'m going to|'m trying to|am trying to|can (?:use|start|begin|look|consider|apply))\s+\w+"
    r"|to (?:\w+ ){1,14}?(?:, )?(?:i|we)(?:'ll| will| need| must| have)\b"
    r"|(?:the|my|our) (?:question|problem|task|goal|aim|challenge|puzzle|idea|plan|key|first step|next step|approach)"
    r"\b[^.]* (?:is|asks|requires|wants)\b"
    r"|(?:let's|let us) (?:consider|look|use|start|begin|find|determine|identify|define|compare|apply))",
    re.IGNORECASE,
)
_KNOWLEDGE = re.compile(
    r"(?:(?:i|we)(?:'ve)?\s+(?:know|remember|recall|learned|heard|read)\b|(?:a|an|the|all|every|most|many|some|in) |[a-z]+s )"
    r".*?\b(?:is|are|was|were|has|have|can|refers?|consists?|contains?|describes?|states?|requires?|uses?|helps?|"
    r"involves?|includes?|depends?|provides?|causes?|produces?|represents?)\b",
    re.IGNORECASE,
)
_RECALL = re.compile(
    r"^(?:i|we)(?:'ve)?\s+(?:also\s+)?(?:know|remember|recall|learned|heard|read)\s+(?:(?:that|hearing that|"
    r"reading that|learning that|from \w+ that)\s+)?",
    re.IGNORECASE,
)
_FINAL = re.compile(
    r"(?:in (?:conclusion|summary|short)|to (?:conclude|sum up|summari[sz]e)|overall|"
    r"(?:the|my) (?:final |correct |best )?(?:answer|conclusion|solution|result) (?:is|would|should))\b",
    re.IGNORECASE,
)
_POINTING = re.compile(
    r"(?:it|its|this|that|these|those|they|their|he|she|his|her|there|here|one|another|both|either|such|same|"
    r"my|mine|our|the (?:first|second|third|other|next|last|result|answer|above|same))\b",
    re.IGNORECASE,
)
_SELF_TALK_PHRASES, _CHECK_PHRASES, _DERIVATION_PHRASES = (
    tuple(f" {phrase} " for phrase in phrases)
    for phrases in (cues.SELF_TALK_PHRASES, cues.CHECK_PHRASES, cues.DERIVATION_PHRASES)
)
_FEWEST_WORDS, _MOST_WORDS = 5, 32
_ENGLISH_SHARE = 0.25


class Splitter:
    """Cuts a text that comes in pieces into sentences, the same whatever the pieces are.

    Code between fences, display maths, quoted lines and tables never come out.
    """

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._length = 0
        self._hidden = ""
        self._quoted = False
        self._too_long = False

    def feed(self, text: str) -> list[str]:
        """The sentences that ended so far; most calls give none and only keep the piece."""
        self._pieces.append(text)
        self._length += len(text)
        return self._split() if self._length >= _PENDING else []

    def flush(self) -> list[str]:
        """What is left, as if the text ended with a line."""
        self._pieces.append("\n")
        return self._split()

    def _split(self) -> list[str]:
        text = "".join(self._pieces)
        start = 0
        found = []
        for match in _END.finditer(text):
            start = self._pass_over(text, start, match.end())
            sentence = text[start : match.end()].strip()
            start = match.end()
            if self._stands_in_prose(sentence) and sentence and not self._too_long:
                found.append(sentence)
            self._too_long = False
            self._quoted = self._quoted and match[0] != "\n"
        start = self._pass_over(text, start, len(text))
        self._pieces = [text[start:]]
        self._length = 0
        return found

    def _pass_over(self, text: str, start: int, end: int) -> int:
        """Leave out the front of a sentence that is too long, in steps that no piece of the text moves."""
        while end - start > _LONGEST:
            self._stands_in_prose(text[start : start + _LONGEST])
            self._too_long = True
            start += _LONGEST
        return start

    def _stands_in_prose(self, sentence: str) -> bool:
        """Whether a sentence is neither in nor at the border of a block; keeps track of blocks."""
        if self._hidden:
            if self._hidden in sentence:
                self._hidden = ""
            return False
        for fence in _FENCES:
            if sentence.startswith(fence):
                self._hidden = "" if fence in sentence[len(fence) :] else fence
                return False
        for opened, closed in ((r"\[", r"\]"), ("$$", "$$"), (r"\begin{", r"\end{")):
            at = sentence.find(opened)
            if at >= 0:
                self._hidden = "" if closed in sentence[at + len(opened) :] else closed
                return False
        self._quoted = self._quoted or sentence.startswith((">", "|"))
        return not self._quoted


def part(sentence: str) -> Part:
    """What part a sentence plays in a trace; "derivation" where no rule claims it."""
    told = _words(sentence)
    words = frozenset(told)
    phrases = f" {' '.join(told)} "
    if not words.isdisjoint(cues.SELF_TALK) or any(mark in sentence for mark in _DOUBT):
        return "self_talk"
    if not words.isdisjoint(cues.CHECK):
        return "check"
    if not _MATHS.isdisjoint(sentence) or words.isdisjoint(cues.COMMON):
        return "derivation"
    if any(phrase in phrases for phrase in _SELF_TALK_PHRASES):
        return "self_talk"
    if any(phrase in phrases for phrase in _CHECK_PHRASES):
        return "check"
    return _told_part(sentence)


def _told_part(sentence: str) -> Part:
    """The part of a sentence that neither doubts nor checks nor calculates."""
    bare = _bare(sentence)
    main = _CLAUSE.sub("", bare)
    if _EXPRESSION.search(main):
        return "derivation"
    if _FINAL.match(bare):
        return "final"
    told = _words(main)
    phrases = f" {' '.join(told)} "
    if not cues.DERIVATION.isdisjoint(told) or any(phrase in phrases for phrase in _DERIVATION_PHRASES):
        return "derivation"
    if _PLAN.match(main):
        return "plan"
    if _KNOWLEDGE.match(main) and not _POINTING.match(_RECALL.sub("", main)):
        return "knowledge"
    return "derivation"


def _words(sentence: str) -> list[str]:
    return sentence.lower().translate(_SPACED).split()


def _bare(sentence: str) -> str:
    """The sentence without bullets, step numbers and words that only lead in."""
    lead = _LEAD.match(sentence)
    return sentence[lead.end() :] if lead else sentence


def clause(sentence: str) -> str:
    """The main clause of a sentence without its lead-in, as a sentence; empty if it says too little.

    What follows "so", "because", a colon or a bracket is where derivations stand.
    """
    bare = _RECALL.sub("", _CLAUSE.sub("", _bare(sentence))).strip(" \t\r\n.,!?*_\"'")
    if bare.count('"') % 2:
        bare = bare.replace('"', "")
    words = _words(bare)
    if (
        not _FEWEST_WORDS <= len(words) <= _MOST_WORDS
        or words[-1] in cues.OPEN_ENDS
        or not _is_english(words)
    ):
        return ""
    return f"{bare[0].upper()}{bare[1:]}."


def _is_english(words: list[str]) -> bool:
    common = sum(word in cues.COMMON for word in words)
    return common >= _ENGLISH_SHARE * len(words) and "".join(words).isascii()
