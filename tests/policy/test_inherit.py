"""Merging of parents: in which order three files are put together makes no difference."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
from hypothesis import given, settings

from hardening.policy import load_policy
from hardening.policy.inherit import merged
from hardening.policy.nodes import Mapping, plain, read_nodes
from tests.policy.test_strictness import POLICIES


def nodes(data: Any, file: str) -> Mapping:
    root, faults = read_nodes(orjson.dumps(data), file)
    assert not faults
    return root


def in_order(root: Mapping) -> bytes:
    """The values with their order, in which rules are looked at and groups are told apart."""
    return orjson.dumps(plain(root))


@settings(deadline=None)
@given(POLICIES, POLICIES, POLICIES)
def test_merging_is_associative_places_included(one: dict, two: dict, three: dict) -> None:
    a, b, c = nodes(one, "a"), nodes(two, "b"), nodes(three, "c")
    left, right = merged(merged(a, b), c), merged(a, merged(b, c))
    assert left == right
    assert in_order(left) == in_order(right)


@settings(deadline=None)
@given(POLICIES)
def test_a_file_over_itself_or_over_nothing_is_itself(data: dict) -> None:
    root = nodes(data, "a")
    assert merged(root, root) == root
    assert plain(merged(root, nodes({}, "a"))) == plain(merged(nodes({}, "a"), root)) == data


@settings(max_examples=50, deadline=None)
@given(POLICIES, POLICIES, POLICIES)
def test_three_files_are_the_one_that_they_merge_to(one: dict, two: dict, three: dict) -> None:
    whole: Any = plain(merged(merged(nodes(one, "a"), nodes(two, "b")), nodes(three, "c")))
    with TemporaryDirectory() as folder:
        for name, data, parent in (
            ("a", one, None),
            ("b", two, "a"),
            ("c", three, "b"),
            ("whole", whole, None),
        ):
            extends = {"extends": f"{parent}.yaml"} if parent else {}
            (Path(folder) / f"{name}.yaml").write_bytes(orjson.dumps({**data, **extends}))
        chain, single = load_policy(Path(folder) / "c.yaml"), load_policy(Path(folder) / "whole.yaml")
    assert chain.digest == single.digest
    assert chain.layers == single.layers
    assert chain.limits == single.limits
