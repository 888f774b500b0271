"""The kernel and its twin are one function: equal bytes for rows of any shape, whole, cut or broken."""

from __future__ import annotations

import json
from random import Random

import numpy as np
import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hardening.facts import NOISE_SIZES
from hardening.kernels import compiled, plain
from hardening.kernels.codes import MISALIGNED, NO_ROOM, NOT_UNDERSTOOD
from hardening.kernels.draws import Draws
from hardening.kernels.grid import Grid
from hardening.kernels.logprobs import SPARE
from hardening.kernels.logprobs import cut_rows as kernel

QUARTER = Grid.of(0.25)
ROW = b'[{"token":"a","logprob":-0.5,"bytes":[97],"top_logprobs":[{"token":"b","logprob":-0.1}]}]'

tokens = st.text(st.characters(codec=None), max_size=4) | st.sampled_from(
    ["</s>", "bytes:\\xe2", '"', "\\", ""]
)
ordinary = st.floats(-40, 0) | st.integers(-400, 0).map(lambda n: n / 4)
numbers = ordinary.map(repr) | st.sampled_from(
    [
        "-9999.0",
        "0",
        "-0",
        "-0.0",
        "5e-324",
        "-1e-310",
        "-1E2",
        "NaN",
        "-Infinity",
        "null",
        '"x"',
        "01",
        "-1.",
        "-1.0000000000000002",
        "-0.25000000000000000001",
        "-1e400",
        "9" * 30,
        "true",
    ]
)
noises = st.sampled_from(NOISE_SIZES)
steps = st.sampled_from([0.0, 0.25, 0.1, 0.3, 1.0, 1e-7, 9999.0])


@st.composite
def entries(draw, alternatives=st.none()):
    token = draw(tokens)
    members = [
        ("token", json.dumps(token, ensure_ascii=draw(st.booleans()))),
        ("logprob", draw(numbers)),
        ("bytes", draw(st.sampled_from(["null", str(list(token.encode("utf-8", "surrogatepass")))]))),
    ]
    rows = draw(alternatives)
    if rows is not None:
        members.append(("top_logprobs", f"[{','.join(rows)}]"))
    members = draw(st.permutations(members))
    extra = draw(st.sampled_from([()] * 9 + [(("id", "1"),), (members[0],)]))
    gap = draw(st.sampled_from(["", "", " ", "\n\t"]))
    return "{" + ("," + gap).join(f'"{name}":{gap}{value}' for name, value in [*members, *extra]) + gap + "}"


arrays = st.lists(entries(st.lists(entries(), max_size=6)), max_size=3).map(
    lambda rows: f"[{','.join(rows)}]".encode("utf-8", "surrogatepass")
)


@settings(max_examples=400, deadline=None)
@given(arrays, st.none() | st.integers(0, 4), steps, st.none() | tokens, st.booleans())
@example(ROW, 1, 0.25, "a", True)
def test_kernel_and_twin_give_equal_bytes(raw, top, step, visible, lone):
    text = None if visible is None else visible.encode("utf-8", "surrogatepass")
    arguments = {"visible": text, "top": top, "grid": Grid.of(step), "lone": lone}
    assert compiled.cut_rows(raw, **arguments) == plain.cut_rows(raw, **arguments)


def draws(size: float) -> Draws:
    return Draws(bytes(range(32)), size)


@settings(max_examples=400, deadline=None)
@given(
    arrays,
    st.none() | st.integers(1, 4),
    st.sampled_from([0.25, 0.1, 1.0]),
    st.none() | tokens,
    noises,
    st.booleans(),
)
@example(ROW, 1, 0.25, "a", 1.0, False)
def test_under_noise_they_give_equal_bytes_and_go_on_from_one_place(raw, top, step, visible, size, lone):
    text = None if visible is None else visible.encode("utf-8", "surrogatepass")
    arguments = {"visible": text, "top": top, "grid": Grid.of(step), "lone": lone}
    one, other = draws(size), draws(size)
    assert compiled.cut_rows(raw, **arguments, draws=one) == plain.cut_rows(raw, **arguments, draws=other)
    assert one.words.tolist() == other.words.tolist()


@pytest.mark.parametrize("token", ["", "a", " é\n", "x" * 79, "x" * 80, "x" * 81, "日本" * 200])
def test_a_token_of_any_length_draws_the_same_in_both_however_it_is_spelled(token):
    found = []
    for text in (json.dumps(token), json.dumps(token, ensure_ascii=False)):
        raw = b'[{"token":%b,"logprob":-9.0}]' % text.encode()
        for twin in (compiled, plain):
            moved = draws(1.0)
            found.append(
                (
                    twin.cut_rows(raw, visible=None, top=1, grid=QUARTER, draws=moved)[-10:],
                    moved.words.tolist(),
                )
            )
    assert found == found[:1] * 4


@settings(max_examples=200, deadline=None)
@given(arrays, st.integers(0, 500), st.integers(0, 255))
def test_a_cut_or_a_wrong_byte_makes_no_difference_between_them(raw, at, byte):
    at %= len(raw)
    for broken in (raw[:at], raw[:at] + bytes([byte]) + raw[at + 1 :]):
        arguments = {"visible": None, "top": 2, "grid": QUARTER}
        assert compiled.cut_rows(broken, **arguments) == plain.cut_rows(broken, **arguments)


def call(raw: bytes, *, visible: bytes = b"", length: int = -1, room: int | None = None) -> int:
    """The kernel's own answer, minus where its output begins."""
    scratch = compiled.Arrays.of(0)
    size = len(raw) + max(length, 0)
    array = np.zeros(room if room is not None else 3 * size + SPARE, np.uint8)
    text = np.frombuffer(raw + visible, np.uint8)
    array[: len(text)] = text[: len(array)]
    grid = (QUARTER.step, QUARTER.unit, QUARTER.places)
    noise = (compiled._NO_SHARES, scratch.unkeyed, scratch.moved)
    end = kernel(array, len(raw), length, 5, True, *grid, scratch.notes, scratch.numbers, *noise)
    return end if end < 0 else end - size


def test_every_prefix_of_a_row_is_refused():
    assert [call(ROW[:end]) for end in range(len(ROW))] == [NOT_UNDERSTOOD] * len(ROW)


def test_common_rows_are_understood():
    row = {
        "token": " é\n",
        "logprob": -0.00012511172099038959,
        "bytes": [32, 195, 169, 10],
        "top_logprobs": [],
    }
    for raw in (orjson.dumps([row]), json.dumps([row]).encode(), json.dumps([row, row], indent=1).encode()):
        assert call(raw) > 0


@pytest.mark.parametrize(
    "raw",
    [
        b'[{"token":"a","logprob":-1,"rank":3}]',
        b'[{"token":"a","token":"b","logprob":-1}]',
        b'[{"token":"\\ud83d","logprob":-1}]',
        b'[{"token":"\xff","logprob":-1}]',
        b'[{"token":"a","logprob":NaN}]',
        b'[{"token":"a","logprob":-1,"bytes":[256]}]',
        b'[{"token":"a"}]',
        b'{"token":"a","logprob":-1}',
        b'[{"token":"a","logprob":-1}] 1',
    ],
)
def test_what_is_not_known_for_certain_is_refused(raw):
    assert call(raw) == NOT_UNDERSTOOD


def test_rows_that_spell_another_text_have_their_own_code():
    assert call(ROW, visible=b"b", length=1) == MISALIGNED
    assert call(ROW, visible=b"ab", length=2) == MISALIGNED
    assert call(ROW, visible=b"a", length=1) > 0


def test_a_small_room_is_not_written():
    assert call(ROW, room=len(ROW) + 10) == NO_ROOM


SPECIAL = [
    "-9999.0",
    "0",
    "-0",
    "-0.0",
    "5e-324",
    "-1e-310",
    "NaN",
    "-Infinity",
    "null",
    "-1.0000000000000002",
]
TOKENS = [
    "a",
    " the",
    "é",
    "日本",
    "\n",
    '"',
    "\\",
    "x" * 90,
    "",
    "bytes:\\xe2",
    "😀",
    *(f"t{n}" for n in range(40)),
]


def number(random: Random) -> str:
    kind = random.random()
    if kind < 0.04:
        return random.choice(SPECIAL)
    return repr(-random.randrange(40) / 4 if kind < 0.3 else -random.expovariate(0.3))


def written(random: Random, alternatives: list[str] | None = None) -> str:
    token = random.choice(TOKENS)
    told = f'"token":{json.dumps(token, ensure_ascii=random.random() < 0.5)},"logprob":{number(random)}'
    told += f',"bytes":{list(token.encode())}' if random.random() < 0.7 else ""
    return "{" + told + ("" if alternatives is None else f',"top_logprobs":[{",".join(alternatives)}]') + "}"


@pytest.mark.slow
def test_on_a_hundred_thousand_rows_they_are_one_function():
    random, left = Random(7), 100_000
    while left > 0:
        counts = [random.choice([None, 0, 1, 3, 5, 8, 20]) for _ in range(random.randrange(4))]
        rows = [written(random, None if n is None else [written(random) for _ in range(n)]) for n in counts]
        left -= max(len(rows), 1)
        raw = f"[{','.join(rows)}]".encode()
        top, grid = random.choice([None, 1, 2, 5, 5]), Grid.of(random.choice([0.25, 0.25, 1.0, 0.1, 0.01]))
        size, lone = random.choice([None, *NOISE_SIZES]), random.random() < 0.7
        one, other = (None if size is None else draws(size) for _ in range(2))
        assert compiled.cut_rows(raw, None, top, grid, one, lone) == plain.cut_rows(
            raw, None, top, grid, other, lone
        )
        assert one is None or one.words.tolist() == other.words.tolist()
