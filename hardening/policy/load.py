"""Text and environment -> `Policy`, or one PolicyError with every fault of the file.

`load_text` is pure: the environment and the reader of parents are arguments. `load_policy` is the thin
edge that reads files.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping as Env
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from types import MappingProxyType

from pydantic import ValidationError

from hardening.errors import PolicyError, PolicyFault
from hardening.policy.compile import Origin, compile_policy
from hardening.policy.compiled import Policy
from hardening.policy.deprecation import renamed
from hardening.policy.editions import Editions
from hardening.policy.environment import mode_of, with_environment
from hardening.policy.faults import MAX_FAULTS, fault_at, faults_of
from hardening.policy.inherit import merged
from hardening.policy.model import PolicyFile
from hardening.policy.nodes import MAX_BYTES, Leaf, Mapping, Mark, plain, read_nodes
from hardening.policy.presets import find_preset, preset_names
from hardening.policy.references import child, own_faults, reference_faults

MAX_PARENTS = 8
UNNAMED = Origin()
NO_ENVIRONMENT: Env[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Source:
    """A policy text and what it is called in messages; `identity` is the same for the same file."""

    file: str
    identity: str
    data: bytes

    def nodes(self) -> tuple[Mapping, list[PolicyFault]]:
        """The nodes of the text, and its faults; raises PolicyError for those that hide others."""
        return read_nodes(self.data, self.file)


@dataclass(frozen=True, slots=True)
class Reading:
    """A policy with what it was compiled from: the typed file, and the nodes that know where each key stands."""

    policy: Policy
    file: PolicyFile
    root: Mapping


Parents = Callable[[str, Source], Source]
"""Finds what `extends` names, seen from the file that says so; raises PolicyError at 1:1 when it cannot."""

ReadFile = Callable[[Path], Source]
"""Reads one file; raises PolicyError at 1:1 when it cannot."""


def load_policy(source: str | Path, environment: Env[str, str] = NO_ENVIRONMENT) -> Policy:
    """The compiled policy of a file, or of a preset by its name; raises PolicyError with all faults.

    `environment` gives the values of `${NAME}` and of the twins (`HARDENING_STATE`, ...). The policy's
    `reload` reads the same source and environment again.
    """
    return Editions(lambda: read_policy(source, environment, read_file)).next()


def read_policy(source: str | Path, environment: Env[str, str], read: ReadFile) -> Policy:
    """As `load_policy`, through a reader of files that may note what was read; it has no `reload`."""
    return open_policy(source, environment, read).policy


def open_policy(
    source: str | Path, environment: Env[str, str] = NO_ENVIRONMENT, read: ReadFile | None = None
) -> Reading:
    """As `read_policy`, with the policy's file and nodes."""
    read = read or read_file
    is_preset = isinstance(source, str) and source in preset_names()
    path = find_preset(str(source)) if is_preset else Path(source)
    return open_text(
        read(path),
        environment=environment,
        parents=partial(read_parent, read=read),
        origin=Origin(name=path.parent.name if path.stem == "policy" else path.stem, preset=is_preset),
    )


def load_text(
    source: Source, *, environment: Env[str, str], parents: Parents, origin: Origin = UNNAMED
) -> Policy:
    """The compiled policy of a text; raises PolicyError with all faults."""
    return open_text(source, environment=environment, parents=parents, origin=origin).policy


def open_text(
    source: Source, *, environment: Env[str, str], parents: Parents, origin: Origin = UNNAMED
) -> Reading:
    """The policy as `load_text` gives it, with its file and nodes."""
    old_names: list[PolicyFault] = []
    root, faults = _with_parents(source, parents, old_names)
    root = with_environment(root, environment, faults)
    mode = mode_of(environment, faults)
    faults.extend(islice(reference_faults(root), MAX_FAULTS))
    model: PolicyFile | None = None
    try:
        model = PolicyFile.model_validate(plain(root))
    except ValidationError as error:
        faults.extend(faults_of(error, root))
    if model is None or faults:
        raise PolicyError(tuple(dict.fromkeys(faults)))
    policy = compile_policy(model, mode=mode, origin=origin, old_names=tuple(old_names))
    return Reading(policy, model, root)


def _with_parents(
    source: Source, parents: Parents, old_names: list[PolicyFault]
) -> tuple[Mapping, list[PolicyFault]]:
    """The nodes of a file over those of its parents, and the faults of each file by itself."""
    chain: list[Mapping] = []
    faults: list[PolicyFault] = []
    seen: set[str] = set()
    size = len(source.data)
    while True:
        root, found = source.nodes()
        faults += [*found, *islice(own_faults(root), MAX_FAULTS)]
        new = renamed(root, PolicyFile)
        root = new.root
        faults += new.faults
        old_names += new.notes
        chain.append(root)
        seen.add(source.identity)
        parent = child(root, "extends")
        if not isinstance(parent, Leaf) or not isinstance(parent.value, str):
            break
        try:
            following = parents(parent.value, source)
        except PolicyError as error:
            faults.append(fault_at(parent.mark, error.faults[0].message))
            break
        size += len(following.data)
        if why := _no_parent(following, seen, size):
            faults.append(fault_at(parent.mark, f"found an `extends` that {why}"))
            break
        source = following
    whole = chain.pop()
    for nearer in reversed(chain):
        whole = merged(whole, nearer)
    return whole, faults


def _no_parent(parent: Source, seen: set[str], size: int) -> str:
    """Why a file cannot be the next parent, or nothing; `size` is that of all files together."""
    if parent.identity in seen:
        return "goes round in a circle"
    if len(seen) > MAX_PARENTS:
        return f"is deeper than {MAX_PARENTS} files"
    if size > MAX_BYTES:
        return f"makes more than {MAX_BYTES} bytes; a policy has at most that many, its parents included"
    return ""


def read_file(path: Path) -> Source:
    """The file's bytes, at most one more than allowed; raises PolicyError at 1:1 when it cannot."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "no file has this name"  # one with a NUL
        known = ", ".join(preset_names())
        message = f"cannot be read: {why} (allowed: a policy file, or a preset: {known})"
        raise PolicyError((fault_at(Mark(str(path), 1, 1), message),)) from None
    return Source(file=str(path), identity=str(path.resolve()), data=data)


def read_parent(name: str, source: Source, read: ReadFile = read_file) -> Source:
    """What `extends` names: a preset, or a path seen from the file's own folder."""
    return read(find_preset(name) if name in preset_names() else Path(source.file).parent / name)
