"""How each format tells turns in a request: which are the model's own, which ids the others answer, where seals stand."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hardening.wire.mark import is_sealed
from hardening.wire.questions import compile_questions
from hardening.wire.roles import Node, Role

_PLAIN = ("reasoning_content", "reasoning", "reasoning_text", "thinking")

Turn = dict[str, Any]
Reveal = Callable[[str], Turn | None]
"""What a seal holds, as members; None where it cannot be opened."""


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


_WHOLE = "generateContentRequest"
"""Where Gemini's counting takes a whole request, in place of its turns."""


def _table(key: str, *wholes: str) -> Node:
    """Where the turns stand: under `key`, at the root and in each of `wholes`."""
    at = f"{{,{','.join(f'{one}.' for one in wholes)}}}{key}" if wholes else key
    return compile_questions({at: Role.TURNS, f"{at}[]": Role.TURN})


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
        _table("contents", _WHOLE, "generate_content_request"),
        "contents",
        b"esponse",
        _speaks("model"),
        _gemini_answers,
        _gemini_restored,
    ),
}
"""By format, as in `seals.PLACES`."""
