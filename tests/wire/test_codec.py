"""The formats that are built: one list, and what the other rooms say of it."""

from __future__ import annotations

import pytest

from hardening.facts import Refusal, RequestFacts
from hardening.policy.mounting import FORMATS as DECLARABLE
from hardening.policy.unbuilt import BUILT_FORMATS
from hardening.wire.codec import CODECS
from hardening.wire.doors import Doors
from hardening.wire.sse import SSE


def test_the_policy_room_knows_which_formats_are_built() -> None:
    assert set(CODECS) == BUILT_FORMATS
    assert set(DECLARABLE) >= BUILT_FORMATS


@pytest.mark.parametrize("name", CODECS)
def test_every_format_has_what_an_exchange_asks_of_it(name: str) -> None:
    codec = CODECS[name]
    status, headers, body = codec.refusal(Refusal(429, "rate_limit", "a limit is used up"), "req_1")
    assert (status, dict(headers)[b"content-length"]) == (429, str(len(body)).encode())
    assert b"a limit is used up" in codec.stream(SSE).fail(Refusal(500, "internal", "a limit is used up"), "")


@pytest.mark.parametrize("name", CODECS)
def test_every_format_has_a_door(name: str) -> None:
    doors = Doors()
    found = {door.codec.name for path in doors.names if (door := doors.match(path)) and door.codec}
    assert name in found


def test_a_format_speaks_where_its_answers_are_no_values() -> None:
    """Catches a new format of values that reserves tokens, and one of words that reserves none."""
    tables = {name: codec.response for name, codec in CODECS.items()}
    values = {name for name, table in tables.items() if table.embeds or table.scores}
    assert {name for name in tables if not RequestFacts("/t", name).speaks} == values
    assert {name for name, table in tables.items() if table.embeds} == {
        name for name in tables if RequestFacts("/t", name).embeds
    }
