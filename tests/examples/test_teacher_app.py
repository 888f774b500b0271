"""The teacher's two APIs as the official SDKs read them, over a real uvicorn on loopback."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from demo_parts.server import serving
from teacher import Token, teach
from teacher.app import create_app
from teacher.lesson import signature

QUESTION = "Mara has 14 apples. She eats 5 and buys 2 bags of 6 apples. How many apples are left?"
ASK = [{"role": "user", "content": QUESTION}]
TOKENS = list(teach(QUESTION))
TRACE = "".join(token.text for token in TOKENS if token.part == "reasoning")
ANSWER = "".join(token.text for token in TOKENS if token.part == "answer")
THOUGHT = sum(token.part == "reasoning" for token in TOKENS)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving(create_app(clock=lambda: 1_800_000_000.0)) as base:
        yield base


@pytest.fixture
def gpt(address: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture
def claude(address: str) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=address, api_key="none", max_retries=0) as client:
        yield client


def same_row(row: Any, token: Token, top: int) -> bool:
    """Whether a row of the SDK says what the teacher's distribution says."""
    alternatives = [(other.token, other.logprob) for other in row.top_logprobs]
    return (row.token, row.logprob, bytes(row.bytes)) == (
        token.text,
        token.logprob,
        token.text.encode(),
    ) and (alternatives == list(token.top[:top]))


def test_chat_whole(gpt: Any) -> None:
    reply = gpt.chat.completions.create(model="teacher", messages=ASK, logprobs=True, top_logprobs=20)
    choice = reply.choices[0]
    assert (choice.message.reasoning_content, choice.message.content) == (TRACE, ANSWER)
    assert choice.finish_reason == "stop"
    assert (reply.model, reply.created) == ("teacher", 1_800_000_000)
    assert len(choice.logprobs.content) == len(TOKENS)
    assert all(same_row(row, token, 20) for row, token in zip(choice.logprobs.content, TOKENS, strict=True))
    assert reply.usage.completion_tokens == len(TOKENS)
    assert reply.usage.completion_tokens_details.reasoning_tokens == THOUGHT
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + len(TOKENS)


def test_chat_streamed(gpt: Any) -> None:
    stream = gpt.chat.completions.create(
        model="teacher",
        messages=ASK,
        stream=True,
        stream_options={"include_usage": True},
        logprobs=True,
        top_logprobs=7,
    )
    chunks = list(stream)
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    assert deltas[0].role == "assistant"
    assert "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas) == TRACE
    assert "".join(delta.content or "" for delta in deltas) == ANSWER
    rows = [
        row for c in chunks if c.choices and c.choices[0].logprobs for row in c.choices[0].logprobs.content
    ]
    assert all(same_row(row, token, 7) for row, token in zip(rows, TOKENS, strict=True))
    assert [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason] == [
        "stop"
    ]
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == len(TOKENS)
    assert len({(chunk.id, chunk.created) for chunk in chunks}) == 1


def test_chat_stream_without_options_has_no_usage_and_no_logprobs(gpt: Any) -> None:
    chunks = list(gpt.chat.completions.create(model="teacher", messages=ASK, stream=True))
    assert all(
        chunk.choices and chunk.choices[0].logprobs is None and chunk.usage is None for chunk in chunks
    )


def test_chat_stream_helper_puts_the_parts_together(gpt: Any) -> None:
    with gpt.chat.completions.stream(model="teacher", messages=ASK, logprobs=True, top_logprobs=2) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.content == ANSWER
    assert final.choices[0].message.reasoning_content == TRACE
    assert len(final.choices[0].logprobs.content) == len(TOKENS)


@pytest.mark.parametrize("limit", [1, THOUGHT, THOUGHT + 1, len(TOKENS) - 1])
@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_chat_is_cut_at_the_callers_limit(gpt: Any, name: str, limit: int) -> None:
    reply = gpt.chat.completions.create(model="teacher", messages=ASK, **{name: limit})
    message = reply.choices[0].message
    assert message.reasoning_content + message.content == "".join(token.text for token in TOKENS[:limit])
    assert reply.choices[0].finish_reason == "length"
    assert reply.usage.completion_tokens == limit


def test_chat_at_exactly_its_length_is_not_cut(gpt: Any) -> None:
    reply = gpt.chat.completions.create(model="teacher", messages=ASK, max_tokens=len(TOKENS))
    assert reply.choices[0].finish_reason == "stop"


def test_chat_reads_text_parts_and_the_last_message(gpt: Any) -> None:
    parts = [{"type": "text", "text": QUESTION}]
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": parts}]
    reply = gpt.chat.completions.create(model="teacher", messages=messages)
    assert reply.choices[0].message.content == ANSWER


@pytest.mark.parametrize(
    ("fields", "param"),
    [({"top_logprobs": 21, "logprobs": True}, "top_logprobs"), ({"n": 2}, "n"), ({"top_logprobs": 3}, None)],
)
def test_chat_refuses_what_it_cannot_do_in_its_own_shape(
    gpt: Any, fields: dict[str, Any], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        gpt.chat.completions.create(model="teacher", messages=ASK, **fields)
    assert refused.value.param == param
    assert refused.value.type == "invalid_request_error"
    assert (param or "top_logprobs") in refused.value.message


def test_messages_whole(claude: Any) -> None:
    reply = claude.messages.create(
        model="teacher", messages=ASK, max_tokens=4000, thinking={"type": "enabled", "budget_tokens": 2000}
    )
    thinking, text = reply.content
    assert (thinking.thinking, text.text) == (TRACE, ANSWER)
    assert thinking.signature == signature(TRACE)
    assert reply.stop_reason == "end_turn"
    assert reply.usage.output_tokens == len(TOKENS)
    assert reply.usage.output_tokens_details.thinking_tokens == THOUGHT


def test_messages_streamed(claude: Any) -> None:
    with claude.messages.stream(
        model="teacher", messages=ASK, max_tokens=4000, thinking={"type": "adaptive"}
    ) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_message()
    thinking, text = final.content
    assert (thinking.thinking, thinking.signature, text.text) == (TRACE, signature(TRACE), ANSWER)
    assert final.usage.output_tokens == len(TOKENS)
    assert final.stop_reason == "end_turn"
    assert kinds.count("thinking") == THOUGHT
    assert kinds.count("signature") == 1
    assert kinds.count("content_block_stop") == 2
    assert kinds[0] == "message_start"
    assert kinds[-1] == "message_stop"


def test_messages_raw_events_in_order(claude: Any) -> None:
    request = {"model": "teacher", "messages": ASK, "max_tokens": 4000, "thinking": {"type": "adaptive"}}
    events = list(claude.messages.create(**request, stream=True))
    steps = [
        (event.type, getattr(event, "index", None))
        for event in events
        if event.type not in ("content_block_delta", "ping")
    ]
    assert steps == [
        ("message_start", None),
        ("content_block_start", 0),
        ("content_block_stop", 0),
        ("content_block_start", 1),
        ("content_block_stop", 1),
        ("message_delta", None),
        ("message_stop", None),
    ]


def test_messages_without_thinking_have_one_text_block(claude: Any) -> None:
    request = {"model": "teacher", "messages": ASK, "max_tokens": 100}
    whole = claude.messages.create(**request)
    with claude.messages.stream(**request) as stream:
        streamed = stream.get_final_message()
    assert [block.type for block in whole.content] == [block.type for block in streamed.content] == ["text"]
    assert whole.content[0].text == streamed.content[0].text == ANSWER


@pytest.mark.parametrize("limit", [1, THOUGHT, THOUGHT + 2])
def test_messages_are_cut_at_the_callers_limit(claude: Any, limit: int) -> None:
    request = {"model": "teacher", "messages": ASK, "max_tokens": limit, "thinking": {"type": "adaptive"}}
    whole = claude.messages.create(**request)
    with claude.messages.stream(**request) as stream:
        streamed = stream.get_final_message()
    assert whole.stop_reason == streamed.stop_reason == "max_tokens"
    assert whole.usage.output_tokens == streamed.usage.output_tokens == limit
    assert [block.model_dump(exclude={"parsed_output"}) for block in streamed.content] == [
        block.model_dump() for block in whole.content
    ]


def test_messages_refuse_in_their_own_shape(claude: Any) -> None:
    with pytest.raises(anthropic.BadRequestError) as refused:
        claude.messages.create(model="teacher", messages=ASK, max_tokens=0)
    body: Any = refused.value.body
    assert body["error"]["type"] == "invalid_request_error"


def test_logprobs_are_finite_json(gpt: Any) -> None:
    reply = gpt.chat.completions.create(
        model="teacher", messages=ASK, logprobs=True, top_logprobs=20, temperature=0
    )
    values = [other.logprob for row in reply.choices[0].logprobs.content for other in row.top_logprobs]
    assert all(math.isfinite(value) and value <= 0 for value in values)
