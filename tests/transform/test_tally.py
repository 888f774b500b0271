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
