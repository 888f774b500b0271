"""The three accounts of the demonstration, and the app's way to tell them by their API key."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from starlette.datastructures import Headers
from starlette.types import Scope

from hardening import Account

POLICY = Path(__file__).parents[1] / "demo_policy.yaml"


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who asks: a title for the reader, an API key, what the app knows of him."""

    title: str
    key: str
    account: Account


INTERNAL = Caller("internal", "demo-key-internal", Account("evals", groups=("internal",)))
ORDINARY = Caller("ordinary", "demo-key-ordinary", Account("acme"))
LIMITED = Caller("over its limit", "demo-key-limited", Account("trial-7", groups=("trial",)))
CALLERS = (INTERNAL, ORDINARY, LIMITED)
BY_KEY = {caller.key: caller.account for caller in CALLERS}


def identify(scope: Scope) -> Account | None:
    """The account whose key stands in the request; None lets the policy's own ways decide."""
    headers = Headers(scope=scope)
    key = headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ")
    return BY_KEY.get(key)
