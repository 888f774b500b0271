"""Law 3: the official SDKs parse every hardened response, and meet no event more or less than without us."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from hardening.testing import find_leaks
from tests.exchanges import ANSWER, TRACE
from tests.laws.served import Client, Site
from tests.laws.upstream import CALL, CHATS, MESSAGE_ANSWERS, PLAN, SAID_ROWS

ASKED: Any = [{"role": "user", "content": "Tom has 5 apples and gives 2 away. How many are left?"}]
HARDENED = ["baseline", "strict"]
WHOLE_CHATS = [name for name, says in CHATS.items() if says.whole]
WHOLE_MESSAGES = [name for name, says in MESSAGE_ANSWERS.items() if says.whole]
LIVING = [name for name in CHATS if name != "breaks"]


def chat(client: Any, model: str, **more: Any) -> Any:
    return client.chat.completions.create(model=model, messages=ASKED, logprobs=True, top_logprobs=8, **more)


def message(client: Any, model: str, **more: Any) -> Any:
    return client.messages.create(model=model, messages=ASKED, max_tokens=1000, **more)


def told(completion: Any) -> dict[str, Any]:
    """What of a chat completion no policy may change."""
    value = completion.model_dump()
    return {
        "choices": [
            (
                c["index"],
                c["finish_reason"],
                c["message"]["role"],
                c["message"]["content"],
                c["message"]["refusal"],
            )
            for c in value["choices"]
        ],
        "calls": [[t["function"] for t in c["message"]["tool_calls"] or ()] for c in value["choices"]],
        "usage": value["usage"],
        "model": value["model"],
        "id": value["id"],
    }


def summed(chunks: list[Any]) -> dict[str, Any]:
    """A stream of chat chunks as text, arguments, roles and ends by choice, and its usage."""
    text: dict[tuple[int, str], str] = {}
    ends: Counter[tuple[int, str]] = Counter()
    for choice in (choice for part in chunks for choice in part.choices):
        delta = choice.delta
        calls = delta.tool_calls or ()
        pieces = [("content", delta.content), ("refusal", delta.refusal), ("role", delta.role)]
        pieces += [(f"call {c.index}", (c.function.name or "") + (c.function.arguments or "")) for c in calls]
        for name, piece in pieces:
            text[choice.index, name] = text.get((choice.index, name), "") + (piece or "")
        if choice.finish_reason:
            ends[choice.index, choice.finish_reason] += 1
    return {
        "text": text,
        "ends": ends,
        "usage": [part.usage for part in chunks if part.usage],
        "ids": {part.id for part in chunks},
    }


def rows_of(choices: list[Any]) -> list[Any]:
    return [row for choice in choices if choice.logprobs for row in choice.logprobs.content or ()]


@pytest.mark.parametrize("model", LIVING)
@pytest.mark.parametrize("mount", HARDENED)
def test_chat_chunks(gpt: Client, site: Site, mount: str, model: str) -> None:
    """Catches a chunk without a required field, a second role or end, a lost choice, call or usage."""
    bare, hardened = ([*chat(gpt(where), model, stream=True)] for where in ("bare", mount))
    assert summed(hardened) == summed(bare)
    assert summed(hardened)["usage"]
    thoughts = [getattr(c.delta, "reasoning_content", None) or "" for part in hardened for c in part.choices]
    assert "".join(thoughts) == PLAN.strip() * (mount == "baseline") * (2 if model == "two" else 1)
    assert find_leaks("".join(part.model_dump_json() + "\n" for part in hardened).encode(), TRACE) == []


@pytest.mark.parametrize("model", WHOLE_CHATS)
@pytest.mark.parametrize("mount", HARDENED)
def test_chat_bodies(gpt: Client, mount: str, model: str) -> None:
    """Catches a body that loses a required field with its trace or its rows."""
    bare, hardened = (chat(gpt(where), model) for where in ("bare", mount))
    assert told(hardened) == told(bare)
    assert find_leaks(hardened.model_dump_json().encode(), TRACE) == []


@pytest.mark.parametrize("streamed", [True, False])
def test_chat_rows(gpt: Client, streamed: bool) -> None:
    """Catches rows that are cut to a shape which the SDK does not know, or cut from one that it needs."""
    found = {}
    for mount in ("bare", *HARDENED):
        answer = chat(gpt(mount), "rows", stream=streamed)
        parts = [*answer] if streamed else [answer]
        found[mount] = rows_of([choice for part in parts for choice in part.choices])
    assert "".join(row.token for row in found["baseline"]) == SAID_ROWS
    assert [len(row.top_logprobs) for row in found["baseline"]] == [5] * len(found["bare"])
    assert {row.logprob for row in found["baseline"]} == {-0.25}
    assert (len(found["bare"][0].top_logprobs), found["strict"]) == (8, [])


def helper_events(client: Any, model: str) -> tuple[list[tuple[str, Any]], Any]:
    """The events of `chat.completions.stream` beyond chunks and rows, and the completion that it builds."""
    with client.chat.completions.stream(model=model, messages=ASKED) as stream:
        events = [
            (
                one.type,
                getattr(one, "delta", None)
                or getattr(one, "arguments_delta", None)
                or getattr(one, "content", None),
            )
            for one in stream
            if one.type != "chunk" and not one.type.startswith("logprobs")
        ]
        return events, stream.get_final_completion()


@pytest.mark.parametrize("model", LIVING)
@pytest.mark.parametrize("mount", HARDENED)
def test_chat_stream_helper(gpt: Client, mount: str, model: str) -> None:
    """Catches what only the SDK's own accumulation meets: an event out of order, twice, or never."""
    (bare, whole), (hardened, same) = (helper_events(gpt(where), model) for where in ("bare", mount))
    assert hardened == bare
    assert told(same) == told(whole)


def parts_of(answer: Any) -> list[tuple[str, Any]]:
    """The content of a message that no policy may change."""
    value = answer.model_dump()
    kept = [one for one in value["content"] if one["type"] in ("text", "tool_use")]
    return [
        *((one["type"], one.get("text") or one.get("input")) for one in kept),
        ("stop", value["stop_reason"]),
    ]


@pytest.mark.parametrize("model", WHOLE_MESSAGES)
@pytest.mark.parametrize("mount", HARDENED)
def test_message_bodies(claude: Client, mount: str, model: str) -> None:
    """Catches a block without the fields of its type, or one that is gone with its trace."""
    bare, hardened = (message(claude(where), model) for where in ("bare", mount))
    assert parts_of(hardened) == parts_of(bare)
    assert [one.type for one in hardened.content] == [one.type for one in bare.content]
    assert hardened.usage == bare.usage
    assert find_leaks(hardened.model_dump_json().encode(), TRACE) == []
    thoughts = [one.thinking for one in hardened.content if one.type == "thinking"]
    assert thoughts == [PLAN.strip() if mount == "baseline" else ""]


MESSAGES = [name for name in MESSAGE_ANSWERS if name != "breaks"]


@pytest.mark.parametrize("model", MESSAGES)
@pytest.mark.parametrize("mount", HARDENED)
def test_message_events(claude: Client, mount: str, model: str) -> None:
    """Catches a block that begins twice, stops unbegun or never, and deltas of a block that is not open."""
    events = [*message(claude(mount), model, stream=True)]
    opened: list[int] = []
    stopped: list[int] = []
    for one in events:
        if one.type == "content_block_start":
            opened.append(one.index)
        elif one.type.startswith("content_block"):
            assert one.index in set(opened) - set(stopped)
            stopped += [one.index] * (one.type == "content_block_stop")
    assert opened == stopped == sorted(set(opened))
    kinds = [one.type for one in events if not one.type.startswith("content_block")]
    assert kinds == ["message_start", "message_delta", "message_stop"]


@pytest.mark.parametrize("model", MESSAGES)
@pytest.mark.parametrize("mount", HARDENED)
def test_message_stream_helper(claude: Client, mount: str, model: str) -> None:
    """Catches text, arguments or usage that the SDK's accumulation loses, and a trace that it finds."""
    built = []
    for where in ("bare", mount):
        with claude(where).messages.stream(model=model, messages=ASKED, max_tokens=1000) as stream:
            spoken = [one.text for one in stream if one.type == "text"]
        built.append((spoken, stream.get_final_message()))
    (spoken, bare), (hardened_spoken, hardened) = built
    assert hardened_spoken == spoken
    assert parts_of(hardened) == parts_of(bare)
    assert ("text", ANSWER) in parts_of(hardened)
    assert (("tool_use", CALL) in parts_of(hardened)) is (model == "tools")
    assert hardened.usage == bare.usage
    assert find_leaks(hardened.model_dump_json().encode(), TRACE) == []


@pytest.mark.parametrize("mount", HARDENED)
def test_heart_beats_in_between(
    gpt: Client, claude: Client, site: Site, mount: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Catches a beat that the SDKs cannot parse or that they count as an event of the answer."""
    monkeypatch.setattr("hardening.exchange.BEAT_S", 0.01)
    site.left.clear()
    calm, beaten = (summed([*chat(gpt(mount), model, stream=True)]) for model in ("plain", "slow"))
    assert beaten == calm
    assert sum(b'"delta":{}' in piece for piece in site.left) >= 2
    with claude(mount).messages.stream(model="slow", messages=ASKED, max_tokens=1000) as stream:
        assert ("text", ANSWER) in parts_of(stream.get_final_message())
    assert sum(b"event: ping" in piece and b"message_start" not in piece for piece in site.left) >= 2
