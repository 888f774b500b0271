"""How long an answer a request may ask for, by what its limits can still give."""

from __future__ import annotations

from itertools import compress

from hardening.facts import Admission, Charge, Decision, RequestFacts
from hardening.policy.charges import FITS_ANY_MODEL, Charges
from hardening.policy.pricing import COMPLETION_UNITS

_LONGEST = 32_768
"""Tokens that hardly any answer is longer than: who has so many left needs no bound that nobody named."""


def bound(reserved: Charges, admission: Admission, decision: Decision, facts: RequestFacts) -> int | None:
    """The longest answer of each choice to ask for; None where the decision's own bound, or none, will do.

    A stream that slows down at its limit is not bounded: it refills on the way. What comes whole is bounded
    by what is reserved for it.
    """
    named = facts.max_tokens if decision.max_tokens is None else decision.max_tokens
    if named is None and facts.stream:
        return None  # a model refuses a bound beyond its context, and a stream is cut in any case
    choices = max(1, facts.choices)
    if named is not None and reserved.completion_reserve >= named * choices:
        return None  # all that it may use is reserved
    if admission.lease is None or not facts.speaks or (decision.at_limit == "slow" and facts.stream):
        return None
    most = available(reserved, admission, in_debt=decision.at_limit == "finish")
    if most is None:
        return None
    if (
        named is None
        and reserved.completion_reserve >= FITS_ANY_MODEL * choices
        and most > _LONGEST * choices
    ):
        return None
    each = max(1, (most if facts.stream else reserved.completion_reserve) // choices)
    return each if named is None or each < named else None


def available(reserved: Charges, admission: Admission, *, in_debt: bool = False) -> int | None:
    """Completion tokens that a request can have in all, as its limits stood when it was admitted.

    None where no limit counts them. `in_debt` adds what each limit may owe.
    """
    most = None
    if len(admission.limits) != len(reserved.charges):
        return None  # a store that does not tell
    for charge, state in zip(reserved.charges, admission.limits, strict=True):
        if charge.limit.unit not in COMPLETION_UNITS:
            continue
        factor = charge.factor(admission.standing)
        if not factor:
            continue
        units = state.remaining + (charge.limit.max_debt if in_debt else 0.0)
        more = int(units / (_each(reserved, charge) * factor))
        most = more if most is None else min(most, more)
    return None if most is None else reserved.completion_reserve + most


def lowered(reserved: Charges, refused: Admission) -> Charges | None:
    """The claim of what its limits had left when they refused it; None where that is no less.

    At least that of an answer of usual length, or of what full limits can grant in this standing.
    """
    least, left = reserved.usual, reserved.completion_reserve
    told = len(refused.limits) == len(reserved.charges)
    for place, charge in enumerate(reserved.charges):
        factor = charge.factor(refused.standing)
        if factor and charge.limit.unit in COMPLETION_UNITS:
            each = _each(reserved, charge)
            beside = charge.amount - reserved.completion_reserve * each
            least = min(least, int((charge.limit.burst / factor - beside) / each))
            units = refused.limits[place].remaining if told else 0.0
            left = min(left, int((units / factor - beside) / each))
    reserve = max(least, left)
    if not 0 < reserve < reserved.completion_reserve:
        return None
    less = reserved.completion_reserve - reserve
    charges = tuple(
        charge._replace(amount=charge.amount - less * _each(reserved, charge))
        if charge.limit.unit in COMPLETION_UNITS
        else charge
        for charge in reserved.charges
    )
    return reserved._replace(charges=charges, completion_reserve=reserve)


def counting(reserved: Charges, admission: Admission) -> tuple[Charges, Admission]:
    """Both without the limits that are not for accounts of this standing."""
    counts = [charge.factor(admission.standing) > 0.0 for charge in reserved.charges]
    if all(counts):
        return reserved, admission
    states = admission.limits
    if len(states) == len(counts):
        admission = admission._replace(limits=tuple(compress(states, counts)))
    return reserved._replace(charges=tuple(compress(reserved.charges, counts))), admission


def _each(reserved: Charges, charge: Charge) -> float:
    """Units of a limit that each completion token comes to, before the band is known."""
    return reserved.factor * reserved.per_token(charge.limit.unit)
