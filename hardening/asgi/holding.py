"""What an answer that comes whole may use, held before the app is called: it cannot ask for more on its way."""

from __future__ import annotations

from inspect import isawaitable

from hardening.facts import Account, Admission, Charge, Decision, LimitState
from hardening.policy import Charges, available, extended, lowered
from hardening.state import StateStore

_TRIES = 2
"""How often less is asked for: once more where somebody else was faster, and took what was left."""

_WORTH = 16
"""What part of an answer is worth another call of the store; what came back since the last one is not."""


async def with_less(
    store: StateStore, account: Account, claim: Charges, refused: Admission, now: float
) -> tuple[Charges, Admission]:
    """The claim of what is left, or of an answer of usual length, with the store's word on it, where more was refused.

    Raises:
        Exception: whatever the store raises.
    """
    for _ in range(_TRIES):
        less = None if refused.blocked_s is not None else lowered(claim, refused)
        if less is None:
            break
        answer = store.admit(account, less.charges, now)
        claim, refused = less, await answer if isawaitable(answer) else answer
        if refused.granted:
            break
    return claim, refused


async def with_all_that_is_left(
    store: StateStore, claim: Charges, admission: Admission, decision: Decision, now: float
) -> tuple[Charges, Admission]:
    """The claim of all that a whole answer may use, as far as its limits can still give it.

    Raises:
        Exception: whatever the store raises; then the claim stays as it is.
    """
    in_debt = decision.at_limit == "finish"
    most = available(claim, admission, in_debt=in_debt)
    more = 0 if most is None else min(claim.wanted, most) - claim.completion_reserve
    if more <= claim.completion_reserve / _WORTH or admission.lease is None:
        return claim, admission
    asked = extended(claim, more, in_debt=in_debt)
    answer = store.extend(admission.lease, asked, now)
    longer = await answer if isawaitable(answer) else answer
    if not longer.granted or longer.lease is None:
        return claim, admission  # somebody else was faster
    held = claim._replace(completion_reserve=claim.completion_reserve + more)
    return held, admission._replace(lease=longer.lease, limits=_left(admission, asked, longer))


def _left(admission: Admission, asked: tuple[Charge, ...], longer: Admission) -> tuple[LimitState, ...]:
    """What is left of each limit after more was held, without what it may owe."""
    told = zip(asked, longer.limits, strict=False)
    after = {charge.limit.key: state for charge, state in told}

    def of(state: LimitState) -> LimitState:
        now = after.get(state.limit.key)
        if now is None:
            return state
        owing = now.limit.burst - state.limit.burst
        return LimitState(state.limit, max(0.0, now.remaining - owing), now.reset_s)

    return tuple(map(of, admission.limits))
