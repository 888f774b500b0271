"""The teacher is a real program: its sums are right, its distribution is one, its voice is steady."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from teacher import model, phrases, teach, understand
from teacher.tokens import split

NUMBER = r"-?\d+(?:\.\d+)?(?:/\d+)?"
EQUATION = re.compile(rf"({NUMBER}) ([-+\u00d7\u00f7]) ({NUMBER}) = ({NUMBER})(?: remainder (\d+))?")
DO: dict[str, Callable[[Fraction, Fraction], Fraction]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "\u00d7": lambda a, b: a * b,
    "\u00f7": lambda a, b: a / b,
}
small = st.integers(2, 900)


def said(question: str, part: str, **how: Any) -> str:
    return "".join(token.text for token in teach(question, **how) if token.part == part)


def solved(question: str) -> Fraction:
    problem = understand(question)
    assert problem is not None, question
    return problem.answer


@given(a=small, b=small, c=st.integers(1, 40), d=st.integers(2, 40))
@settings(max_examples=20, deadline=None)
def test_answers_are_what_python_computes(a: int, b: int, c: int, d: int) -> None:
    start, more = a + b, c * d
    assert solved(
        f"Mara has {start} apples. She eats {b} and buys {c} bags of {d} apples. How many are left?"
    ) == (a + more)
    assert solved(f"There are {start} birds on a roof. {b} fly away. How many are left?") == a
    assert solved(f"Tom buys {c} pens at ${d} each. How much does he pay?") == more
    assert (
        solved(f"Tom buys {c} pens at ${d} each. He pays with ${more + a}. How much change does he get?") == a
    )
    assert solved(f"A pen costs ${d}. Ana buys {c + 1} pens and gets {b % 90 + 1}% off. How much is it?") == (
        Fraction((c + 1) * d * (99 - b % 90), 100)
    )
    assert solved(f"Ben shares {a} sweets equally among {d} friends. How many are left over?") == a % d
    assert (
        solved(f"Ben has {a} sweets and shares them equally among {d} friends. How many does each get?")
        == a // d
    )
    assert solved(f"A train travels {a} km in {c} hours. How far does it go in {d} hours?") == Fraction(
        a * d, c
    )
    assert solved(f"A car drives at {a} km/h. How long does it take for {b} km?") == Fraction(b, a)
    assert solved(f"A train travels {a} miles in {c} hours. What is its speed?") == Fraction(a, c)
    assert solved(f"What is {c}% of {a}?") == Fraction(a * c, 100)
    assert solved(f"A coat costs ${a}. It is {c}% off. What does it cost now?") == Fraction(
        a * (100 - c), 100
    )
    assert solved(f"A press prints {a} pages per minute. How many pages in {d} minutes?") == a * d
    assert solved(f"A garden is {a} m long and {b} m wide. What is its area?") == a * b
    assert solved(f"A garden is {a} m long and {b} m wide. How long is the fence around it?") == 2 * (a + b)
    assert solved(f"What is {a} * ({b} + {c}) / {d}?") == Fraction(a * (b + c), d)


@pytest.mark.parametrize(
    "question",
    [
        "Mara has 14 apples. She eats 5 and buys two bags of 6 apples. How many apples are left?",
        "A bakery bakes 240 rolls. It sells half of them early and sells 75 more later. How many are left?",
        "A pen costs 3 euros. Ana buys 7 pens and gets 10% off. How much does she pay?",
        "Ben shares 23 sweets equally among four friends. How many are left over?",
        "A train travels 100 km in 3 hours. How far does it go in 7 hours?",
        "What is 12 * (3 + 4) / 5?",
    ],
)
@pytest.mark.parametrize("seed", range(4))
def test_every_equation_of_the_trace_holds(question: str, seed: int) -> None:
    trace = said(question, "reasoning", seed=seed)
    found = EQUATION.findall(trace)
    assert len(found) >= 2
    for left, sign, right, result, rest in found:
        value = DO[sign](Fraction(left), Fraction(right))
        assert value == Fraction(result) + Fraction(rest or 0) / Fraction(right), (left, sign, right, result)


@pytest.mark.parametrize(
    "question",
    [
        "Why is the sky blue?",
        "How many people live in Paris?",
        "Mara has 14 apples. She eats 5. Her 3 cats sleep. How many apples are left?",
        "What is 3 / 0?",
        "",
        "9" * 5000,
    ],
)
def test_what_it_does_not_understand_it_says(question: str) -> None:
    assert understand(question) is None
    assert said(question, "answer") in phrases.SORRY
    assert said(question, "reasoning") in phrases.PUZZLED


def test_the_trace_comes_first_and_can_be_left_out() -> None:
    parts = [token.part for token in teach("What is 15% of 80?")]
    assert parts == sorted(parts, reverse=True)
    assert {token.part for token in teach("What is 15% of 80?", think=False)} == {"answer"}


def test_same_seed_same_tokens_other_seed_other_words() -> None:
    question = "What is 15% of 80?"
    assert list(teach(question, seed=1)) == list(teach(question, seed=1))
    assert len({said(question, "reasoning", seed=seed) for seed in range(8)}) > 4


def test_temperature_zero_takes_the_likeliest_phrasing_token_each_time() -> None:
    tokens = list(teach("What is 15% of 80?", temperature=0))
    assert all(token.text == token.top[0][0] for token in tokens)


def test_the_reported_values_are_those_of_one_distribution() -> None:
    ranks = []
    for token in teach("Tom buys 4 pens at $3 each. He pays with $50. How much change does he get?"):
        names, values = [name for name, _ in token.top], [value for _, value in token.top]
        assert len(set(names)) == len(names) == model.TOP
        assert values == sorted(values, reverse=True)
        assert sum(map(math.exp, values)) <= 1 + 1e-9
        assert dict(token.top).get(token.text, token.logprob) == token.logprob
        assert token.logprob >= values[-1] or token.text not in names
        ranks.append(token.text == names[0])
    assert 0.8 < sum(ranks) / len(ranks) < 1


@pytest.mark.parametrize("support", [{" 12": 1.0}, {"Now": 0.7, "For": 0.3}, {"\n": 1.0}])
def test_every_mixture_sums_to_one(support: dict[str, float]) -> None:
    for before in ("\n", " the", "never seen"):
        assert math.isclose(sum(model.mixture(support, before, "key").values()), 1)


def test_no_phrasing_is_the_beginning_of_another() -> None:
    """Then the end of a phrasing would have to be a token of its own."""
    problem = understand("Ben shares 23 sweets equally among four friends. How many are left over?")
    for act in (*phrases.trace(problem), *phrases.answer(problem), phrases.PUZZLED, phrases.SORRY):
        rows = [split(phrase) for phrase in act]
        assert not any(a != b and a == b[: len(a)] for a in rows for b in rows)


@given(st.text())
def test_tokens_joined_are_the_text(text: str) -> None:
    assert "".join(split(text)) == text
