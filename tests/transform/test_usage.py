"""Counts made coarse: what is told, when, and of which grid."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardening.events import Event, Finish, Reasoning, ReasoningEnd, Text, Tool, UsageSeen, Withheld
from hardening.facts import Usage
from hardening.transform.usage import LEAST, CoarseUsage, rounded


@given(st.integers(0, 1 << 40), st.integers(0, 1 << 40))
def test_the_grid_is_never_below_and_at_most_twice(tokens: int, other: int) -> None:
    told = rounded(tokens)
    assert tokens <= told <= max(2 * tokens, LEAST)
    assert rounded(told) == told
    assert (rounded(tokens) <= rounded(other)) or tokens > other


def test_nothing_is_none_and_one_token_is_as_many_as_a_short_answer_has() -> None:
    assert [rounded(tokens) for tokens in (0, 1, 64, 65, 128, 129)] == [0, 64, 64, 128, 128, 256]


def told(coarse: CoarseUsage, *frames: list[Event]) -> list[int]:
    """The completion that each count says after its frame went through."""
    counts = []
    for frame in frames:
        coarse.start_frame()
        outs = [out for event in frame for out in coarse.feed(event)]
        counts += [out.usage.completion for out in outs if isinstance(out, UsageSeen)]
    return counts


def seen(completion: int, reasoning: int = 0) -> UsageSeen:
    return UsageSeen(Usage(9, completion, reasoning))


def test_a_count_that_grows_beside_the_answer_is_told_when_the_answer_is_over() -> None:
    growing = [[Text(0, "a"), seen(size)] for size in (60, 63, 64, 65, 66)]
    end: list[list[Event]] = [[Finish(0, "stop")], [seen(66)]]
    assert told(CoarseUsage("round"), *growing, *end) == [0] * 5 + [128]
    assert told(CoarseUsage("drop"), *growing, *end) == [0] * 6


@pytest.mark.parametrize("said", [Text(1, "a"), Reasoning(1, "a"), Tool(1, 3)])
def test_while_another_answer_goes_on_it_is_not_over(said: Event) -> None:
    frames: list[list[Event]] = [
        [Text(0, "a")],
        [said],
        [Finish(0, "stop"), seen(60)],
        [said, seen(70)],
        [Finish(1, "stop"), seen(80)],
    ]
    assert told(CoarseUsage("round"), *frames) == [0, 0, 128]
    assert told(CoarseUsage("round"), *frames[:3], [seen(61)], *frames[3:]) == [0, 0, 0, 128]


def test_what_was_asked_for_and_has_not_begun_is_not_over() -> None:
    one: list[list[Event]] = [[Text(0, "a")], [Finish(0, "stop"), seen(60)]]
    two: list[list[Event]] = [[Text(1, "a"), seen(62)], [Finish(1, "stop"), seen(70)], [seen(70)]]
    assert told(CoarseUsage("round", choices=2), *one, *two) == [0, 0, 128, 128]
    assert told(CoarseUsage("round", choices=2), *one, [seen(60)]) == [0, 64], "fewer than were asked for"


@pytest.mark.parametrize("said", [Text(0, "a"), Reasoning(0, "a"), Tool(0, 3)])
def test_after_a_count_nothing_tells_when_a_step_is_passed(said: Event) -> None:
    each: list[list[Event]] = [[said, Finish(0, "stop"), seen(size)] for size in (62, 63, 64, 65)]
    assert told(CoarseUsage("round"), *each, [seen(65)]) == [64, 0, 0, 0, 0]
    alone: list[list[Event]] = [row for size in (62, 64, 65) for row in ([said], [seen(size)])]
    assert told(CoarseUsage("round"), *alone) == [64, 0, 0]
    again: list[list[Event]] = [
        [said],
        [Finish(0, "stop")],
        [said],
        [seen(60)],
        [Finish(0, "stop"), seen(70)],
    ]
    assert told(CoarseUsage("round"), *again) == [0, 128], "the finish that counts is the last"
    assert told(CoarseUsage("round"), *alone[:2], [seen(64)], [seen(65)], [seen(64)]) == [64, 64, 0, 64]


def test_blocks_end_by_themselves_and_what_comes_before_the_answer_is_no_count() -> None:
    frames: list[list[Event]] = [
        [seen(1)],
        [Reasoning(0, "a")],
        [ReasoningEnd(0)],
        [Text(1, "a")],
        [ReasoningEnd(1)],
        [Finish(0, "end_turn"), seen(90)],
    ]
    assert told(CoarseUsage("round"), *frames) == [0, 128]


def test_a_stream_that_never_ends_tells_its_count_once() -> None:
    frames: list[list[Event]] = [[Text(0, "a")], [seen(70), seen(70)], [Text(0, "b")], [seen(130)]]
    assert told(CoarseUsage("round"), *frames) == [128, 128, 0]


def test_prompts_stay_and_the_trace_is_no_count_of_its_own() -> None:
    coarse = CoarseUsage("round")
    coarse.close()
    (out,) = coarse.feed(UsageSeen(Usage(9, 40, 30)))
    assert out == UsageSeen(Usage(9, 64))
    assert coarse.told(Usage(9, 65, 60)) == Usage(9, 128)
    assert CoarseUsage("drop").told(Usage(9, 65, 60)) == Usage(9)


def test_a_prompt_with_a_hidden_trace_in_it_is_guessed() -> None:
    coarse = CoarseUsage("round", prompt=100)
    (running,) = coarse.feed(UsageSeen(Usage(9000, 40, 30)))
    assert running == UsageSeen(Usage(100), guessed=True)
    coarse.close()
    (last,) = coarse.feed(UsageSeen(Usage(9000, 40, 30)))
    assert last == UsageSeen(Usage(100, 64), guessed=True)
    assert coarse.told(Usage(9000, 40)) == Usage(100, 64)


def test_what_else_tells_a_length_goes_and_what_hides_nothing_stays() -> None:
    coarse = CoarseUsage("round")
    kept = [Withheld(0, "ids"), Text(0, "a")]
    assert [*coarse.feed(Withheld(0, "lengths"))] == []
    assert [out for event in kept for out in coarse.feed(event)] == kept
