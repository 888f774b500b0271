"""What else tells how long a hidden trace was: its seal, counts, the next turn, time; in bits, per setting of `usage`.

Everything goes through the exchange that serves requests, twice: a trace is hidden and sealed, and comes back. All
answers are the same text, so whatever differs between two of them tells of the trace.
"""

from __future__ import annotations

import base64
import json
import math
import random
import zlib
from collections import Counter
from collections.abc import Hashable, Iterable
from typing import Any

from hardening.exchange import Exchange, Tools
from hardening.facts import Decision, ReasoningTerms, Refusal, UsageTerms
from hardening.redteam.claims import Measured
from hardening.redteam.options import Options
from hardening.redteam.reasoning.labels import annotated
from hardening.redteam.reasoning.parts import Findings
from hardening.redteam.report import Table
from hardening.scoring.tokens import estimate
from hardening.transform.chain import Makers
from hardening.transform.embeddings import VectorStepper
from hardening.transform.logprobs import LogprobCutter
from hardening.transform.seal import Sealer
from hardening.transform.summary import Summariser
from hardening.transform.tagger import shipped
from hardening.wire.codec import CODECS
from hardening.wire.unseal import at_once

_QUICK = 60
_CHARS_PER_TOKEN = 4
_ANSWER = "The answer is in the box above. " * 3
_TOKENS_PER_S, _SEEN_S = 50.0, 0.1
_SETTINGS: tuple[UsageTerms, ...] = ("keep", "round", "drop")
_SIZE = "the length of the seal"
_CHANNELS = (
    _SIZE,
    "the count of the answer",
    "the count of the next prompt",
    "the time to the first word, to 0.1 s at 50 tokens/s",
)


def attack(options: Options) -> Findings:
    """Read the length of annotated traces in all that leaves beside their text."""
    if options.data is None:
        raise LookupError("it needs --data with traces-*.jsonl")
    traces = [one.trace for found in annotated(options.data).values() for one in found]
    if options.quick:
        traces = random.Random(options.seed).sample(traces, min(_QUICK, len(traces)))
    rows: dict[str, list[float]] = {channel: [] for channel in _CHANNELS}
    for usage in _SETTINGS:
        options.say(f"lengths: {len(traces)} traces with usage {usage}")
        told = [_told(trace, usage, seed=options.seed) for trace in traces]
        for channel, values in zip(_CHANNELS, zip(*told, strict=True), strict=True):
            rows[channel].append(bits(values))
    bare = bits(len(base64.b64encode(zlib.compress(trace.encode()))) for trace in traces)
    columns = ("what tells", *(f"bits, usage {usage}" for usage in _SETTINGS), "without us")
    without = [bare, *(bits(map(len, traces)) for _ in _CHANNELS[1:])]
    table: tuple[tuple[str | float | None, ...], ...] = tuple(
        (channel, *rows[channel], control) for channel, control in zip(_CHANNELS, without, strict=True)
    )
    return Findings(
        {"reasoning_seal_bits": Measured(max(rows[_SIZE]), len(traces), bare)},
        (
            Table(
                f"The length of {len(traces)} traces, in bits of {math.log2(len(traces)):.3g}", columns, table
            ),
        ),
    )


def bits(values: Iterable[Hashable]) -> float:
    """The entropy of what was seen: what it tells of a length that it is a function of, at most."""
    counts = Counter(values)
    total = counts.total()
    return -sum(n / total * math.log2(n / total) for n in counts.values()) + 0.0


def _tools(seed: int) -> Tools:
    chance = random.Random(seed)
    return Tools(
        Makers(
            cutter=LogprobCutter,
            summariser=lambda tokens: Summariser(tokens, estimate, shipped()),
            stepper=VectorStepper,
        ),
        sealer=Sealer(chance.randbytes(32), random=chance.randbytes, wall=lambda: 0.0),
    )


def _told(trace: str, usage: UsageTerms, *, seed: int) -> tuple[int, int, int, int]:
    """What a client sees of one trace, by channel."""
    tools = _tools(seed)
    decision = Decision(reasoning=ReasoningTerms("none", seal=True), usage=usage)
    asked: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Which box?"}]}
    tokens = len(trace) // _CHARS_PER_TOKEN
    message = {"role": "assistant", "content": _ANSWER, "reasoning_content": trace}
    first = _answer(asked, message, decision, tools, completion=tokens + len(_ANSWER) // _CHARS_PER_TOKEN)
    kept = first["choices"][0]["message"]
    (seal,) = kept["reasoning_details"]
    again = {**asked, "messages": [*asked["messages"], kept, {"role": "user", "content": "Sure?"}]}
    plain = {"role": "assistant", "content": "Yes."}
    second = _answer(again, plain, decision, tools, completion=2)
    return (
        len(seal["data"]),
        first["usage"]["completion_tokens"],
        second["usage"]["prompt_tokens"],
        round(tokens / _TOKENS_PER_S / _SEEN_S),
    )


def _answer(
    asked: dict[str, Any], message: dict[str, Any], decision: Decision, tools: Tools, *, completion: int
) -> dict[str, Any]:
    """What leaves of an answer of a server that counts as its prompt what it was given."""
    codec = CODECS["openai_chat"]
    body = json.dumps(asked).encode()
    exchange = Exchange(
        codec, codec.read_request(body, door="/v1/chat/completions"), decision, tools, owner="a"
    )
    given = exchange.request(body)
    given = given if isinstance(given, bytes | Refusal) else at_once(given)
    assert isinstance(given, bytes)
    read = json.loads(given)["messages"]
    prompt = sum(len(str(one.get(name, ""))) for one in read for name in ("content", "reasoning_content"))
    prompt //= _CHARS_PER_TOKEN
    counts = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    said = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    exchange.start(200, [(b"content-type", b"application/json")])
    out = exchange.receive(json.dumps({**said, "usage": counts}).encode(), 0.0) + exchange.end(0.0)
    left: dict[str, Any] = json.loads(out)
    return left
