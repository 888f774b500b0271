"""The thread on which requests are scored while the model computes; the loop only puts a job in, and asks for it later."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping

from hardening.facts import Account, RequestFacts
from hardening.wire.spoken import Hear, silent

MOST_WAITING = 256
"""Jobs that wait; what comes beyond is not scored, and counted. Each holds a parsed body of 16 kB, or 16 k characters, at most."""

_POLL_S = 0.005
"""How often the thread looks while requests come: to wake it for each would take longer than all else before the app, and
while it works the loop waits for the interpreter more often. So it does all that waits in one go, and rests."""

_QUIET_POLLS = 200  # after these it sleeps until it is woken
_LATE_ACCOUNTS = 4096
_LATE_EACH = 8

Nats = Mapping[str, float]


class Job:
    """One request to be scored; `said` is what it says, by signal, once it is known."""

    # Of the class until the thread, or the settlement, has come to it.
    said: Nats | None = None
    is_late = False

    def __init__(self, account: Account, facts: RequestFacts, hear: Hear, at: float, refused: int) -> None:
        self.account = account
        self.facts = facts
        self.hear = hear
        self.at = at
        self.refused = refused


class ScoringThread:
    """Scores jobs in the order in which they come, on one daemon thread that `start` begins.

    All calls are for one event loop. A score that comes after its request has settled counts with the next
    settlement of its account: an answer that is shorter than its score is no way around it.
    """

    def __init__(self, score: Callable[[Job], Nats], on_fault: Callable[[Exception], None]) -> None:
        self._score = score
        self._on_fault = on_fault
        self._waiting: deque[Job] = deque()
        self._done: deque[tuple[Job, Nats]] = deque()
        self._bell = threading.Event()
        self._stopped = False
        self._late: OrderedDict[str, deque[Nats]] = OrderedDict()
        self._thread = threading.Thread(target=self._work, name="hardening-scorer", daemon=True)

    def start(self) -> None:
        """Begin to score."""
        self._thread.start()

    def stop(self) -> None:
        """Let the thread end after what waits."""
        self._stopped = True
        self._bell.set()

    def put(self, job: Job) -> bool:
        """Let a job be scored; False where too many wait."""
        if len(self._waiting) >= MOST_WAITING:
            return False
        self._waiting.append(job)
        if not self._bell.is_set():
            self._bell.set()
        return True

    def take(self, job: Job | None, account: str) -> Nats | None:
        """What is known of an account's requests and was not taken yet: of this one, or of one whose score came late.

        None where nothing is; the score of this one then counts with the next settlement.
        """
        self._collect()
        late = self._late.get(account)
        if late:
            said = late.popleft()
            if not late:
                del self._late[account]
            if job is not None:
                self._postpone(job)
            return said
        if job is None:
            return None
        if job.said is None:
            job.is_late = True
        return job.said

    def _postpone(self, job: Job) -> None:
        if job.said is None:
            job.is_late = True
        else:
            self._keep(job, job.said)

    def _collect(self) -> None:
        """Take what the thread has done."""
        while self._done:
            job, said = self._done.popleft()
            if job.is_late:
                self._keep(job, said)
            else:
                job.said = said

    def _keep(self, job: Job, said: Nats) -> None:
        account = job.account.id
        late = self._late.get(account)
        if late is None:
            if len(self._late) >= _LATE_ACCOUNTS:
                self._late.popitem(last=False)
            late = self._late[account] = deque(maxlen=_LATE_EACH)
        late.append(said)

    def _work(self) -> None:
        quiet = 0
        while self._waiting or not self._stopped:
            for _ in range(len(self._waiting)):
                self._do(self._waiting.popleft())
                quiet = 0
            if quiet < _QUIET_POLLS:
                time.sleep(_POLL_S)
                quiet += 1
            else:
                self._bell.clear()
                if not (self._waiting or self._stopped):  # what comes from here on rings
                    self._bell.wait()
                quiet = 0

    def _do(self, job: Job) -> None:
        try:
            self._done.append((job, self._score(job)))
        except Exception as fault:  # noqa: BLE001  one job that fails must not end the thread
            self._on_fault(fault)
        job.hear = silent
