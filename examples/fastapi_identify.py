"""FastAPI with `identify=`: the app itself says who asks, the policy says what he gets.

    python examples/fastapi_identify.py

prints how much of the thinking each caller gets to see:

    key-of-evals    sees 851 characters of reasoning
    key-of-customer sees 63 characters of reasoning
    unknown-key     sees 63 characters of reasoning
"""

from __future__ import annotations

from pathlib import Path

from starlette.datastructures import Headers
from starlette.testclient import TestClient
from starlette.types import Scope
from teacher.app import create_app

from hardening import Account, HardeningMiddleware

QUESTION = "Tom buys 4 pens at $3 each and 2 pads at $5 each. He pays with $50. How much change does he get?"
POLICY = Path(__file__).with_name("demo_policy.yaml")
"""Exempts the group `internal`."""
KEYS = {
    "key-of-evals": Account("evals-7", groups=("internal",)),
    "key-of-customer": Account("customer", org="acme"),
}
"""In a real app: its own table of keys or sessions. A coroutine works as well."""


def identify(scope: Scope) -> Account | None:
    """The account of the request's key; None leaves the caller to the policy, unproven."""
    return KEYS.get(Headers(scope=scope).get("authorization", "").removeprefix("Bearer "))


app = create_app()
app.add_middleware(HardeningMiddleware, policy=POLICY, identify=identify)


def main() -> None:
    """Ask as both customers and as nobody, in this process."""
    body = {"model": "teacher", "messages": [{"role": "user", "content": QUESTION}]}
    with TestClient(app) as client:
        for key in (*KEYS, "unknown-key"):
            headers = {"authorization": f"Bearer {key}"}
            answer = client.post("/v1/chat/completions", json=body, headers=headers).json()
            thinking = answer["choices"][0]["message"]["reasoning_content"]
            print(f"{key:15} sees {len(thinking)} characters of reasoning")


if __name__ == "__main__":
    main()
