"""Finds policies and the files of cases beside them: `policy.yaml` and `policy_test.yaml`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hardening.policy import find_preset, preset_names
from hardening.policy.nodes import MAX_BYTES

MAX_FOLDERS = 20_000
"""How many folders a search looks into; what is larger is no folder of policies."""

_ENDINGS = (".yaml", ".yml")
_FOREIGN = frozenset({"node_modules", "__pycache__", "site-packages"})
_POLICY = re.compile(rb"^version[ \t]*:", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Pair:
    """A policy as `load_policy` takes it, its file, and its file of cases where there is one."""

    source: str | Path
    policy: Path
    cases: Path | None


def find_pairs(names: list[str]) -> list[Pair]:
    """The policies that these files, folders and presets stand for, each once.

    Raises:
        LookupError: one of them stands for nothing, or for too much.
        OSError: a folder or a file cannot be read.
    """
    pairs: dict[Path, Pair] = {}
    for name in names:
        found = list(_found(name))
        if not found:
            raise LookupError(f"{name}: no policy.yaml below this folder; give a policy file")
        for pair in found:
            pairs.setdefault(pair.policy.resolve(), pair)
    return list(pairs.values())


def _found(name: str) -> Iterator[Pair]:
    path = Path(name)
    if path.is_dir():
        yield from _below(path)
    elif path.is_file():
        policy = _policy_of(path)
        if policy is None:
            yield Pair(path, path, _cases_of(path))
        else:
            yield Pair(policy, policy, path)
    elif name in preset_names():
        preset = find_preset(name)
        yield Pair(name, preset, _cases_of(preset))
    else:
        presets = ", ".join(preset_names())
        raise LookupError(
            f"{name}: there is no such file; give a policy file, a folder or a preset ({presets})"
        )


def _below(top: Path) -> Iterator[Pair]:
    """The pairs in a folder and the folders in it, hidden and foreign ones left out."""
    for count, (place, folders, files) in enumerate(os.walk(top, onerror=_fail), start=1):
        if count > MAX_FOLDERS:
            raise LookupError(f"{top}: found more than {MAX_FOLDERS} folders; give a smaller one")
        if "pyvenv.cfg" in files:
            folders.clear()
        folders[:] = sorted(name for name in folders if name[0] != "." and name not in _FOREIGN)
        for name in sorted(files):
            path = Path(place, name)
            if path.suffix in _ENDINGS and not path.stem.endswith("_test"):
                cases = _cases_of(path)
                if path.stem == "policy" or (cases is not None and _says_version(path)):
                    yield Pair(path, path, cases)


def _fail(error: OSError) -> None:
    """A folder that cannot be read is no folder without policies."""
    raise error


def _cases_of(policy: Path) -> Path | None:
    """The file of cases beside a policy."""
    paths = (policy.with_name(f"{policy.stem}_test{ending}") for ending in (policy.suffix, *_ENDINGS))
    return next((path for path in paths if path.is_file()), None)


def _policy_of(cases: Path) -> Path | None:
    """The policy that a file of cases is for; None where the name is not that of one."""
    if not cases.stem.endswith("_test"):
        return None
    stem = cases.stem.removesuffix("_test")
    paths = [cases.with_name(f"{stem}{ending}") for ending in (cases.suffix, *_ENDINGS)]
    return next((path for path in paths if path.is_file()), paths[0])


def _says_version(path: Path) -> bool:
    """Whether a file begins as policies do; files of cases of other tools have neighbours as well."""
    with path.open("rb") as file:
        return _POLICY.search(file.read(MAX_BYTES)) is not None
