"""Answers known by the bytes around their vector leave as a full reading would have it, or are read in full."""

from __future__ import annotations

import base64
import json
import random
import struct
from dataclasses import replace

import pytest

from hardening.errors import WireError
from hardening.exchange import Exchange, Settlement, Tools
from hardening.facts import Decision, EmbeddingTerms, ReasoningTerms, RequestFacts
from hardening.moulds import Moulds
from hardening.wire.codec import CODECS
from hardening.wire.frame import Frame
from tests.exchanges import TOOLS

STEPPED = Decision(embeddings=EmbeddingTerms(step=0.001))
WATCHED = replace(STEPPED, reasoning=ReasoningTerms(show="none"))
FORMAT = "openai_embeddings"
PROSE = "so first I look at what the user wants, and only then at the rest of it, word by word"


def vector(seed: int, *, packed: bool = False, size: int = 24) -> object:
    draw = random.Random(seed)
    values = [draw.gauss(0, 0.05) for _ in range(size)]
    return base64.b64encode(struct.pack(f"<{size}f", *values)).decode() if packed else values


def body(seed: int, *, packed: bool = False, tokens: int = 8, **more: object) -> bytes:
    data = [{"object": "embedding", "index": 0, "embedding": vector(seed, packed=packed)}]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return json.dumps({"object": "list", "data": data, "model": "m", "usage": usage, **more}).encode()


Answer = tuple[bytes, Settlement] | None


def answered(raw: bytes, tools: Tools, decision: Decision = STEPPED, format: str = FORMAT) -> Answer:
    """What leaves for a body and what it came to; None where it cannot be read."""
    made = Exchange(CODECS[format], RequestFacts("/test", format, prompt_bytes=40), decision, tools)
    made.start(200, [(b"content-type", b"application/json")])
    try:
        out = made.receive(raw, 0.0) + made.end(0.0)
    except WireError:
        return None
    return out, made.settlement()


def fresh() -> Tools:
    return Tools(TOOLS.makers)


def test_a_second_answer_is_not_read_in_full_and_leaves_as_if_it_were(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Catches a mould that is never used, and one that forgets the counts or what was changed."""
    for packed in (False, True):
        known = fresh()
        answered(body(1, packed=packed), known)
        expected = answered(body(2, packed=packed, tokens=1234), fresh())
        with monkeypatch.context() as patched:
            patched.setattr(Frame, "__init__", lambda *_, **__: pytest.fail("read in full"))
            given = answered(body(2, packed=packed, tokens=1234), known)
        assert given == expected
        assert given is not None
        assert given[1].usage.prompt == 1234
        assert given[1].changed == ("embeddings",)


def test_a_vector_on_the_grid_leaves_as_the_same_bytes_and_changes_nothing() -> None:
    """Catches an answer that is told to be changed because it was compared."""
    known, raw = fresh(), body(1)
    once = answered(raw, known)
    assert once is not None
    assert answered(once[0], known) == answered(once[0], fresh())


@pytest.mark.parametrize("decision", [STEPPED, WATCHED], ids=["kept", "watched"])
@pytest.mark.parametrize(
    "after",
    [
        b'{"object":"x","data":[],"model":"m"}',
        body(2, packed=True),
        body(2, embedding_raw=vector(3)),
        body(2, embedding_raw=vector(3, packed=True)),
        body(2, note=PROSE),
        body(2, usage={"prompt_tokens": 8, "total_tokens": 8, "x": vector(4)}),
        body(2, usage={"prompt_tokens": 8, "total_tokens": 0.25}),
        body(2).replace(b"[-", b'[{"a":1},-', 1),
        body(2).replace(b"]", b"", 1),
        body(2).replace(b", ", b", [0.5], ", 1),
        body(2).replace(b"0.0", b'"x"', 1),
        body(2).replace(b"prompt_tokens", b"prompt_tokens7"),
        body(2).replace(b'"usage": {', b'"usage": {"a": 0.1234, '),
        body(2) + b"\n",
        body(2) + b" {}",
        body(2)[:-1],
        b"\xef\xbb\xbf" + body(2),
    ],
)
def test_what_does_not_fit_is_read_in_full(after: bytes, decision: Decision) -> None:
    """Catches a structure that is taken for another one: more values, text, a fraction, an end that is none."""
    known = fresh()
    answered(body(1), known, decision)
    answered(body(1, packed=True), known, decision)
    assert answered(after, known, decision) == answered(after, fresh(), decision)


def test_text_that_nobody_looked_for_is_found_by_who_looks() -> None:
    """Catches a mould of a caller whose traces may leave, used for one whose may not."""
    known, raw = fresh(), body(1, note=PROSE)
    answered(raw, known, STEPPED)
    told = answered(raw, known, WATCHED)
    assert told is not None
    assert told[1].unknown == ("note",)
    assert answered(raw, known, WATCHED) == told


def test_an_answer_that_was_changed_beside_its_vector_makes_no_mould() -> None:
    """Catches what is taken out once and left the next time."""
    known, raw = fresh(), body(1, embedding_bits=vector(3, packed=True, size=40))
    assert answered(raw, known) == answered(raw, known) == answered(raw, fresh())
    assert len(known.moulds[FORMAT, False]) == 0
    moulds, plain = Moulds(FORMAT), body(1)
    moulds.learn(CODECS[FORMAT].frame(plain), plain.replace(b'"m"', b'"n"'), None)
    assert len(moulds) == 0


def test_fractions_among_the_counts_are_no_second_vector() -> None:
    """Catches a vector that is spelled under many names where prices stood."""
    prices = {f"price_{number}": 1.5 for number in range(20)}
    spelled = {**prices, **{name: 0.12345 + number / 100 for number, name in enumerate(prices)}}
    known = fresh()
    assert answered(body(1, usage={"prompt_tokens": 8, **prices}), known) is not None
    assert answered(body(1, usage={"prompt_tokens": 8, **spelled}), known) is None


def test_any_change_of_a_known_answer_gives_what_a_full_reading_gives() -> None:
    """Catches a byte anywhere that a mould does not look at."""
    draw = random.Random(3)
    alphabet = b'0123456789.,:[]{}"\\ -eEnul/+=a'
    for packed in (False, True):
        known = fresh()
        answered(body(1, packed=packed), known)
        for _ in range(1500):
            raw = bytearray(body(2, packed=packed))
            for _ in range(draw.randint(1, 3)):
                # Around the vector as often as in it.
                at = draw.choice(
                    [draw.randrange(len(raw)), draw.randrange(75), len(raw) - 1 - draw.randrange(75)]
                )
                byte = draw.choice(alphabet)
                if draw.random() < 0.4:
                    raw[at] = byte
                elif draw.random() < 0.5:
                    raw.insert(at, byte)
                else:
                    del raw[at]
            assert answered(bytes(raw), known) == answered(bytes(raw), fresh()), bytes(raw)


def test_moulds_are_few() -> None:
    """Catches answers whose names change filling a process."""
    known = fresh()
    for number in range(100):
        answered(body(1, id=f"embd-{number}"), known)
    moulds = known.moulds[FORMAT, False]
    assert isinstance(moulds, Moulds)
    assert len(moulds) == 16
