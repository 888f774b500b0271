"""What must hold of every body, however odd: each property takes one draw of chance and raises AssertionError."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import replace

from bench.fuzz.bodies import HIDDEN, PACKED, VALUES, Author, Body
from hardening.asgi.tools import Toolbox
from hardening.errors import WireError
from hardening.exchange import Exchange, Tools
from hardening.facts import Decision, EmbeddingTerms, LogprobTerms, ReasoningTerms, RequestFacts
from hardening.lanes import Lanes
from hardening.policy import load_policy
from hardening.testing import find_leaks
from hardening.transform.seal import Sealer
from hardening.wire.codec import CODECS, Codec
from hardening.wire.frame import Frame
from hardening.wire.ndjson import NDJSON
from hardening.wire.sse import SSE

HIDING = Decision(
    reasoning=ReasoningTerms("none", seal=True), logprobs=LogprobTerms(0), embeddings=EmbeddingTerms(0.001)
)
SUMMARISING = Decision(reasoning=ReasoningTerms("summary", seal=True), logprobs=LogprobTerms(2, 0.25))
STEPPING = Decision(embeddings=EmbeddingTerms(0.001))
ROUNDING = Decision(reasoning=ReasoningTerms("summary"), usage="round")
SHADOW = Decision(reasoning=ReasoningTerms("none"), logprobs=LogprobTerms(0), enforced=False)

_TOOLS = Toolbox(Sealer(b"a key for odd bodies", random=bytes, wall=lambda: 0.0)).tools(
    load_policy("baseline")
)


class Said:
    """Stands where a summariser stands: of a trace cut anywhere a real one may keep a piece, and it is allowed to."""

    def feed(self, text: str) -> None:
        """Take a piece."""

    def finish(self, question_values: frozenset[str]) -> str:
        """The same always."""
        return "Count what is left."


_TELLING_NOTHING = replace(_TOOLS, makers=replace(_TOOLS.makers, summariser=lambda budget: Said()))
_BYTE_BY_BYTE = 1 << 13
_ALIKE = 24  # events of one stream that are drawn from a few
_HELD_BYTES = 1 << 17  # more than any body made here, so what is held beyond it is a leak of memory


class ReadInFull(Lanes):
    """Learns nothing of a stream, so that every frame is read."""

    __slots__ = ()

    def learn(self, frame: Frame, out: bytes, *, same: bool, masked: bool) -> None:
        """Nothing."""


def send(
    codec: Codec,
    decision: Decision,
    body: Body,
    pieces: list[bytes],
    *,
    compares: bool = True,
    tools: Tools = _TOOLS,
) -> bytes:
    """What leaves for a body in these pieces; where it cannot be read, what had left by then.

    Without `compares` no frame is compared with an earlier one.
    """
    facts = RequestFacts(door="/fuzz", format=codec.name, stream=True)
    exchange = Exchange(codec, facts, decision, tools)
    exchange.request(b"{}")
    exchange.start(200, [(b"content-type", body.content_type.encode())])
    if not compares:
        exchange._reply.lanes.__class__ = ReadInFull  # noqa: SLF001  nobody else wants this
    out: list[bytes] = []
    try:
        for number, piece in enumerate(pieces):
            out.append(exchange.receive(piece, 0.0))
            assert number % 256 or len(exchange.surrender(b"")) < _HELD_BYTES, (
                "the exchange holds more than it was given"
            )
        out.append(exchange.end(0.0))
    except WireError:
        pass  # the one error that a body may be
    exchange.settlement()
    return b"".join(out)


def _body(codec: Codec, chance: random.Random) -> Body:
    author = Author(codec, chance)
    kind = chance.randrange(4)
    if kind == 0:
        return author.whole()
    if kind == 1:
        return author.stream(NDJSON, "application/x-ndjson")
    return author.stream(SSE, "text/event-stream")


def _cut(data: bytes, chance: random.Random) -> list[bytes]:
    size = chance.choice((1, 3, 17, 64, 1 << 20)) if len(data) < _BYTE_BY_BYTE else 511
    return [data[at : at + size] for at in range(0, len(data), size)]


def nothing_hidden_leaves(codec: Codec, chance: random.Random) -> None:
    """No twenty characters of a trace leave but in a summary, in any spelling and any pieces."""
    body = _body(codec, chance)
    pieces = _cut(body.data, chance)
    for decision in (HIDING, SUMMARISING):
        out = send(codec, decision, body, pieces, tools=_TELLING_NOTHING)
        for trace in HIDDEN:
            leaks = find_leaks(out, trace)
            assert not leaks, f"{leaks[0].text!r} left in {leaks[0].where}"


def no_value_leaves_off_the_grid(codec: Codec, chance: random.Random) -> None:
    """No value of a vector leaves as it was, wherever it stands and however it is packed."""
    if not codec.response.embeds:
        return
    body = _body(codec, chance)
    out = send(codec, STEPPING, body, _cut(body.data, chance)).replace(b"\\/", b"/")
    for value in VALUES:
        assert str(value).encode() not in out, f"{value} left"
    assert PACKED.encode() not in out, "a packed vector left"


def splits_do_not_matter(codec: Codec, chance: random.Random) -> None:
    """The same bytes leave whole and in pieces."""
    body = _body(codec, chance)
    whole = send(codec, HIDING, body, [body.data])
    assert send(codec, HIDING, body, _cut(body.data, chance)) == whole, "another split, other bytes"


def compared_frames_leave_as_read(codec: Codec, chance: random.Random) -> None:
    """Events that are like each other, an event a piece, leave as they do when each is read in full."""
    author = Author(codec, chance)
    lines = chance.randrange(3) == 0
    body = author.stream(NDJSON, "application/x-ndjson") if lines else author.stream(SSE, "text/event-stream")
    found = [event[0] for event in _event(body.data)][: chance.randrange(1, 6)]
    pieces = [_altered(event, chance) for event in chance.choices(found or [body.data], k=_ALIKE)]
    for decision in (HIDING, SUMMARISING, ROUNDING):
        compared = send(codec, decision, body, pieces)
        assert compared == send(codec, decision, body, pieces, compares=False), (
            "a compared frame left otherwise"
        )


def _altered(event: bytes, chance: random.Random) -> bytes:
    if chance.randrange(3):
        return event
    places = [place.start() for place in _mark(event)] or [0]
    at = chance.choice(places) + chance.randrange(2)
    return event[:at] + chance.choice(_MORE) + event[at + chance.choice((0, 0, 0, 1, 2)) :]


_event = re.compile(rb".+?(?:\n(?=[{:])|\n\n|\Z)", re.DOTALL).finditer
_mark = re.compile(rb'["}\],:]').finditer
_MORE = (
    *(
        b'"',
        b"\\",
        b"\\n",
        b'\\"',
        b"<",
        b"[",
        b"<think>",
        b"</think>",
        b"\n",
        b"\r",
        b"7",
        b"-",
        b"}",
        b"]",
        b" ",
        b",",
    ),
    *(
        b',"x_1":5',
        b',"tokens":5',
        b',"x":"y"',
        b',"reasoning":"T"',
        b',"id":"z"',
        b',"created":9',
        b',"usage":null',
    ),
    *(b"\\u003c", "\u00e9".encode(), "\u2014".encode(), b',"thought":true', b',"delta":"x"', b',"type":"x"'),
)


def shadow_changes_nothing(codec: Codec, chance: random.Random) -> None:
    """In shadow the bytes that came are the bytes that leave, broken ones as well."""
    body = _body(codec, chance)
    data = _broken(body.data, chance)
    assert send(codec, SHADOW, body, _cut(data, chance)) == data, "shadow changed bytes"


def broken_bytes_are_a_wire_error_at_most(codec: Codec, chance: random.Random) -> None:
    """Cut, doubled, flipped, deep or endless: nothing but WireError, and bounded memory."""
    body = _body(codec, chance)
    data = _broken(body.data, chance)
    for decision in (HIDING, SUMMARISING):
        send(codec, decision, body, _cut(data, chance))


def _broken(data: bytes, chance: random.Random) -> bytes:
    made = bytearray(data)
    for _ in range(chance.randrange(4)):
        at = chance.randrange(len(made) + 1)
        end = min(len(made), at + chance.randrange(1, 40))
        act = chance.randrange(5)
        if act == 0:
            del made[at:end]
        elif act == 1:
            made[at:at] = made[at:end]
        elif act == 2:
            made[at:at] = chance.choice(_NOISE)
        elif act == 3:
            del made[at:]
        else:
            made[at:end] = bytes(chance.randrange(256) for _ in range(end - at))
    return bytes(made)


_NOISE = (
    b"\x00",
    b"\xff\xfe",
    b"NaN",
    b"\\ud800",
    b"\r",
    b"\n\n",
    b"\xef\xbb\xbf",
    b"[" * 3000,
    b'{"a":' * 3000,
    b'"',
    b"data: [DONE]\n\n",
    b": note\n\n",
    b"id: 7\n",
    b"\xe2\x80\xa8",
    b"1e999",
)

Property = Callable[[Codec, random.Random], None]

PROPERTIES: dict[str, Property] = {
    check.__name__: check
    for check in (
        nothing_hidden_leaves,
        no_value_leaves_off_the_grid,
        splits_do_not_matter,
        compared_frames_leave_as_read,
        shadow_changes_nothing,
        broken_bytes_are_a_wire_error_at_most,
    )
}

FORMATS = tuple(CODECS)
