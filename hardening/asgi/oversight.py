"""Who is judged in one process, and whether bands act on more accounts than the policy expects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from hardening.asgi.flagged import FlaggedShare
from hardening.asgi.inforce import InForce
from hardening.asgi.judge import AppSignal, Judge
from hardening.asgi.notices import Notices
from hardening.facts import Account, Standing
from hardening.policy import Policy


class Oversight:
    """The judge of a process, where a policy has bands, and the share of accounts that are in one."""

    def __init__(
        self,
        *,
        key: bytes,
        calibration: str | None,
        signals: Sequence[AppSignal],
        notices: Notices,
        where: Callable[[BaseException], str],
    ) -> None:
        """Nothing is read and no thread begins before `judge_by`."""
        self.judge: Judge | None = None
        self._key = key
        self._calibration = calibration
        self._signals = signals
        self._notices = notices
        self._where = where
        self._share = FlaggedShare()

    def judge_by(self, policy: Policy) -> None:
        """Make and start the judge, where a policy has bands and there is none.

        Raises:
            StartError: the calibration cannot be read.
        """
        if self.judge is None and policy.bands:
            judge = Judge(
                key=self._key,
                calibration=self._calibration,
                signals=self._signals,
                unscored=self._notices.unscored,
                faulted=lambda fault: self._notices.scoring_failed(self._where(fault)),
            )
            judge.start()
            self.judge = judge

    def stop(self) -> None:
        """End the judge's thread."""
        if self.judge is not None:
            self.judge.stop()

    def saw(self, account: Account, standing: Standing, policy: Policy) -> bool:
        """Take a request of a proven account by whether it is in a band; whether other bands act from now on."""
        share, bound = self._share, policy.risk.max_flagged
        if not share.note(account.id, banded=standing.band is not None, bound=bound):
            return False
        self._notices.flagged(share.flagged, share.seen, bound, above=share.is_above)
        return policy.risk.above_max == "shadow"

    def over(self, whole: InForce) -> InForce:
        """What decides of a policy; see `FlaggedShare.acting`."""
        policy = self._share.acting(whole.policy)
        return whole if policy is whole.policy else replace(whole, policy=policy)
