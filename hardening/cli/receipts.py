"""Receipts beside a policy: what it decides for the same request, and where that is not what was decided."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hardening.facts import Account, Decision, RequestFacts, Standing
from hardening.observe.audited import Audited
from hardening.policy.explain import KNOWN, Asked, Difference, Explanation, differences, explain, untold
from hardening.policy.load import Reading

_UNTOLD = frozenset(("account", "group", "header", "client"))
"""Keys of `match` that a receipt cannot answer whole: it holds no groups, no org, no headers, no address."""

_UNTOLD_OF_STRANGERS = frozenset(("header", "client"))


@dataclass(frozen=True, slots=True)
class Compared:
    """A receipt, the explanation of its request, and how both differ.

    `untold` are rules, with a key each, that rest on what no receipt tells.
    """

    receipt: Audited
    asked: Asked
    explanation: Explanation
    same_policy: bool
    differs: tuple[Difference, ...]
    untold: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]


def compared(reading: Reading, receipt: Audited) -> Compared:
    """What the policy decides for the request of a receipt, beside what the receipt says."""
    was = _decided(receipt)
    asked, explanation = _nearest(reading, receipt, was)
    unknown = _UNTOLD if receipt.proven else _UNTOLD_OF_STRANGERS
    return Compared(
        receipt=receipt,
        asked=asked,
        explanation=explanation,
        same_policy=receipt.policy.digest == reading.policy.digest,
        differs=() if was is None else tuple(differences(was, explanation.decided.decision)),
        untold=tuple(untold(reading, asked, unknown)),
        notes=_notes(reading, receipt, asked, was),
    )


def _decided(receipt: Audited) -> Decision | None:
    """What the rules decided, without a refusal by anything else; None where they were not asked."""
    decision, refusal = receipt.decision, receipt.decision.refusal
    if refusal is None:
        return decision
    rest = replace(decision, refusal=None)
    if rest == Decision():
        return None
    # What a rule refuses is charged to no limit, and is no reason beside the rules.
    by_rule = decision.rule is not None and not decision.limits
    beside = {f"refusal_{refusal.kind}", "blocked"}
    return decision if by_rule and beside.isdisjoint(receipt.reasons) else rest


def _nearest(reading: Reading, receipt: Audited, was: Decision | None) -> tuple[Asked, Explanation]:
    """The request as the receipt tells it; whether the account was new follows from its Decision."""
    facts = RequestFacts(receipt.door, receipt.format, receipt.model)
    account = Account(receipt.account, proven=receipt.proven)
    standings = [Standing()]
    if receipt.proven:
        new = Standing(receipt.risk, receipt.standing_band)
        standings = [new._replace(requests=KNOWN.requests, age_s=KNOWN.age_s), new]
    found = []
    for standing in standings:
        asked = Asked(facts, account, standing, receipt.time.timestamp())
        found.append((asked, explain(reading, asked)))
    same = [pair for pair in found if pair[1].decided.decision == was]
    return (same or found)[0]


def _notes(reading: Reading, receipt: Audited, asked: Asked, was: Decision | None) -> tuple[str, ...]:
    """What to know about the comparison, a sentence each."""
    notes = []
    refusal = receipt.decision.refusal
    if refusal is not None and was is None:
        notes.append(f"refused before the rules were asked ({refusal.kind}), so there is nothing to compare")
    elif refusal is not None and was is not None and was.refusal is None:
        notes.append(f"refused beside the rules ({refusal.kind}); the rest of the Decision is compared")
    if receipt.proven and asked.standing.requests < KNOWN.requests:
        notes.append("read as a new account, since only so the Decision comes out; receipts do not tell it")
    if reading.policy.trials and not receipt.proven:
        notes.append(
            "`enforce` shares of unproven callers are drawn by their network, which receipts do not hold"
        )
    return tuple(notes)
