"""Law 1 and 2: a frame that is only compared is treated as one that is read."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardening.facts import Decision, LogprobTerms, ReasoningTerms
from hardening.lanes import Lanes
from hardening.wire.shapes import Lane
from tests.exchanges import DONE, HIDDEN, SUMMARISED, chunk, completion, event, exchange, line, spoken

TEXTS = [
    "a",
    " word",
    "",
    "é 漢",
    'say "hi"',
    "a\nb",
    "\\",
    "<",
    "[",
    "◁",
    "<think>",
    "</think>",
    "x</thi",
    "nk>y",
    "a\u2028b",
    "tab\t",
]
FIELDS = ["content", "content", "content", "reasoning_content", "reasoning_content", "reasoning"]


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    text, field = draw(st.sampled_from(TEXTS)), draw(st.sampled_from(FIELDS))
    more: dict[str, object] = {}
    if draw(st.integers(0, 4)) == 0:
        more["logprobs"] = {
            "content": [
                {
                    "token": text,
                    "logprob": -1.3,
                    "bytes": None,
                    "top_logprobs": [
                        {"token": t, "logprob": v, "bytes": None}
                        for t, v in ((text, -1.3), ("b", -2.0), ("c", -3.1))
                    ],
                }
            ]
        }
    if draw(st.integers(0, 5)) == 0:
        more["usage"] = draw(st.sampled_from([None, {"prompt_tokens": 2, "completion_tokens": 3}]))
    raw = chunk(
        {field: text},
        index=draw(st.integers(0, 1)),
        finish=draw(st.sampled_from([None] * 9 + ["stop"])),
        **more,
    )
    change = draw(st.integers(0, 9))
    if change == 0:
        raw = raw.replace(
            b'"chatcmpl-1"', json.dumps("id-" + draw(st.sampled_from(["1", "22", '"', "\\"]))).encode()
        )
    elif change == 1:
        raw = raw.replace(b'"created": 1', b'"created": %d' % draw(st.integers(0, 999)))
    elif change == 2:
        raw = raw.replace(b'"delta": {', b'"delta": {"reasoning": "hidden piece", ')
    elif change == 3:
        raw = raw.replace(
            b'"model": "m"',
            b'"model": "m", "choices": [{"index": 0, "delta": {"reasoning": "first of two equal keys"}}]',
        )
    elif change == 4:
        raw = raw.replace(b'"model": "m"', b'"model": "m", "x_%d": "y"' % draw(st.integers(0, 3)))
    elif change == 5:
        raw = raw.replace(b"\\", b"", 1)
    return raw


class ReadInFull(Lanes):
    """Knows no shape, so that every frame is read."""

    __slots__ = ()

    def take(self, lane: Lane, data: bytes) -> bytes | None:
        """Never."""
        return None

    def change(self, raw: bytes) -> bytes | None:
        """Never."""
        return None


def through(
    pieces: Sequence[bytes], decision: Decision, *, compared: bool, format: str = "openai_chat"
) -> tuple[bytes, tuple[str, ...]]:
    made = exchange(format, decision)
    if not compared:
        made._lanes.__class__ = ReadInFull
    out = b"".join(made.receive(piece, 0.0) for piece in pieces) + made.end(0.0)
    return out, made.settlement().changed


@pytest.mark.parametrize(
    "decision",
    [
        SUMMARISED,
        HIDDEN,
        Decision(logprobs=LogprobTerms(top=2, step=0.25)),
        Decision(reasoning=ReasoningTerms(show="none", inline="starts_open")),
        Decision(),
    ],
)
@given(stream=st.lists(frames(), max_size=25))
@settings(max_examples=150, deadline=None)
def test_compared_and_read_frames_leave_alike(decision: Decision, stream: list[bytes]) -> None:
    pieces = [*stream, *stream[:6], DONE]
    assert through(pieces, decision, compared=True) == through(pieces, decision, compared=False)


DELTA = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":"%b","%b":"%b"}}\n\n'


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2),
            st.sampled_from([(b"thinking_delta", b"thinking"), (b"text_delta", b"text")]),
            st.sampled_from([b"a", b" word", b"", b"\\u003cthink>", b"\\n", b'\\"', b"</think>"]),
        ),
        max_size=30,
    )
)
@settings(max_examples=150, deadline=None)
def test_messages_alike(parts: list[tuple[int, tuple[bytes, bytes], bytes]]) -> None:
    pieces = [DELTA % (index, *kind, text) for index, kind, text in parts]
    pieces += [event("content_block_stop", index=index) for index in range(3)]
    compared = through(pieces, SUMMARISED, compared=True, format="anthropic_messages")
    assert compared == through(pieces, SUMMARISED, compared=False, format="anthropic_messages")


@st.composite
def lines(draw: st.DrawFn) -> bytes:
    """A line of Ollama's chat, now and then with more in it, or with another time."""
    text, field = draw(st.sampled_from(TEXTS)), draw(st.sampled_from(["content", "content", "thinking"]))
    said = spoken("", thinking=text) if field == "thinking" else spoken(text)
    row = {"token": text, "logprob": -1.3, "bytes": None, "top_logprobs": []}
    more = {"logprobs": [row, row]} if draw(st.integers(0, 4)) == 0 else {}
    raw = line(draw(st.integers(0, 9)), **said, **more, done=draw(st.integers(0, 9)) == 0)  # type: ignore[arg-type]
    old, new = draw(
        st.sampled_from(
            [
                (b"", b""),
                (b"", b""),
                (b'Z"', b'Z","thinking":"first"'),
                (b'Z"', b'Z\\"'),
                (b'"role"', b'"my_thought":"T","role"'),
                (b'"done":', b'"context":[1,2],"done":'),
                (b'"done":false', b'"done":null'),
                (b"Z", b"\n"),
                (b'"content":""', b'"content":"x"'),
                (b"\\", b""),
            ]
        )
    )
    return raw.replace(old, new, 1) if old else raw


@pytest.mark.parametrize("decision", [SUMMARISED, HIDDEN, Decision()])
@given(stream=st.lists(lines(), max_size=25))
@settings(max_examples=80, deadline=None)
def test_lines_alike(decision: Decision, stream: list[bytes]) -> None:
    pieces = [*stream, *stream[:6], b"".join(stream[:4])]
    compared = through(pieces, decision, compared=True, format="ollama_chat")
    assert compared == through(pieces, decision, compared=False, format="ollama_chat")


@given(
    st.lists(
        st.tuples(
            st.sampled_from(TEXTS),
            st.integers(0, 1),
            st.booleans(),
            st.sampled_from([None, None, {"tokens": ["a"], "token_logprobs": [-0.3], "top_logprobs": None}]),
        ),
        max_size=25,
    )
)
@settings(max_examples=100, deadline=None)
def test_completions_alike(parts: list[tuple[str, int, bool, object]]) -> None:
    pieces = [
        completion(text, index=index, logprobs=rows, **({"content": text} if native else {}))
        for text, index, native, rows in parts
    ]
    compared = through(pieces, SUMMARISED, compared=True, format="openai_completions")
    assert compared == through(pieces, SUMMARISED, compared=False, format="openai_completions")
