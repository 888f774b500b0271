"""What a request claims from which limits before its standing is known, and what it settles with."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from hardening.facts import (
    EVERYBODY,
    Account,
    Charge,
    CountedBy,
    Limit,
    Refusal,
    RequestFacts,
    Unit,
    Usage,
    quickly,
)
from hardening.policy.compiled import Plan, Policy
from hardening.policy.pricing import COMPLETION_UNITS, plan_of

RESERVE_TOKENS = 1024
"""Completion tokens reserved per choice of an account of which nothing is known; more are asked for as they come."""

FITS_ANY_MODEL = 4096
"""A bound that every model in use takes; an answer that comes whole and names none is held to be as long."""

_ALL_ROWS = 1000
"""Alternatives reserved per token where a caller asks for all of them (vLLM's -1)."""

_FEWEST_ROWS = 20
"""Alternatives that the app is asked for where a policy bounds them, as far as it gives them and they may leave."""

_GOING_ON = COMPLETION_UNITS | {"streams"}
_OWN = frozenset(("org", "account", "key"))
_OF_A_MODEL = frozenset(("model",))
_MODEL_CHARS = 128


class Charges(NamedTuple):
    """Either a refusal, or what to reserve.

    `completion_reserve` is how many completion tokens the charges cover, `usual` with how many the request
    does where so many cannot be had, `wanted` how many it may use before the app answers, `factor` by how
    much the policy multiplies what this request counts, `rows` how many log-probabilities leave with each
    token. Not `enforced`: what a limit says is only reported. `alone`: some charges are for new accounts only.
    """

    refusal: Refusal | None
    charges: tuple[Charge, ...]
    completion_reserve: int
    factor: float = 1.0
    enforced: bool = True
    rows: int = 0
    usual: int = 0
    wanted: int = 0
    alone: bool = False

    def per_token(self, unit: Unit) -> int:
        """Units that each completion token spends."""
        return self.rows if unit == "logprob_values" else 1


def charges(
    policy: Policy,
    facts: RequestFacts,
    account: Account,
    prompt_tokens: int,
    now: float,
    *,
    usual_tokens: int = RESERVE_TOKENS,
) -> Charges:
    """The walk without standing: a refusal, which is never charged, or the charges to reserve.

    `prompt_tokens` is an estimate that `settled` corrects, `usual_tokens` what nearly all answers of the
    account stay within; `now` is in seconds since 1970. Requests of an account that nobody vouched for
    are charged to the pool of its network.
    """
    plan = plan_of(policy, facts, account, now)
    enforced = policy.mode == "enforce"
    if plan.refusal is not None:
        return Charges(plan.refusal if enforced else None, (), 0, enforced=enforced)
    if plan.exempt:
        return Charges(None, (), 0, enforced=enforced)
    rows = _rows(facts, plan)
    usual, reserve, wanted = _reserves(facts, plan, prompt_tokens, usual_tokens, rows)
    scope = account.scope
    claimed: list[Charge] = []
    for claim in plan.claims:
        limit = claim.limit
        amount = _amount(limit.unit, facts, prompt_tokens, reserve, rows)
        if amount:
            key = scope if limit.by == "account" else _scope(limit.by, account, facts.model)
            claimed.append(quickly(Charge, (limit, key, amount * claim.factor, claim.by_band, claim.new)))
            if facts.others and limit.by == "model":
                claimed += [
                    claimed[-1]._replace(scope_key=one) for one in sorted(_scopes(account, facts) - {key})
                ]
    return quickly(
        Charges, (None, tuple(claimed), reserve, plan.factor, enforced, rows, usual, wanted, plan.alone)
    )


def claimed(
    policy: Policy, facts: RequestFacts, account: Account, now: float, *, by_model: bool = False
) -> tuple[Charge, ...]:
    """A charge of nothing on each limit that is the account's own, or its organisation's: what a look at them asks.

    `by_model` asks those in their place that the account has for this model.
    """
    own = _OF_A_MODEL if by_model else _OWN
    plan = plan_of(policy, facts, account, now)
    return tuple(
        Charge(claim.limit, _scope(claim.limit.by, account, facts.model), 0.0, claim.by_band, claim.new)
        for claim in plan.claims
        if claim.limit.by in own
    )


def settled(reserved: Charges, usage: Usage) -> tuple[Charge, ...]:
    """What the exchange truly used, on the limits that were reserved; streams are given back.

    Log-probabilities count as many for each token as were asked and allowed, or as the app was asked for.
    """
    used: dict[Unit, int] = {
        "tokens": usage.prompt + usage.completion,
        "prompt": usage.prompt,
        "completion": usage.completion,
        "reasoning": usage.reasoning,
        "logprob_values": usage.completion * reserved.rows,
        "streams": 0,
        "embeddings": usage.embeddings,
    }
    return tuple(
        charge._replace(amount=used[unit] * reserved.factor)
        if (unit := charge.limit.unit) in used
        else charge
        for charge in reserved.charges
    )


def extended(reserved: Charges, tokens: int, *, in_debt: bool = False) -> tuple[Charge, ...]:
    """The charges for `tokens` more completion tokens, on the limits that count them.

    `in_debt` lets each limit be passed by its `max_debt`.
    """
    return tuple(
        charge._replace(
            limit=_owing(charge.limit) if in_debt else charge.limit,
            amount=tokens * reserved.per_token(charge.limit.unit) * reserved.factor,
        )
        for charge in reserved.charges
        if charge.limit.unit in COMPLETION_UNITS
    )


def going_on(reserved: Charges) -> Charges:
    """The same claim for the rest of an answer whose beginning is settled: what it goes on to spend and to hold."""
    kept = (charge for charge in reserved.charges if charge.limit.unit in _GOING_ON)
    return reserved._replace(charges=tuple(kept))


def held(reserved: Charges) -> tuple[Charge, ...]:
    """The charges that are held while an answer runs, whatever it spends."""
    return tuple(charge for charge in reserved.charges if charge.limit.unit == "streams")


def _amount(unit: Unit, facts: RequestFacts, prompt_tokens: int, reserve: int, rows: int) -> int:
    """How much of a unit the request may use; 0 where it does not touch it."""
    if unit == "tokens":
        return prompt_tokens + reserve
    if unit == "requests":
        return 1
    if unit == "prompt":
        return prompt_tokens
    if unit == "streams":
        return int(facts.stream)
    if unit == "logprob_values":
        return reserve * rows
    if unit == "embeddings":
        return facts.choices if facts.embeds else 0
    return reserve


def _scope(by: CountedBy, account: Account, model: str) -> str:
    """Whose allowance it is; no name that a caller chooses can make it another account's."""
    if by == "all":
        return EVERYBODY.scope
    if not account.proven:
        return account.scope
    if by == "org" and account.org:
        return f"org:{account.org}"
    if by == "key" and account.key:
        return f"key:{account.id}\n{account.key}"
    if by == "model":
        # As rules match it, in any case; of what a caller made up no more than a name's length is kept.
        # A line end of his own could make it the name of what a store keeps beside another scope.
        name = model.strip()[:_MODEL_CHARS].lower().replace("\n", " ").encode("utf-8", "replace").decode()
        return f"model:{account.id}\n{name}"
    return account.scope


def _scopes(account: Account, facts: RequestFacts) -> set[str]:
    """Whose allowances they are where several models may answer: each might be the one."""
    return {_scope("model", account, name) for name in facts.others}


def _owing(limit: Limit) -> Limit:
    return replace(limit, burst=limit.burst + limit.max_debt)


def _rows(facts: RequestFacts, plan: Plan) -> int:
    """Log-probabilities that may leave with each token."""
    if facts.top_logprobs is None:
        return 0
    asked = facts.top_logprobs if 0 <= facts.top_logprobs < _ALL_ROWS else _ALL_ROWS
    if plan.top is None:
        return max(asked, 1)  # the token's own, where no other is asked
    return min(max(asked, _FEWEST_ROWS), plan.top)


def _reserves(
    facts: RequestFacts, plan: Plan, prompt_tokens: int, usual_tokens: int, rows: int
) -> tuple[int, int, int]:
    """Completion tokens to do with, to reserve, and to use: of the bounds, and of these what full limits could grant.

    A stream asks for more as it goes. What comes whole cannot, so all that it may use is reserved, or answers
    that come at the same time would together pass the limit.
    """
    if not facts.speaks:
        return 0, 0, 0
    stream, most = facts.stream, facts.max_tokens
    usual = usual_tokens if stream else max(usual_tokens, RESERVE_TOKENS)
    if plan.max_tokens is not None and (most is None or plan.max_tokens < most):
        most = plan.max_tokens
    wanted = usual if stream else max(usual, FITS_ANY_MODEL)
    if most is not None:
        usual = min(usual, most)
        wanted = usual if stream else most
    choices = facts.choices
    if choices > 1:
        usual, wanted = usual * choices, wanted * choices
    usual, wanted = max(usual, 1), max(wanted, 1)
    reserve, counted = wanted, False
    for unit, room in plan.rooms:
        if unit == "logprob_values":
            if not rows:
                continue
            room //= rows
        elif unit == "tokens":
            room -= prompt_tokens
        counted = True
        if room < reserve:
            reserve = room
    if not counted:
        return usual, usual, usual
    reserve = max(reserve, 1)
    return min(usual, reserve), reserve, wanted
