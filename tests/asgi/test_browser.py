"""A browser of another origin can read a refusal, where CORS stands outside of us; Chromium says so itself."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from hardening.testing import find_leaks
from tests.asgi.serving import serving
from tests.asgi.shop import Notes, api_key, asked, cross_origin
from tests.exchanges import TRACE

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium on the PATH (Debian: apt install chromium)"),
]

PAGE = """<!doctype html><script type="module">
const told = [];
for (const [api, who, body] of ASKED) {
  const headers = {"content-type": "application/json", ...(who ? {"x-api-key": who} : {})};
  const answer = await fetch(api, {method: "POST", headers, body}).catch((fault) => ({fault: `${fault}`}));
  told.push(answer.fault ? {fault: answer.fault} : {
    status: answer.status,
    retryAfter: answer.headers.get("retry-after"),
    shouldRetry: answer.headers.get("x-should-retry"),
    body: await answer.json(),
  });
}
await fetch("/told", {method: "POST", body: JSON.stringify(told)});
</script>"""
FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]  # fmt: skip
WAIT_S = 90.0


class Site:
    """The other origin: its page asks the API, and tells what it could read."""

    def __init__(self) -> None:
        self.page = ""
        self.told: SimpleQueue[Any] = SimpleQueue()
        self.app = Starlette(
            routes=[Route("/", self._page), Route("/told", self._told, methods=["POST"])],
        )

    async def _page(self, request: Request) -> Response:
        return HTMLResponse(self.page)

    async def _told(self, request: Request) -> Response:
        self.told.put(await request.json())
        return Response()


@contextmanager
def browser(address: str, profile: Path) -> Iterator[None]:
    """Chromium at a page, until the block ends."""
    assert CHROMIUM is not None
    process = subprocess.Popen(
        [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", address],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(WAIT_S)


def test_a_page_of_another_origin_reads_a_refusal(tmp_path: Path) -> None:
    site = Site()
    with (
        serving(site.app) as origin,
        serving(cross_origin(Notes(), origin)) as api,
        serving(api_key(Notes())) as closed_api,
    ):
        requests = [
            (api, "key-slow-anne", asked()),
            (api, "key-slow-anne", asked()),
            (api, "key-bob", asked("closed")),
            (api, None, asked()),
            (api, "key-carl", b"{"),
            (closed_api, "key-bob", asked("closed")),
        ]
        doors = [(f"{base}/v1/chat/completions", who, body.decode()) for base, who, body in requests]
        site.page = PAGE.replace("ASKED", json.dumps(doors), 1)
        with browser(origin, tmp_path):
            answered, waits, refused, stranger, unreadable, unread = site.told.get(timeout=WAIT_S)
    assert answered["status"] == 200
    assert find_leaks(json.dumps(answered["body"]).encode(), TRACE) == []
    assert (waits["status"], waits["body"]["error"]["type"]) == (429, "rate_limit_error")
    assert 1 <= int(waits["retryAfter"]) <= 30
    assert (refused["status"], refused["body"]["error"]["message"]) == (403, "closed for now")
    assert (stranger["status"], stranger["body"]) == (401, {"detail": "who are you?"})
    assert (unreadable["status"], unreadable["body"]["error"]["type"]) == (400, "invalid_request_error")
    assert "fault" in unread  # the control: without CORS the browser keeps it to itself
