"""Noise on rows: the same for a question that is repeated, whole or in pieces, and another for another one."""

from __future__ import annotations

import json
from collections.abc import Iterator

import orjson
import pytest

from hardening import kernels
from hardening.exchange import Exchange
from hardening.facts import Decision, LogprobTerms, ReasoningTerms, RequestFacts
from hardening.noise_key import NoiseKey
from hardening.wire.codec import CODECS
from tests.exchanges import DONE, TOOLS, chunk, numbered

NOISED = Decision(logprobs=LogprobTerms(top=2, step=0.25, noise=1.0))
KEY = NoiseKey(bytes(32), "default", "m")
WORDS = ["One", " two", " three", " four"]


@pytest.fixture(params=["plain", "compiled"], autouse=True)
def twin(request, monkeypatch) -> Iterator[None]:
    if request.param == "compiled":
        kernels.warm()
        yield
    else:
        monkeypatch.setattr(kernels, "_twins", kernels.plain)
        yield


def row(word: str) -> dict[str, object]:
    others = [(word, -0.5), ("x", -1.5), ("y", -2.5), ("z", -6.0)]
    return {
        "token": word,
        "logprob": -0.5,
        "bytes": list(word.encode()),
        "top_logprobs": [{"token": token, "logprob": value, "bytes": list(token.encode())} for token, value in others],
    }  # fmt: skip


def exchange(
    format: str = "openai_chat",
    *,
    asked: bytes | None = b'{"messages":[{"role":"user","content":"Count."}]}',
    key: NoiseKey | None = KEY,
    decision: Decision = NOISED,
) -> Exchange:
    made = Exchange(
        CODECS[format], RequestFacts("/t", format, top_logprobs=2), decision, TOOLS, noise_key=key
    )
    if asked is not None:
        made.request(asked)
    return made


def streamed(made: Exchange, *, index: int = 0, per_frame: int = 1) -> list[dict]:
    made.start(200, [(b"content-type", b"text/event-stream")])
    frames = []
    for at in range(0, len(WORDS), per_frame):
        words = WORDS[at : at + per_frame]
        rows = {"content": [row(word) for word in words]}
        frames.append(chunk({"content": "".join(words)}, logprobs=rows, index=index))
    out = b"".join(made.receive(frame, 0.0) for frame in [*frames, DONE]) + made.end(0.0)
    found = [json.loads(line[6:]) for line in out.splitlines() if line.startswith(b"data: {")]
    return [row for one in found for row in (one["choices"][0]["logprobs"] or {"content": []})["content"]]


def whole(made: Exchange, indices: tuple[int, ...] = (0,)) -> list[list[dict]]:
    made.start(200, [(b"content-type", b"application/json")])
    message = {"role": "assistant", "content": "".join(WORDS)}
    rows = {"content": [row(word) for word in WORDS]}
    choices = [
        {"index": index, "message": message, "logprobs": rows, "finish_reason": "stop"} for index in indices
    ]
    made.receive(json.dumps({"id": "c", "object": "chat.completion", "choices": choices}).encode(), 0.0)
    return [choice["logprobs"]["content"] for choice in orjson.loads(made.end(0.0))["choices"]]


def test_a_repeated_question_has_the_same_noise_whole_or_in_pieces_of_any_size():
    first = streamed(exchange())
    assert len(first) == len(WORDS)
    assert streamed(exchange()) == first
    assert streamed(exchange(), per_frame=2) == first
    assert whole(exchange(), (0, 1)) == [first, first]
    hidden = Decision(reasoning=ReasoningTerms(show="none"), logprobs=NOISED.logprobs)
    assert streamed(exchange(decision=hidden)) == first


@pytest.mark.parametrize(
    "other",
    [
        {"asked": b'{"messages":[{"role":"user","content":"Count!"}]}'},
        {"key": NoiseKey(bytes(32), "partner", "m")},
        {"key": NoiseKey(bytes(32), "default", "m2")},
        {"key": NoiseKey(bytes([1] * 32), "default", "m")},
    ],
)
def test_another_question_group_model_or_secret_has_another_noise(other):
    assert streamed(exchange(**other)) != streamed(exchange())


def test_a_model_named_in_another_case_is_no_other_model():
    assert streamed(exchange(key=NoiseKey(bytes(32), "default", " M"))) == streamed(exchange())


def test_the_likeliest_token_stays_first_and_no_value_is_above_it():
    for seed in range(60):
        for found in streamed(exchange(key=NoiseKey(bytes([seed] * 32), "default", "m"))):
            values = [one["logprob"] for one in found["top_logprobs"]]
            assert found["top_logprobs"][0]["token"] == found["token"]
            assert values == sorted(values, reverse=True)
            assert found["logprob"] == values[0] <= 0
            assert all(value % 0.25 == 0 for value in values)


def test_a_token_said_before_changes_what_follows():
    one, other = exchange(), exchange()
    assert [one["logprob"] for one in streamed(one)[1:]] != [streamed(other)[0]["logprob"]] * 3


@pytest.mark.parametrize("lacking", [{"key": None}, {"asked": None}, {"asked": b"{}"}])
def test_without_a_key_or_a_question_no_row_leaves(lacking):
    assert streamed(exchange(**lacking)) == []


def test_rows_that_are_told_again_are_the_same():
    """Catches noise that runs on from the pieces of a text to its copies."""
    made = exchange("openai_responses", asked=b'{"input":"Count."}')
    made.start(200, [(b"content-type", b"text/event-stream")])
    at = {"item_id": "m", "output_index": 0, "content_index": 0}
    rows = [row(word) for word in WORDS]
    part = {"type": "output_text", "text": "".join(WORDS), "annotations": [], "logprobs": rows}
    item = {"id": "m", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    frames = numbered(
        [
            *(("output_text.delta", {**at, "delta": word, "logprobs": [row(word)]}) for word in WORDS),
            ("output_text.done", {**at, "text": part["text"], "logprobs": rows}),
            ("content_part.done", {**at, "part": part}),
            ("output_item.done", {"output_index": 0, "item": item}),
        ]
    )
    out = b"".join(made.receive(frame, 0.0) for frame in frames) + made.end(0.0)
    told = [json.loads(line[6:]) for line in out.splitlines() if line.startswith(b"data: {")]
    pieces = [one for value in told[: len(WORDS)] for one in value["logprobs"]]
    assert len(pieces) == len(WORDS)
    assert (
        told[-3]["logprobs"]
        == told[-2]["part"]["logprobs"]
        == told[-1]["item"]["content"][0]["logprobs"]
        == pieces
    )


def test_noise_is_disclosed():
    assert exchange().treatment["noise"] == 1.0


@pytest.mark.parametrize(
    "body",
    [
        b'{"messages":[],"temperature":0.7}',
        b'{"messages":[],"Temperature":"1.2"}',
        b'{"messages":[],"extra_body":{"top_k":7}}',
    ],
)
@pytest.mark.parametrize(
    "terms",
    [{"top": 2, "noise": 1.0}, {"top": 2}, {"step": 0.25}, {"top": 2, "step": 0.25}],
    ids=str,
)
def test_at_another_temperature_no_value_leaves(body, terms):
    """Catches a value told finer with each temperature that a server scales it by."""
    codec = CODECS["openai_chat"]
    facts = codec.read_request(body, door="/t")
    for sampling, left in (("plain", 0), ("any", len(WORDS))):
        decision = Decision(logprobs=LogprobTerms(**terms, sampling=sampling))
        made = Exchange(codec, facts, decision, TOOLS, noise_key=KEY)
        made.request(b'{"messages":[{"role":"user","content":"Count."}]}')
        assert len(streamed(made)) == left


def test_a_policy_that_bounds_no_values_leaves_them_at_any_temperature():
    codec = CODECS["openai_chat"]
    facts = codec.read_request(b'{"messages":[],"temperature":0.7}', door="/t")
    assert len(streamed(Exchange(codec, facts, Decision(), TOOLS))) == len(WORDS)


@pytest.mark.parametrize(
    ("format", "body", "scaled"),
    [
        ("openai_chat", b'{"temperature":0}', False),
        ("openai_chat", b'{"temperature":1.0}', False),
        ("openai_chat", b'{"temperature":null}', False),
        ("openai_completions", b'{"temperature":0.5}', True),
        ("openai_completions", b'{"top_p":1,"top_k":-1,"min_p":0.0}', False),
        ("openai_completions", b'{"top_p":0.9}', True),
        ("openai_chat", b'{"min_p":0.1}', True),
        ("openai_responses", b'{"top_k":3}', True),
        ("openai_chat", b'{"nvext":{"top_k":3}}', True),
        ("gemini_generate", b'{"generation_config":{"topP":0.5}}', True),
        ("gemini_generate", b'{"generationConfig":{"topK":40}}', True),
        ("ollama_chat", b'{"options":{"top_k":40}}', True),
        ("openai_responses", b'{"temperature":0.5}', True),
        ("gemini_generate", b'{"generationConfig":{"temperature":0.5}}', True),
        ("ollama_chat", b'{"options":{"temperature":0.5}}', True),
        ("ollama_generate", b'{"options":{"temperature":1}}', False),
    ],
)
def test_a_temperature_is_told_in_every_format(format, body, scaled):
    assert CODECS[format].read_request(body, door="/t").scaled is scaled


def test_rows_that_nobody_asked_for_give_no_value_to_a_token_that_is_not_listed():
    """Catches values of as many tokens as answers are drawn, where the app was not told how many to list."""
    lone = {**row("One"), "top_logprobs": []}
    for top_logprobs, expected in ((None, -9999.0), (0, -0.5)):
        facts = RequestFacts("/t", "openai_chat", top_logprobs=top_logprobs)
        decision = Decision(logprobs=LogprobTerms(top=2, step=0.25))
        made = Exchange(CODECS["openai_chat"], facts, decision, TOOLS)
        made.start(200, [(b"content-type", b"text/event-stream")])
        out = made.receive(chunk({"content": "One"}, logprobs={"content": [lone]}), 0.0)
        assert json.loads(out[6:])["choices"][0]["logprobs"]["content"][0]["logprob"] == expected
