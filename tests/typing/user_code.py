"""What authors of apps write, as two type checkers read it; a line that must be refused says so."""

from __future__ import annotations

from datetime import date
from typing import Annotated, assert_type

from fastapi import Depends, FastAPI, Request
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.types import Scope

import hardening
from hardening import (
    DEFERRED,
    Account,
    Decision,
    HardeningMiddleware,
    Policy,
    PolicyError,
    Receipt,
    Refusal,
    Refused,
    StateStore,
    load_policy,
)
from hardening.policy.written import RuleKeys
from hardening.testing import Hardened, Leak, ManualClock, find_leaks, harden


def by_scope(scope: Scope) -> Account | None:
    """The account of a request, or nobody."""
    user: str | None = scope.get("user")
    return None if user is None else Account(user, org="acme", groups=("partner",))


async def by_database(scope: Scope) -> str | None:
    """The same, later."""
    account = by_scope(scope)
    return None if account is None else account.id


def count(receipt: Receipt) -> None:
    """What was done to a request."""
    assert_type(receipt.decision, Decision)
    assert_type(receipt.tokens.settled, int)
    assert_type(receipt.outcome in ("complete", "cut"), bool)


def store() -> StateStore | None:
    """A store of the app's own, or the policy's."""
    return None


def closed(models: list[str]) -> list[RuleKeys]:
    """A rule for each model that is not open yet."""
    return [{"name": f"closed-{model}", "match": {"model": model}, "refuse": {}} for model in models]


Policy(rules=closed(["glass-1", "grain-1"]))
policy = Policy(
    name="mine",
    extends="baseline",
    accounts={"groups": {"partner": ["acme"]}, "unproven": {"limits": ["trial"]}},
    limits={"trial": {"requests": 30, "per": "1m"}, "minute": {"tokens": "60k", "per": "1m"}},
    defaults={"limits": ["minute"], "reasoning": {"show": "summary", "max_tokens": 120}},
    rules=[
        {"name": "partners", "match": {"group": "partner"}, "exempt": True},
        {
            "name": "launch",
            "match": {"model": ["glass-*", "grain-*"]},
            "except": {"group": ["partner"]},
            "until": date(2027, 3, 31),
            "refuse": {"status": 403, "message": "glass is open to launch partners"},
        },
    ],
    risk={"bands": {"watch": {"enter": 0.5, "leave": 0.4, "logprobs": {"top": 0}}}},
    on_failure={"unreadable": "block"},
    runtime={"audit": {"file": "receipts.jsonl"}},
)
assert_type(policy, Policy)
assert_type(load_policy("baseline"), Policy)

Policy(defaults={"reasoning": {"show": "some"}})  # type: ignore[typeddict-item]
Policy(mode="loud")  # type: ignore[arg-type]
Policy(colour="red")  # type: ignore[call-arg]
Policy(rules=[{"exempt": True}])  # type: ignore[typeddict-item]

app = FastAPI()
app.add_middleware(HardeningMiddleware, policy="baseline")
app.add_middleware(HardeningMiddleware, policy=policy, identify=by_scope, on_receipt=count)
app.add_middleware(HardeningMiddleware, policy="policy.yaml", identify=by_database, state=store())
app.add_middleware(HardeningMiddleware, identify=DEFERRED)
Starlette(middleware=[Middleware(HardeningMiddleware, policy=policy, identify=DEFERRED, signals=())])
HardeningMiddleware(app, identify=lambda scope: "acct_7")
HardeningMiddleware(app, identify="acct_7")  # type: ignore[arg-type]
HardeningMiddleware(app, policy=7)  # type: ignore[arg-type]


async def customer(request: Request) -> str:
    """A dependency that says who asks."""
    try:
        decision = await hardening.admit(request, Account("acct_7", org="acme", groups=("partner",)))
    except Refused as refused:
        assert_type(refused.refusal, Refusal)
        raise
    assert_type(decision, Decision | None)
    return "acct_7"


@app.post("/v1/chat/completions")
async def chat(request: Request, account: Annotated[str, Depends(customer)]) -> dict[str, str]:
    """An endpoint that looks at what was decided."""
    decision = hardening.decision(request)
    shown = "full" if decision is None else decision.reasoning.show
    return {"account": account, "reasoning": shown}


async def by_raw_scope(scope: Scope) -> None:
    """In pure ASGI the scope does as well."""
    await hardening.admit(scope, "acct_7")


def try_out() -> list[Leak]:
    """What a test of an app does."""
    clock = ManualClock()
    hardened = harden(app, "baseline", identify=DEFERRED, clock=clock)
    assert_type(hardened, Hardened)
    clock.advance(60.0)
    for receipt in hardened.receipts:
        count(receipt)
    return find_leaks(b"{}", "the trace of the model")


def faults() -> list[str]:
    """Each fault of a policy with its place."""
    try:
        load_policy("policy.yaml", environment={"HARDENING_MODE": "shadow"})
    except PolicyError as error:
        return [f"{fault.file}:{fault.line}: {fault.message}" for fault in error.faults]
    return []
