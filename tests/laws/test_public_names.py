"""The names that apps build on: sorted, importable, documented, and cheap until they are used."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys

import pytest

import hardening

PROMISED = {
    "HardeningMiddleware",
    "DEFERRED",
    "admit",
    "decision",
    "Refused",
    "Policy",
    "load_policy",
    "find_preset",
    "Account",
    "Receipt",
    "HardeningError",
}
HEAVY = {"numba", "tiktoken", "pydantic", "starlette", "prometheus_client", "typer", "rich", "redis"}


def test_the_list_is_sorted_and_holds_what_was_promised() -> None:
    assert list(hardening.__all__) == sorted(set(hardening.__all__))
    assert set(hardening.__all__) >= PROMISED


@pytest.mark.parametrize("name", hardening.__all__)
def test_a_public_name_loads_and_says_what_it_is(name: str) -> None:
    value = getattr(hardening, name)
    if inspect.isclass(value) or inspect.isroutine(value):
        assert inspect.getdoc(value)
        assert value.__module__.startswith("hardening.")


def test_help_on_the_package_says_what_each_name_is_for() -> None:
    assert hardening.__doc__ is not None
    told = set(re.findall(r"\w+", " ".join(re.findall(r"`[^`]+`", hardening.__doc__))))
    assert set(hardening.__all__) - told == set()
    assert repr(hardening.DEFERRED) == "DEFERRED"


@pytest.mark.parametrize("name", ["HardeningMiddleware", "Policy", "admit", "decision", "Account"])
def test_help_names_every_parameter(name: str) -> None:
    value = getattr(hardening, name)
    for parameter in inspect.signature(value).parameters:
        assert f"{parameter}:" in (inspect.getdoc(value) or ""), parameter


def test_dir_shows_the_public_names_and_an_unknown_one_is_an_attribute_error() -> None:
    assert set(hardening.__all__) <= set(dir(hardening))
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = hardening.no_such_name


def imports_of(statement: str) -> set[str]:
    """The top-level modules that a fresh interpreter holds after `statement`."""
    code = (
        f"{statement}\nimport json, sys\nprint(json.dumps(sorted({{m.split('.')[0] for m in sys.modules}})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_importing_the_package_loads_no_library() -> None:
    assert imports_of("import hardening") & HEAVY == set()


def test_reading_a_policy_loads_no_kernel() -> None:
    assert "numba" not in imports_of("from hardening import load_policy; load_policy('baseline')")
