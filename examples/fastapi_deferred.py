"""FastAPI with `DEFERRED`: a dependency finds out who asks, and admits him.

    python examples/fastapi_deferred.py

prints what each caller gets, a refusal in the shape of the API among it:

    key-of-evals 200: 851 characters of reasoning
    key-of-trial 200: 63 characters of reasoning
    key-of-trial 429: the limit of 1 request per hour is used up
    unknown-key  401: unknown key
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.testclient import TestClient
from teacher.app import create_app

from hardening import DEFERRED, Account, HardeningMiddleware, admit

QUESTION = "Tom buys 4 pens at $3 each and 2 pads at $5 each. He pays with $50. How much change does he get?"
POLICY = Path(__file__).with_name("demo_policy.yaml")
"""Exempts the group `internal`, and lets the group `trial` ask once an hour."""
KEYS = {
    "key-of-evals": Account("evals-7", groups=("internal",)),
    "key-of-trial": Account("guest-3", groups=("trial",)),
}
"""In a real app: its own table of keys or sessions."""


async def customer(
    request: Request, bearer: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]
) -> Account:
    """Who asks; `admit` raises where the policy refuses him, and nothing catches that."""
    account = KEYS.get(bearer.credentials)
    if account is None:
        raise HTTPException(401, "unknown key")
    await admit(request, account)
    return account


app = FastAPI(dependencies=[Depends(customer)])
app.include_router(create_app().router)
app.add_middleware(HardeningMiddleware, policy=POLICY, identify=DEFERRED)


def told(answer: dict[str, Any]) -> str:
    """What stands in an answer of ours, of the policy, or of the app."""
    if "choices" in answer:
        return f"{len(answer['choices'][0]['message']['reasoning_content'])} characters of reasoning"
    return str(answer["error"]["message"] if "error" in answer else answer["detail"])


def main() -> None:
    """Ask four times, in this process."""
    body = {"model": "teacher", "messages": [{"role": "user", "content": QUESTION}]}
    with TestClient(app) as client:
        for key in ("key-of-evals", "key-of-trial", "key-of-trial", "unknown-key"):
            headers = {"authorization": f"Bearer {key}"}
            answer = client.post("/v1/chat/completions", json=body, headers=headers)
            print(f"{key:12} {answer.status_code}: {told(answer.json())}")


if __name__ == "__main__":
    main()
