"""Every store that exists, behind one fixture: the contract suite runs over each."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hardening.state import MemoryStore

Factory = Callable[..., MemoryStore]
FACTORIES: dict[str, Factory] = {"memory": MemoryStore}


@pytest.fixture(params=list(FACTORIES.values()), ids=list(FACTORIES))
def make_store(request: pytest.FixtureRequest) -> Factory:
    """Makes a store; takes `max_accounts` and `lease_s`."""
    factory: Factory = request.param
    return factory
