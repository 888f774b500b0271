"""Kernels are compiled when told, once, and never by an import."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from hardening.kernels.jit import kernel


def run(program: str, **environment: str) -> str:
    variables = {**os.environ, **environment}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=variables, check=True
    )
    return done.stdout.strip()


def test_importing_brings_no_numba_and_the_twins_answer():
    program = (
        "import sys; from hardening import kernels; from hardening.transform.logprobs import LogprobCutter; "
        'cut = LogprobCutter(1, 0.25).cut(b\'[{"token":"a","logprob":-0.1}]\', None); '
        "print('numba' in sys.modules, kernels.ready(), cut.decode())"
    )
    assert run(program) == 'False False [{"token":"a","logprob":-0.25}]'


def test_warming_makes_them_ready_and_a_second_start_writes_no_cache_file(tmp_path):
    program = "from hardening import kernels; print(kernels.warm().kernels > 0, kernels.ready())"
    assert run(program, NUMBA_CACHE_DIR=str(tmp_path)) == "True True"
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nb*")}
    assert files
    assert run(program, NUMBA_CACHE_DIR=str(tmp_path)) == "True True"
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nb*")} == files


def test_without_a_place_for_the_cache_a_kernel_compiles_at_each_start_and_says_so():
    space: dict[str, Any] = {}
    exec("def double(value):\n    return 2 * value\n", space)
    with pytest.warns(RuntimeWarning, match="compiled at every start"):
        double = kernel(space["double"])
    assert double(21) == 42
