"""Sentences come out the same however the text comes in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardening.transform.sentences import Splitter

text = st.lists(
    st.sampled_from(
        [
            "A sentence. ",
            "no end",
            "x" * 450,
            "y" * 390,
            "\n",
            "3.5 ",
            "e.g. so!) ",
            "```",
            "\n```\n",
            "\\[",
            "\\]",
            "$$",
            "?",
            "...",
            " ",
        ]
    ),
    max_size=40,
).map("".join)


def split(pieces) -> list[str]:
    splitter = Splitter()
    return [sentence for piece in pieces for sentence in splitter.feed(piece)] + splitter.flush()


@given(text, st.integers(1, 700))
def test_the_pieces_make_no_difference(whole, size):
    assert split([whole[at : at + size] for at in range(0, len(whole), size)]) == split([whole])


def test_decimals_do_not_end_a_sentence():
    assert split(["It is 3.5 long. Then more"]) == ["It is 3.5 long.", "Then more"]


@pytest.mark.parametrize(
    "block",
    ["```\nx is a. b\n```", "\\[\nx is a. b\n\\]", "$$\na. b\n$$", "> said a. b", "| a | b |", "~~~ a ~~~"],
)
def test_blocks_do_not_come_out(block):
    found = split([f"Before it.\n{block}\nAfter it."])
    assert found == ["Before it.", "After it."]


def test_a_block_that_nothing_closes_hides_the_rest():
    assert split(["Before it.\n```\nThe code is here.\nAnd here."]) == ["Before it."]


def test_a_sentence_without_end_holds_no_memory_and_does_not_come_out():
    splitter = Splitter()
    for _ in range(10_000):
        assert splitter.feed("word " * 10) == []
    assert sum(map(len, splitter._pieces)) < 1500
    assert [*splitter.feed(" end. A good one. "), *splitter.flush()] == ["A good one."]
