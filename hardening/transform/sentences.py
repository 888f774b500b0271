"""Sentences of a reasoning trace: where they end, and what part each plays.

The rules know English. A sentence that no rule claims counts as derivation, so what they do not
understand is dropped, in any language.
"""

from __future__ import annotations

import re
from typing import Literal

Part = Literal["self_talk", "derivation", "check", "knowledge", "plan", "final"]

LONGEST = 400
"""Characters of a sentence; a longer one is dropped, so that an endless one holds no memory."""
_PENDING = 512  # characters gathered before they are split: flat cost per delta
_FENCES = ("```", "~~~")

_END = re.compile(r"[.!?]+[\"')\]*]*(?=\s)|\n")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
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

_SELF_TALK = re.compile(
    r"\b(?:wait|hmm+|hm|oh|uh|um|hold on|let me (?:think|see|try|re|start|break)\w*|let's (?:think|see|try)|not (?:\w+ )?sure"
    r"|unsure|confus\w+|mistaken?|mistakes|wrong|incorrect|tricky|interesting|wonder\w*|maybe|perhaps|might|"
    r"alternatively|actually|anyway|guess|i (?:think|suppose|believe|feel|doubt|mean|made|missed|forgot)|never ?mind|"
    r"on second thought|no,|yes,|sorry|stuck|step by step|i have (?:this|a|the)|i've got|seems?)\b|[?…]|\.\.\.",
    re.IGNORECASE,
)
_CHECK = re.compile(
    r"\b(?:re-?check\w*|double|check\w*|verif\w+|confirm\w*|test\w*|plug\w*|makes? sense|consistent|match\w*|"
    r"for (?:example|instance)|say|suppose|imagine|e\.g|counter-?example|try\w*|sanity)\b",
    re.IGNORECASE,
)
_DERIVATION = re.compile(
    r"\b(?:therefore|thus|hence|so|consequently|accordingly|implies|implying|follows|means|meaning|gives?|yields?|"
    r"results?|resulting|equals?|equal to|becomes?|leaves?|leaving|left|gets?|got|obtain\w*|simplif\w*|substitut\w*|"
    r"plus|minus|times|multipl\w*|divid\w*|subtract\w*|add\w*|sum(?:med|ming|s)?|total(?:s|ing)|halv\w*|doubl\w*|"
    r"tripl\w*|squar(?:e|ed|ing)|per|each|remaining|spen[dt]\w*|earn\w*|bought|sold|cost|costs|in this case|"
    r"must be|has to be|would be|will be|can't|cannot|because|due to|that's|this is|these are|from (?:this|that|above)|"
    r"as (?:above|before)|previous\w*|earlier|again)\b",
    re.IGNORECASE,
)
_MATHS = re.compile(r"[=+*/^×÷≈<>≤≥√∑∏∫±∈∀∃→⇒∴%|{}\\`~$_]|\w\s?[-−]\s\w|\d[-−]\d|[\"“][^\"”]{24,}")
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
_ENGLISH = frozenset(
    re.findall(
        r"\w+",
        "a an the of to in is are and or that for with on by from as at be can need we i will it how many which what "
        "have has their its find use when between",
    )
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
            sentence = text[start : match.end()].strip()
            start = match.end()
            if self._stands_in_prose(sentence) and len(sentence) <= LONGEST:
                found.append(sentence)
        rest = text[start:]
        if len(rest) > LONGEST + 1:  # too long whatever follows; its last character may end it
            rest = f"{rest[:LONGEST]}xx{rest[-1]}"
        self._pieces = [rest]
        self._length = 0
        return found

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
        return not sentence.startswith((">", "|", "    "))


def part(sentence: str) -> Part:
    """What part a sentence plays in a trace; "derivation" where no rule claims it."""
    if _SELF_TALK.search(sentence):
        return "self_talk"
    if _CHECK.search(sentence):
        return "check"
    if _MATHS.search(sentence):
        return "derivation"
    bare = _LEAD.sub("", sentence, count=1) if _LEAD.match(sentence) else sentence
    if _FINAL.match(bare):
        return "final"
    clause = _CLAUSE.sub("", bare)
    if _DERIVATION.search(clause):
        return "derivation"
    if _PLAN.match(clause):
        return "plan"
    if _KNOWLEDGE.match(clause) and not _POINTING.match(_RECALL.sub("", clause)):
        return "knowledge"
    return "derivation"


def clause(sentence: str) -> str:
    """The main clause of a sentence without its lead-in, as a sentence; empty if it says too little.

    What follows "so", "because", a colon or a bracket is where derivations stand.
    """
    bare = _RECALL.sub(
        "", _CLAUSE.sub("", _LEAD.sub("", sentence, count=1) if _LEAD.match(sentence) else sentence)
    )
    bare = bare.strip(" \t\r\n.,!?*_\"'")
    if bare.count('"') % 2:
        bare = bare.replace('"', "")
    words = _WORD.findall(bare)
    if not _FEWEST_WORDS <= len(words) <= _MOST_WORDS or not _is_english(words):
        return ""
    return f"{bare[0].upper()}{bare[1:]}."


def _is_english(words: list[str]) -> bool:
    common = sum(word.lower() in _ENGLISH for word in words)
    return common >= _ENGLISH_SHARE * len(words) and all(word.replace("’", "'").isascii() for word in words)
