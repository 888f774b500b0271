"""The store of one process against the simulator, under random schedules; other stores play the same."""

from __future__ import annotations

from hypothesis import example, given

from hardening.state import MemoryStore
from tests.state.schedules import (
    EFFORT,
    LEASE_S,
    Admit,
    Extend,
    Schedule,
    Settle,
    Subject,
    Wait,
    play,
    schedules,
)

OWED_IN_ITS_WINDOW: Schedule = (
    Admit(account=0, units=((3, 57), (3, 6)), obey=False),
    Extend(lease=0, units=((3, 31),), debt=25),
    Settle(lease=0, eighths=0, silent=1),
    Admit(account=0, units=((3, 0), (3, 22)), obey=True),
    Settle(lease=1, eighths=0, silent=1),
)
"""Found among tens of thousands: a debt of four came back at once, and 22 more fitted into a window that was full."""

ASKED_AT_ITS_END: Schedule = (
    Admit(account=1, units=((3, 43),), obey=False),
    Settle(lease=0, eighths=0, silent=1),
    Admit(account=1, units=((3, 50),), obey=True),
    *(Wait(quarters=quarters) for quarters in (46, 15, 15, 32, 52)),
    Extend(lease=1, units=(), debt=0),
)
"""Asks for more at the moment at which its lease runs out, which no float is."""


@given(schedules)
@example(OWED_IN_ITS_WINDOW)
@example(ASKED_AT_ITS_END)
@EFFORT
def test_memory_does_what_the_simulator_does(schedule: Schedule):
    store = MemoryStore(lease_s=LEASE_S)
    play(Subject(store, desk=store), schedule)
    assert store.open_leases == 0
