"""Reasoning that a client sends back: a summary written here is taken out, or all that was not sealed here."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right

from hardening.wire.mark import is_sealed
from hardening.wire.questions import Questions, compile_questions
from hardening.wire.roles import Role
from hardening.wire.scan import read_json
from hardening.wire.sites import Site

# What blocks that hold a trace call themselves.
_names_a_trace = re.compile(rb'"(?:thinking|reasoning|reasoning\.text|thought)"').search
_OF_REASONING = frozenset(
    {
        "thinking",
        "redacted_thinking",
        "reasoning",
        "reasoning.text",
        "reasoning.summary",
        "reasoning.encrypted",
    }
)
_SEALING = ("signature", "encrypted_content", "data", "thoughtSignature", "thought_signature")
_SUMMARY = compile_questions({"summary": Role.PARTS})

_WORDS = (b"thinking", b"reasoning", b"thought")

Spans = list[tuple[int, int, bytes]]


def may_resend(body: bytes, *, sealed_only: bool = False) -> bool:
    """Whether reasoning that has to go may stand in the body, told without reading it."""
    if sealed_only:
        # Three looks are ten times faster than a pattern that has no first sign; one that has is faster than four.
        return any(word in body for word in _WORDS)
    return _names_a_trace(body) is not None


def without_resent(text: bytes, sites: list[Site], *, sealed_only: bool = False) -> Spans:
    """The spans of blocks that hold nothing but a summary written here, and of the messages of such alone.

    With `sealed_only` those of every block of reasoning that was not sealed here. Each list of messages or of their content keeps an element; some servers refuse an empty one.
    """
    spans: Spans = []
    own: list[Site] = []
    for traces, blocks in lists_of(sites, Role.RESENT, Role.PART):
        gone = [_emptied(text[block.start : block.end], sealed_only) is None for block in blocks]
        spans += [(traces.start, traces.end, b"[]")] if all(gone) else without(blocks, gone)
    for parts, blocks in lists_of(sites, Role.PARTS, Role.PART):
        found = [_emptied(text[block.start : block.end], sealed_only) for block in blocks]
        spans += without(blocks, [emptied is None for emptied in found])
        for block, emptied in zip(blocks, found, strict=True):
            spans += [(block.start + start, block.start + end, new) for start, end, new in emptied or ()]
        if all(emptied is None for emptied in found):
            own.append(parts)
    starts = [one.start for one in own]  # in the order of the text
    for _, turns in lists_of(sites, Role.TURNS, Role.TURN):
        gone = [bisect_right(starts, turn.start) < bisect_left(starts, turn.end) for turn in turns]
        spans += without(turns, gone)
    return spans


def lists_of(sites: list[Site], of: Role, each: Role) -> list[tuple[Site, list[Site]]]:
    """The lists with role `of`, each with its elements."""
    found: list[tuple[Site, list[Site]]] = []
    for site in sites:  # in the order of the text: a list, then its elements
        if site.role is of:
            found.append((site, []))
        elif site.role is each and found and site.start < found[-1][0].end:
            found[-1][1].append(site)
    return [(one, elements) for one, elements in found if elements]


def without(elements: list[Site], gone: list[bool]) -> Spans:
    """The spans, each with one comma, of the elements that go; none where all would."""
    if all(gone):
        return []
    first = gone.index(False)
    return [
        (elements[at].start, elements[at + 1].start, b"")
        if at < first
        else (elements[at - 1].end, elements[at].end, b"")
        for at, goes in enumerate(gone)
        if goes
    ]


def _emptied(block: bytes, sealed_only: bool) -> Spans | None:
    """What is emptied in a block that may be sent on; None for one that may not.

    A text in `content` or `thinking`, or of a `thought`, makes a server take it for the model's own trace. Where
    the text stands in `summary` alone, the item may be a reference to one that the server keeps: then only the
    text goes.
    """
    if not may_resend(block, sealed_only=sealed_only):
        return []
    value = read_json(block, format="request")
    if not isinstance(value, dict):
        return []
    kind = value.get("type")
    if sealed_only and (value.get("thought") is True or (isinstance(kind, str) and kind in _OF_REASONING)):
        if any(is_sealed(value.get(name)) for name in _SEALING):
            return []
        if kind != "reasoning" or any(value.get(name) for name in ("content", *_SEALING)):
            return None
    if value.get("thought") is True:
        return [] if value.get("thoughtSignature") or value.get("thought_signature") else None
    if value.get("type") not in ("thinking", "reasoning", "reasoning.text"):
        return []
    if value.get("signature") or value.get("encrypted_content"):
        return []
    if value["type"] != "reasoning" or value.get("content"):
        return None
    found = Questions(block, _SUMMARY, format="request").sites if value.get("summary") else []
    return [(site.start, site.end, b"[]") for site in found]
