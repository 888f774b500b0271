"""Seals that come back in a request: where they stand, and the same body with what they hold in its place.

A format says which of its turns are the model's own, which ids the others answer, and where in a turn a seal
stands. Only a turn that carries one is written anew; every other byte stays.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from hardening.errors import WireError
from hardening.wire.mark import MARK, is_sealed
from hardening.wire.questions import Questions, compile_questions
from hardening.wire.requests import as_utf8, splice
from hardening.wire.resent import lists_of, without
from hardening.wire.roles import Node, Role
from hardening.wire.scan import read_json
from hardening.wire.traces import written

_MARK = MARK.encode()
_ESCAPE = rb"\u00"
_escaped_letters = re.compile(rb"\\u00(4[1-9a-f]|5[0-9a]|6[1-9a-f]|7[0-9a])", re.IGNORECASE).sub
_PLAIN = ("reasoning_content", "reasoning", "reasoning_text", "thinking")

Turn = dict[str, Any]
Reveal = Callable[[str], Turn | None]
"""What a seal holds, as members; None where it cannot be opened."""
RevealAt = Callable[[str, tuple[str, ...] | None], Turn | None]
"""The same for a turn that answers these results; None where nobody knows, for what came before it is not there."""


class Unsealed(NamedTuple):
    """A body with its seals replaced; `needed` says that one was dropped that its API wants in this turn."""

    body: bytes
    needed: bool


@dataclass(frozen=True, slots=True)
class Turns:
    """How a format's requests tell turns, and what becomes of a turn with seals.

    `restored` gives the turn with what they hold in their place, or None where nothing of it is left; `mark` stands in
    every body in which a turn answers a call.
    """

    table: Node
    key: str
    mark: bytes
    is_own: Callable[[Turn], bool]
    answers: Callable[[Turn], Iterator[str]]
    restored: Callable[[Turn, Reveal], Turn | None]
    needs: Callable[[Turn], bool] = lambda request: False
    """Whether, of such a request, a turn of calls is refused that lacks its reasoning."""
    is_paused: Callable[[Turn], bool] = lambda turn: False
    """Whether such a turn comes back as the last one, after what its server did in it."""


def carries_seals(body: bytes) -> bool:
    """Whether a seal of ours may stand in the body, however it is written, told without reading it."""
    if _MARK in body:
        return True
    try:
        text = as_utf8(body)
    except WireError:
        return False
    return (text is not body or _ESCAPE in text) and _MARK in _escaped_letters(_letter, text)


def answered(body: bytes, turns: Turns, *, format: str) -> tuple[str, ...]:
    """The ids of the tool results that the next turn of the model answers."""
    if turns.mark not in body:
        return ()
    value = read_json(as_utf8(body), format=format)
    told = value.get(turns.key) if isinstance(value, dict) else None
    walk = _Answers(turns)
    for turn in told if isinstance(told, list) else ():
        walk.take(turn if isinstance(turn, dict) else {})
    return walk.ids


def unsealed(body: bytes, turns: Turns, reveal: RevealAt, *, format: str) -> Unsealed:
    """The body with the seals of the model's own turns opened; what `reveal` refuses, and any other, is dropped.

    The last turns come first: what a request may open is spent on them.
    """
    text = as_utf8(body)
    walk = _Answers(turns)
    lists = lists_of(Questions(text, turns.table, format=format).sites, Role.TURNS, Role.TURN)
    marked: list[_Marked] = []
    open_from = last_from = 0  # in `marked`, the first turn that no person answered, and that nobody did
    for number, (_, sites) in enumerate(lists):
        for at, site in enumerate(sites):
            raw = text[site.start : site.end]
            turn = read_json(raw, format=format)
            named = turn if isinstance(turn, dict) else {}
            own = walk.take(named)
            if not own and not walk.answering:
                open_from = len(marked)
            if carries_seals(raw):
                marked.append(_Marked(number, at, named, own, walk.known if own else None))
            if not own:
                last_from = len(marked)
    spans: list[tuple[int, int, bytes]] = []
    gone = [[False] * len(sites) for _, sites in lists]
    open_lost = False
    for place in range(len(marked) - 1, -1, -1):
        number, at, named, own, answers = marked[place]
        # Where it is the last, the model would go on with its trace.
        opens = own and (place < last_from or turns.is_paused(named))
        opening = _Opening(reveal if opens else None, answers)
        new = turns.restored(named, opening)
        site = lists[number][1][at]
        gone[number][at] = new is None
        if new is not None and new != named:
            spans.append((site.start, site.end, written(new)))
        open_lost = open_lost or (own and opening.lost and place >= open_from)
    for (whole, sites), goes in zip(lists, gone, strict=True):
        spans += [(whole.start, whole.end, b"[]")] if all(goes) else without(sites, goes)
    needed = open_lost and walk.answering and turns.needs(_request(text, format=format))
    return Unsealed(splice(text, spans) if spans else body, needed)


class _Marked(NamedTuple):
    """A turn in which a seal may stand: in which list, at which place, what it says, and the results that it answers."""

    number: int
    at: int
    turn: Turn
    own: bool
    answers: tuple[str, ...] | None


class _Opening:
    """Opens the seals of one turn, and knows whether one was lost."""

    def __init__(self, reveal: RevealAt | None, answers: tuple[str, ...] | None) -> None:
        self._reveal = reveal
        self._answers = answers
        self.lost = False

    def __call__(self, blob: str) -> Turn | None:
        found = None if self._reveal is None else self._reveal(blob, self._answers)
        self.lost = self.lost or found is None
        return found


class _Answers:
    """Which tool results stand right before the turn that comes next, turn by turn."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._ids: set[str] = set()
        self._sorted: tuple[str, ...] | None = ()  # None where they have changed since
        self._after_own = False
        self.answering = False
        """Whether the last turn was a tool's."""

    def take(self, turn: Turn) -> bool:
        """Take the next turn; whether it is the model's own."""
        own = self._turns.is_own(turn)
        if not own:
            found = set(self._turns.answers(turn))
            if self._after_own:
                self._ids = found
            else:
                self._ids.update(found)
            if self._after_own or found:
                self._sorted = None
            self.answering = bool(found)
        self._after_own = own
        return own

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids, in an order that does not depend on the client's."""
        if self._sorted is None:
            self._sorted = tuple(sorted(self._ids))
        return self._sorted

    @property
    def known(self) -> tuple[str, ...] | None:
        """The same; None where there are none, for agents cut the calls off, or put a summary or a note in their place."""
        return self.ids if self._ids else None


def _letter(escape: re.Match[bytes]) -> bytes:
    return bytes.fromhex(escape[1].decode())


def _request(text: bytes, *, format: str) -> Turn:
    value = read_json(text, format=format)
    return value if isinstance(value, dict) else {}


def _listed(value: object) -> Sequence[Turn]:
    """The objects in a list; none in anything else."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else ()


def _strings(*values: object) -> Iterator[str]:
    return (value for value in values if isinstance(value, str) and value)


# -- OpenAI chat: an encrypted detail of the message, which no server knows; what it holds goes where the trace was


def _chat_restored(turn: Turn, reveal: Reveal) -> Turn | None:
    details = turn.get("reasoning_details")
    if not isinstance(details, list):
        return turn
    blobs: dict[str, None] = {}  # a seal that was copied holds no more than one
    rest: list[object] = []
    for one in details:
        if isinstance(one, dict) and is_sealed(one.get("data")):
            blobs[one["data"]] = None
        else:
            rest.append(one)
    opened = [found for blob in blobs if (found := reveal(blob)) is not None]
    kept = {name: value for name, value in turn.items() if name != "reasoning_details" or rest}
    if rest:
        kept["reasoning_details"] = rest
    if not opened:
        return kept
    kept = {name: value for name, value in kept.items() if name not in _PLAIN}  # our summary, under any name
    told: dict[str, list[object]] = {}
    for members in opened:
        for name, value in members.items():
            told.setdefault(name, []).append(value)
    return {**kept, **{name: _joined(kept.get(name), values) for name, values in told.items()}}


def _joined(was: object, values: list[object]) -> object:
    """What a member says with those of the seals: after it where all are texts, before it where all are blocks."""
    texts = [value for value in (was, *values) if isinstance(value, str)]
    if len(texts) == len(values) + (was is not None):
        return "".join(texts)
    if not all(isinstance(value, list) for value in values):
        return values[-1]
    blocks = [block for value in values if isinstance(value, list) for block in value]
    if not isinstance(was, list):
        return blocks
    ours = {json.dumps(block, sort_keys=True) for block in blocks}
    return blocks + [block for block in was if json.dumps(block, sort_keys=True) not in ours]


def _chat_answers(turn: Turn) -> Iterator[str]:
    return _strings(turn.get("tool_call_id"))


# -- Anthropic: the signature of a thinking block


def _messages_restored(turn: Turn, reveal: Reveal) -> Turn | None:
    blocks = turn.get("content")
    if not isinstance(blocks, list):
        return turn
    kept: list[object] = []
    for block in blocks:
        if not (isinstance(block, dict) and is_sealed(block.get("signature"))):
            kept.append(block)
        elif block.get("type") != "thinking":
            kept.append({name: value for name, value in block.items() if name != "signature"})
        elif (members := reveal(block["signature"])) is not None:
            kept.append({"type": "thinking", "signature": "", **members})
    return {**turn, "content": kept} if kept else None


def _messages_answers(turn: Turn) -> Iterator[str]:
    return _strings(*(block.get("tool_use_id") for block in _listed(turn.get("content"))))


def _is_paused(turn: Turn) -> bool:
    """Whether a turn ends in a call of a tool of the server, or its result."""
    *_, last = _listed(turn.get("content")) or ({},)
    return str(last.get("type", "")).endswith(("_tool_use", "_tool_result"))


def _thinks(request: Turn) -> bool:
    thinking = request.get("thinking")
    return isinstance(thinking, dict) and thinking.get("type") not in (None, "disabled")


# -- Responses: the encrypted content of a reasoning item; every item is a turn


def _responses_own(item: Turn) -> bool:
    kind = str(item.get("type", ""))
    return item.get("role") in (None, "assistant") and not kind.endswith("_output") and kind != ""


def _responses_answers(item: Turn) -> Iterator[str]:
    return _strings(item.get("call_id")) if str(item.get("type", "")).endswith("_output") else iter(())


def _responses_restored(item: Turn, reveal: Reveal) -> Turn | None:
    if not is_sealed(item.get("encrypted_content")):
        return item
    if item.get("type") != "reasoning":
        return {name: value for name, value in item.items() if name != "encrypted_content"}
    members = reveal(item["encrypted_content"])
    if members is None:
        return None
    kept = {name: value for name, value in item.items() if name in ("type", "id", "status")}
    return {**kept, "summary": [], **members}


# -- Gemini: the signature of a thought


def _gemini_restored(turn: Turn, reveal: Reveal) -> Turn | None:
    parts = turn.get("parts")
    if not isinstance(parts, list):
        return turn
    kept: list[object] = []
    for part in parts:
        signature = _sealed_signature(part) if isinstance(part, dict) else None
        if signature is None:
            kept.append(part)
            continue
        if part.get("thought") is not True:
            kept.append({name: value for name, value in part.items() if name not in _SIGNATURES})
        elif (members := reveal(part[signature])) is not None:
            kept.append({"thought": True, **members})
    return {**turn, "parts": kept} if kept else None


_SIGNATURES = ("thoughtSignature", "thought_signature")


def _sealed_signature(part: Turn) -> str | None:
    return next((name for name in _SIGNATURES if is_sealed(part.get(name))), None)


def _gemini_answers(turn: Turn) -> Iterator[str]:
    for part in _listed(turn.get("parts")):
        told = part.get("functionResponse") or part.get("function_response")
        if isinstance(told, dict):
            yield from _strings(told.get("id") or told.get("name"))


def _table(key: str) -> Node:
    return compile_questions({key: Role.TURNS, f"{key}[]": Role.TURN})


def _speaks(role: str) -> Callable[[Turn], bool]:
    return lambda turn: turn.get("role") == role


TURNS = {
    "openai_chat": Turns(
        _table("messages"), "messages", b"tool_call_id", _speaks("assistant"), _chat_answers, _chat_restored
    ),
    "anthropic_messages": Turns(
        _table("messages"),
        "messages",
        b"tool_use_id",
        _speaks("assistant"),
        _messages_answers,
        _messages_restored,
        _thinks,
        _is_paused,
    ),
    "openai_responses": Turns(
        _table("input"), "input", b"_output", _responses_own, _responses_answers, _responses_restored
    ),
    "gemini_generate": Turns(
        _table("contents"), "contents", b"esponse", _speaks("model"), _gemini_answers, _gemini_restored
    ),
}
"""By format, as in `seals.PLACES`."""
