"""Embedding values on a grid: the kernel equals its twin, order is kept, stepping twice changes nothing."""

from __future__ import annotations

import json
import math
import random
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardening.kernels import compiled, plain
from hardening.kernels.grid import Grid
from hardening.kernels.steps import step_bytes, step_doubles

STEPS = (0.001, 0.004, 0.016, 0.25, 1e-6, 1 / 128, 0.3, 2.0, 16.0, 1e-12, 0.123456789012)
ODD = (
    "-0.0", "-0", "NaN", "Infinity", "-Infinity", "1e999", "5e-324", "1048576", "1048577", "1e6", "1E5", "-1e-7",
    "0.0005", "-0.0005", "0.0015", "0.00150000000000000001", "0.12345678901234567890123", "0.5e1", "0.0000000",
    "01", "1.", "0.", "+1", ".5", "-", "-.5", "1e", "true", "nul", "null", '"1"', "[]", "", "12345678901234567890",
)  # fmt: skip
ROWS = 20_000


def _number(draw: random.Random) -> str:
    kind = draw.random()
    if kind < 0.5:
        return repr(draw.gauss(0, 0.03))
    if kind < 0.6:
        return repr(draw.randint(-2000, 2000) * 0.0005)  # ties
    if kind < 0.7:
        return str(draw.randint(-2, 2))
    if kind < 0.8:
        return f"{draw.gauss(0, 1) * 10.0 ** draw.randint(-320, 5):.3e}"
    if kind < 0.85:
        return draw.choice(ODD)
    return repr(struct.unpack("<f", struct.pack("<f", draw.gauss(0, 0.05)))[0])


def _list(draw: random.Random) -> bytes:
    if draw.random() < 0.1:
        numbers = [str(draw.randint(-128, 127)) for _ in range(draw.randint(0, 5))]
    else:
        numbers = [_number(draw) for _ in range(draw.randint(0, 6))]
    space = draw.choice(["", " ", "\n\t"])
    text = f"{space}[{space}{f'{space},{space}'.join(numbers)}{space}]{space}"
    return text[: draw.randint(0, len(text))].encode() if draw.random() < 0.05 else text.encode()


def test_the_kernel_for_lists_equals_its_twin() -> None:
    """Catches a number that one reads and the other does not, and a digit more or less."""
    draw = random.Random(11)
    read = 0
    for _ in range(ROWS):
        raw, grid = _list(draw), Grid.of(draw.choice(STEPS))
        stepped = plain.step_list(raw, grid)
        assert compiled.step_list(raw, grid) == stepped, (raw, grid)
        read += stepped is not None
    assert read > ROWS / 3


def _otherwise(draw: random.Random, size: int) -> bytes:
    """Values of eight bytes, or of two, as many as fit into `size` of four."""
    values = np.array([draw.gauss(0, 0.05) for _ in range(2 * size)], "<f4")
    halves = (values.view("<u4") >> 16).astype("<u2").tobytes()
    double = values[: size // 2].astype("<f2").astype("<f8").tobytes()
    return draw.choice((halves, double, values.astype("<f2").tobytes()))


def test_the_kernel_for_floats_equals_its_twin() -> None:
    """Catches -inf, NaN, denormals, ties and empty vectors that one treats otherwise."""
    draw = random.Random(12)
    odd = (0.0, -0.0, math.nan, math.inf, -math.inf, 1e-42, 0.0005, 0.0015, -0.0005, 1e6, 2e6)
    for _ in range(ROWS):
        size = draw.choice((draw.randint(0, 6), draw.randint(14, 40)))
        bits = draw.randbytes(4 * size + (draw.random() < 0.05))
        values = [draw.choice(odd) if draw.random() < 0.3 else draw.gauss(0, 0.05) for _ in range(size)]
        packed = draw.choice((bits, struct.pack(f"<{size}f", *values), _otherwise(draw, size)))
        grid = Grid.of(draw.choice(STEPS))
        assert compiled.step_floats(packed, grid) == plain.step_floats(packed, grid), (packed, grid)


@pytest.mark.parametrize(
    ("raw", "step", "expected"),
    [
        (b"[0.0124, -0.0126 ,0.5]", 0.001, b"[0.012,-0.013,0.5]"),
        (b"[-0.0004,0.0004,-0.0]", 0.001, b"[0.0,0.0,0.0]"),  # a sign would tell more than the grid
        (b"[1,0,0]", 0.001, b"[1.0,0.0,0.0]"),
        (b"[0.3,null,NaN]", 0.25, b"[0.25,null,NaN]"),
        (b"[12.34,1e3]", 0.1, b"[12.3,1000.0]"),
        (b"[7.9]", 2.0, b"[8.0]"),
        (b"[ ]", 0.1, b"[]"),
        (b"[-4,127,0]", 0.001, b"[-4,127,0]"),  # packed as bytes, which is the coarser grid
        (b"[-4,127,0,null,1]", 0.015625, b"[-4,127,0,null,0]"),
        (b"[-128, 127,60,-61,5]", 0.0625, b"[-128,127,64,-64,8]"),
        (b"[255,2,0]", 0.0625, b"[255,0,0]"),
        (b"[-4,300]", 0.016, b"[]"),
        (b"[0.1,2000000.5]", 0.001, None),
        (b"[0.1,[0.2]]", 0.001, None),
        (b'[0.1,"0.2"]', 0.001, None),
        (b"[0.1,true]", 0.001, None),
        (b'{"0":0.1}', 0.001, None),
        (b"0.1", 0.001, None),
        (b"[0.1", 0.001, None),
        (b"[0.1]]", 0.001, None),
    ],
)
def test_what_becomes_of_a_list(raw: bytes, step: float, expected: bytes | None) -> None:
    for twin in (plain, compiled):
        assert twin.step_list(raw, Grid.of(step)) == expected


@given(st.lists(st.floats(-2, 2), max_size=8), st.sampled_from(STEPS[:-2]))
@settings(max_examples=300)
def test_values_lie_on_the_grid_in_their_order_and_near(values: list[float], step: float) -> None:
    grid = Grid.of(step)
    raw = json.dumps(values).encode()
    stepped = compiled.step_list(raw, grid)
    assert stepped is not None
    assert compiled.step_list(stepped, grid) == stepped
    numbers = json.loads(stepped)
    for value, number in zip(values, numbers, strict=True):
        assert abs(number / grid.step - round(number / grid.step)) < 1e-6
        assert abs(value - number) <= grid.step * (0.5 + 1e-9) + 1e-12
    ranked = sorted(range(len(values)), key=values.__getitem__)
    assert [numbers[at] for at in ranked] == sorted(numbers)


@pytest.mark.parametrize(
    ("values", "step", "expected"),
    [
        ([0.0124, -0.0126, 0.0004, -0.0004], 0.001, [0.012, -0.013, 0.0, 0.0]),
        ([math.nan, math.inf, -math.inf], 0.5, [math.nan, math.inf, -math.inf]),
        ([], 0.5, []),
        ([1e-42, -1e-42], 0.5, None),  # no embedding is so small: two halves of binary16 read so
        ([0.5, 1e30], 0.5, None),  # nor so large
    ],
)
def test_what_becomes_of_packed_floats(
    values: list[float], step: float, expected: list[float] | None
) -> None:
    packed = np.array(values, "<f4").tobytes()
    for twin in (plain, compiled):
        stepped = twin.step_floats(packed, Grid.of(step))
        assert stepped == (None if expected is None else np.array(expected, "<f4").tobytes())
        if stepped is not None:
            assert twin.step_floats(stepped, Grid.of(step)) == stepped


def _packed(values: np.ndarray, kind: str) -> bytes:
    if kind == "bfloat16":
        return (values.astype("<f4").view("<u4") >> 16).astype("<u2").tobytes()
    if kind in ("<f8 of f4", "<f8 of f2"):
        return values.astype(f"<{kind[-2:]}").astype("<f8").tobytes()
    return (values * 127 if kind == "i1" else values).astype(kind).tobytes()


@pytest.mark.parametrize("kind", ["<f2", "bfloat16", "i1", ">f4", "<f8", ">f8", "<f8 of f4", "<f8 of f2"])
@pytest.mark.parametrize("size", [64, 384, 1536])
@pytest.mark.parametrize("scale", [1.0, 8.0, 60.0])
def test_another_packing_is_not_taken_for_binary32(kind: str, size: int, scale: float) -> None:
    """Catches a vector that would leave falsified, or finer than the grid, because its bytes mean something else."""
    values = scale * np.random.default_rng(3).standard_normal(size) / size**0.5
    packed = _packed(values, kind)
    assert plain.step_floats(packed, Grid.of(0.001)) is None
    assert compiled.step_floats(packed, Grid.of(0.001)) is None


@pytest.mark.parametrize("kind", ["<f8", "<f8 of f4", "<f8 of f2"])
@pytest.mark.parametrize("size", [64, 384, 1536])
@pytest.mark.parametrize("scale", [1.0, 60.0])
def test_binary64_lies_on_the_grid_as_such(kind: str, size: int, scale: float) -> None:
    """Catches a server that packs what its model has computed in, and an answer that is falsified or refused for it."""
    packed = _packed(scale * np.random.default_rng(3).standard_normal(size) / size**0.5, kind)
    stepped = step_doubles(packed, Grid.of(0.001))
    assert stepped is not None
    after, before = np.frombuffer(stepped, "<f8"), np.frombuffer(packed, "<f8")
    assert np.abs(after - before).max() <= 0.0005 + 1e-9
    assert np.abs(after * 1000 - np.rint(after * 1000)).max() < 1e-9
    assert step_doubles(stepped, Grid.of(0.001)) == stepped


@pytest.mark.parametrize("kind", ["<f2", "bfloat16", "i1", ">f4", "<f4", ">f8"])
@pytest.mark.parametrize("scale", [1.0, 8.0, 60.0])
def test_no_other_packing_is_taken_for_binary64(kind: str, scale: float) -> None:
    values = scale * np.random.default_rng(3).standard_normal(384) / 384**0.5
    assert step_doubles(_packed(values, kind), Grid.of(0.001)) is None


@pytest.mark.parametrize("size", [1, 3, 16, 64, 1536])
@pytest.mark.parametrize("made", ["<f4", "<f2", "bfloat16", "sparse", "decimals"])
def test_binary32_is_taken_for_what_it_is_however_its_values_were_made(made: str, size: int) -> None:
    values = np.random.default_rng(4).standard_normal(size).astype("<f4") / size**0.5
    if made == "bfloat16":
        values = (values.view("<u4") >> 16 << 16).view("<f4")
    elif made == "sparse":
        values = np.maximum(values, 0.0)
    elif made == "decimals":
        values = np.round(values, 3).astype("<f4")
    packed = values.astype(made if made[0] == "<" else "<f4").astype("<f4").tobytes()
    stepped = plain.step_floats(packed, Grid.of(0.001))
    assert stepped is not None
    assert np.abs(np.frombuffer(stepped, "<f4") - np.frombuffer(packed, "<f4")).max() <= 0.00051
    assert compiled.step_floats(packed, Grid.of(0.001)) == stepped


@pytest.mark.parametrize("step", [0.001, 1 / 128, 0.01, 0.03, 0.0625, 0.3, 1.0, 4.0])
def test_signed_bytes_lie_on_the_coarser_grid(step: float) -> None:
    """Catches bytes that leave finer than the policy, or change when they are stepped twice, or their order."""
    grid = Grid.of(step)
    every = np.arange(-128, 128).astype("i1")
    stepped = np.frombuffer(step_bytes(every.tobytes(), grid), "i1")
    assert step_bytes(stepped.tobytes(), grid) == stepped.tobytes()
    assert (np.diff(stepped.astype(int)) >= 0).all()
    width = max(1.0, grid.step * 128)
    assert np.abs(stepped.astype(int) - every).max() <= max(width, 1) / 2 + 1 - (width == 1)
    assert len(set(stepped.tolist())) <= 256 / width + 2
    listed = json.loads(plain.step_list(json.dumps(every.tolist()).encode(), grid) or b"")
    assert listed == stepped.tolist()


def _noise(values: np.ndarray) -> np.ndarray | None:
    """Noise for three values and more, another for each vector."""
    if values.size < 3:
        return None
    return np.random.default_rng(values.size).standard_normal(values.size) + np.nan_to_num(values[0])


def test_kernels_equal_their_twins_under_noise() -> None:
    """Catches noise that is added at another place, or to a vector that one of the two leaves out."""
    draw = random.Random(13)
    read = empty = 0
    for _ in range(ROWS // 4):
        raw, grid = _list(draw), Grid.of(draw.choice(STEPS))
        stepped = plain.step_list(raw, grid, _noise)
        assert compiled.step_list(raw, grid, _noise) == stepped, (raw, grid)
        read += stepped is not None
        empty += stepped == b"[]"
        values = [draw.gauss(0, 0.05) for _ in range(draw.randint(0, 6))]
        packed = struct.pack(f"<{len(values)}f", *values)
        assert compiled.step_floats(packed, grid, _noise) == plain.step_floats(packed, grid, _noise)
    assert read > ROWS / 12
    assert empty > 100


@pytest.mark.parametrize("number", ["0.11750000000000001", "0.206500000000000017", "0.09549999999999999"])
def test_a_number_that_is_not_exact_is_not_taken_for_a_tie_under_noise(number: str) -> None:
    """Catches a second look at a list that forgets what the first was not certain of."""
    raw = f"[{number},0.5]".encode()
    nearest = round(float(number) / 0.001)
    for twin in (plain, compiled):
        assert twin.step_list(raw, Grid.of(0.001), np.zeros_like) == b"[0.%03d,0.5]" % nearest


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"[0.1,null,0.3, 0.4]", b"[1.1,null,3.3,4.4]"),
        (b"[0.1,-Infinity,0.3]", b"[1.1,-Infinity,3.3]"),
        (b"[1,0,-1]", b"[2.0,2.0,2.0]"),
        (b"[1,0,-2]", b"[]"),  # packed as bytes
        (b"[0.1,0.2]", b"[]"),
        (b"[]", b"[]"),
        (b"[0.1,0.2,2000000.5]", None),
        (b"[0.1,0.2,0.3", None),
        (b"[0.1,0.2,0.3]]", None),
        (b"[0.1,0.2,]", None),
    ],
)
def test_what_becomes_of_a_list_under_noise(raw: bytes, expected: bytes | None) -> None:
    def noise(values: np.ndarray) -> np.ndarray | None:
        return np.arange(1.0, values.size + 1) if values.size > 2 else None

    for twin in (plain, compiled):
        assert twin.step_list(raw, Grid.of(0.1), noise) == expected


def test_what_becomes_of_packed_floats_under_noise() -> None:
    values = np.array([0.1, math.nan, -math.inf, 0.4], "<f4")
    for twin in (plain, compiled):
        left = twin.step_floats(values.tobytes(), Grid.of(0.1), lambda given: np.arange(given.size) + 1.0)
        assert left == np.array([1.1, math.nan, -math.inf, 4.4], "<f4").tobytes()
        assert twin.step_floats(values.tobytes(), Grid.of(0.1), lambda given: None) == b""
        assert twin.step_floats(values.tobytes()[:-1], Grid.of(0.1), _noise) is None


def test_a_list_that_grows_finds_room() -> None:
    raw = b"[" + b",".join([b"1e6"] * 5000) + b"]"
    assert compiled.step_list(raw, Grid.of(0.123456789012)) == plain.step_list(raw, Grid.of(0.123456789012))
