"""Limits by model, in every store: names that a caller makes up give him no allowances without end, nor a store rows."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from hardening.facts import Account, Charge, Limit
from hardening.state import MemoryStore
from hardening.state.models import MOST_MODELS, spare_of
from tests.state.on_a_clock import SetStore
from tests.state.test_store import ANNE

GLASS = Limit("glass", "tokens", amount=1.0, per_s=10.0, burst=100.0, by="model")
CALLS = Limit("calls", "requests", amount=1.0, per_s=10.0, burst=1000.0, by="model")


def of(model: str, amount: float, account: Account = ANNE, limit: Limit = GLASS) -> Charge:
    return Charge(limit, f"model:{account.id}\n{model}", amount)


def use(store, model: str, amount: float, now: float = 0.0, account: Account = ANNE) -> bool:
    charges = (of(model, amount, account), of(model, 1.0, account, CALLS))
    answer = store.admit(account, charges, now)
    if answer.lease is not None:
        store.settle(answer.lease, charges, None, now)
    return answer.granted


def left(store, model: str, now: float = 0.0, account: Account = ANNE) -> float:
    answer = store.admit(account, (of(model, 0.0, account),), now)
    store.settle(answer.lease, (), None, now)
    return pytest.approx(answer.limits[0].remaining, abs=0.01)


def test_models_beyond_the_bound_share_one_allowance(make_store):
    store = make_store()
    for number in range(MOST_MODELS):
        assert use(store, f"m{number}", 60.0)
    assert use(store, "one more", 60.0)
    assert not use(store, "and another", 60.0)
    assert use(store, "and another", 40.0)
    assert left(store, "who knows") == 0
    assert left(store, "m3") == 40


def test_another_account_has_models_of_its_own(make_store):
    store = make_store()
    for number in range(MOST_MODELS + 2):
        use(store, f"m{number}", 60.0)
    other = Account("anne2")
    assert use(store, "m0", 100.0, account=other)
    assert use(store, "one more", 100.0, account=other)


def test_a_model_whose_limits_are_whole_again_makes_room(make_store):
    store = make_store()
    for number in range(MOST_MODELS):
        use(store, f"m{number}", 1.0 if number == 5 else 60.0)
    assert use(store, "first", 60.0)
    assert left(store, "second") == 40
    later = 30.0
    assert use(store, "third", 100.0, later)
    assert left(store, "fourth", later) == 43
    assert left(store, "third", later) == 0


def test_a_model_that_is_reserved_keeps_its_place_and_a_shared_lease_is_settled_where_it_lies(make_store):
    store = make_store()
    leases = [store.admit(ANNE, (of(f"m{number}", 50.0),), 0.0).lease for number in range(MOST_MODELS)]
    shared = store.admit(ANNE, (of("one more", 50.0),), 0.0)
    assert shared.limits[0].remaining == 50.0
    assert store.admit(ANNE, (of("and another", 50.0),), 0.0).granted
    refused = store.extend(shared.lease, (of("one more", 1.0),), 0.0)
    assert (refused.granted, refused.refused_by) == (False, "glass")
    store.settle(shared.lease, (of("one more", 10.0),), None, 0.0)
    assert left(store, "who knows") == 40
    longer = store.extend(leases[0], (of("m0", 50.0),), 0.0)
    assert longer.granted
    store.settle(longer.lease, (of("m0", 0.0),), None, 0.0)
    assert use(store, "in the place of m0", 100.0)


def test_a_lease_of_a_shared_scope_that_runs_out_is_spent_there(make_store):
    store = make_store(lease_s=10.0)
    for number in range(MOST_MODELS):
        use(store, f"m{number}", 100.0)
    store.admit(ANNE, (of("one more", 80.0),), 0.0)
    assert left(store, "who knows", 20.0) == 21


def test_a_store_in_memory_or_a_file_keeps_no_more_than_so_many(tmp_path: Path) -> None:
    memory, file = MemoryStore(), SetStore(tmp_path / "state.db")
    for store in (memory, file):
        for number in range(5 * MOST_MODELS):
            use(store, f"m{number}", 1.0, now=100.0 * (number // MOST_MODELS))
    connection = sqlite3.connect(tmp_path / "state.db")
    (rows,) = connection.execute("select count(*) from scopes where key like 'model:%'").fetchone()
    connection.close()
    file.inner.close()
    assert rows <= MOST_MODELS + 1
    assert len(memory) <= MOST_MODELS + 2
    assert len(memory._models) == 1


def test_a_request_without_a_model_is_one_of_those_beyond():
    assert spare_of("model:anne\nglass") == "model:anne\n"
    assert spare_of("model:anne\n") is None
    assert spare_of("account:anne") is None
