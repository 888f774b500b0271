"""A step that is new to the lanes is never passed by: nothing leaves that it has not seen."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from hardening.events import Event, Reasoning, Text
from hardening.facts import Decision, LogprobTerms, ReasoningTerms
from hardening.transform.chain import Chain
from hardening.transform.step import Step
from tests.exchanges import DONE, chunk, run, said

OPEN = Decision(reasoning=ReasoningTerms("full"), logprobs=LogprobTerms(None))
HIDING = Decision(reasoning=ReasoningTerms("none"), logprobs=LogprobTerms(None))


class Masking(Step):
    """What a newcomer writes who has not heard of lanes."""

    def feed(self, event: Event) -> Iterable[Event]:
        """The event, a word of its text masked."""
        if isinstance(event, Text):
            return (Text(event.index, event.text.replace("secret", "******")),)
        return (event,)


@pytest.fixture(autouse=True)
def masked(monkeypatch: pytest.MonkeyPatch) -> None:
    laid = Chain._lay

    def lay(chain: Chain) -> None:
        laid(chain)
        chain._steps = (*chain._steps, Masking())

    monkeypatch.setattr(Chain, "_lay", lay)


@pytest.mark.parametrize("decision", [OPEN, HIDING])
@pytest.mark.parametrize("changing_ids", [False, True])
def test_a_new_step_sees_every_frame_of_a_stream(decision: Decision, changing_ids: bool) -> None:
    ids = [{"id": f"chatcmpl-{number if changing_ids else 0}"} for number in range(40)]
    words = [" plain", " secret"]  # the first teach the lanes what the others look like
    chunks = [chunk({"content": words[number >= 20]}, **own) for number, own in enumerate(ids)]
    out, _ = run([*chunks, DONE], decision=decision)
    assert said(out, "content") == " plain" * 20 + " ******" * 20


def test_what_a_step_lets_pass_is_declared_event_by_event() -> None:
    class Plain(Masking):
        lanes = frozenset({Text})

    chain = Chain.__new__(Chain)
    chain._steps = (Plain(),)
    assert chain.lanes([Text])
    assert not chain.lanes([Text, Reasoning])
