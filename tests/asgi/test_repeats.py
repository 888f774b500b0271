"""Answers that repeat their hidden trace, through the middleware: named, and ended where the policy says so."""

from __future__ import annotations

import json

import pytest

from hardening.testing import Hardened, harden
from tests.asgi.chat import ANSWER, ASKED, BODY, stream, whole
from tests.asgi.driver import Answer, LoopClock, ask, replies, run
from tests.asgi.test_midstream import content, finishes

POLICY = "version: 1\ndefaults: {reasoning: {show: none, overlap: %s}}\n"
TRACE = " ".join(f"thought{number:03d}" for number in range(400))
WHOLE = json.dumps({**ASKED, "stream": False}).encode()


def asked(overlap: str, *, answer: str, streamed: bool = True) -> tuple[Hardened, Answer]:
    body = whole(trace=TRACE, answer=answer)
    app = (
        replies(stream(trace=TRACE, answer=answer)) if streamed else replies([body], kind=b"application/json")
    )
    hardened = harden(app, POLICY % overlap, clock=LoopClock(), identify=lambda scope: "acct_7")
    return hardened, run(ask(hardened, BODY if streamed else WHOLE))


@pytest.mark.parametrize("streamed", [True, False])
def test_by_default_it_is_named_and_nothing_else(streamed: bool) -> None:
    hardened, answer = asked("report", answer=TRACE, streamed=streamed)
    assert answer.status == 200
    assert answer.body.count(b"thought") == 400
    (receipt,) = hardened.receipts
    assert (receipt.reasons, receipt.outcome) == (("overlap",), "complete")


def test_a_stream_ends_in_its_own_format() -> None:
    hardened, answer = asked("stop", answer=TRACE)
    said = content(answer.body).split()
    assert 200 <= len(said) < 250  # half of the trace, and what passes between two looks
    assert finishes(answer.body) == ["length"]
    assert answer.body.endswith(b"data: [DONE]\n\n")
    (receipt,) = hardened.receipts
    assert (receipt.reasons, receipt.outcome) == (("cut", "overlap"), "cut")


def test_a_whole_answer_is_refused() -> None:
    hardened, answer = asked("stop", answer=TRACE, streamed=False)
    assert answer.status == 403
    assert b"thought" not in answer.body
    assert "repeats reasoning" in json.loads(answer.body)["error"]["message"]
    (receipt,) = hardened.receipts
    assert receipt.reasons == ("overlap",)


@pytest.mark.parametrize("streamed", [True, False])
def test_an_honest_answer_is_left_alone(streamed: bool) -> None:
    hardened, answer = asked("stop", answer=f"{TRACE[-200:]} {ANSWER}", streamed=streamed)
    assert answer.status == 200
    assert ANSWER.encode().split()[-1] in answer.body
    assert hardened.receipts[0].reasons == ()
