"""The store of one process against the simulator, under random schedules; other stores play the same."""

from __future__ import annotations

from hypothesis import given

from hardening.state import MemoryStore
from tests.state.schedules import EFFORT, LEASE_S, Schedule, Subject, play, schedules


@given(schedules)
@EFFORT
def test_memory_does_what_the_simulator_does(schedule: Schedule):
    store = MemoryStore(lease_s=LEASE_S)
    play(Subject(store, desk=store), schedule)
    assert store.open_leases == 0
