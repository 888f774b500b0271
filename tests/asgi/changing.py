"""Policies that follow one another in a file, and what is seen of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hardening.testing import Hardened, find_leaks, harden
from tests.asgi.chat import BODY, HIDE, TRACE, whole
from tests.asgi.driver import Answer, ask, replies, run

SHOW = HIDE.replace("name: hide", "name: show").replace("{show: none}", "{show: full}")
SHADOW = HIDE.replace("name: hide", "name: quiet") + "mode: shadow\n"


def leaking() -> Any:
    return replies([whole()], kind=b"application/json")


def change(hardened: Hardened, path: Path, text: str) -> None:
    """Edit the file and let the watch look until it has settled."""
    path.write_text(text)
    assert hardened.watch is not None
    assert hardened.service is not None
    hardened.watch.poll(hardened.service)
    hardened.watch.poll(hardened.service)


def metric(hardened: Hardened, series: str, /, **labels: str) -> float | None:
    return hardened.options.registry.get_sample_value(series, labels)


def shows(answer: Answer) -> bool:
    """Whether the trace left."""
    assert answer.status == 200
    return find_leaks(answer.chunks, TRACE) != []


def started(path: Path, **more: Any) -> Hardened:
    """Hardened by the file, after one request."""
    hardened = harden(leaking(), path, **more)
    assert not shows(run(ask(hardened, BODY)))
    return hardened
