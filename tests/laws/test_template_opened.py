"""A model whose template opens the trace: what cuts it before its closing tag gives nothing of it away."""

from __future__ import annotations

import json

import pytest
from starlette.types import Receive, Scope, Send

from hardening.testing import harden
from tests.asgi.driver import ask, run
from tests.laws.obeying import SPEECHES, asking

TRACE = "First take two from five, which is three of them, since a gift goes away"
POLICY = """\
version: 1
limits: {calls: {requests: 1k, per: 1m}}
defaults: {limits: [calls], reasoning: {show: none, inline: starts_open}, logprobs: {top: 2}}
"""


@pytest.mark.parametrize("format", SPEECHES)
@pytest.mark.parametrize("cut", ["", "<", "</", "</think", " <think", "</think>"], ids=repr)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_what_no_tag_closes_never_leaves(format: str, cut: str, stream: bool) -> None:
    """Catches a small bound, or a stop in mid-tag, that turns a trace into an answer."""
    speech = SPEECHES[format]
    text = TRACE + cut

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        pieces = speech.pieces(text) if stream else [json.dumps(speech.whole(text)).encode()]
        kind = speech.kind if stream else b"application/json"
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
        for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    path = speech.streamed_path if stream and speech.streamed_path else speech.path
    body = asking(format, {}, stream=stream)
    bare = run(ask(app, body, path=path, query_string=b"alt=sse"))
    left = run(ask(harden(app, POLICY), body, path=path, query_string=b"alt=sse"))
    assert b"take two" in bare.body
    assert left.status == 200
    assert b"take two" not in left.body
    assert b"gift" not in left.body
