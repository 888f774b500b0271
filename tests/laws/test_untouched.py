"""Law 2 for a whole stack: under `observe` the client and the app see what they would see without us."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hardening import load_policy
from hardening.testing import harden
from tests.asgi.driver import Answer, ask, run
from tests.laws.formats import FORMATS, Format

OBSERVE = load_policy("observe")
TYPES = [
    b"text/event-stream",
    b"application/json",
    b"Application/JSON; charset=utf-16",
    b"text/html",
    b"application/x-ndjson",
    b"application/octet-stream",
    b"",
]
NAMES = [b"x-hardening", b"ETag", b"cache-control", b"content-length", b"set-cookie", b"content-encoding"]
VALUES = [b"reasoning=full", b'"abc"', b"no-store", b"7", b"a=b", b"gzip", b"br", b"identity", b""]
PATHS = [*(one.path for one in FORMATS), "/v1/embeddings", "/v1/audio/speech", "/health"]
FRAMES = [frame for one in FORMATS for frame in (*one.stream, one.whole)]

headers_of = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES)), max_size=5)
pieces_of = st.lists(st.one_of(st.binary(max_size=40), st.sampled_from(FRAMES)), max_size=8)


def says(start: Message, pieces: list[bytes], heard: list[tuple[Any, ...]]) -> ASGIApp:
    """An app that notes what it hears and says just this, message for message."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        asked = await receive()
        heard.append((scope["method"], scope["path"], list(scope["headers"]), scope["extensions"], asked))
        await send(start)
        for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    return app


def both_ways(start: Message, pieces: list[bytes], body: bytes, **request: Any) -> tuple[Answer, Answer]:
    """The answers without and with us; what the app hears is compared here."""
    heard: list[tuple[Any, ...]] = []
    app = says(start, pieces, heard)
    bare = run(ask(app, body, **request))
    observed = run(ask(harden(app, OBSERVE), body, **request))
    assert heard[0] == heard[1]
    return bare, observed


def start_of(status: int, headers: list[tuple[bytes, bytes]]) -> Message:
    return {"type": "http.response.start", "status": status, "headers": headers}


@pytest.mark.parametrize("format", FORMATS, ids=lambda one: one.name)
@pytest.mark.parametrize("streamed", [True, False])
def test_an_answer_leaves_message_for_message(format: Format, streamed: bool) -> None:
    """Catches a stream that is joined or cut anew, and a header that shadow mode adds or reorders."""
    kind = format.kind if streamed else b"application/json"
    start = start_of(
        200, [(b"X-Trace", b"1"), (b"content-type", kind), (b"etag", b'"1"'), (b"X-Trace", b"0")]
    )
    pieces = list(format.stream) if streamed else [format.whole]
    bare, observed = both_ways(start, pieces, format.asked, path=format.path)
    assert observed.messages == bare.messages
    assert len(bare.messages) == len(pieces) + 2


@given(
    status=st.sampled_from([200, 201, 204, 304, 400, 401, 404, 429, 500, 503]),
    kind=st.sampled_from(TYPES),
    headers=headers_of,
    pieces=pieces_of,
    path=st.sampled_from(PATHS),
    method=st.sampled_from(["POST", "GET", "PUT", "HEAD", "OPTIONS", "DELETE"]),
    body=st.one_of(st.binary(max_size=60), st.sampled_from([one.asked for one in FORMATS])),
    asked=headers_of,
)
@example(
    status=200,
    kind=b"application/json",
    headers=[(b"content-length", b"7")],
    pieces=[],
    path=FORMATS[0].path,
    method="HEAD",
    body=b"",
    asked=[],
)
@settings(max_examples=150, deadline=None)
def test_whatever_an_app_says_leaves_as_it_said_it(
    status: int,
    kind: bytes,
    headers: list[tuple[bytes, bytes]],
    pieces: list[bytes],
    path: str,
    method: str,
    body: bytes,
    asked: list[tuple[bytes, bytes]],
) -> None:
    """Catches any body, status, header or method that shadow mode reads and then changes or refuses."""
    start = start_of(status, [*headers[:2], (b"Content-Type", kind), *headers[2:]])
    bare, observed = both_ways(start, pieces, body, path=path, method=method, headers=asked)
    assert observed.messages == bare.messages
    assert observed.raised is None


@pytest.mark.parametrize("format", FORMATS, ids=lambda one: one.name)
@pytest.mark.parametrize("streamed", [True, False])
def test_changes_of_the_policy_are_not_seen_while_it_is_in_shadow(
    format: Format, streamed: bool, tmp_path: Path
) -> None:
    """Catches an answer that is held, cut anew or ended where its policy is replaced in its middle."""
    path, numbers, heard = tmp_path / "policy.yaml", count(), []
    path.write_text("version: 1\nextends: observe\n")
    policy = load_policy(path)

    async def change(message: Message) -> None:
        top = next(numbers)
        path.write_text(
            f"version: 1\nextends: strict\nmode: shadow\ndefaults: {{logprobs: {{top: {top}}}}}\n"
        )
        policy.reload()

    start = start_of(200, [(b"content-type", b"text/event-stream" if streamed else b"application/json")])
    app = says(start, list(format.stream[:12]) if streamed else [format.whole], heard)
    bare, hardened = run(ask(app, format.asked, path=format.path)), harden(app, policy)
    for _ in range(2):
        answer = run(ask(hardened, format.asked, path=format.path, on_send=change))
        assert answer.messages == bare.messages
    assert len({receipt.policy.digest for receipt in hardened.receipts}) == 2
    assert next(numbers) == 2 * len(bare.messages)
    assert all(receipt.would is not None and receipt.changed == () for receipt in hardened.receipts)


def test_a_policy_that_goes_into_shadow_touches_nothing_from_then_on(tmp_path: Path) -> None:
    """Catches a door, a header or a limit of the policy before that goes on acting."""
    format, path = FORMATS[0], tmp_path / "policy.yaml"
    path.write_text("version: 1\nextends: strict\n")
    policy = load_policy(path)
    start = start_of(200, [(b"content-type", b"application/json")])
    app = says(start, [format.whole], [])
    hardened = harden(app, policy)
    ways = [(format.path, format.asked), (format.path, b"{oops"), ("/api/other", format.asked)]
    enforced = [run(ask(hardened, body, path=path)).messages for path, body in ways]
    path.write_text("version: 1\nextends: strict\nmode: shadow\n")
    policy.reload()
    bare = [run(ask(app, body, path=path)).messages for path, body in ways]
    assert [run(ask(hardened, body, path=path)).messages for path, body in ways] == bare
    assert all(one != other for one, other in zip(enforced, bare, strict=True))


def test_our_own_fault_before_the_app_is_not_seen(caplog: pytest.LogCaptureFixture) -> None:
    """Catches a shadow that answers 500 because an `identify` broke, or that loses the request's body."""

    def broken(scope: Scope) -> str:
        raise LookupError

    format, heard = FORMATS[0], []
    start = start_of(200, [(b"content-type", b"application/json")])
    app = says(start, [format.whole], heard)
    answer = run(ask(harden(app, OBSERVE, identify=broken), format.asked))
    assert answer.messages == run(ask(app, format.asked)).messages
    assert heard[0] == heard[1]
    assert "LookupError" in caplog.text


def test_no_limit_and_no_size_refuses() -> None:
    """Catches limits, body sizes and doors that shadow mode counts and also acts on."""
    policy = (
        "version: 1\nname: small\nextends: observe\nlimits: {network: {requests: 1, per: 30d}}\n"
        "doors: {unknown: block}\nruntime: {max_body: 1k}\n"
    )
    format = FORMATS[0]
    start = start_of(200, [(b"content-type", b"application/json")])
    hardened = harden(says(start, [format.whole], []), policy)
    for body in (format.asked, format.asked, b" " * 2000 + format.asked):
        assert run(ask(hardened, body)).body == format.whole
    assert run(ask(hardened, format.asked, path="/api/other")).body == format.whole
