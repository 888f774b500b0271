"""Where each value of a walk was written: the walk of `decide` again, with a place for every field.

The terms are those of `Rulebook.walk` and `Policy.over`. A value is credited to the first part that said
it since the last one that replaced what was there; the parts are those of `Rulebook.moves`, which the walk
itself goes through.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from hardening.policy.load import Reading
from hardening.policy.nodes import Leaf, Listing, Mark, Node
from hardening.policy.nodes import Mapping as Branch
from hardening.policy.references import child
from hardening.policy.terms import UNSAID, Terms

PartKind = Literal["built-in", "environment", "policy", "unproven", "defaults", "rule", "band", "new"]

KEYS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "limits": ("limits",),
        "show": ("reasoning", "show"),
        "summary_tokens": ("reasoning", "max_tokens"),
        "detail": ("reasoning", "detail"),
        "overlap": ("reasoning", "overlap"),
        "seal": ("reasoning", "seal"),
        "resent": ("reasoning", "resent"),
        "inline": ("reasoning", "inline"),
        "top": ("logprobs", "top"),
        "logprob_step": ("logprobs", "step"),
        "logprob_noise": ("logprobs", "noise"),
        "sampling": ("logprobs", "sampling"),
        "embedding_step": ("embeddings", "step"),
        "embedding_noise": ("embeddings", "noise"),
        "embedding_rotate": ("embeddings", "rotate"),
        "embedding_adaptive": ("embeddings", "adaptive"),
        "embedding_benign": ("embeddings", "benign"),
        "embedding_keep": ("embeddings", "keep"),
        "score_step": ("scores", "step"),
        "pins": ("pins",),
        "usage": ("usage",),
        "at_limit": ("at_limit",),
        "max_tokens": ("max_tokens",),
        "pace_per_s": ("pace",),
        "charge": ("charge",),
        "scale": ("scale",),
    }
)
"""By field of `Terms`, the keys under which operators write it."""

_LABELS: Mapping[PartKind, str] = MappingProxyType(
    {"built-in": "built-in default", "unproven": "accounts.unproven", "new": "risk.new"}
)


@dataclass(frozen=True, slots=True)
class Written:
    """Which part of a policy set a value, under which key, and where; `mark` is None outside of files."""

    kind: PartKind
    name: str | None = None
    key: str | None = None
    mark: Mark | None = None

    def __str__(self) -> str:
        label = _LABELS.get(self.kind, self.kind)
        return label if self.name is None else f"{label} {self.name}"


BUILT_IN = Written("built-in")


@dataclass(frozen=True, slots=True)
class Traced:
    """The terms of a walk, and by field what was said of it since it was last replaced, with sources."""

    terms: Terms
    said: Mapping[str, tuple[tuple[Written, Any], ...]]

    def sources(self, field: str) -> tuple[Written, ...]:
        """The part that set what is left of a field, then those whose word alone leaves the same.

        The value changes where all of them are edited; of lists that were put together, where one is.
        """
        left = getattr(self.terms, field)
        alone = tuple(source for source, value in self.said[field] if value == left)
        return alone or tuple(source for source, _ in self.said[field])


def trace(reading: Reading, hits: int, layers: int, *, proven: bool) -> Traced:
    """The terms of these rules and layers, as `decide` has them, with the sources of each field."""
    policy = reading.policy
    terms, _ = policy.over(policy.rulebook.walk(hits, proven=proven), layers)
    said = {name: ((BUILT_IN, getattr(UNSAID, name)),) for name in KEYS}
    for part in _parts(reading, hits, layers, proven):
        for name, path in KEYS.items():
            value = getattr(part.terms, name)
            if value is not None:
                source = Written(part.kind, part.name, ".".join(path), mark_of(part.node, *path))
                said[name] = (*(() if part.replaces else said[name]), (source, value))
    return Traced(terms, MappingProxyType(said))


@dataclass(frozen=True, slots=True)
class _Part:
    """What one part says, who it is, and its node; where it does not replace, it only tightens."""

    terms: Terms
    kind: PartKind
    name: str | None
    node: Node
    replaces: bool


def _parts(reading: Reading, hits: int, layers: int, proven: bool) -> Iterator[_Part]:
    """The parts of a walk in their order."""
    policy, root = reading.policy, reading.root
    yield _Part(reading.file.defaults.terms(), "defaults", None, node_at(root, "defaults"), replaces=True)
    rules = rule_nodes(root)
    for move in policy.rulebook.moves(hits, proven=proven):
        if not move.exempt and move.refusal is None:
            yield _Part(move.terms, "rule", move.rule, rules[move.index], replaces=move.replaces)
    for index, layer in enumerate(policy.layers):
        if layers >> index & 1:
            path = layer_path(layer.band)
            kind: PartKind = "new" if layer.band is None else "band"
            yield _Part(layer.terms, kind, layer.band, node_at(root, *path), replaces=False)


def layer_path(band: str | None) -> tuple[str, ...]:
    """The keys of a band, or of the prior for new accounts."""
    return ("risk", "new") if band is None else ("risk", "bands", band)


def rule_nodes(root: Branch) -> tuple[Node, ...]:
    """The rules of a file in their order."""
    rules = child(root, "rules")
    return rules.items if isinstance(rules, Listing) else ()


def node_at(node: Node, *path: str) -> Node:
    """The node at a path of keys, or the nearest above it that is there."""
    return list(_way(node, path))[-1][1]


def leaves(node: Node) -> list[Leaf]:
    """The scalars of a list, or the one that stands in its place; a mapping has none."""
    items = node.items if isinstance(node, Listing) else (node,)
    return [item for item in items if isinstance(item, Leaf)]


def mark_of(node: Node, *path: str) -> Mark:
    """Where the value at a path of keys stands, or the nearest above it; a mapping stands at its key."""
    key, value = list(_way(node, path))[-1]
    return key if isinstance(value, Branch) else value.mark


def _way(node: Node, path: tuple[str, ...]) -> Iterator[tuple[Mark, Node]]:
    """The nodes along a path, each with the place of its key, as far as the path leads."""
    yield node.mark, node
    for key in path:
        if not isinstance(node, Branch) or key not in node.entries:
            return
        yield node.entries[key]
        node = node.entries[key][1]
