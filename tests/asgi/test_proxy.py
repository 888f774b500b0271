"""The reverse proxy between a real client and a real server: bytes, headers, pace, and whoever leaves first."""

from __future__ import annotations

import asyncio
import http.client
import json
import queue
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from hardening.asgi.proxy import Proxy, Upstream, _to_upstream
from hardening.errors import StartError

WAIT_S = 30.0


@contextmanager
def serving(app: ASGIApp) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="on", ws="none"))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


class Model:
    """The server behind: it notes what reaches it, and who has left it."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.left: queue.Queue[str] = queue.Queue()
        routes = [
            Route("/base/echo", self.echo, methods=["GET", "POST", "HEAD", "DELETE"]),
            Route("/base/slow", self.slow, methods=["POST"]),
            Route("/base/moved", self.moved),
            Route("/base/packed", self.packed),
            Route("/base/{path:path}", self.echo),
        ]
        self.app = Starlette(routes=routes)

    async def echo(self, request: Request) -> Response:
        body = await request.body()
        headers = [[name, value] for name, value in request.headers.items()]
        path = request.scope["raw_path"].decode()
        query = request.scope["query_string"].decode()
        told = {"path": path, "query": query, "headers": headers, "size": len(body)}
        return JSONResponse(told, headers={"x-own": "1", "connection": "x-own", "set-cookie": "a=b"})

    async def slow(self, request: Request) -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"data: 1\n\n"
            try:
                while not self.go.is_set():  # noqa: ASYNC110  another thread sets it
                    await asyncio.sleep(0.01)
            finally:
                if not self.go.is_set():
                    self.left.put("gone")
            yield b"data: 2\n\n"

        return StreamingResponse(pieces(), media_type="text/event-stream")

    async def moved(self, request: Request) -> Response:
        return Response(status_code=307, headers={"location": "/base/echo"})

    async def packed(self, request: Request) -> Response:
        return Response(b"\x1f\x8b not really", headers={"content-encoding": "gzip"})


@pytest.fixture(scope="module")
def model() -> Model:
    return Model()


@pytest.fixture(scope="module")
def port(model: Model) -> Iterator[int]:
    with (
        serving(model.app) as behind,
        serving(Proxy(Upstream.of(f"http://127.0.0.1:{behind}/base/"))) as before,
    ):
        yield before


class Told(NamedTuple):
    """An answer that was read to its end."""

    status: int
    headers: dict[str, str]
    body: bytes


@contextmanager
def asking(
    port: int, path: str, method: str = "GET", body: object = None, headers: dict[str, str] | None = None
) -> Iterator[http.client.HTTPResponse]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)
    try:
        chunked = not isinstance(body, bytes | None)
        connection.request(method, path, body, headers or {}, encode_chunked=chunked)  # type: ignore[arg-type]
        with connection.getresponse() as response:
            yield response
    finally:
        connection.close()


def ask(
    port: int, path: str, method: str = "GET", body: object = None, headers: dict[str, str] | None = None
) -> Told:
    with asking(port, path, method, body, headers) as response:
        return Told(response.status, dict(response.getheaders()), response.read())


def test_path_and_query_reach_the_upstream_as_they_were_written(port: int) -> None:
    told = json.loads(ask(port, "/a%2Fb/c%20d?x=1&y=%26").body)
    assert (told["path"], told["query"]) == ("/base/a%2Fb/c%20d", "x=1&y=%26")


@pytest.mark.parametrize("path", ["/a|b/{c}", "/./a", "//a", "/a\\b", "/a..b/...", "/%C3%BC?x=%FF"])
def test_no_spelling_of_a_path_is_changed(port: int, path: str) -> None:
    told = json.loads(ask(port, path).body)
    assert told["path"] + (f"?{told['query']}" if told["query"] else "") == "/base" + path


@pytest.mark.parametrize(
    "path", ["/../echo", "/a/..", "/a/%2e%2E/b", "/..%2fecho", "/a\\..\\b", "/a/.%2e/../../echo", "/..;/a"]
)
def test_no_path_leaves_that_of_the_upstream(port: int, path: str) -> None:
    response = ask(port, path)
    assert response.status == 400
    assert "x-own" not in response.headers
    assert "dot segments" in json.loads(response.body)["error"]["message"]


@pytest.mark.parametrize("written", [b"/\xc3\xbc", b"/a?x=\xff", b"*"])
def test_a_target_that_http_does_not_allow_is_a_bad_request(port: int, written: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=WAIT_S) as client:
        client.sendall(b"GET " + written + b" HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        assert b" 400 " in client.recv(65536).partition(b"\r\n")[0]


def test_the_last_forwarded_address_is_the_clients_own() -> None:
    """One that merely ends as the client's does is somebody's claim."""
    claimed = [(b"x-forwarded-for", b"203.0.113.9, 110.0.0.7")]
    scope: Scope = {"headers": claimed, "client": ("10.0.0.7", 1), "scheme": "http"}
    sent = dict(_to_upstream(scope, Upstream.of("http://127.0.0.1:1").url))
    assert sent[b"x-forwarded-for"] == b"203.0.113.9, 110.0.0.7, 10.0.0.7"
    sent = dict(_to_upstream({**scope, "client": None}, Upstream.of("http://127.0.0.1:1").url))
    assert sent[b"x-forwarded-for"] == b"203.0.113.9, 110.0.0.7"


def test_headers_pass_but_those_of_the_connection(port: int) -> None:
    sent = {
        "authorization": "Bearer k",
        "connection": "te, authorization",
        "te": "trailers",
        "x-keep": "2",
        "x-http-method-override": "POST",
        "x-original-url": "/generate",
    }
    response = ask(port, "/echo", headers={**sent, "x-forwarded-for": "203.0.113.9"})
    told = dict(json.loads(response.body)["headers"])
    assert told["authorization"] == "Bearer k"  # a caller cannot take away what he was counted by
    assert told["x-keep"] == "2"
    assert not {"connection", "te", "x-http-method-override", "x-original-url"} & told.keys()
    assert told["x-forwarded-for"] == "203.0.113.9"  # uvicorn believed it, since we ask from loopback
    assert dict(json.loads(ask(port, "/echo").body)["headers"])["x-forwarded-for"] == "127.0.0.1"
    assert told["x-forwarded-host"] == f"127.0.0.1:{port}"
    assert told["host"] != told["x-forwarded-host"]
    assert "user-agent" not in told  # we add none of our own
    assert "x-own" not in response.headers
    assert response.headers["set-cookie"] == "a=b"


def test_no_cookie_of_one_caller_reaches_another(port: int) -> None:
    ask(port, "/echo")
    assert "cookie" not in dict(json.loads(ask(port, "/echo").body)["headers"])


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_bodies_pass_whole_and_in_pieces(port: int, method: str) -> None:
    assert json.loads(ask(port, "/echo", method, b"x" * 3_000_000).body)["size"] == 3_000_000
    assert json.loads(ask(port, "/echo", method, iter([b"x" * 10, b"y" * 20])).body)["size"] == 30
    assert json.loads(ask(port, "/echo", method, b"").body)["size"] == 0


def test_redirects_and_packed_bodies_are_the_clients_own_affair(port: int) -> None:
    moved = ask(port, "/moved")
    assert (moved.status, moved.headers["location"]) == (307, "/base/echo")
    packed = ask(port, "/packed")
    assert (packed.headers["content-encoding"], packed.body) == ("gzip", b"\x1f\x8b not really")
    head = ask(port, "/echo", "HEAD")
    assert (head.status, head.body) == (200, b"")


def test_the_first_piece_of_a_stream_does_not_wait_for_the_second(port: int, model: Model) -> None:
    model.go.clear()
    with asking(port, "/slow", "POST", b"{}") as response:
        assert response.read1() == b"data: 1\n\n"
        model.go.set()
        assert response.read() == b"data: 2\n\n"


def test_of_two_lengths_that_of_the_chunks_counts(port: int) -> None:
    head = b"POST /echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=WAIT_S) as client:
        client.sendall(
            head + b"transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\na\r\nhelloworld\r\n0\r\n\r\n"
        )
        with client.makefile("rb") as answer:
            assert json.loads(answer.read().partition(b"\r\n\r\n")[2])["size"] == 10


def test_a_body_that_rests_gives_its_connection_back(model: Model) -> None:
    with serving(model.app) as behind:
        upstream = replace(
            Upstream.of(f"http://127.0.0.1:{behind}/base", connections=1), upload_silence_s=0.2
        )
        with (
            serving(Proxy(upstream)) as port,
            socket.create_connection(("127.0.0.1", port), timeout=WAIT_S) as client,
        ):
            client.sendall(b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n1")
            assert b" 408 " in client.recv(65536).partition(b"\r\n")[0]
            assert ask(port, "/echo").status == 200


def test_where_all_connections_are_taken_a_client_is_told_to_come_again(model: Model) -> None:
    model.go.clear()
    with serving(model.app) as behind:
        upstream = replace(Upstream.of(f"http://127.0.0.1:{behind}/base", connections=1), connect_s=0.2)
        with serving(Proxy(upstream)) as port, asking(port, "/slow", "POST", b"{}") as response:
            assert response.read1() == b"data: 1\n\n"
            told = ask(port, "/v1/chat/completions", "POST", b"{}")
            assert (told.status, told.headers["retry-after"]) == (503, "1")
            assert "x-should-retry" not in told.headers
            model.go.set()
            assert response.read() == b"data: 2\n\n"


def test_a_client_that_leaves_takes_its_request_at_the_upstream_with_it(port: int, model: Model) -> None:
    model.go.clear()
    with asking(port, "/slow", "POST", b"{}") as response:
        assert response.read1() == b"data: 1\n\n"
    assert model.left.get(timeout=WAIT_S) == "gone"


@contextmanager
def nobody() -> Iterator[int]:
    """A proxy before a port at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        empty = taken.getsockname()[1]
    with serving(Proxy(Upstream.of(f"http://127.0.0.1:{empty}"))) as port:
        yield port


def test_an_upstream_that_is_not_there_is_a_502_without_its_address(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with nobody() as port:
        told = ask(port, "/v1/models")
    message = "the model server cannot be reached"
    assert (told.status, json.loads(told.body)) == (502, {"error": {"message": message, "type": "internal"}})
    assert "ConnectError" in caplog.text


@pytest.mark.parametrize(
    ("path", "told_by"),
    [
        ("/v1/chat/completions", lambda body: body["error"]["type"] == "server_error"),
        ("/v1/messages", lambda body: body["type"] == "error" and body["error"]["type"] == "api_error"),
        ("/v1beta/models/m:generateContent", lambda body: body["error"]["status"] == "INTERNAL"),
        ("/api/chat", lambda body: isinstance(body["error"], str)),
    ],
)
def test_an_answer_in_the_upstreams_place_has_the_shape_of_the_api(
    path: str, told_by: Callable[[dict[str, Any]], bool]
) -> None:
    with nobody() as port:
        told = ask(port, path, "POST", b"{}")
    assert told.status == 502
    assert told_by(json.loads(told.body))


def test_a_connection_that_rested_is_not_used_again() -> None:
    """Its server may be closing it, and a request that was sent cannot be sent once more."""
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

    def once(listener: socket.socket) -> None:
        for _ in range(2):
            with listener.accept()[0] as connection:
                connection.recv(65536)
                connection.sendall(answer)
                connection.recv(65536)  # the next request, which is not answered

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(WAIT_S)
        thread = threading.Thread(target=once, args=(listener,))
        thread.start()
        upstream = replace(Upstream.of(f"http://127.0.0.1:{listener.getsockname()[1]}"), rest_s=0.0)
        with serving(Proxy(upstream)) as port:
            assert [ask(port, "/x").status for _ in range(2)] == [200, 200]
        thread.join()


@pytest.mark.parametrize(("silence_s", "status"), [(0.2, 504)])
def test_an_upstream_that_stays_silent_is_a_504(silence_s: float, status: int) -> None:
    async def silent(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            for answer in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{answer}.complete"})
            return
        while (await receive())["type"] != "http.disconnect":
            pass

    with (
        serving(silent) as behind,
        serving(Proxy(Upstream.of(f"http://127.0.0.1:{behind}", silence_s=silence_s))) as port,
    ):
        assert ask(port, "/x", "POST", b"{}").status == status


def test_an_answer_that_breaks_off_gets_no_end() -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            for answer in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{answer}.complete"})
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise RuntimeError("the model died")

    with (
        serving(broken) as behind,
        serving(Proxy(Upstream.of(f"http://127.0.0.1:{behind}"))) as port,
        pytest.raises(http.client.IncompleteRead),
    ):
        ask(port, "/x", "POST", b"{}")


@pytest.mark.parametrize(
    "url",
    ["", "model:8000", "ftp://model", "http://", "http://user:secret@model", "http://model?x=1"],
)
def test_an_address_that_cannot_be_used_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(StartError) as refused:
        Upstream.of(url)
    assert "secret" not in str(refused.value)
