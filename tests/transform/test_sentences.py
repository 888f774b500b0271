"""Sentences come out the same however the text comes in, and each gets its part."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardening.transform.sentences import Splitter, clause, part

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


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("Wait, the number of cards is wrong.", "self_talk"),
        ("Is a whale a kind of fish?", "self_talk"),
        ("Let me double-check the number of cards.", "check"),
        ("For example, the number of cards in the deck is known.", "check"),
        ("So, the number of clips in May is half of that.", "derivation"),
        ("The clips in May are 48/2 of them.", "derivation"),
        ("Adding these together gives the answer to the question.", "derivation"),
        ("Natalia sold the clips in May.", "derivation"),
        ("Je dois trouver le nombre de cartes.", "derivation"),
        ("First, I need to find the number of cards in the deck.", "plan"),
        ("Okay, so I need to find the number of cards in the deck.", "plan"),
        ("The question is asking for the number of cards.", "plan"),
        ("I remember that a thermostat is a device for rooms.", "knowledge"),
        ("In general, vaccines are made for an immune response.", "knowledge"),
        ("It is a device for rooms.", "derivation"),
        ("In conclusion, the thermostat is the device.", "final"),
    ],
)
def test_parts(sentence, expected):
    assert part(sentence) == expected


def test_a_clause_ends_where_derivation_begins():
    assert clause("First, I need to find the number of cards in the deck, which is 52.") == (
        "I need to find the number of cards in the deck."
    )
    assert (
        clause("1. **I'll find the number of cards in May: 48/2.") == "I'll find the number of cards in May."
    )


@pytest.mark.parametrize(
    "sentence", ["We need it.", "The product of the numbers is: 12 of them.", "word " * 40]
)
def test_a_clause_that_says_too_little_or_too_much_is_empty(sentence):
    assert clause(sentence) == ""
