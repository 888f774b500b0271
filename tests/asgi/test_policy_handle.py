"""`policy.reload()`, for apps that load their policy themselves, and the switch of the environment."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import signal
import sys
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hardening import Policy, PolicyError, StartError, load_policy
from hardening.policy.editions import Editions
from hardening.policy.load import read_file, read_policy
from hardening.testing import harden
from tests.asgi.changing import SHOW, change, leaking, metric, shows
from tests.asgi.chat import BODY, HIDE
from tests.asgi.driver import ask, run

MOUNTING = Path(__file__).parents[2] / "docs" / "mounting.md"
IMPORTS = """
import asyncio, os, signal
from contextlib import asynccontextmanager, suppress
from fastapi import FastAPI
from hardening import HardeningError, HardeningMiddleware, load_policy
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(HIDE)
    return path


def test_reload_reaches_every_middleware_that_was_given_the_policy(path: Path) -> None:
    """Catches a handle that reaches one of two, or that polls by itself."""
    policy = load_policy(path)
    both = [harden(leaking(), policy), harden(leaking(), policy)]
    other = harden(leaking(), load_policy(path))
    path.write_text(SHOW)
    for hardened in (*both, other):
        assert not shows(run(ask(hardened, BODY)))
        assert hardened.watch is None
    assert policy.reload().name == "show"
    assert [shows(run(ask(hardened, BODY))) for hardened in (*both, other)] == [True, True, False]
    assert policy.name == "hide"
    path.write_text(HIDE)
    assert policy.reload().reload().name == "hide"
    assert [shows(run(ask(hardened, BODY))) for hardened in both] == [False, False]


def test_reload_of_a_bad_content_raises_and_every_middleware_tells(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    policy = load_policy(path)
    hardened = harden(leaking(), policy)
    run(ask(hardened, BODY))
    path.write_text(SHOW + "mode: loud\n")
    with pytest.raises(PolicyError, match="found `loud`"):
        policy.reload()
    assert "stays in force" in caplog.text
    assert metric(hardened, "hardening_policy_stale", reason="rejected") == 1
    assert not shows(run(ask(hardened, BODY)))
    path.write_text(SHOW)
    policy.reload()
    assert metric(hardened, "hardening_policy_stale", reason="rejected") == 0


def test_reload_tells_of_a_middleware_that_cannot_act_by_it_and_the_others_do(path: Path) -> None:
    policy = load_policy(path)
    able, unable = harden(leaking(), policy), harden(leaking(), policy)
    for hardened in (able, unable):
        run(ask(hardened, BODY))
    unable.service._guessing = StartError("rank file o200k_base cannot be read")
    path.write_text(SHOW + "doors: {unknown: block}\n")
    with pytest.raises(StartError, match="o200k_base"):
        policy.reload()
    assert [shows(run(ask(hardened, BODY))) for hardened in (able, unable)] == [True, False]


def test_a_middleware_that_starts_after_a_reload_begins_with_what_was_read(path: Path) -> None:
    """Catches an app without lifespan that was reloaded before its first request."""
    policy = load_policy(path)
    hardened = harden(leaking(), policy)
    path.write_text(SHOW)
    policy.reload()
    assert shows(run(ask(hardened, BODY)))
    assert metric(hardened, "hardening_policy_reloads_total", outcome="applied") is None


def test_a_policy_that_came_from_no_file_says_so() -> None:
    policy = harden(leaking(), HIDE).options.policy
    assert isinstance(policy, Policy)
    with pytest.raises(PolicyError, match="load_policy"):
        policy.reload()


def test_a_policy_keeps_no_middleware_alive_and_a_stopped_one_hears_nothing(path: Path) -> None:
    policy = load_policy(path)
    hardened = harden(leaking(), policy)
    run(ask(hardened, BODY))
    service = hardened._retire()
    registry, gone = hardened.options.registry, weakref.ref(hardened)
    policy.reload()
    assert registry.get_sample_value("hardening_policy_reloads_total", {"outcome": "applied"}) is None
    assert service.in_force.policy is not policy.editions.latest()
    del hardened, service
    gc.collect()
    assert gone() is None


def test_a_slow_reload_puts_no_older_content_over_a_newer_one(path: Path) -> None:
    policy, turns = load_policy(path), []
    beside = threading.Thread(target=policy.reload)

    class Slow:
        def take(self, policy: Policy) -> None:
            if not turns:
                path.write_text(SHOW)
                beside.start()
                beside.join(0.1)  # without a lock it gets all this time, and is done first
            turns.append(policy.name)

        def reject(self, fault: Exception) -> None:
            raise AssertionError(fault)

    slow = Slow()
    policy.editions.join(slow)
    policy.reload()
    beside.join()
    assert turns == ["hide", "show"]


@pytest.mark.parametrize("moment", ["load", "take"])
def test_a_reload_within_a_reload_wins_and_does_not_wait_for_itself(path: Path, moment: str) -> None:
    """Catches a signal handler that comes while its own thread reloads: a process that hangs, an older policy."""
    turns: list[str] = []
    signals: list[str] = []

    def interrupted(here: str) -> None:
        if here in signals:
            signals.remove(here)
            path.write_text(SHOW)
            editions.next()

    class Noting:
        def take(self, policy: Policy) -> None:
            turns.append(policy.name)
            interrupted("take")

        def reject(self, fault: Exception) -> None:
            raise AssertionError(fault)

    def load() -> Policy:
        policy = read_policy(path, {}, read_file)
        interrupted("load")
        return policy

    editions, both = Editions(load), (Noting(), Noting())
    for one in both:
        editions.join(one)
    signals.append(moment)
    assert editions.next().name == "show"
    assert editions.latest().name == "show"
    assert turns[-2:] == ["show", "show"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_signal_reloads_as_the_documents_say(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a recipe that does not run, and one that ends the process at a bad content."""
    blocks = re.findall(r"^```python\n(.*?)^```$", MOUNTING.read_text(encoding="utf-8"), re.M | re.S)
    (recipe,) = [block for block in blocks if "add_signal_handler" in block]
    monkeypatch.chdir(path.parent)
    names: dict[str, Any] = {}
    exec(IMPORTS, names)
    exec(compile(recipe, MOUNTING.name, "exec"), names)

    class Heard:
        def __init__(self) -> None:
            self.loop, self.news = asyncio.get_running_loop(), asyncio.Event()

        def take(self, policy: Policy) -> None:
            self.loop.call_soon_threadsafe(self.news.set)

        def reject(self, fault: Exception) -> None:
            self.loop.call_soon_threadsafe(self.news.set)

    def edit(text: str) -> None:
        path.write_text(text)
        os.kill(os.getpid(), signal.SIGHUP)

    async def play() -> None:
        heard = Heard()
        names["policy"].editions.join(heard)
        async with names["lifespan"](names["app"]):
            for text in ("no policy", SHOW):
                edit(text)
                await asyncio.wait_for(heard.news.wait(), 60)
                heard.news.clear()

    asyncio.run(play())
    assert names["policy"].editions.latest().name == "show"


# -- the switch of the environment


def given(path: Path) -> Policy:
    return load_policy(path)


def named(path: Path) -> Path:
    return path


@pytest.mark.parametrize("form", [given, named])
def test_the_environment_puts_any_policy_into_shadow_and_a_reload_leaves_it_there(
    form: Callable[[Path], Any], path: Path
) -> None:
    """Catches a switch for the night that an app which loads its policy itself does not hear."""
    policy = form(path)
    hardened = harden(leaking(), policy, environment={"HARDENING_KEY": "k" * 32, "HARDENING_MODE": "shadow"})
    assert shows(run(ask(hardened, BODY)))
    text = HIDE + "rules: [{name: other, match: {model: other}, exempt: true}]\n"
    if isinstance(policy, Policy):
        path.write_text(text)
        policy.reload()
    else:
        change(hardened, path, text)
    answer = run(ask(hardened, BODY))
    assert answer.messages == run(ask(leaking(), BODY)).messages
    assert [receipt.mode for receipt in hardened.receipts] == ["shadow", "shadow"]
    assert len({receipt.policy.digest for receipt in hardened.receipts}) == 2
    assert all(receipt.would.reasoning.show == "none" for receipt in hardened.receipts)


def test_a_policy_that_two_share_is_in_shadow_for_one_only(path: Path) -> None:
    """Catches decisions of one mode that are remembered for both."""
    policy = load_policy(path)
    for environment, seen in (({}, False), ({"HARDENING_MODE": "shadow"}, True), ({}, False)):
        hardened = harden(leaking(), policy, environment={"HARDENING_KEY": "k" * 32, **environment})
        assert shows(run(ask(hardened, BODY))) is seen


def test_a_wrong_word_in_the_switch_is_refused_for_a_policy_of_the_app_too(path: Path) -> None:
    hardened = harden(
        leaking(), load_policy(path), environment={"HARDENING_KEY": "k" * 32, "HARDENING_MODE": "of"}
    )
    assert run(ask(hardened, BODY)).status == 503
    assert "HARDENING_MODE" in str(hardened.fault)
