"""The pinned files cover what the project declares, with hashes, and name no index; each library has its reason."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
PIN = re.compile(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+)", re.MULTILINE)

FILES = {
    "dev.txt": ("dev", "redis", "serve"),
    "serve.txt": ("redis", "serve"),
    "redteam.txt": ("redteam",),
}


def declared(extras: tuple[str, ...]) -> list[Requirement]:
    """What the project asks for with these extras, PyTorch apart, which pip chooses."""
    lines = [*PROJECT["dependencies"], *(line for extra in extras for line in EXTRAS[extra])]
    return [requirement for requirement in map(Requirement, lines) if requirement.name != "torch"]


def entries(name: str) -> list[str]:
    """Each pin of a requirement file with its continuation lines."""
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    return re.split(r"\n(?=[A-Za-z0-9])", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE).strip())


@pytest.mark.parametrize("name", FILES)
def test_every_declared_library_is_pinned_within_its_bounds(name: str) -> None:
    pins: dict[str, list[str]] = {}
    for library, version in PIN.findall("\n".join(entries(name))):
        pins.setdefault(library, []).append(version)
    for requirement in declared(FILES[name]):
        assert pins.get(requirement.name), requirement.name
        assert all(version in requirement.specifier for version in pins[requirement.name]), requirement.name


@pytest.mark.parametrize("name", FILES)
def test_every_pin_has_hashes_and_no_index_is_named(name: str) -> None:
    for entry in entries(name):
        assert PIN.match(entry), entry
        assert "--hash=sha256:" in entry, entry
    assert "://" not in (ROOT / "requirements" / name).read_text(encoding="utf-8")


def test_files_agree_on_each_version() -> None:
    seen: dict[str, set[str]] = {}
    for library, version in PIN.findall("\n".join(entries("dev.txt"))):
        seen.setdefault(library, set()).add(version)
    for name in ("serve.txt", "redteam.txt"):
        for library, version in PIN.findall("\n".join(entries(name))):
            assert version in seen.get(library, {version}), library


def test_every_library_has_its_reason_in_the_decision() -> None:
    record = (ROOT / "docs" / "decisions" / "0002-dependencies.md").read_text(encoding="utf-8").lower()
    for library in declared(tuple(EXTRAS)):
        assert re.search(rf"\b{re.escape(library.name)}\b", record), library.name


def test_nothing_is_bounded_from_above() -> None:
    for requirement in declared(tuple(EXTRAS)):
        assert {specifier.operator for specifier in requirement.specifier} == {">="}, requirement.name
