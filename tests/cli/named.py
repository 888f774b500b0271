"""An app for real servers whose callers are all one account."""

from __future__ import annotations

import os

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hardening import HardeningMiddleware
from tests.asgi.chat import PLAIN_JSON


async def chat(request: Request) -> Response:
    """A recorded answer, and who gave it."""
    return Response(PLAIN_JSON, media_type="application/json", headers={"x-worker": str(os.getpid())})


inner = Starlette(routes=[Route("/v1/chat/completions", chat, methods=["POST"])])
app = HardeningMiddleware(inner, identify=lambda scope: "acct_7")
