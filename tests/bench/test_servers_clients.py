"""What the official clients read of a real server is compared with what they read of it bare."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from bench.servers import clients
from bench.servers.clients import Address, Call, check_clients, ways
from bench.servers.judge import Trace
from tests.exchanges import ANSWER, TRACE
from tests.laws.served import Site, serving
from tests.laws.upstream import PLAN

MODEL = "plain"
WHOLE = Trace(PLAN + TRACE, ANSWER)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with serving() as served:
        yield served


def checked(site: Site, mount: str, trace: Trace = WHOLE) -> list[Call]:
    bare, hardened = (Address(f"{site.address}/{name}") for name in ("bare", mount))
    return check_clients("site", MODEL, bare, hardened, trace)


def test_each_way_of_calling_that_the_server_knows_reads_the_same_answer_without_the_trace(
    site: Site,
) -> None:
    calls = checked(site, "strict")
    assert {call.name for call in calls} >= {
        "openai chat whole",
        "openai chat stream",
        "openai chat helper",
        "openai completions whole",
        "openai responses helper",
        "anthropic messages whole",
        "anthropic messages helper",
    }
    assert [call for call in calls if call.fault or call.hidden_chars] == []
    assert sum(call.bare_chars for call in calls) > 1000


def test_what_the_server_lets_out_bare_is_found_behind_us_too(site: Site) -> None:
    """Catches a check that finds nothing because it looks nowhere."""
    calls = checked(site, "bare")
    assert all(call.hidden_chars == call.bare_chars for call in calls)
    assert sum(call.hidden_chars for call in calls) > 1000


def test_a_client_that_raises_or_shows_another_text_is_a_fault(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = checked(site, "faulty")
    assert {call.fault for call in refused} == {"InternalServerError", "ServiceUnavailableError"}
    made = ways

    def other(model: str, address: Address) -> dict[str, object]:
        spoilt = replace(address, base=address.base.replace("/bare", "/strict"))
        found = made(model, spoilt)
        if "/bare" in address.base:
            return {name: lambda: ("another", "") for name in found}
        return dict(found)

    monkeypatch.setattr(clients, "ways", other)
    assert {call.fault for call in checked(site, "strict")} == {"another text"}
