"""Law 7 for amounts: what is settled is the server's own count in every spelling, else all that passed, hidden or not."""

from __future__ import annotations

import json
import re

import pytest

from hardening.facts import Charge, Lease
from hardening.state import Evidence, MemoryStore
from hardening.testing import harden
from tests.asgi.driver import ask, replies, run
from tests.exchanges import ANSWER, TRACE, TRACED
from tests.laws.formats import CHAT, FORMATS, GEMINI, MESSAGES, RESPONSES, Format

UNITS = ("tokens", "prompt", "completion", "reasoning", "requests", "logprob_values")
POLICY = (
    "version: 1\nname: counts\nlimits:\n"
    + "".join(f"  {unit}: {{{unit}: 1M, per: 1h}}\n" for unit in UNITS)
    + f"defaults: {{limits: [{', '.join(UNITS)}], reasoning: {{show: none}}}}\n"
)
Counts = dict[str, float]


class Settled(MemoryStore):
    """The memory store, and what its one lease was settled with."""

    counts: Counts

    def settle(self, lease: Lease, actual: tuple[Charge, ...], evidence: Evidence | None, now: float) -> None:
        self.counts = {charge.limit.name: charge.amount for charge in actual}
        super().settle(lease, actual, evidence, now)


def settled(
    format: Format, body: bytes | list[bytes], kind: bytes = b"application/json", **asked: object
) -> Counts:
    store = Settled()
    app = replies([body] if isinstance(body, bytes) else body, kind=kind)
    hardened = harden(app, POLICY, state=store, identify=lambda scope: "acct_7")
    answer = run(ask(hardened, json.dumps({**json.loads(format.asked), **asked}).encode(), path=format.path))
    assert answer.status == 200
    assert store.open_leases == 0
    return store.counts


WAYS = [(format, streamed) for format in FORMATS for streamed in (False, True)]
IDS = [f"{format.name} {'streamed' if streamed else 'whole'}" for format, streamed in WAYS]


def body_of(format: Format, *, streamed: bool) -> tuple[bytes | list[bytes], bytes]:
    return (list(format.stream), format.kind) if streamed else (format.whole, b"application/json")


def uncounted(raw: bytes) -> bytes:
    return re.sub(rb'"(usage|usageMetadata|eval_count|prompt_eval_count)"', rb'"x_\1"', raw)


@pytest.mark.parametrize(("format", "streamed"), WAYS, ids=IDS)
def test_the_servers_own_count_is_settled(format: Format, streamed: bool) -> None:
    found = settled(format, *body_of(format, streamed=streamed))
    assert (found["prompt"], found["completion"]) == (9, 40)
    assert (found["tokens"], found["requests"]) == (49, 1)


@pytest.mark.parametrize(("format", "streamed"), WAYS, ids=IDS)
def test_where_there_is_no_count_all_that_the_model_wrote_is_settled_what_was_hidden_too(
    format: Format, streamed: bool
) -> None:
    body, kind = body_of(format, streamed=streamed)
    raw = [uncounted(part) for part in body] if isinstance(body, list) else uncounted(body)
    found = settled(format, raw, kind)
    least = (len(TRACE) + len(ANSWER)) / 4
    assert least <= found["completion"] <= least * 1.2  # tags count as well
    assert found["tokens"] == found["prompt"] + found["completion"]
    assert found["prompt"] > 0


def whole(format: Format, name: str, usage: object) -> bytes:
    return json.dumps({**json.loads(format.whole), name: usage}).encode()


@pytest.mark.parametrize(
    ("format", "name", "usage", "prompt", "completion", "reasoning"),
    [
        (CHAT, "usage", {"prompt_tokens": 9, "completion_tokens": 40, "completion_tokens_details": {"reasoning_tokens": 30}}, 9, 40, 30),
        (CHAT, "usage", {"prompt_tokens": 9, "completion_tokens": 40, "reasoning_tokens": 30}, 9, 40, 30),
        (CHAT, "usage", {"prompt_tokens": 9, "completion_tokens": 10, "total_tokens": 49, "completion_tokens_details": {"reasoning_tokens": 30}}, 9, 40, 30),
        (RESPONSES, "usage", {"input_tokens": 9, "output_tokens": 40, "output_tokens_details": {"reasoning_tokens": 30}}, 9, 40, 30),
        (MESSAGES, "usage", {"input_tokens": 2, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 3, "output_tokens": 40}, 9, 40, TRACED),
        (MESSAGES, "usage", {"input_tokens": 9, "output_tokens": 40, "output_tokens_details": {"thinking_tokens": 30}}, 9, 40, 30),
        (GEMINI, "usageMetadata", {"promptTokenCount": 9, "candidatesTokenCount": 10, "thoughtsTokenCount": 30, "totalTokenCount": 49}, 9, 40, 30),
        (GEMINI, "usageMetadata", {"promptTokenCount": 5, "toolUsePromptTokenCount": 4, "candidatesTokenCount": 40, "totalTokenCount": 49}, 9, 40, TRACED),
    ],
)  # fmt: skip
def test_each_spelling_is_settled_with_reasoning_inside_or_beside(
    format: Format, name: str, usage: object, prompt: int, completion: int, reasoning: int
) -> None:
    found = settled(format, whole(format, name, usage))
    assert (found["prompt"], found["completion"], found["reasoning"]) == (prompt, completion, reasoning)
    assert found["tokens"] == prompt + completion


@pytest.mark.parametrize("count", [None, -5, 2**60, 1e300, "many", [40], {"all": 40}, True])
@pytest.mark.parametrize(
    ("format", "prompt", "completion"),
    [
        (CHAT, "prompt_tokens", "completion_tokens"),
        (RESPONSES, "input_tokens", "output_tokens"),
        (MESSAGES, "input_tokens", "output_tokens"),
    ],
    ids=["chat", "responses", "messages"],
)
def test_a_usage_that_holds_no_count_of_the_answer_leaves_that_to_ours(
    format: Format, prompt: str, completion: str, count: object
) -> None:
    """Catches an answer that is free because its server counted its prompt alone."""
    found = settled(format, whole(format, "usage", {prompt: 9, completion: count}))
    assert found["prompt"] == 9
    assert found["completion"] >= (len(TRACE) + len(ANSWER)) / 4


def test_geminis_usage_leaves_out_what_is_zero() -> None:
    found = settled(GEMINI, whole(GEMINI, "usageMetadata", {"promptTokenCount": 9, "totalTokenCount": 9}))
    assert (found["prompt"], found["completion"]) == (9, 0)


@pytest.mark.parametrize(
    ("asked", "values"),
    [
        ({}, None),
        ({"logprobs": True}, 40),
        ({"logprobs": True, "top_logprobs": 8}, 320),
        ({"logprobs": True, "top_logprobs": -1}, 40_000),
    ],
)
def test_log_probabilities_are_settled_by_what_was_asked_for_each_token(
    asked: dict[str, object], values: int | None
) -> None:
    assert settled(CHAT, CHAT.whole, **asked).get("logprob_values") == values


ASKED_VECTORS = 5


@pytest.mark.parametrize(
    ("came", "status", "settled"), [(5, 200, 5), (3, 200, 5), (20, 200, 20), (0, 500, 0)]
)
def test_vectors_are_settled_as_asked_or_as_came_whichever_are_more_and_none_of_an_error(
    came: int, status: int, settled: int
) -> None:
    """Catches a body that nobody knows to hold many texts, and vectors charged that no server gave."""
    rows = [{"object": "embedding", "index": at, "embedding": [0.5, 0.25]} for at in range(came)]
    body = {"object": "list", "data": rows, "model": "m", "usage": {"prompt_tokens": 9, "total_tokens": 9}}
    answer = json.dumps(body if status == 200 else {"error": {"message": "no"}}).encode()
    store = Settled()
    app = replies([answer], kind=b"application/json", status=status)
    policy = "version: 1\nlimits: {vectors: {embeddings: 1k, per: 1h}}\ndefaults: {limits: [vectors]}\n"
    hardened = harden(app, policy, state=store, identify=lambda scope: "acct_7")
    asked = json.dumps({"model": "m", "input": ["text"] * ASKED_VECTORS}).encode()
    assert run(ask(hardened, asked, path="/v1/embeddings")).status == status
    assert store.counts == {"vectors": settled}


def test_a_stream_whose_count_stands_in_groqs_own_field_is_settled_by_it() -> None:
    last = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    choices = [{"index": 0, "delta": {}, "finish_reason": "stop"}]
    usage = {"prompt_tokens": 9, "completion_tokens": 40, "total_tokens": 49}
    frames = [
        b"data: "
        + json.dumps({**last, "choices": [{"index": 0, "delta": {"content": "Three."}}]}).encode()
        + b"\n\n",
        b"data: " + json.dumps({**last, "choices": choices, "x_groq": {"usage": usage}}).encode() + b"\n\n",
        b"data: [DONE]\n\n",
    ]
    assert settled(CHAT, frames, b"text/event-stream")["tokens"] == 49
