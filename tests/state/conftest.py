"""Every store that exists, behind one fixture: the contract suite runs over each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from hardening.state import MemoryStore
from tests.state.on_a_clock import SetStore

Factory = Callable[..., Any]


@pytest.fixture(params=["memory", "sqlite"])
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Factory]:
    """Makes a store; takes `max_accounts` and `lease_s`."""
    if request.param == "memory":
        yield MemoryStore
        return
    opened: list[SetStore] = []
    numbers = count()

    def make(**options: Any) -> SetStore:
        opened.append(SetStore(tmp_path / f"state{next(numbers)}.db", **options))
        return opened[-1]

    yield make
    for store in opened:
        store.inner.close()
