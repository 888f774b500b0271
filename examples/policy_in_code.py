"""A policy in code: the keys of a policy file as arguments, with the same checks.

    python examples/policy_in_code.py

prints how much of the thinking each account gets to see, and what a mistake reads like:

    acme    sees 851 characters of reasoning
    initech sees 63 characters of reasoning
    policy:rules[0].match.group: found the undeclared group `partners`; did you mean `partner`? (allowed: partner)
"""

from __future__ import annotations

import os

from starlette.datastructures import Headers
from starlette.testclient import TestClient
from starlette.types import Scope
from teacher.app import create_app

from hardening import HardeningMiddleware, Policy, PolicyError

QUESTION = "Tom buys 4 pens at $3 each and 2 pads at $5 each. He pays with $50. How much change does he get?"


def policy_for(partners: list[str], group: str = "partner") -> Policy:
    """`baseline`, but for partners, who are in the app's own table."""
    return Policy(
        name="shop",
        extends="baseline",
        accounts={"groups": {"partner": partners}},
        rules=[{"name": "partners", "match": {"group": group}, "exempt": True}],
        environment=os.environ,  # for HARDENING_KEY and HARDENING_MODE, as for a file
    )


def identify(scope: Scope) -> str | None:
    """The account, which this example takes at its word."""
    return Headers(scope=scope).get("x-account")


app = create_app()
app.add_middleware(HardeningMiddleware, policy=policy_for(["acme"]), identify=identify)


def main() -> None:
    """Ask as both accounts, in this process, and make a mistake."""
    body = {"model": "teacher", "messages": [{"role": "user", "content": QUESTION}]}
    with TestClient(app) as client:
        for account in ("acme", "initech"):
            answer = client.post("/v1/chat/completions", json=body, headers={"x-account": account}).json()
            thinking = answer["choices"][0]["message"]["reasoning_content"]
            print(f"{account:7} sees {len(thinking)} characters of reasoning")
    try:
        policy_for(["acme"], group="partners")
    except PolicyError as error:
        print(error)


if __name__ == "__main__":
    main()
