"""Values that leave lie on the grid, below what came in, and stay when they are stepped again."""

from __future__ import annotations

import math
from decimal import Decimal

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardening.kernels.grid import Grid


def text(value: float, step: float) -> str:
    grid = Grid.of(step)
    return orjson.dumps(grid.fragment(grid.level(value))).decode()


@pytest.mark.parametrize(
    ("value", "step", "expected"),
    [
        (-1.01, 0.25, "-1.25"),
        (-1.25, 0.25, "-1.25"),
        (-0.0, 0.25, "0.0"),
        (-1e-310, 0.25, "-0.25"),
        (1e-9, 0.25, "0.0"),
        (-0.3, 0.1, "-0.3"),
        (-9999.0, 0.7, "-9999.0"),
        (-1e300, 0.25, "-9999.0"),
        (-math.inf, 0.25, "-9999.0"),
        (math.nan, 0.25, "-9999.0"),
        (-0.5, 1.0, "-1.0"),
        (-0.1, 1e-5, "-0.1"),
    ],
)
def test_a_value_is_floored_and_written_in_fixed_point(value, step, expected):
    assert text(value, step) == expected


@given(st.floats(-9000, 0), st.sampled_from([0.1, 0.25, 0.3, 0.5, 1.0, 2.5, 1e-6]))
def test_stepping_twice_changes_nothing_and_never_raises_a_value(value, step):
    once = text(value, step)
    assert text(float(once), step) == once
    assert Decimal(once) % Decimal(repr(step)) == 0
    near = 1e-9 * step + 2e-12 * abs(value)  # what is this near to the grid counts as on it
    assert value - step - near <= float(once) <= value + near


def test_a_finer_step_than_can_be_written_becomes_coarser_not_finer():
    assert Grid.of(1e-13).step == 1e-12


@pytest.mark.parametrize("step", [-0.1, 1e4, math.nan])
def test_an_impossible_step_is_refused(step):
    with pytest.raises(ValueError, match="step"):
        Grid.of(step)
