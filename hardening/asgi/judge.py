"""Standing in force: requests of proven accounts are scored while the model computes, and speak when they settle."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Protocol

from hardening.asgi.scoring_thread import Job, Nats, ScoringThread
from hardening.facts import NEW, Account, RequestFacts, SignalFacts, Standing
from hardening.policy import Policy
from hardening.scoring import reference
from hardening.scoring.request import Facts
from hardening.scoring.scorer import Scorer
from hardening.state.standing import APP, LONGEST_DELAY, BandAt, Evidence, Scale, slotted
from hardening.wire.spoken import Hear

_REFUSED_ACCOUNTS = 4096


class AppSignal(Protocol):
    """A further signal of risk, which the app brings: how much likelier such a request is in a campaign than not.

    It is called on the scoring thread, for requests of proven accounts, and answers in nats: 0 says nothing, what is
    above 0 speaks against the account. One request counts for -0.11 to 4 of all signals of the app together.
    """

    name: str

    def __call__(self, facts: SignalFacts) -> float:
        """The nats of one request."""
        ...


class Judge:
    """Lets requests be scored, and gives what they said to whoever settles them; `start` begins its thread.

    Raises:
        StartError: the calibration cannot be read.
    """

    def __init__(
        self,
        *,
        key: bytes,
        calibration: str | None,
        signals: Sequence[AppSignal],
        unscored: Callable[[str], None],
        faulted: Callable[[Exception], None],
    ) -> None:
        """`unscored` hears why a request says nothing by itself, `faulted` of faults that are ours."""
        known = reference.load(None if calibration is None else Path(calibration))
        self.calibration = known.calibration()
        self._scorer = Scorer(key, known)
        self._key = key
        self._signals = tuple(signals)
        self._unscored = unscored
        self._faulted = faulted
        self._thread = ScoringThread(self._score, self._failed)
        self._refused: OrderedDict[str, int] = OrderedDict()
        self._scaled: tuple[Policy, Scale] | None = None

    def start(self) -> None:
        """Begin to score."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread after what waits for it."""
        self._thread.stop()

    def refused(self, account: Account) -> None:
        """Note that a limit has refused an account."""
        count = self._refused.pop(account.id, 0)
        self._refused[account.id] = count + 1
        if len(self._refused) > _REFUSED_ACCOUNTS:
            self._refused.popitem(last=False)

    def ask(self, account: Account, facts: RequestFacts, hear: Hear, now: float) -> Job | None:
        """Let a request be scored that goes to the app; None where too many wait, or there is nothing to score."""
        refused = self._refused.pop(account.id, 0) if self._refused else 0
        if not facts.speaks:
            return None
        job = Job(account, facts, hear, now, refused)
        if self._thread.put(job):
            return job
        self._unscored("dropped")
        return None

    def evidence(
        self,
        policy: Policy,
        account: Account,
        job: Job | None,
        answered: Nats,
        standing: Standing,
        *,
        entered: bool,
    ) -> Evidence:
        """What a request has said that was decided by this standing, and what its answer says beside, to be merged when it settles."""
        said = self._thread.take(job, account.id)
        if said is None:
            if job is not None:
                self._unscored("late")
            said = {}
        priors = policy.risk.priors
        prior = priors.nats(account.attributes) if priors is not None and account.attributes else 0.0
        is_new = policy.prior is not None and policy.prior.holds(standing)
        return Evidence(
            slotted({**said, **answered}),
            self.scale(policy),
            self._delay(account),
            entered,
            prior,
            under=standing.band or (NEW if is_new else ""),
        )

    def scale(self, policy: Policy) -> Scale:
        """What evidence is judged by under a policy."""
        if self._scaled is None or self._scaled[0] is not policy:
            bands = tuple(
                [BandAt(one.band, one.enter, one.leave) for one in policy.layers if one.band is not None]
            )
            self._scaled = policy, Scale(self.calibration, bands, policy.risk.keep_s)
        return self._scaled[1]

    def _delay(self, account: Account) -> int:
        """The requests that an account goes on for once a band is reached: nobody else can work them out."""
        drawn = blake2b(
            account.id.encode("utf-8", "surrogatepass"), key=self._key, digest_size=2, person=b"delay"
        )
        return int.from_bytes(drawn.digest()) % (LONGEST_DELAY + 1)

    # -- on the thread

    def _score(self, job: Job) -> Nats:
        facts, text = job.facts, job.hear().text
        asked = Facts(job.at, facts.model, facts.top_logprobs, facts.switches, job.refused)
        said = self._scorer.score(job.account.id, text, asked)
        if not text:
            self._unscored("unread")
            # What nobody could read speaks for nobody.
            said = {name: nats for name, nats in said.items() if nats > 0.0}
        return {**said, APP: self._app_says(job)} if self._signals else said

    def _app_says(self, job: Job) -> float:
        total = 0.0
        for signal in self._signals:
            try:
                total += float(signal(SignalFacts(job.account, job.facts)))
            except Exception as fault:  # noqa: BLE001  a signal is the app's code: it says nothing then
                self._unscored("signal")
                self._faulted(fault)
        return total

    def _failed(self, fault: Exception) -> None:
        self._unscored("fault")
        self._faulted(fault)


def beginning(standing: Standing, hear: Hear) -> tuple[Standing, bool]:
    """How an account stands in a conversation that begins: in the band that is due; and whether that is so."""
    if standing.due is None or not hear().begins:
        return standing, False
    return standing._replace(band=standing.due, due=None), True
