"""A clause that leaves is English prose without doubt, check or derivation."""

from __future__ import annotations

import pytest

from hardening.transform.clauses import clause, is_conclusion, may_leave
from hardening.transform.tagger import Part


def leaves(sentence: str, part: Part) -> bool:
    text = clause(sentence, part)
    return bool(text) and may_leave(sentence, text, part)


def test_a_clause_ends_where_derivation_begins():
    assert clause("First, I need to find the number of cards in the deck, which is 52.", "knowledge") == (
        "I need to find the number of cards in the deck."
    )
    assert (
        clause("1. **I'll find the number of cards in May: 48/2.", "plan")
        == "I'll find the number of cards in May."
    )


@pytest.mark.parametrize(
    "sentence", ["We need it.", "The product of the numbers is: 12 of them.", "word " * 40]
)
def test_a_clause_that_says_too_little_or_too_much_is_empty(sentence):
    assert clause(sentence, "plan") == ""


def test_what_only_leads_in_to_the_question_goes():
    assert clause("Okay, so I have this problem where I need to find the number of cards.", "plan") == (
        "I need to find the number of cards."
    )
    assert clause("I have this question: What word fits in the blank _____ of it?", "plan") == (
        "What word fits in the blank [...] of it."
    )


def test_what_is_remembered_is_told_without_saying_so():
    assert (
        clause("I remember that a thermostat is a device for rooms.", "plan")
        == "A thermostat is a device for rooms."
    )
    assert (
        clause("I remember hearing about the theory of it.", "plan")
        == "I remember hearing about the theory of it."
    )


@pytest.mark.parametrize(
    "sentence",
    [
        "Wait, I need to find the number of cards.",
        "I'll multiply the number of cards by the number of decks.",
        "To find the cards in the deck, I need to subtract the ones of others.",
        "Maybe I need to find the number of cards.",
        "I'll verify the number of cards in the deck.",
        "I need to find 48/2 of the cards in the deck.",
        "I need to find the value of `cards` in it.",
        "I need to find the value of \\alpha in it.",
        "I need to find the number of cards in the deck...",
        "What do I need to find in the deck of cards?",
        'I need to say "this is what the tool gave to me" in the end.',
    ],
)
def test_no_plan_leaves_with_doubt_check_or_maths(sentence):
    assert not leaves(sentence, "plan")
    assert not leaves(sentence, "knowledge")


@pytest.mark.parametrize(
    "sentence",
    [
        "The number of cards is therefore known to us.",
        "Adding these together gives the answer to the question.",
        "It is a device for the rooms of a house.",
        "The cards in the deck must be red ones.",
    ],
)
def test_no_statement_leaves_that_concludes_or_points(sentence):
    assert not leaves(sentence, "knowledge")


def test_plans_and_knowledge_may_leave():
    plan = "First, I need to find the number of cards in the deck."
    known = "In general, vaccines are made for an immune response."
    assert leaves(plan, "plan")
    assert leaves(known, "knowledge")


def test_a_conclusion_says_so():
    assert is_conclusion("In conclusion, the thermostat is the device.")
    assert not is_conclusion("The thermostat is the device.")
