"""The reference is numbers in a file: what is shipped loads, what is none is refused with its fault."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hardening.errors import StartError
from hardening.scoring import reference
from hardening.state.standing import SLOTS


def test_the_shipped_one_has_a_signal_for_each_slot_that_is_its_to_fill():
    names = {signal.name for signal in reference.load().signals()}
    assert names == set(SLOTS) - {"coverage", "overlap", "app"}
    assert reference.load().calibration().digest


def test_what_is_saved_loads_alike_and_the_same_bytes(tmp_path):
    known = reference.load()
    known.save(tmp_path / "one.npz")
    known.save(tmp_path / "two.npz")
    again = reference.load(tmp_path / "one.npz")
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    assert (again.weights == known.weights).all()
    assert again.prior == known.prior


@pytest.mark.parametrize("packed", [b"", b"PK\x05\x06" + bytes(18), b"no numbers", bytes(2 << 20)])
def test_what_is_none_is_refused(tmp_path, packed):
    path = tmp_path / "bad.npz"
    path.write_bytes(packed)
    with pytest.raises(StartError, match=r"bad\.npz"):
        reference.load(path)
    with pytest.raises(StartError, match=r"none\.npz"):
        reference.load(tmp_path / "none.npz")


@pytest.mark.parametrize(
    "change",
    [
        {"prior": float("nan")},
        {"weights": np.zeros((2, 9), np.int8)},
        {"slots": np.full(len(SLOTS), np.inf)},
        {"usual": np.zeros(2048)},
    ],
)
def test_numbers_of_another_shape_or_none_are_refused(tmp_path, change):
    replace(reference.load(), **change).save(tmp_path / "odd.npz")
    with pytest.raises(StartError, match=next(iter(change))):
        reference.load(tmp_path / "odd.npz")
