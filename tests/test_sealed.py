"""Where seals stand in a response, whatever pieces it comes in."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Generator
from itertools import pairwise
from typing import Any

import pytest

from hardening.asking import Asking
from hardening.exchange import Exchange, Tools
from hardening.facts import Decision, ReasoningTerms, RequestFacts
from hardening.policy.families import Families
from hardening.testing import find_leaks
from hardening.transform.seal import Sealer
from hardening.wire.codec import CODECS
from hardening.wire.mark import MARK
from hardening.wire.seals import PLACES
from tests.exchanges import ANSWER, DONE, TOOLS, TRACE, chunk, deltas, gemini_array, words
from tests.laws.formats import FORMATS, Format

_chance = random.Random(3)
SEALER = Sealer(b"k" * 32, random=_chance.randbytes, wall=lambda: 1.0)
SEALING = Tools(TOOLS.makers, sealer=SEALER)
KEPT = {show: Decision(reasoning=ReasoningTerms(show=show, seal=True)) for show in ("summary", "none")}
SEALED = [one for one in FORMATS if one.name in PLACES]
_seals = re.compile(MARK + r"[A-Za-z0-9_-]+")


def answer(
    format: str,
    pieces: list[bytes],
    *,
    kind: bytes,
    show: str = "summary",
    asked: bytes = b'{"model": "m"}',
    tools: Tools = SEALING,
) -> bytes:
    facts = RequestFacts("/test", format, model="m", prompt_bytes=len(asked))
    made = Exchange(CODECS[format], facts, KEPT[show], tools, owner="account:a")
    made.request(asked)
    made.start(200, [(b"content-type", kind)])
    return b"".join(made.receive(piece, 0.0) for piece in pieces) + made.end(0.0)


def named(out: bytes) -> tuple[str, int]:
    """What left with one name for all seals, and how many there are."""
    return _seals.sub("SEAL", out.decode()), len(_seals.findall(out.decode()))


def cut(body: bytes, seed: int) -> list[bytes]:
    chance = random.Random(seed)
    at = sorted({0, len(body), *(chance.randrange(len(body)) for _ in range(40))})
    return [body[start:end] for start, end in pairwise(at)]


@pytest.mark.parametrize("show", KEPT)
@pytest.mark.parametrize("format", SEALED, ids=lambda one: one.name)
def test_a_stream_has_its_seal_however_it_is_cut(format: Format, show: str) -> None:
    body = b"".join(format.stream)
    told, count = named(answer(format.name, [*format.stream], kind=format.kind, show=show))
    assert count == (2 if format.name == "openai_responses" else 1)
    assert find_leaks(told.encode(), TRACE) == []
    ways = [[body], [body[at : at + 1] for at in range(len(body))], *(cut(body, seed) for seed in range(6))]
    for pieces in ways:
        assert named(answer(format.name, pieces, kind=format.kind, show=show)) == (told, count)


@pytest.mark.parametrize("format", SEALED, ids=lambda one: one.name)
def test_without_a_seal_all_else_is_the_same(format: Format) -> None:
    """Catches a frame that is lost, doubled or changed for the sake of the seal."""
    for kind, pieces in ((format.kind, [*format.stream]), (b"application/json", [format.whole])):
        with_seal = answer(format.name, pieces, kind=kind)
        without = answer(format.name, pieces, kind=kind, tools=TOOLS)
        assert plain(with_seal) == plain(without)
        assert with_seal != without


def plain(out: bytes) -> list[Any]:
    """The values of an answer without seals, what stands in their place, and frames of nothing else."""

    def bare(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: bare(one) for name, one in value.items() if name not in SIGNS}
        return [bare(one) for one in value] if isinstance(value, list) else value

    values = [bare(value) for value in deltas(out)]
    alone: list[Any] = [
        [{"index": 0, "delta": {}, "finish_reason": None}],
        [{"index": 0, "content": {"role": "model", "parts": [{"text": "", "thought": True}]}}],
    ]
    return [
        value
        for value in values
        if value.get("choices") != alone[0]
        and value.get("candidates") != alone[1]
        and value.get("delta") != {"type": "signature_delta"}
    ]


SIGNS = {"signature", "reasoning_details", "encrypted_content", "thoughtSignature"}


@pytest.mark.parametrize("show", KEPT)
def test_an_array_stays_one(show: str) -> None:
    pieces = gemini_array()
    out = answer("gemini_generate", pieces, kind=b"application/json", show=show)
    found = json.loads(out)
    parts = [part for one in found for part in one["candidates"][0]["content"]["parts"]]
    ours = [part for part in parts if str(part.get("thoughtSignature", "")).startswith(MARK)]
    assert len(ours) == 1
    assert ours[0]["thought"] is True
    body = b"".join(pieces)
    for seed in range(4):
        again = answer("gemini_generate", cut(body, seed), kind=b"application/json", show=show)
        assert named(again) == named(out)


def test_a_trace_that_comes_with_its_answer_is_sealed_in_its_own_chunk() -> None:
    said = {"role": "assistant", "reasoning_content": TRACE, "content": ANSWER}
    (first, *_) = deltas(answer("openai_chat", [chunk(said), DONE], kind=b"text/event-stream"))
    delta = first["choices"][0]["delta"]  # type: ignore[index]
    assert delta["role"] == "assistant"
    assert delta["content"] == ANSWER
    assert delta["reasoning_details"][0]["data"].startswith(MARK)


def test_traces_between_answers_have_seals_of_their_own() -> None:
    """Catches two elements of one number, which stream helpers join."""
    said = [{"reasoning": word} for word in words(TRACE)] + [{"content": "So."}]
    stream = [chunk({"role": "assistant", "content": ""}), *map(chunk, said + said), DONE]
    out = deltas(answer("openai_chat", stream, kind=b"text/event-stream"))
    found = [choice["delta"].get("reasoning_details") for one in out for choice in one["choices"]]  # type: ignore[attr-defined]
    assert [one[0]["index"] for one in found if one] == [0, 1]


def test_each_choice_has_its_own() -> None:
    stream = [
        *(chunk({"role": "assistant", "content": ""}, index=at) for at in (0, 1)),
        *(chunk({"reasoning": word}, index=at) for word in words(TRACE) for at in (0, 1)),
        *(chunk({"content": ANSWER}, index=at) for at in (1, 0)),
        DONE,
    ]
    out = deltas(answer("openai_chat", stream, kind=b"text/event-stream"))
    found = [
        choice["index"]
        for one in out
        for choice in one["choices"]  # type: ignore[attr-defined]
        if "reasoning_details" in choice["delta"]
    ]
    assert found == [1, 0]


PART = {"type": "thinking", "thinking": [{"type": "text", "text": TRACE}], "signature": ""}


@pytest.mark.parametrize(
    "body",
    [
        {"choices": [{"index": 0, "message": {"role": "assistant", "content": [PART]}}]},
        {"choices": [{"index": 0, "message": {"role": "assistant", "content": f"<think>{TRACE}</think>a"}}]},
        {"choices": [{"index": 0, "message": {"role": "assistant", "content": "a", "reasoning": ""}}]},
    ],
)
def test_what_has_no_place_has_no_seal(body: Any) -> None:
    out = answer("openai_chat", [json.dumps(body).encode()], kind=b"application/json")
    assert MARK.encode() not in out
    assert find_leaks(out, TRACE) == []


def test_a_stand_in_that_came_too_early_does_not_leave() -> None:
    """The length of what OpenAI gives at the beginning of an item tells as much as that at its end."""
    item = {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "gAAAAABqvMT3q9pXk1w" * 9}
    frames = [
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
    ]
    stream = [b"data: " + json.dumps(frame).encode() + b"\n\n" for frame in frames]
    first, last = deltas(answer("openai_responses", stream, kind=b"text/event-stream"))
    assert first["item"]["encrypted_content"] is None  # type: ignore[index]
    assert last["item"]["encrypted_content"].startswith(MARK)  # type: ignore[index]


def test_a_stream_that_lost_its_empty_lines_gets_none_for_the_seal() -> None:
    """Clients join the lines of data that stand together: an empty line within would make one event of two chunks."""
    said = [{"reasoning": word} for word in words(TRACE)] + [{"content": word} for word in words(ANSWER)]
    lines = b"".join(chunk(delta)[:-1] for delta in said) + b"\n"
    out = answer("openai_chat", [lines], kind=b"text/event-stream")
    assert MARK.encode() in out
    assert b"\n\n" not in out.rstrip()


@pytest.mark.parametrize("sse", [False, True])
def test_lists_in_which_traces_stood_hold_seals_and_no_trace(sse: bool) -> None:
    """Catches a seal that is put beside the trace of another choice before that is taken out."""
    details = [{"type": "reasoning.text", "text": TRACE}, {"type": "reasoning.encrypted", "data": "EqQBCg=="}]
    message = {"role": "assistant", "reasoning_details": details, "content": ANSWER}
    said = "delta" if sse else "message"
    told = json.dumps({"choices": [{"index": at, said: message} for at in range(2)]}).encode()
    kind = b"text/event-stream" if sse else b"application/json"
    out = answer("openai_chat", [b"data: " + told + b"\n\n" if sse else told], kind=kind)
    assert find_leaks(out, TRACE) == []
    assert out.count(MARK.encode()) == 2


def test_each_walk_over_a_request_with_seals_is_a_step() -> None:
    """So that who sends a long one holds up others no longer than one walk takes, and reads what it would at once."""
    own = {"role": "assistant", "content": "a", "reasoning_details": [{"data": MARK + "A" * 760}]}
    body = json.dumps({"messages": [own, {"role": "user", "content": "7"}], "logprobs": True}).encode()
    facts = RequestFacts("/test", "openai_chat", model="m", prompt_bytes=len(body), switches=True)
    asking = Asking(
        CODECS["openai_chat"],
        facts,
        KEPT["summary"],
        bound=None,
        sealer=SEALER,
        families=Families(),
        owner="account:a",
    )
    steps = asking.request(body)
    assert isinstance(steps, Generator)
    assert asking.asked is None
    next(steps)  # its switches
    assert asking.asked is None
    next(steps)  # what is asked for too much
    assert asking.asked is body
