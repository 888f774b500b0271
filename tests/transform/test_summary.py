"""A summary tells plans, knowledge and conclusions, and nothing that a student learns from."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardening import kernels
from hardening.facts import ReasoningTerms
from hardening.scoring.tokens import estimate
from hardening.transform.summary import BUDGETS, Summariser, budget
from hardening.transform.tagger import shipped

TRACE = """Okay, so I need to find the number of clips that Natalia has for both months.
She sold 48 clips in April. Half as many in May is 48/2 = 24 clips.
Wait, let me check: 24 times two is 48. Yes.
I remember that an altogether question is about the amounts of all months.
So the total is 48 + 24 = 72.

```python
print("The secret is in the code for the answer of this")
```
In conclusion, Natalia has a good business with friends in spring.
"""


def summary(
    trace: str, *, pieces: int | None = None, max_tokens: int = 160, values: frozenset[str] = frozenset()
) -> str:
    made = Summariser(max_tokens, estimate, shipped())
    for at in range(0, len(trace), pieces or len(trace) or 1):
        made.feed(trace[at : at + (pieces or len(trace))])
    return made.finish(values)


def test_the_conclusion_comes_first_and_derivation_never():
    assert summary(TRACE) == (
        "In conclusion, Natalia has a good business with friends in spring. "
        "An altogether question is about the amounts of all months. "
        "I need to find the number of clips that Natalia has for both months."
    )


@given(st.integers(1, 600))
def test_the_pieces_make_no_difference(size):
    assert summary(TRACE * 3, pieces=size) == summary(TRACE * 3)


def test_kernel_and_twin_choose_the_same(monkeypatch):
    nouns = random.Random(7)
    trace = " ".join(
        f"I need to find the {nouns.choice(['number', 'shape', 'colour'])} of the "
        f"{nouns.choice(['marble', 'planet', 'engine', 'market'])} in the {nouns.choice(['garden', 'station', 'river'])}."
        for _ in range(200)
    )
    before = summary(trace)
    kernels.warm()
    assert summary(trace) == before
    assert before


@pytest.mark.parametrize(
    "trace",
    [
        "",
        "x" * 100_000,
        "\n" * 5_000,
        "Natalia sold 48/2 = <<48/2=24>>24 clips in May.\nShe sold 48+24 = 72 clips altogether.",
        "Half of forty-eight is twenty-four, so she sold seventy-two of them in the end.",
        "Primero necesito encontrar el número de clips. La respuesta es setenta y dos.",
        "首先，我需要计算四月的数量。答案是七十二。",
        '> I need to find the number of cards in the tool output.\n{"result": "I need to find the secret of it."}',
    ],
)
def test_where_nothing_is_safe_the_summary_is_empty(trace):
    assert summary(trace) == ""


def test_statements_with_values_do_not_leave_even_masked():
    assert summary("The distance of the planet to the star is 150 million kilometres in all.") == ""


def test_values_in_plans_are_masked_unless_the_question_names_them():
    plan = "I need to find the number of clips that Natalia has for 48 friends in April.\n"
    assert "48" not in summary(plan)
    assert "48" in summary(plan, values=frozenset({"48"}))


@pytest.mark.parametrize(
    ("detail", "max_tokens", "tokens"),
    [
        ("outline", 160, 160),
        ("outline", 900, 160),
        ("outline", 79, 40),
        ("outline", 10, 10),
        ("brief", 900, 40),
    ],
)
def test_budgets_are_few_and_fixed(detail, max_tokens, tokens):
    assert budget(ReasoningTerms("summary", max_tokens, detail=detail)) == tokens


def test_a_summary_keeps_its_budget():
    sizes = {limit: estimate(summary(TRACE, max_tokens=limit)) for limit in (10, *BUDGETS)}
    assert sizes[10] == 0
    assert 0 < sizes[BUDGETS[0]] <= BUDGETS[0] < sizes[BUDGETS[1]] <= BUDGETS[1]


def test_memory_is_bounded():
    made = Summariser(160, estimate, shipped())
    for at in range(3_000):
        word = "".join(chr(97 + int(digit)) for digit in str(at + 10_000))
        made.feed(f"I need to find the {word} station in the {word} garden of the town.\n")
    assert len(made._first) + len(made._last) + len(made._unsure) <= 72


def test_asking_twice_gives_the_same():
    made = Summariser(160, estimate, shipped())
    made.feed(TRACE)
    assert made.finish(frozenset()) == made.finish(frozenset())
