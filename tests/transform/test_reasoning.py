"""Traces held back: nothing gives them back, a summary comes once and in its place."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardening.events import (
    Event,
    Finish,
    Logprobs,
    Reasoning,
    ReasoningCopy,
    ReasoningEnd,
    Seal,
    Summary,
    Text,
    TextCopy,
    Tool,
    UsageSeen,
    Withheld,
)
from hardening.facts import Usage
from hardening.transform.reasoning import HeldReasoning


class Lengths:
    """A summariser that tells how it was used."""

    def __init__(self) -> None:
        self.text = ""

    def feed(self, text: str) -> None:
        self.text += text

    def finish(self, question_values: frozenset[str]) -> str:
        return f"{len(self.text)} {sorted(question_values)}" if self.text else ""


def held(show: str = "summary") -> HeldReasoning:
    return HeldReasoning(show, summariser=Lengths, question_values=lambda: frozenset({"7"}))  # type: ignore[arg-type]


def run(events: list[Event], show: str = "summary") -> list[Event]:
    transform = held(show)
    return [out for event in events for out in transform.feed(event)] + list(transform.flush())


@pytest.mark.parametrize("last", [Text(0, "A"), Tool(0, 3), Finish(0, "stop"), ReasoningEnd(0)])
def test_the_summary_comes_before_what_ends_the_trace(last: Event) -> None:
    assert run([Reasoning(0, "abc"), Reasoning(0, "de"), last]) == [Summary(0, "5 ['7']"), last]


def test_empty_text_and_another_index_do_not_end_it() -> None:
    events = [Reasoning(0, "abc"), Text(0, ""), Text(1, "B"), UsageSeen(Usage())]
    assert run(events) == [*events[1:], Summary(0, "3 ['7']")]


def test_none_gives_no_summary_and_no_trace() -> None:
    assert run([Reasoning(0, "abc"), Text(0, "A")], "none") == [Text(0, "A")]


def test_what_tells_the_trace_goes_with_it() -> None:
    tells: list[Event] = [
        Withheld(0, "trace"),
        Withheld(0, "ids"),
        Logprobs(0, b"[1]", "reasoning"),
        Reasoning(0, "abc"),
        Seal(0, "sig"),
    ]
    assert run(tells, "none") == []


def test_a_seal_without_a_trace_and_rows_of_the_answer_stay() -> None:
    stay: list[Event] = [Seal(0, "sig"), Logprobs(0, b"[1]"), Withheld(0, "rows")]
    assert run(stay) == stay


def test_a_second_trace_has_its_own_summary_and_tags() -> None:
    tags = ("<think>", "</think>")
    events = [Reasoning(0, "abc"), Text(0, "A"), Reasoning(0, "d", tags), Text(0, "B")]
    assert run(events) == [Summary(0, "3 ['7']"), Text(0, "A"), Summary(0, "1 ['7']", tags), Text(0, "B")]


def test_holding_says_whether_the_stream_is_silent() -> None:
    transform = held()
    assert not transform.holding
    list(transform.feed(Reasoning(0, "a")))
    assert transform.holding
    list(transform.feed(Text(0, "A")))
    assert not transform.holding


TRACE = "First we take 14 apples and then we give 5 of them away, which leaves nine."


@given(st.integers(0, len(TRACE) - 20), st.integers(20, 40), st.lists(st.integers(0, len(TRACE)), max_size=6))
def test_any_twenty_characters_are_told_however_the_trace_came(
    start: int, size: int, cuts: list[int]
) -> None:
    transform = held()
    borders = [0, *sorted(cuts), len(TRACE)]
    for a, b in itertools.pairwise(borders):
        transform.take(0, TRACE[a:b])
    assert transform.repeats("xx" + TRACE[start : start + size] + "yy")


def test_nineteen_characters_are_not() -> None:
    transform = held()
    assert not transform.repeats(TRACE)
    transform.take(0, TRACE)
    assert not transform.repeats("##" + TRACE[10:29] + "##")
    assert not transform.repeats("an honest text about something else entirely")


@given(st.data())
def test_twenty_in_a_row_are_told_in_a_trace_that_repeats_itself(data: st.DataObject) -> None:
    pieces = data.draw(st.lists(st.text("ab", max_size=30), max_size=12))
    trace = "".join(pieces)
    holder = held()
    text = data.draw(st.text("ab", max_size=60))
    for piece in pieces:
        list(holder.feed(Reasoning(0, piece)))
        holder.repeats(text)
    assert holder.repeats(text) == any(text[at : at + 20] in trace for at in range(len(text) - 19))


def test_a_run_that_stands_often_hides_no_piece_behind_it() -> None:
    holder = held()
    pieces = [f"{'x' * 10}{number:010d}" for number in range(500)]
    list(holder.feed(Reasoning(0, "".join(pieces))))
    assert holder.repeats(f"say {pieces[499]}")
    assert not holder.repeats("x" * 10 + "y" * 10)


def test_a_copy_of_the_answer_that_is_one_of_the_trace_goes_with_it() -> None:
    trace = "the sum of three and four is seven"
    same, other = TextCopy(0, f"So {trace}."), TextCopy(0, f"{trace} So it is.")
    out = run([Reasoning(0, trace), Text(0, same.text), same, other], "none")
    assert out == [Text(0, same.text), same]


def test_a_trace_told_once_more_is_the_summary_that_was_given() -> None:
    """Catches a copy that is summarised before its trace is over, or that costs a second summary."""
    made = held("summary")
    list(made.feed(Reasoning(0, "Hm.")))
    assert list(made.feed(ReasoningCopy(0))) == []
    (given, _) = made.feed(ReasoningEnd(0))
    assert list(made.feed(ReasoningCopy(0))) == [given]
    assert list(made.feed(ReasoningCopy(1))) == []
    assert (made.summaries, made.chars) == (1, 3)


def test_traces_in_a_text_are_told_once_more_by_their_number() -> None:
    made, tags = held("summary"), ("<think>", "</think>")
    for text in ("One.", "Two."):
        list(made.feed(Reasoning(0, text, tags)))
        list(made.feed(ReasoningEnd(0)))
    told = [list(made.feed(ReasoningCopy(0, tags, number))) for number in range(3)]
    assert [len(found) for found in told] == [1, 1, 0]
    assert list(made.feed(ReasoningCopy(0))) == []


def test_a_seal_that_stands_apart_outlives_its_trace() -> None:
    made = held("none")
    list(made.feed(Reasoning(0, "Hm.")))
    assert list(made.feed(Seal(0, "x"))) == []
    assert list(made.feed(Seal(0, "x", apart=True))) == [Seal(0, "x", apart=True)]
