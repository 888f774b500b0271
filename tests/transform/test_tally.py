"""Token counts: whose figure stands, and when."""

from __future__ import annotations

from hardening.events import Finish, Text, UsageSeen
from hardening.facts import Usage
from hardening.transform.tally import Tally


def tally(*events: Text | Finish | UsageSeen) -> Tally:
    made = Tally(prompt_bytes=400, bytes_per_token=4.0)
    for event in events:
        made.feed(event)
    return made


def test_a_named_zero_is_a_count_and_a_silence_is_none() -> None:
    # A server that names no prompt leaves it to the estimate; one that names 0 is believed.
    silent = tally(UsageSeen(Usage(0, 7), prompt=False), Finish(0, "stop"))
    named = tally(UsageSeen(Usage(0, 7)), Finish(0, "stop"))
    assert (silent.usage.prompt, named.usage.prompt) == (100, 0)


def test_a_first_count_gives_way_to_a_final_zero() -> None:
    # An Anthropic refusal opens with output_tokens 1 and ends with 0.
    seen = tally(UsageSeen(Usage(20, 1)), Finish(0, "refusal"), UsageSeen(Usage(0, 0), prompt=False))
    assert seen.usage == Usage(20, 0)


def test_a_stream_that_was_cut_costs_what_passed() -> None:
    cut = tally(UsageSeen(Usage(20, 1)), Text(0, "x" * 400))
    assert cut.usage == Usage(20, 100)
    assert cut.source == "usage"


def test_a_trace_that_is_counted_apart_is_not_lost_where_a_later_count_leaves_it_out() -> None:
    thoughts = UsageSeen(Usage(9, 30, 30), completion=False, apart=True)
    answer = UsageSeen(Usage(9, 5, 0), apart=True)
    done = Finish(0, "STOP")
    assert tally(thoughts, done).usage == Usage(9, 30, 30)
    assert tally(thoughts, answer, done).usage == tally(answer, thoughts, done).usage == Usage(9, 35, 30)
    assert tally(thoughts, UsageSeen(Usage(9, 37, 31), apart=True), done).usage == Usage(9, 37, 31)


def test_what_is_counted_so_far_holds_what_a_later_count_leaves_out() -> None:
    thoughts = UsageSeen(Usage(9, 300, 300), completion=False, apart=True)
    answer = UsageSeen(Usage(9, 5), apart=True)
    assert tally(thoughts, answer).so_far(answer) == UsageSeen(Usage(9, 305, 300), apart=True)


def test_a_prompt_that_is_named_stands_against_a_sum() -> None:
    seen = tally(
        UsageSeen(Usage(9, 5)), UsageSeen(Usage(14), prompt=False, completion=False), Finish(0, "STOP")
    )
    assert seen.usage == Usage(9, 5)


def test_a_usage_that_was_only_kept_counts_in_its_turn() -> None:
    seen = tally(UsageSeen(Usage(9, 5)), Finish(0, "stop"))
    seen.unread = b'{"prompt_tokens": 9, "completion_tokens": 7}'
    assert (seen.usage, seen.unread) == (Usage(9, 7), None)
    seen.unread = b'{"prompt_tokens": 9, "completion_tokens": 8}'
    seen.feed(UsageSeen(Usage(9, 11)))
    assert seen.usage == Usage(9, 11)
    for nonsense in (b'{1"prompt_tokens": 9}', b"[]", b'{"a": 1}'):
        seen.unread = nonsense
        assert seen.usage == Usage(9, 11)
    only = tally(Text(0, "x"))
    only.unread = b'{"completion_tokens": 3}'
    assert only.source == "usage"
