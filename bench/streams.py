"""Streams of chunks in the form that OpenAI's servers send, written here; the same for the same seed."""

from __future__ import annotations

import base64
import math
import re
import struct
from collections.abc import Callable
from random import Random

import orjson

CHUNKS = 256
"""Chunks of an answer."""
DIMENSIONS = 1536
"""Values of an embedding."""
TRACE_CHUNKS = 1024
"""Chunks of a trace; models that reason write some times as much as they answer."""

ANSWER = """\
Yes, you can do this without a second pass. Sort the intervals by their start, then walk over them once \
and keep the last one that you accepted. Whenever the next interval starts before the kept one ends, the \
two belong together, so you only move the end. That is O(n log n) for the sorting and O(n) for the rest.

Here is a version that also says what "touching" means:

```python
def merge(intervals: list[tuple[int, int]]) -> list[tuple[int, int]]:
    \"\"\"Join intervals that overlap or touch.\"\"\"
    merged: list[tuple[int, int]] = []
    for start, end in sorted(intervals):
        if merged and start - 1 < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
```

A few things to note:

1. **Empty input** gives an empty list; you need no special case.
2. The end is *inclusive*. If yours is not, drop the `- 1`.
3. For a café's opening hours – 08:30 to 12:00, say – turn the times into minutes first.

Would you like me to write the tests, or to show how the same idea works on a stream that is already sorted?
"""

TRACE = """\
The user wants merged intervals, so first I should decide what to do when two of them only touch. The \
question says "join", and the example has 3 and 4 in one group, so touching counts. Sorting by start is \
the usual way. After sorting I only need to compare with the last one that I kept. Let me check that with \
the example: 1 to 3, then 2 to 6. Since 2 <= 3 the end becomes max(3, 6) = 6. Next is 8 to 10, and 8 > 6 + 1, \
so a new group begins. That gives 1 to 6 and 8 to 10, as expected. What about an interval inside another \
one? For 1 to 10 and 2 to 3 the end stays max(10, 3) = 10, which is right. I should mention the cost: \
n log n for the sorting and n for the walk, so n log n = 1000 * 10 = 10000 steps for a thousand intervals. \
The empty list needs no special case, because the loop does not run. The user writes Python with type \
hints, so I will do that too. Maybe a docstring. I wonder whether the end is inclusive. In the example it \
is, so the condition is start - 1 < last end. I will say how to change that.
"""

_WORDS = re.compile(r"\s?\w{1,7}|\s*[^\w\s]{1,3}|\s+")


def deltas(text: str, count: int) -> list[str]:
    """`count` pieces of about a token each, the text again where it ends."""
    words = _WORDS.findall(text)
    return [words[number % len(words)] for number in range(count)]


def content(seed: int) -> list[bytes]:
    """Text chunks that differ in their text only."""
    head = _head(Random(seed))
    return [_frame(head, _choice({"content": text})) for text in deltas(ANSWER, CHUNKS)]


def content_ids(seed: int) -> list[bytes]:
    """Text chunks with an id, a time and padding of their own."""
    random = Random(seed)
    return [
        _frame(_head(random), _choice({"content": text}), obfuscation=name_of(random, random.randint(1, 12)))
        for text in deltas(ANSWER, CHUNKS)
    ]


def content_new_shape(seed: int) -> list[bytes]:
    """Text chunks each of which has a field that no chunk had before."""
    random = Random(seed)
    head = _head(random)
    fields = (f"x_{name_of(random, 8)}" for _ in range(CHUNKS))
    return [
        _frame(head, _choice({"content": text}), **{next(fields): number})
        for number, text in enumerate(deltas(ANSWER, CHUNKS))
    ]


def logprobs(seed: int) -> list[bytes]:
    """Text chunks with a row of 20 alternatives."""
    random = Random(seed)
    head = _head(random)
    words = deltas(ANSWER, CHUNKS)
    return [_frame(head, _choice({"content": text}, _row(random, text, words))) for text in words]


def reasoning(seed: int) -> list[bytes]:
    """A trace, then one chunk of answer, so that the trace ends inside the stream."""
    head = _head(Random(seed))
    # The numbers change from time to time, so that no sentence comes a second time.
    text = "".join(TRACE.replace("10", str(10 + number)) for number in range(TRACE_CHUNKS // CHUNKS))
    trace = [_frame(head, _choice({"reasoning_content": piece})) for piece in deltas(text, TRACE_CHUNKS)]
    return [*trace, _frame(head, _choice({"content": "Yes"}))]


STREAMS: dict[str, Callable[[int], list[bytes]]] = {
    stream.__name__: stream for stream in (content, content_ids, content_new_shape, logprobs, reasoning)
}


def first(seed: int) -> bytes:
    """The chunk that opens an answer."""
    return _frame(_head(Random(seed)), _choice({"role": "assistant", "content": ""}))


def last(seed: int) -> list[bytes]:
    """The chunks that end an answer."""
    head = _head(Random(seed))
    choice = {"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}
    return [_frame(head, choice), b"data: [DONE]\n\n"]


def whole(seed: int) -> bytes:
    """An answer with its trace as one JSON text."""
    message = {"role": "assistant", "content": ANSWER, "reasoning_content": TRACE, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    usage = {"prompt_tokens": 412, "completion_tokens": 587, "total_tokens": 999}
    head = {**_head(Random(seed)), "object": "chat.completion"}
    return orjson.dumps({**head, "choices": [choice], "usage": usage})


def embedding(seed: int, *, packed: bool) -> bytes:
    """An embedding of 1,536 values of length 1, as numbers or as the base64 of binary32 values."""
    random = Random(seed)
    drawn = [random.gauss(0, 1) for _ in range(DIMENSIONS)]
    length = math.sqrt(sum(value * value for value in drawn))
    values = [value / length for value in drawn]
    text = base64.b64encode(struct.pack(f"<{DIMENSIONS}f", *values)).decode()
    data = [{"object": "embedding", "index": 0, "embedding": text if packed else values}]
    usage = {"prompt_tokens": 8, "total_tokens": 8}
    return orjson.dumps({"object": "list", "data": data, "model": "aurora-embed-1", "usage": usage})


def embedding_request() -> bytes:
    """A request for the embedding of a sentence."""
    text = "Could you look at this function, please? It takes a list and gives back a shorter one."
    return orjson.dumps({"model": "aurora-embed-1", "input": text})


_ASKED = {"model": "aurora-4-mini", "temperature": 1, "max_tokens": 900}
"""At a temperature at which log-probabilities leave."""


def request(size: int, *, stream: bool = True, number: int = 0) -> bytes:
    """A request body of `size` bytes, one message that begins with a number: another number is another question."""
    asked = {**_ASKED, "stream": stream}
    empty = len(orjson.dumps({**asked, "messages": [{"role": "user", "content": ""}]}))
    text = "Could you look at this function, please? It takes a list and gives back a shorter one. "
    filler = (f"{number}. " + text * (size // len(text) + 1))[: max(0, size - empty)]
    return orjson.dumps({**asked, "messages": [{"role": "user", "content": filler}]})


def conversation(size: int, *, number: int = 0) -> bytes:
    """A request body of about `size` bytes as a coding agent sends it: calls of a tool, with what each gave back."""
    text = (TRACE + ANSWER) * 2
    turns: list[dict[str, object]] = [{"role": "user", "content": f"{number}. Please mend the build."}]
    left = size
    while left > 0:
        at = len(turns) * 37 % (len(text) // 2)
        call = {"name": "read", "arguments": orjson.dumps({"from": at}).decode()}
        name = f"call_{len(turns)}"
        turns += [
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [{"id": name, "type": "function", "function": call}],
            },
            {"role": "tool", "tool_call_id": name, "content": text[at : at + 900]},
        ]
        left -= 1_130
    return orjson.dumps({**_ASKED, "stream": True, "messages": turns})


def texts(chunks: list[bytes]) -> list[bytes]:
    """The JSON in the chunks."""
    return [chunk[6:].rstrip() for chunk in chunks if chunk.startswith(b"data: {")]


def name_of(random: Random, size: int) -> str:
    """A made-up identifier of `size` letters and digits."""
    return "".join(random.choices("abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ0123456789", k=size))


def _head(random: Random) -> dict[str, object]:
    return {
        "id": f"chatcmpl-{name_of(random, 29)}",
        "object": "chat.completion.chunk",
        "created": 1_790_000_000 + random.randrange(1_000_000),
        "model": "aurora-4-mini-2026-08-01",
        "service_tier": "default",
        "system_fingerprint": f"fp_{name_of(random, 10)}",
    }


def _choice(delta: dict[str, object], row: dict[str, object] | None = None) -> dict[str, object]:
    rows = None if row is None else {"content": [row], "refusal": None}
    return {"index": 0, "delta": delta, "logprobs": rows, "finish_reason": None}


def _row(random: Random, text: str, words: list[str]) -> dict[str, object]:
    weights = sorted((random.expovariate(1.0) ** 4 for _ in range(20)), reverse=True)
    total = sum(weights) * 1.02
    tokens = [text, *random.sample(words, 19)]
    ranked = [_alternative(token, weight / total) for token, weight in zip(tokens, weights, strict=True)]
    return {**ranked[0], "top_logprobs": ranked}


def _alternative(token: str, share: float) -> dict[str, object]:
    return {"token": token, "logprob": math.log(max(share, 1e-9)), "bytes": list(token.encode())}


def _frame(head: dict[str, object], choice: dict[str, object], **more: object) -> bytes:
    return b"data: " + orjson.dumps({**head, "choices": [choice], **more}) + b"\n\n"
