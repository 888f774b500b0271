"""How long an answer a request may ask for, by what its limits can still give."""

from __future__ import annotations

from hardening.facts import Admission, Decision, RequestFacts
from hardening.policy.charges import COMPLETION_UNITS, Charges

_FITS_ANY_MODEL = 4096
"""A bound that every model in use takes, for a request that names none."""


def bound(reserved: Charges, admission: Admission, decision: Decision, facts: RequestFacts) -> int | None:
    """The longest answer of each choice to ask for; None where the decision's own bound, or none, will do.

    A stream that slows down at its limit is not bounded: it refills on the way.
    """
    named = facts.max_tokens if decision.max_tokens is None else decision.max_tokens
    if named is None and facts.stream:
        return None  # a model refuses a bound beyond its context, and a stream is cut in any case
    if admission.lease is None or (decision.at_limit == "slow" and facts.stream):
        return None
    most = available(reserved, admission, in_debt=decision.at_limit == "finish")
    if most is None:
        return None
    each = max(1, most // max(1, facts.choices))
    return each if each < (_FITS_ANY_MODEL if named is None else named) else None


def available(reserved: Charges, admission: Admission, *, in_debt: bool = False) -> int | None:
    """Completion tokens that a request can have in all, as its limits stood when it was admitted.

    None where no limit counts them. `in_debt` adds what each limit may owe.
    """
    band, most = admission.standing.band, None
    if len(admission.limits) != len(reserved.charges):
        return None  # a store that does not tell
    for charge, state in zip(reserved.charges, admission.limits, strict=True):
        if charge.limit.unit not in COMPLETION_UNITS:
            continue
        units = state.remaining + (charge.limit.max_debt if in_debt else 0.0)
        factor = (
            reserved.factor
            * reserved.per_token(charge.limit.unit)
            * (1.0 if band is None else charge.by_band.get(band, 1.0))
        )
        more = int(units / factor)
        most = more if most is None else min(most, more)
    return None if most is None else reserved.completion_reserve + most
