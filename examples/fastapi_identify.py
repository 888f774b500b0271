"""FastAPI with `identify=`: the app itself says who asks, the policy says what he gets.

    python examples/fastapi_identify.py

prints how much of the thinking each of two customers gets to see (your figures may differ):

    evals-7   sees 607 characters of reasoning
    customer  sees 118 characters of reasoning
    nobody    is asked for a key: 401
"""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI, Request
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
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
    """The account of the request's key; None where there is none."""
    return KEYS.get(Headers(scope=scope).get("authorization", "").removeprefix("Bearer "))


def make_app() -> FastAPI:
    """The teacher's app, with its own check of keys outside and the middleware inside."""
    app = create_app()
    app.add_middleware(HardeningMiddleware, policy=POLICY, identify=identify)

    @app.middleware("http")
    async def only_customers(request: Request, call_next) -> Response:  # type: ignore[no-untyped-def]
        if identify(request.scope) is None:
            return JSONResponse({"error": {"message": "a key, please", "type": "invalid_request_error"}}, 401)
        answer: Response = await call_next(request)
        return answer

    return app


def main() -> None:
    """Ask as both customers and as nobody, in this process."""
    body = {"model": "teacher", "messages": [{"role": "user", "content": QUESTION}]}
    with TestClient(make_app()) as client:
        for key, account in KEYS.items():
            headers = {"authorization": f"Bearer {key}"}
            message = client.post("/v1/chat/completions", json=body, headers=headers).json()["choices"][0][
                "message"
            ]
            print(f"{account.id:9} sees {len(message['reasoning_content'])} characters of reasoning")
        print(f"nobody    is asked for a key: {client.post('/v1/chat/completions', json=body).status_code}")


if __name__ == "__main__":
    main()
