"""Whole exchanges that give embeddings: on the grid wherever they stand, whatever the server writes, or not at all."""

from __future__ import annotations

import base64
import json
import random
import struct

import numpy as np
import pytest

from hardening import kernels
from hardening.errors import WireError
from hardening.exchange import Exchange, Settlement, Tools
from hardening.facts import Decision, EmbeddingTerms, RequestFacts
from hardening.kernels import compiled, plain
from hardening.noise_key import NoiseKey
from hardening.transform.rotation import Rotated
from hardening.transform.vector_noise import VectorNoise
from hardening.wire.codec import CODECS
from tests.exchanges import TOOLS

STEP = 0.001
STEPPED = Decision(embeddings=EmbeddingTerms(step=STEP))
COARSE = Decision(embeddings=EmbeddingTerms(step=0.016))
KEY = NoiseKey(bytes(32), "default", "")
NOISY = Decision(embeddings=EmbeddingTerms(step=STEP, noise=0.05))
ROTATED = Decision(embeddings=EmbeddingTerms(rotate=True))
KEPT = Decision(embeddings=EmbeddingTerms(step=STEP, keep=0.75))
BOTH = Decision(embeddings=EmbeddingTerms(step=STEP, noise=0.05, rotate=True))
PLAIN = Decision()
JSON = b"application/json"

_draw = random.Random(5)
VECTOR = [_draw.gauss(0, 0.05) for _ in range(48)]
ON_GRID = [round(value / STEP) / 1000 + 0.0 for value in VECTOR]
PACKED = base64.b64encode(struct.pack("<48f", *VECTOR)).decode()
BYTES = [round(value * 127) for value in VECTOR]
GRAY = [round(round(value / (0.016 * 128)) * (0.016 * 128)) for value in BYTES]

OPENAI = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": VECTOR}],
    "model": "m",
    "usage": {"prompt_tokens": 8, "total_tokens": 8},
}
SHAPES = {
    "openai": ("openai_embeddings", OPENAI),
    "voyage": ("openai_embeddings", {**OPENAI, "usage": {"total_tokens": 8}}),
    "llama.cpp": ("openai_embeddings", [{"index": 0, "embedding": [VECTOR, VECTOR]}]),
    "llama.cpp, one": ("openai_embeddings", {"embedding": VECTOR}),
    "a bare list": ("openai_embeddings", VECTOR),
    "a list of lists": ("openai_embeddings", [VECTOR, VECTOR]),
    "gemini": (
        "gemini_embed",
        {"embedding": {"values": VECTOR}, "usageMetadata": {"promptTokenCount": 8, "totalTokenCount": 8}},
    ),
    "gemini, a batch": ("gemini_embed", {"embeddings": [{"values": VECTOR}, {"values": VECTOR}]}),
    "vertex": (
        "gemini_embed",
        {"predictions": [{"embeddings": {"values": VECTOR, "statistics": {"token_count": 8}}}]},
    ),
    "ollama": ("ollama_embed", {"model": "m", "embeddings": [VECTOR, VECTOR], "prompt_eval_count": 8}),
    "ollama, one": ("ollama_embed", {"embedding": VECTOR}),
    "cohere": (
        "cohere_embed",
        {
            "id": "1",
            "texts": ["one text"],
            "embeddings": {"float": [VECTOR]},
            "meta": {"billed_units": {"input_tokens": 8}},
        },
    ),
    "cohere v1": ("cohere_embed", {"embeddings": [VECTOR], "meta": {"billed_units": {"input_tokens": 8}}}),
    "a field that nobody knows": ("openai_embeddings", {**OPENAI, "embedding_raw": VECTOR}),
    "a known field that holds another thing": (
        "openai_embeddings",
        {**OPENAI, "model": VECTOR, "data": [{"object": VECTOR, "index": VECTOR, "embedding": VECTOR}]},
    ),
    "deeper than any table": ("ollama_embed", {"embeddings": [[[[VECTOR]]]], "x": {"y": [{"z": VECTOR}]}}),
}
UNCOUNTED = {
    "llama.cpp",
    "llama.cpp, one",
    "a bare list",
    "a list of lists",
    "gemini, a batch",
    "ollama, one",
    "deeper than any table",
}


def answered(
    body: bytes,
    decision: Decision = STEPPED,
    format: str = "openai_embeddings",
    *,
    kind: bytes = JSON,
    size: int = 0,
    passes: bool = False,
    key: NoiseKey | None = None,
) -> tuple[bytes, Settlement]:
    """What leaves for a body, in pieces of `size`, and what it came to."""
    tools = Tools(TOOLS.makers, pass_unreadable=passes)
    made = Exchange(
        CODECS[format], RequestFacts("/test", format, prompt_bytes=40), decision, tools, noise_key=key
    )
    made.start(200, [(b"content-type", kind)])
    pieces = [body[at : at + size] for at in range(0, len(body), size)] if size else [body]
    out = b"".join(made.receive(piece, 0.0) for piece in pieces) + made.end(0.0)
    return out, made.settlement()


def stepped(value: object) -> object:
    """The value with each list of numbers on the grid, by plain Python."""
    if isinstance(value, dict):
        return {key: stepped(element) for key, element in value.items()}
    if isinstance(value, list):
        return [stepped(element) for element in value]
    return round(value / STEP) / 1000 + 0.0 if isinstance(value, float) else value


@pytest.fixture(params=[plain, compiled], ids=["plain", "compiled"])
def twins(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernels, or their twins."""
    monkeypatch.setattr(kernels, "_twins", request.param)


@pytest.mark.usefixtures("twins")
@pytest.mark.parametrize("shape", SHAPES)
def test_every_vector_leaves_on_the_grid_and_nothing_else_changes(shape: str) -> None:
    """Catches a vector under a name, or at a depth, that no table has, and a count that is lost."""
    format, value = SHAPES[shape]
    body = json.dumps(value, indent=1).encode()
    out, settlement = answered(body, format=format)
    assert json.loads(out) == stepped(value)
    assert settlement.changed == ("embeddings",)
    assert (settlement.usage.prompt, settlement.source) == (
        (0, "none") if shape in UNCOUNTED else (8, "usage")
    )
    assert answered(body, format=format, size=7)[0] == out
    assert answered(out, format=format)[0] == out


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("decision", [PLAIN, Decision(enforced=False, embeddings=EmbeddingTerms(step=1.0))])
def test_without_a_step_it_leaves_byte_for_byte(shape: str, decision: Decision) -> None:
    format, value = SHAPES[shape]
    body = json.dumps(value, indent=1).encode()
    out, settlement = answered(body, decision, format)
    assert (out, settlement.changed) == (body, ())


@pytest.mark.parametrize("text", [PACKED, PACKED.replace("/", "\\/")], ids=["plain", "with escaped slashes"])
def test_packed_floats_stay_packed(text: str) -> None:
    body = json.dumps(OPENAI).replace(json.dumps(VECTOR), f'"{text}"').encode()
    out, settlement = answered(body)
    packed = base64.b64decode(json.loads(out)["data"][0]["embedding"], validate=True)
    assert struct.unpack("<48f", packed) == pytest.approx(ON_GRID, abs=1e-7)
    assert out.replace(base64.b64encode(packed), text.encode()) == body
    assert settlement.usage.prompt == 8
    assert answered(out)[0] == out


def test_all_types_of_a_vector_at_once() -> None:
    """Catches bits, which no grid fits, beside the floats, and bytes that are finer than the grid."""
    types = {
        "float": [VECTOR],
        "base64": [PACKED],
        "int8": [BYTES],
        "uint8": [BYTES],
        "binary": [BYTES[:6]],
        "ubinary": [BYTES[:6]],
    }
    body = json.dumps({"embeddings": types}).encode()
    left = json.loads(answered(body, format="cohere_embed")[0])["embeddings"]
    assert left["float"] == [ON_GRID]
    assert (left["int8"], left["uint8"]) == ([BYTES], [BYTES])
    assert (left["binary"], left["ubinary"]) == ([], [])
    coarse = json.loads(answered(body, COARSE, "cohere_embed")[0])["embeddings"]
    assert coarse["int8"] == coarse["uint8"] == [GRAY]
    assert coarse["binary"] == []
    assert answered(body, PLAIN, "cohere_embed")[0] == body


@pytest.mark.parametrize("shape", SHAPES)
def test_without_a_key_for_its_noise_no_value_leaves(shape: str) -> None:
    """Catches a vector that leaves with the step alone."""
    format, value = SHAPES[shape]
    out, settlement = answered(json.dumps(value).encode(), NOISY, format)
    assert b"0.0" not in out
    assert b"0.1" not in out
    assert settlement.changed == ("embeddings",)


LONG = [_draw.gauss(0, 0.05) for _ in range(96)]
LONG_PACKED = base64.b64encode(struct.pack("<96f", *LONG)).decode()


def vectors_in(value: object) -> list[list[float]]:
    """Each list of numbers in a value."""
    if isinstance(value, dict):
        return [found for one in value.values() for found in vectors_in(one)]
    if not isinstance(value, list):
        return []
    if value and all(isinstance(one, float) for one in value):
        return [value]
    return [found for one in value for found in vectors_in(one)]


@pytest.mark.usefixtures("twins")
@pytest.mark.parametrize("shape", SHAPES)
def test_every_vector_leaves_with_the_noise_of_what_it_says(shape: str) -> None:
    """Catches another draw in another shape or packing, and a vector that leaves without one."""
    format, value = SHAPES[shape]
    body = json.dumps(value).replace(json.dumps(VECTOR), json.dumps(LONG)).encode()
    out, settlement = answered(body, NOISY, format, key=KEY)
    left = vectors_in(json.loads(out))
    assert len(left) == body.count(json.dumps(LONG).encode())
    expected = VectorNoise(KEY, 0.05)(np.array(LONG))
    assert expected is not None
    for one in left:
        assert one == [round(given / STEP) / 1000 + 0.0 for given in (np.array(LONG) + expected).tolist()]
    assert settlement.changed == ("embeddings",)
    assert answered(body, NOISY, format, key=KEY, size=7)[0] == out
    other, _ = answered(body, NOISY, format, key=NoiseKey(bytes(32), "partner", ""))
    assert vectors_in(json.loads(other)) != left


@pytest.mark.parametrize("shape", SHAPES)
def test_every_vector_leaves_rotated_and_none_without_a_key(shape: str) -> None:
    """Catches a vector in another shape that leaves in the encoder's own directions."""
    format, value = SHAPES[shape]
    body = json.dumps(value).replace(json.dumps(VECTOR), json.dumps(LONG)).encode()
    left = vectors_in(json.loads(answered(body, ROTATED, format, key=KEY)[0]))
    assert len(left) == body.count(json.dumps(LONG).encode())
    added = Rotated(KEY)(np.array(LONG))
    assert added is not None
    np.testing.assert_allclose(left, np.tile(np.array(LONG) + added, (len(left), 1)), atol=1e-6)
    assert not any(vectors_in(json.loads(answered(body, ROTATED, format)[0])))


def test_nothing_leaves_where_nobody_counts_what_an_account_sees() -> None:
    decision = Decision(embeddings=EmbeddingTerms(step=STEP, adaptive=0.5, benign=0.2))
    body = json.dumps({**OPENAI, "data": [{"embedding": LONG}]}).encode()
    assert not any(vectors_in(json.loads(answered(body, decision, key=KEY)[0])))


@pytest.mark.usefixtures("twins")
@pytest.mark.parametrize("decision", [NOISY, ROTATED, BOTH, KEPT])
def test_numbers_and_packed_floats_get_the_same_noise(decision: Decision) -> None:
    def left(vector: object) -> object:
        body = json.dumps({**OPENAI, "data": [{"embedding": vector}]}).encode()
        return json.loads(answered(body, decision, key=KEY)[0])["data"][0]["embedding"]

    packed = left(LONG_PACKED)
    assert isinstance(packed, str)
    assert struct.unpack("<96f", base64.b64decode(packed)) == pytest.approx(left(LONG), abs=1e-7)
    doubles = left(base64.b64encode(np.array(LONG, "<f4").astype("<f8").tobytes()).decode())
    assert isinstance(doubles, str)
    assert struct.unpack("<96d", base64.b64decode(doubles)) == pytest.approx(left(LONG), abs=1e-7)
    assert left(LONG) != pytest.approx(LONG, abs=0.001)


def test_what_would_be_drawn_anew_is_empty_under_noise() -> None:
    """Catches bytes and short vectors, whose draws could be averaged with those of the whole."""
    doubles = base64.b64encode(np.array(VECTOR, "<f4").astype("<f8").tobytes()).decode()
    packed = [LONG_PACKED, PACKED, doubles]
    types = {"float": [LONG, VECTOR], "base64": packed, "int8": [BYTES], "binary": [BYTES]}
    body = json.dumps({"embeddings": types}).encode()
    left = json.loads(answered(body, NOISY, "cohere_embed", key=KEY)[0])["embeddings"]
    assert [len(one) for one in left["float"]] == [96, 0]
    assert [len(base64.b64decode(one)) for one in left["base64"]] == [384, 0, 0]
    assert (left["int8"], left["binary"]) == ([[]], [])


def test_noise_without_a_step_leaves_on_a_grid_of_its_own() -> None:
    decision = Decision(embeddings=EmbeddingTerms(noise=0.5))
    out, _ = answered(json.dumps([LONG]).encode(), decision, key=KEY)
    assert all(round(value, 3) == value for value in json.loads(out)[0])


def test_a_packed_copy_that_no_table_knows_does_not_leave() -> None:
    body = {**OPENAI, "raw": PACKED, "data": [{"embedding": VECTOR, "object": PACKED}]}
    left = json.loads(answered(json.dumps(body).encode())[0])
    assert (left["raw"], left["data"][0]["object"]) == ("", "")


def test_a_text_of_the_caller_that_comes_back_is_left_alone() -> None:
    """Catches a text that looks packed, or that holds a list, and is cut."""
    texts = [PACKED, json.dumps(VECTOR), " ".join(map(str, VECTOR)), 'a "quoted" [0.1234567]']
    body = {"texts": texts, "embeddings": {"float": [VECTOR]}}
    left = json.loads(answered(json.dumps(body).encode(), format="cohere_embed")[0])
    assert left == {"texts": texts, "embeddings": {"float": [ON_GRID]}}


HOSTILE = {
    "numbers as strings": {**OPENAI, "copy": [str(value) for value in VECTOR]},
    "numbers as escapes": {**OPENAI, "copy": "ESCAPED"},
    "a list in a string": {**OPENAI, "copy": json.dumps(VECTOR)},
    "an object of values": {**OPENAI, "copy": {f"d{at}": value for at, value in enumerate(VECTOR)}},
    "a list of objects": {**OPENAI, "copy": [{"v": value} for value in VECTOR]},
    "strings for numbers": {"data": [{"embedding": [str(value) for value in VECTOR]}]},
    "a number for a vector": {"data": [{"embedding": 0.123456}]},
    "a switch for a vector": {"data": [{"embedding": True}]},
    "too large a value": {"data": [{"embedding": [0.1, 1e300]}]},
    "words for a vector": {"data": [{"embedding": "not a vector"}]},
    "bad padding": {"data": [{"embedding": PACKED[:-1]}]},
    "no whole values": {"data": [{"embedding": base64.b64encode(b"12345").decode()}]},
    "letters of another alphabet": {"data": [{"embedding": PACKED[:-4] + "_-_-"}]},
    "packed as binary16": {"data": [{"embedding": base64.b64encode(struct.pack("<48e", *VECTOR)).decode()}]},
    "packed as bytes": {"data": [{"embedding": base64.b64encode(struct.pack("48b", *BYTES)).decode()}]},
    "switches for bits": {"data": [{"embedding": [True, False, True]}]},
}
BROKEN = {
    "a number beyond floating point": b'{"embedding":[0.1,1e999]}',
    "a value that is cut": b'{"embedding":[0.1,-]}',
    "no comma": b'{"embedding":[0.1 0.2]}',
    "no end": b'{"embedding":[0.1,0.2',
    "words in between": b'{"embedding":[0.1,a word,0.2]}',
    "a second value": b'{"embedding":[0.1]}{"embedding":[0.2]}',
    "no JSON around it": b'{"embedding":[0.1],}',
    "packed bytes": struct.pack("<48f", *VECTOR),
    "deep": b"[" * 100_000 + b"0.1" + b"]" * 100_000,
}
ESCAPED = "".join(f"\\u{ord(character):04x}" for character in json.dumps(VECTOR)).encode()
BODIES = {
    name: json.dumps(value).encode().replace(b"ESCAPED", ESCAPED) for name, value in HOSTILE.items()
} | BROKEN


@pytest.mark.usefixtures("twins")
@pytest.mark.parametrize("name", BODIES)
def test_what_cannot_be_put_on_the_grid_fails_as_the_policy_says(name: str) -> None:
    """Catches a vector in a spelling that passes, and an error of another kind."""
    with pytest.raises(WireError):
        answered(BODIES[name])
    assert answered(BODIES[name], passes=True)[0] == BODIES[name]


@pytest.mark.parametrize(
    ("body", "left"),
    [
        (b'{"embedding":[NaN,-Infinity,0.1234,null]}', b'{"embedding":[NaN,-Infinity,0.123,null]}'),
        (b'{"embedding":[-0.0,-0,1E-1,1e2]}', b'{"embedding":[0.0,0.0,0.1,100.0]}'),
        (b'{"embedding":[0.1234],"embedding":[0.5678]}', b'{"embedding":[0.123],"embedding":[0.568]}'),
        (b'{"emb\\u0065dding":[0.1234],"Embedding":[0.5678]}', b'{"emb\\u0065dding":[0.123],"Embedding":[0.568]}'),
        (b'\xef\xbb\xbf\n {"embedding":[ 0.1234 ]}\n', b'\xef\xbb\xbf\n {"embedding":[0.123]}\n'),
        (b'{"embedding":[]}', b'{"embedding":[]}'),
        (b'{"embedding":null}', b'{"embedding":null}'),
        (b'{"error":{"message":"no such model"}}', b'{"error":{"message":"no such model"}}'),
    ],
)  # fmt: skip
def test_odd_spellings(body: bytes, left: bytes) -> None:
    assert answered(body)[0] == left


def test_a_vector_that_cannot_be_read_is_paid_for() -> None:
    """Catches an upstream that computes for nothing: the count is read before the vector."""
    body = json.dumps({**OPENAI, "data": [{"embedding": "?"}]}).encode()
    made = Exchange(
        CODECS["openai_embeddings"], RequestFacts("/test", "openai_embeddings"), STEPPED, Tools(TOOLS.makers)
    )
    made.start(200, [(b"content-type", JSON)])
    made.receive(body, 0.0)
    with pytest.raises(WireError):
        made.end(0.0)
    assert made.settlement().usage.prompt == 8


def test_vectors_in_a_stream_of_events() -> None:
    """No server streams them; catches a stream that is compared in place of read."""
    frame = b"data: " + json.dumps(OPENAI).encode() + b"\n\n"
    out, _ = answered(frame * 4, kind=b"text/event-stream")
    values = [json.loads(part[6:])["data"][0]["embedding"] for part in out.split(b"\n\n")[:-1]]
    assert values == [ON_GRID] * 4


def test_a_vector_in_a_stream_that_cannot_be_read_is_dropped() -> None:
    """Catches good events that are lost with a bad one, or by where the stream is cut."""
    frames = [b"data: " + json.dumps({"embedding": one}).encode() + b"\n\n" for one in (VECTOR, "?", VECTOR)]
    out, settlement = answered(b"".join(frames), kind=b"text/event-stream")
    assert [json.loads(part[6:])["embedding"] for part in out.split(b"\n\n")[:-1]] == [ON_GRID] * 2
    assert settlement.reasons == ("unreadable_frame",)
    assert answered(b"".join(frames), kind=b"text/event-stream", size=5)[0] == out


@pytest.mark.parametrize("name", ["words in between", "no comma", "a value that is cut", "no JSON around it"])
def test_without_a_step_what_is_no_json_is_unreadable_too(name: str) -> None:
    """Catches words that leave because nobody reads a list that nothing is done to."""
    with pytest.raises(WireError):
        answered(BROKEN[name], PLAIN)


def test_a_large_batch_is_read_whole_up_to_a_bound() -> None:
    """Catches a batch that is read in part, and a body that is held without a bound."""
    many = {
        **OPENAI,
        "data": [{"object": "embedding", "index": at, "embedding": VECTOR} for at in range(500)],
    }
    left = json.loads(answered(json.dumps(many).encode())[0])
    assert [one["embedding"] for one in left["data"]] == [ON_GRID] * 500
    with pytest.raises(WireError, match="more than"):
        answered(b"[" + b"0.12345678," * (7 * 1024 * 1024))
