"""Asks the served app through the official SDKs and notes what they understood."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import Any, Literal

import anthropic
import openai

from demo_parts.accounts import Caller
from demo_parts.server import CALL_ID, Recorder

Api = Literal["openai", "anthropic"]

QUESTION = (
    "Mara has 15 apples. She eats 5 and buys 2 bags of 6 apples. "
    "She gives away half of them. How many apples are left?"
)
WAYS: tuple[tuple[Api, bool], ...] = (
    ("openai", True),
    ("openai", False),
    ("anthropic", True),
    ("anthropic", False),
)
"""Which API, and whether streamed."""
TOP_ASKED = 20
_calls = count()


@dataclass(frozen=True, slots=True)
class Row:
    """One position of log-probabilities as the SDK gave it."""

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Reply:
    """One call: what the SDK understood, and the body's bytes as they left the server."""

    caller: Caller
    api: Api
    streamed: bool
    status: int
    chunks: tuple[bytes, ...]
    headers: dict[str, str]
    reasoning: str = ""
    answer: str = ""
    rows: tuple[Row, ...] = ()
    output_tokens: int = 0
    refusal: str = ""

    @property
    def body(self) -> bytes:
        """All bytes of the body."""
        return b"".join(self.chunks)

    @property
    def widest(self) -> int:
        """The most alternatives that any position shows."""
        return max((len(row.top) for row in self.rows), default=0)


def ask(address: str, recorder: Recorder, caller: Caller, api: Api, streamed: bool) -> Reply:
    """One question over one API; a refusal is a reply too."""
    call = f"call-{next(_calls)}"
    send = through_openai if api == "openai" else through_anthropic
    try:
        headers, said = send(address, caller.key, streamed, {CALL_ID.decode(): call})
        status = 200
    except (openai.APIStatusError, anthropic.APIStatusError) as refused:
        headers, status = dict(refused.response.headers), refused.status_code
        said = {"refusal": f"{type(refused).__name__}: {reason(refused.body)}"}
    except (openai.APIError, anthropic.APIError) as broken:
        headers, status, said = {}, 200, {"refusal": f"{type(broken).__name__}: {broken.message}"}
    chunks = tuple(recorder.bodies[call])
    return Reply(caller, api, streamed, status, chunks, headers, **said)


def reason(body: object) -> str:
    """The message of an error body; the `openai` SDK hands out its `error` object alone."""
    inner = body.get("error", body) if isinstance(body, dict) else body
    return str(inner.get("message", inner)) if isinstance(inner, dict) else str(inner)


def through_openai(
    address: str, key: str, streamed: bool, extra: dict[str, str]
) -> tuple[dict[str, str], dict[str, Any]]:
    """Headers and what was said, by the `openai` SDK."""
    options: dict[str, Any] = {"stream_options": {"include_usage": True}} if streamed else {}
    with openai.OpenAI(base_url=f"{address}/v1", api_key=key, max_retries=0) as client:
        raw = client.chat.completions.with_raw_response.create(
            model="teacher",
            messages=[{"role": "user", "content": QUESTION}],
            logprobs=True,
            top_logprobs=TOP_ASKED,
            stream=streamed,
            extra_headers=extra,
            **options,
        )
        parsed: Any = raw.parse()
        parts = list(parsed) if streamed else [parsed]
    choices = [choice for part in parts for choice in part.choices]
    messages = [choice.delta if streamed else choice.message for choice in choices]
    rows = [row for choice in choices if choice.logprobs for row in choice.logprobs.content or ()]
    usage = [part.usage for part in parts if part.usage]
    return dict(raw.headers), {
        "reasoning": "".join(getattr(message, "reasoning_content", None) or "" for message in messages),
        "answer": "".join(message.content or "" for message in messages),
        "rows": tuple(
            Row(row.token, row.logprob, tuple((t.token, t.logprob) for t in row.top_logprobs)) for row in rows
        ),
        "output_tokens": usage[-1].completion_tokens if usage else 0,
    }


def through_anthropic(
    address: str, key: str, streamed: bool, extra: dict[str, str]
) -> tuple[dict[str, str], dict[str, Any]]:
    """Headers and what was said, by the `anthropic` SDK; a stream is put together by its own helper."""
    request: dict[str, Any] = {
        "model": "teacher",
        "messages": [{"role": "user", "content": QUESTION}],
        "max_tokens": 4000,
        "thinking": {"type": "enabled", "budget_tokens": 2000},
        "extra_headers": extra,
    }
    with anthropic.Anthropic(base_url=address, api_key=key, max_retries=0) as client:
        if streamed:
            with client.messages.stream(**request) as stream:
                message, headers = stream.get_final_message(), dict(stream.response.headers)
        else:
            raw = client.messages.with_raw_response.create(**request)
            message, headers = raw.parse(), dict(raw.headers)
    return headers, {
        "reasoning": "".join(block.thinking for block in message.content if block.type == "thinking"),
        "answer": "".join(block.text for block in message.content if block.type == "text"),
        "output_tokens": message.usage.output_tokens,
    }
