"""The scoring thread: bounded, never waited for, and no score is lost to an answer that was shorter."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from hardening.asgi import scoring_thread
from hardening.asgi.flagged import LATELY, LEAST, FlaggedShare
from hardening.asgi.scoring_thread import MOST_WAITING, Job, Nats, ScoringThread
from hardening.facts import Account, RequestFacts
from hardening.wire.spoken import Spoken, silent

ANNE = Account("anne")


class Gate:
    """A way to score that waits until it is opened."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.faults: list[Exception] = []

    def score(self, job: Job) -> Nats:
        self.opened.wait(10.0)
        if job.hear().text == "broken":
            raise RuntimeError(job.hear().text)
        return {"phrasing": float(job.hear().text)}


@pytest.fixture
def gated() -> Iterator[tuple[ScoringThread, Gate]]:
    gate = Gate()
    thread = ScoringThread(gate.score, gate.faults.append)
    yield thread, gate
    gate.opened.set()
    thread.stop()


def job(text: str, account: Account = ANNE) -> Job:
    return Job(account, RequestFacts("/x", "openai_chat"), lambda: Spoken(text), 0.0, 0)


def scored(thread: ScoringThread, gate: Gate) -> None:
    """Let the thread do all that waits, and end."""
    gate.opened.set()
    thread.start()
    thread.stop()
    thread._thread.join(10.0)


def test_a_score_is_taken_once_by_the_request_that_it_is_of(gated: Any) -> None:
    thread, gate = gated
    one, two = job("1"), job("2")
    assert thread.put(one)
    assert thread.put(two)
    scored(thread, gate)
    assert thread.take(two, "anne") == {"phrasing": 2.0}
    assert thread.take(one, "anne") == {"phrasing": 1.0}
    assert thread.take(None, "anne") is None
    assert (one.hear, two.hear) == (silent, silent)


def test_a_score_that_comes_late_counts_with_the_next_settlement_of_its_account(gated: Any) -> None:
    thread, gate = gated
    early, next_one, other = job("1"), job("2"), job("3", Account("bob"))
    for one in (early, next_one, other):
        thread.put(one)
    assert thread.take(early, "anne") is None
    scored(thread, gate)
    assert thread.take(other, "bob") == {"phrasing": 3.0}
    assert thread.take(next_one, "anne") == {"phrasing": 1.0}
    assert thread.take(None, "anne") == {"phrasing": 2.0}
    assert thread.take(None, "anne") is None


def test_what_comes_while_too_many_wait_is_dropped(gated: Any) -> None:
    thread, gate = gated
    assert all(thread.put(job("1")) for _ in range(MOST_WAITING))
    assert not thread.put(job("1"))
    scored(thread, gate)
    assert thread.put(job("1"))


def test_a_job_that_fails_ends_no_thread(gated: Any) -> None:
    thread, gate = gated
    broken, fine = job("broken"), job("1")
    thread.put(broken)
    thread.put(fine)
    scored(thread, gate)
    assert [type(fault) for fault in gate.faults] == [RuntimeError]
    assert thread.take(broken, "anne") is None
    assert thread.take(fine, "anne") == {"phrasing": 1.0}


def test_a_thread_that_rests_wakes_for_what_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring_thread, "_QUIET_POLLS", 0)
    done = threading.Semaphore(0)

    def score(job: Job) -> Nats:
        done.release()
        return {}

    thread = ScoringThread(score, lambda fault: None)
    thread.start()
    for _ in range(50):
        assert thread.put(job("1"))
        assert done.acquire(timeout=10.0)
    thread.stop()
    thread._thread.join(10.0)
    assert not thread._thread.is_alive()


# -- how many are flagged


def noted(share: FlaggedShare, count: int, flagged: int, bound: float = 0.1) -> list[bool]:
    return [share.note(f"acct_{n}", banded=n < flagged, bound=bound) for n in range(count)]


def test_of_few_accounts_no_share_is_told() -> None:
    share = FlaggedShare()
    assert not any(noted(share, LEAST - 1, LEAST - 1))
    assert share.note("one more", banded=True, bound=0.1)
    assert share.is_above


def test_the_alarm_holds_until_the_share_has_clearly_fallen() -> None:
    share = FlaggedShare()
    assert noted(share, LEAST, 21)[-1]
    assert not any(noted(share, LEAST, 17))
    assert share.is_above
    assert any(noted(share, LEAST, 16))
    assert not share.is_above
    assert not any(noted(share, LEAST, 19))


def test_an_account_counts_once_as_it_was_seen_last_and_old_ones_are_forgotten() -> None:
    share = FlaggedShare()
    noted(share, LATELY, 10)
    noted(share, 5, 0)
    assert (share.seen, share.flagged) == (LATELY, 5)
    for number in range(LATELY):
        share.note(f"later_{number}", banded=False, bound=0.1)
    assert (share.seen, share.flagged) == (LATELY, 0)
