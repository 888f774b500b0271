"""An operator's night on real servers with several workers: bad edit, good edit, roll back, shadow.

Callers ask all the time, on a connection of their own each, so that every worker is asked.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from hardening import load_policy
from hardening.testing import find_leaks
from tests.asgi import changing, chat
from tests.asgi.chat import ASKED, TRACE, stream
from tests.asgi.test_servers import KEY, WAIT_S, Server, server

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="gunicorn and signals")]


def roomy(text: str) -> str:
    """The policy with limits that callers who ask without a pause do not reach."""
    return text.replace("requests: 1k", "requests: 1M").replace("tokens: 100k", "tokens: 1G")


HIDE, SHOW = roomy(chat.HIDE), roomy(changing.SHOW)
BAD = SHOW + "mode: loud\n"
CALLERS = 3
HELD = 6


@dataclass
class Answer:
    """What one caller got: when he began, from which worker, and all bytes."""

    began: float
    worker: str = ""
    status: int = 0
    body: bytes = b""

    @property
    def shows(self) -> bool:
        return find_leaks(self.body, TRACE) != []

    @property
    def whole(self) -> bool:
        return self.status == 200 and self.body.endswith(b"data: [DONE]\n\n")


class Night:
    """Callers of one server, and what they got."""

    def __init__(self, running: Server) -> None:
        self.client = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{running.port}",
            timeout=WAIT_S,
            limits=httpx.Limits(max_keepalive_connections=0),
        )
        self.answers: list[Answer] = []
        self.news = asyncio.Event()
        self.over = False

    async def ask(self, model: str = "glass-1", until: asyncio.Event | None = None) -> Answer:
        """One request; `until` is set once the answer's text has begun."""
        answer = Answer(time.monotonic())
        async with self.client.stream(
            "POST", "/v1/chat/completions", json={**ASKED, "model": model}
        ) as response:
            answer.status, answer.worker = response.status_code, response.headers["x-worker"]
            async for piece in response.aiter_bytes():
                answer.body += piece
                if until is not None and b"are " in piece:
                    until.set()
        return answer

    async def call(self) -> None:
        """Ask again and again."""
        while not self.over:
            self.answers.append(await self.ask())
            self.news.set()

    async def metrics(self, series: str, **labels: str) -> float:
        """A figure of all workers together."""
        text = (await self.client.get("/metrics")).text
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == series and labels.items() <= sample.labels.items()
        )

    async def until_metric(self, count: float, series: str, **labels: str) -> None:
        """Return when a figure of all workers is `count`."""
        async with asyncio.timeout(WAIT_S):
            while await self.metrics(series, **labels) != count:
                await self.next_answer()

    async def next_answer(self) -> None:
        """Return when one more caller has an answer."""
        self.news.clear()
        await self.news.wait()

    async def answers_since(self, workers: int) -> list[Answer]:
        """What callers get who begin from now on, from every worker."""
        began = time.monotonic()
        since: list[Answer] = []
        async with asyncio.timeout(WAIT_S):
            while len({answer.worker for answer in since}) < workers:
                await self.next_answer()
                since = [answer for answer in self.answers if answer.began > began]
        return since


@asynccontextmanager
async def calling(running: Server) -> AsyncIterator[Night]:
    night = Night(running)
    async with night.client, asyncio.TaskGroup() as callers:
        for _ in range(CALLERS):
            callers.create_task(night.call())
        yield night
        night.over = True


def rewrite(path: Path, text: str) -> None:
    path.write_text(text)


def go_on(policy: Path) -> None:
    """Let the answers end that are held."""
    (policy.parent / "go on").touch()


def replace(path: Path, text: str) -> None:
    beside = path.with_suffix(".next")
    beside.write_text(text)
    beside.replace(path)


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(HIDE)
    return path


def surroundings(policy: Path, name: str) -> dict[str, str]:
    """The environment of one server: its policy, its own audit and metrics."""
    place = policy.parent / name
    place.mkdir()
    return {
        "HARDENING_POLICY": str(policy),
        "HARDENING_AUDIT": str(place / "audit.jsonl"),
        "PROMETHEUS_MULTIPROC_DIR": str(place),
        "TEST_HELD_UNTIL": str(policy.parent / "go on"),
        **KEY,
    }


def receipts(policy: Path, name: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in (policy.parent / name / "audit.jsonl").read_text().splitlines()]


async def edits_of_a_night(night: Night, policy: Path) -> list[Answer]:
    """Edit the policy while callers ask; the answers that were open over the good edit."""
    assert not any(answer.shows for answer in await night.answers_since(2))
    rewrite(policy, BAD)
    await night.until_metric(2, "hardening_policy_reloads_total", outcome="rejected")
    assert await night.metrics("hardening_policy_stale", reason="rejected") == 2
    assert not any(answer.shows for answer in await night.answers_since(2))

    begun = [asyncio.Event() for _ in range(HELD)]
    async with asyncio.TaskGroup() as holding:
        held = [holding.create_task(night.ask("held", until=event)) for event in begun]
        await asyncio.gather(*(event.wait() for event in begun))
        replace(policy, SHOW)
        digest = load_policy(policy).digest
        await night.until_metric(2, "hardening_policy_info", name="show", digest=digest)
        assert all(answer.shows for answer in await night.answers_since(2))
        go_on(policy)
    assert await night.metrics("hardening_policy_stale", reason="rejected") == 0

    replace(policy, HIDE)
    await night.until_metric(2, "hardening_policy_info", name="hide", digest=load_policy(policy).digest)
    assert not any(answer.shows for answer in await night.answers_since(2))
    return [task.result() for task in held]


def test_a_night_of_edits_drops_no_request_and_changes_all_workers(policy: Path) -> None:
    """Catches a bad edit that acts, a good one that misses a worker, and a stream that notices either."""

    async def play(running: Server) -> tuple[list[Answer], list[Answer]]:
        async with calling(running) as night:
            held = await edits_of_a_night(night, policy)
        return held, night.answers

    with server("uvicorn 2 workers", **surroundings(policy, "night")) as running:
        held, answers = asyncio.run(play(running))
        running.stop()
    assert all(answer.whole for answer in (*held, *answers))
    assert not any(answer.shows for answer in held)
    assert running.log.count("policy rejected, hide (") == 2
    place = f"{policy}:{BAD.splitlines().index('mode: loud') + 1}:7"
    assert running.log.count(f"{place}: found `loud`") == 2
    assert "Traceback" not in running.log
    told = receipts(policy, "night")
    assert len(told) == len(answers) + len(held)
    assert {receipt["outcome"] for receipt in told} == {"complete"}


def test_a_restart_in_shadow_changes_nothing_and_says_what_would_be(policy: Path) -> None:
    """Catches a switch that one worker, one edit or one request does not hear."""
    bare = b"".join(stream())

    async def play(running: Server) -> list[Answer]:
        async with calling(running) as night:
            await night.answers_since(2)
            replace(policy, HIDE + "rules: [{name: closed, refuse: {status: 403}}]\n")
            await night.until_metric(2, "hardening_policy_reloads_total", outcome="applied")
            await night.answers_since(2)
        return night.answers

    with server("uvicorn 2 workers", HARDENING_MODE="shadow", **surroundings(policy, "shadow")) as running:
        answers = asyncio.run(play(running))
        running.stop()
    assert {(answer.status, answer.body) for answer in answers} == {(200, bare)}
    told = receipts(policy, "shadow")
    assert len(told) == len(answers)
    assert {receipt["mode"] for receipt in told} == {"shadow"}
    assert {receipt["would"]["rule"] for receipt in told} == {None, "closed"}


def test_workers_of_a_preloaded_app_see_an_edit(policy: Path) -> None:
    """Catches a watch that starts before the fork, and looks in the parent only."""

    async def play(running: Server) -> list[Answer]:
        async with calling(running) as night:
            await night.until_metric(4, "hardening_policy_info", name="hide")
            replace(policy, SHOW)
            await night.until_metric(4, "hardening_policy_info", name="show")
            assert all(answer.shows for answer in await night.answers_since(4))
        return night.answers

    with server("gunicorn preload", **surroundings(policy, "preload")) as running:
        answers = asyncio.run(play(running))
    assert all(answer.whole for answer in answers)
