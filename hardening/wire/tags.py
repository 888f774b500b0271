"""The tags between which models and templates write a trace into the text, and texts that touch one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import unescape

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
    ("<|think|>", "<|end|>"),
    ("<|think|>", "<|content|>"),
    ("<|think|>", "<|/think|>"),
    ("<|thinking|>", "<|/thinking|>"),
    ("<|channel>", "<channel|>"),
    ("<|inner_prefix|>", "<|inner_suffix|>"),
    ('<details type="reasoning">', "</details>"),
)
_ORDINARY = frozenset({"<|end|>", "<|content|>", "<|channel|>final<|message|>", "</details>"})

BARE = tuple(close for _, close in TAGS if close not in _ORDINARY)
"""The closing tags without those that are ordinary in their own format and say nothing when bare."""

# Words in brackets may have blanks and attributes beside them. Their number is bounded: so much text may be held back.
_WORDS = ("think", "thinking", "thought", "reasoning")
_DETAILS = '<details type="reasoning">'
_GAP = r"\s{0,2}"
_ATTRIBUTES = r"(?:\s{1,2}[\w:-]{1,24}=[^<>]{0,96})?"
# gpt-oss says there to whom it speaks and in which language.
_CHANNEL, _MESSAGE = "<|channel|>", "<|message|>"
_loose_opening = re.compile(
    rf"<{_GAP}(?P<word>{'|'.join(_WORDS)}){_ATTRIBUTES}{_GAP}>"
    rf"|<details\s[^<>]{{0,96}}?type=[\"']?reasoning\b[^<>]{{0,96}}>"
    r"|(?P<channel><\|channel\|>\s{0,2}analysis\b[^<>]{0,64}(?:<\|constrain\|>[^<>]{0,32})?<\|message\|>)",
    re.I,
)
_loose_closing = {word: rf"<{_GAP}/{_GAP}{word}{_GAP}>" for word in _WORDS}
_MOST = 224  # characters of a tag with all that may stand in it
_begun = re.compile(
    rf"<{_GAP}(?:/{_GAP})?(?:%s|(?:{'|'.join(_WORDS)})(?:\s{{1,2}}[\w:-]{{0,24}}(?:=[^<>]{{0,96}})?)?{_GAP}"
    rf"|details(?:\s[^<>]{{0,208}})?)?\Z"
    % "|".join(sorted({word[:size] for word in (*_WORDS, "details") for size in range(1, len(word))})),
    re.I,
).match

_every = frozenset(tag.lower() for pair in TAGS for tag in pair)
_FIRST = frozenset(tag[0] for tag in _every)
_prefixes = frozenset(tag[:size] for tag in _every for size in range(1, len(tag)))
_longest = max(map(len, _every))
_may_begin = re.compile(
    "|".join(sorted({re.escape(tag[0]) + rf"(?:\Z|{re.escape(tag[1])})" for tag in _every} | {r"<\s"})), re.I
).search
_CLOSES = {
    opening.lower(): tuple(close.lower() for own, close in TAGS if own == opening) for opening, _ in TAGS
}
_LEAST = 4  # characters of a tag that are no ordinary word or bracket
_BRACKETS = frozenset("<>[]◁▷|")
_SIGNS = _BRACKETS | {"/"}
_QUOTES = "\"'`"
# A gateway tells the error of the server behind it as a string, escaped once or more.
_passed_on = re.compile(
    r'"(?:failed_generation|reasoning(?:_content|_text)?|thinking|thoughts?)\\*+"\s*+:\s*+(?:\[\s*+)?\\*+"[^"\\]{20}'
).search
_LOOKED_AT = 8192  # characters at the end of a prompt in which a trace may have been opened


def _any_of(tags: Iterable[str]) -> str:
    """A pattern of each of the tags, the longest first, as they may be written."""
    closing = {f"</{word}>": pattern for word, pattern in _loose_closing.items()}
    return "|".join(closing.get(tag, re.escape(tag)) for tag in sorted(tags, key=len, reverse=True))


MARK = re.compile(f"{_loose_opening.pattern}|{_any_of([*{opening for opening, _ in TAGS}, *BARE])}", re.I)
"""Finds every tag that says something by itself, in any case."""
ANY_CLOSE = re.compile(_any_of({close for _, close in TAGS} - {"</details>"}), re.I)
"""Finds what closes a trace that a template opened."""
_spelt = {opening.lower(): opening for opening, _ in TAGS}
_ends = {
    opening.lower(): re.compile(_any_of({close for own, close in TAGS if own == opening}), re.I)
    for opening, _ in TAGS
}


# What opens a trace only where an answer begins: a tag that a gateway has escaped for HTML, and what is left of
# gpt-oss' messages where a server leaves its special tokens out.
_ESCAPED = tuple(f"&lt;{word}&gt;" for word in _WORDS)
_LEFT_OVER = "analysis"
_FIRST_WORDS = (
    "We",
    "The",
    "User",
    "I",
    "It",
    "Need",
    "Okay",
    "Ok",
    "Let",
    "So",
    "This",
    "They",
    "You",
    "Just",
    "First",
)
_beginning = re.compile(
    rf"\s*+(?:({'|'.join(_ESCAPED)})|{_LEFT_OVER}(?=(?:{'|'.join(_FIRST_WORDS)})\b.))", re.DOTALL
)
_GLUED = tuple(_LEFT_OVER + word for word in _FIRST_WORDS)
_ENDS = {escaped: (escaped.replace("&lt;", "&lt;/"), escaped[4:-4].join(("</", ">"))) for escaped in _ESCAPED}
_ENDS[_LEFT_OVER] = ("assistantfinal", f"{_CHANNEL}final{_MESSAGE}")
_ends |= {opening: re.compile(_any_of(ends), re.I) for opening, ends in _ENDS.items()}


def opening_of(mark: str) -> str | None:
    """The opening tag that a text found by MARK is, as the table spells it; None for a closing one."""
    loose = _loose_opening.fullmatch(mark)
    if loose is None:
        return _spelt.get(mark.lower())
    if loose["channel"]:
        return f"{_CHANNEL}analysis{_MESSAGE}"
    return f"<{loose['word'].lower()}>" if loose["word"] else _DETAILS


def is_without_tag(opening: str) -> bool:
    """Whether a trace was opened by the beginning of its answer."""
    return opening in _ENDS


def closing_of(opening: str) -> re.Pattern[str]:
    """Finds what closes a trace behind an opening tag, in any case."""
    return _ends[opening.lower()]


def begun(text: str) -> int:
    """How many characters at the end of a text may be the beginning of a tag."""
    return max(_begun_literally(text[-_longest:].lower()), len(_loosely_begun(text)), _head_begun(text))


def _begun_literally(tail: str) -> int:
    for at, character in enumerate(tail):
        if character in _FIRST and tail[at:] in _prefixes:
            return len(tail) - at
    return 0


def _head_begun(text: str) -> int:
    """How many characters at the end of a text are the head of a message of gpt-oss."""
    at = text.rfind(_CHANNEL, -_MOST)
    return 0 if at < 0 or _MESSAGE in text[at:] else len(text) - at


def _loosely_begun(text: str) -> str:
    """The end of a text that may be the beginning of a word in brackets."""
    at = text.rfind("<", -_MOST)
    found = _begun(text, at) if at >= 0 else None
    return found[0] if found else ""


def opened_by(text: str) -> tuple[int, tuple[str, str]] | None:
    """Where the trace begins that the beginning of an answer opens without a tag, and between what it stands."""
    found = _beginning.match(text)
    if found is None:
        return None
    opening = found[1] or _LEFT_OVER
    return found.end(), (opening, _ENDS[opening][0])


def may_open(text: str) -> bool:
    """Whether a beginning of an answer, that is not blank, may become one that opens a trace without a tag."""
    said = text.lstrip()
    # The word is one token, and many answers begin with the first letter of it.
    return any(one.startswith(said) for one in (_GLUED if said.startswith(_LEFT_OVER) else _ESCAPED))


def ends_begun(opening: str, text: str) -> int:
    """How many characters at the end of a text may begin what closes a trace that was opened without a tag."""
    return max(
        (size for end in _ENDS[opening] for size in range(1, len(end)) if text.endswith(end[:size])),
        default=0,
    )


def begins(text: str) -> bool:
    """Whether a tag may stand in a text or begin where it ends, by the first two characters of one."""
    return _may_begin(text) is not None


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


def tells_trace(text: str) -> bool:
    """Whether words beside an answer pass on a trace: between tags that are not quoted, escaped for HTML or not, or by its name in JSON."""
    text = unescape(text) if "&" in text else text
    return _passed_on(text) is not None or any(not is_quoted(text, mark) for mark in MARK.finditer(text))


def is_quoted(text: str, mark: re.Match[str]) -> bool:
    """Whether the same quote stands on both sides of a tag, so that it is only spoken of."""
    before = text[mark.start() - 1 : mark.start()]
    return bool(before) and before in _QUOTES and text[mark.end() : mark.end() + 1] == before


def leaves_open(text: str) -> bool:
    """Whether the end of a text leaves a trace open, so that what a model adds to it is one."""
    end = text[-_LOOKED_AT:].lower()
    if _BRACKETS.isdisjoint(end):
        return False
    last = {opening: mark.end() for mark in MARK.finditer(end) if (opening := opening_of(mark[0]))}
    return _begins_tag(end, _LEAST) or any(not closing_of(one).search(end, at) for one, at in last.items())


def _begins_tag(text: str, least: int) -> bool:
    """Whether a text ends in so many characters, or more, of an opening tag."""
    loosely = _loosely_begun(text)
    if len(loosely) >= least and "/" not in loosely:
        return True
    end = text[-max(map(len, _CLOSES)) :].lower()
    return any(tag.startswith(end[at:]) for at in range(len(end) - least + 1) for tag in _CLOSES)
