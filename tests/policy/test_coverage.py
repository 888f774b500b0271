"""What is said to be covered is covered, for every request."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardening.facts import Account, RequestFacts
from hardening.policy.coverage import covers
from hardening.policy.model import Match, Rule
from hardening.policy.rulebook import Rulebook
from hardening.policy.terms import UNSAID

PATTERN = st.text("ab*", min_size=1, max_size=4)
PATTERNS = st.lists(PATTERN, min_size=1, max_size=2)
TEXT = st.text("abAB", max_size=4)
CLIENT = st.sampled_from(
    ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "*", "10.*", "::/0", "2001:db8::/32", "10.1.2.3/8"]
)
MATCH = st.fixed_dictionaries(
    {},
    optional={
        "model": PATTERNS,
        "account": PATTERNS,
        "group": PATTERNS,
        "door": PATTERNS,
        "client": st.lists(CLIENT, min_size=1, max_size=2),
        "header": st.fixed_dictionaries({}, optional={"x": PATTERNS, "y": PATTERNS}).filter(bool),
    },
).map(Match.model_validate)


@settings(max_examples=400, deadline=None)
@given(MATCH, MATCH, st.data())
def test_where_the_narrower_holds_the_wider_does(wide: Match, narrow: Match, draw: st.DataObject) -> None:
    if not covers(wide, narrow):
        return
    book = Rulebook([Rule(name="wide", match=wide), Rule(name="narrow", match=narrow)], UNSAID)
    for _ in range(8):
        headers = [(name, draw.draw(TEXT).encode()) for name in (b"x", b"y") if draw.draw(st.booleans())]
        facts = RequestFacts(
            door=draw.draw(TEXT),
            format=draw.draw(TEXT),
            model=draw.draw(TEXT),
            client=draw.draw(
                st.sampled_from(["10.1.2.3", "10.9.9.9", "2001:db8::1", "::ffff:10.1.2.3", "", "x"])
            ),
            headers=tuple(headers),
        )
        account = Account(draw.draw(TEXT), org=draw.draw(st.none() | TEXT))
        groups = tuple(draw.draw(st.lists(TEXT, max_size=2)))
        assert book.hits(facts, account, groups, 0) != 2


@pytest.mark.parametrize(
    ("wide", "narrow", "covered"),
    [
        ({}, {}, True),
        ({}, {"model": "m"}, True),
        ({"model": "m"}, {}, False),
        ({"model": "*"}, {}, True),
        ({"group": "*"}, {}, False),
        ({"header": {"x": "*"}}, {}, False),
        ({"header": {"x": "*"}}, {"header": {"x": "1"}}, True),
        ({"header": {"x": "*"}}, {"header": {"y": "1"}}, False),
        ({"model": "Glass-*"}, {"model": ["glass-1", "glass-2*"]}, True),
        ({"model": "glass-*"}, {"model": ["glass-1", "other"]}, False),
        ({"model": ["a", "b"]}, {"model": "b"}, True),
        ({"account": "A*"}, {"account": "a1"}, False),
        ({"client": "10.0.0.0/8"}, {"client": "10.1.0.0/16"}, True),
        ({"client": "10.1.0.0/16"}, {"client": "10.0.0.0/8"}, False),
        ({"client": "::/0"}, {"client": "10.0.0.0/8"}, False),
        ({"client": "*"}, {"client": "10.0.0.0/8"}, True),
        ({"model": "m"}, {"model": "m", "group": "g"}, True),
        ({"model": "m", "group": "g"}, {"model": "m"}, False),
    ],
)
def test_what_is_covered(wide: dict, narrow: dict, covered: bool) -> None:
    assert covers(Match.model_validate(wide), Match.model_validate(narrow)) is covered
