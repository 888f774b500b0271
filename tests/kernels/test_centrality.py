"""Kernel and twin rank sentences alike, to the last digit."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from hardening.kernels import compiled, plain

sentences = st.lists(st.frozensets(st.integers(0, 60), max_size=20).map(sorted), max_size=12)


@settings(deadline=None)  # the first example compiles
@given(sentences)
def test_kernel_and_twin_agree(words):
    assert compiled.centrality(words) == plain.centrality(words)


def test_what_shares_more_ranks_higher():
    assert plain.centrality([[1, 2, 3], [1, 2, 4], [3], [9]]) == [444_444 + 333_333, 444_444, 333_333, 0]


def test_no_sentences_have_no_ranks():
    assert plain.centrality([]) == compiled.centrality([]) == []
