"""Law 3 for responses: the official SDK reads each telling of a hardened response, and its helper the sum."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from hardening.testing import find_leaks
from tests.exchanges import ANSWER, TRACE
from tests.laws.served import Client, Site
from tests.laws.test_clients import ASKED, HARDENED
from tests.laws.upstream import ARGUMENTS, PLAN, RESPONSES

WHOLE = [name for name, says in RESPONSES.items() if says.whole]
LIVING = [name for name in RESPONSES if name != "breaks"]
SPOKEN = {
    "tags": {"baseline": f"<think>\n{PLAN.strip()}\n</think>\n{ANSWER}", "strict": ANSWER},
}


def respond(client: Any, model: str, **more: Any) -> Any:
    return client.responses.create(model=model, input=ASKED, **more)


def spoken(mount: str, model: str) -> str:
    return SPOKEN.get(model, {}).get(mount, ANSWER)


def told(response: Any, mount: str, model: str) -> None:
    """Check a response: the same items as without us, and in them what may be told."""
    assert [item.type for item in response.output] == ["reasoning", "message", "function_call"][
        : 3 if model == "tools" else 2
    ]
    assert response.output_text == spoken(mount, model)
    reasoning = response.output[0]
    summary = [PLAN.strip()] if mount == "baseline" else []
    assert [part.text for part in (*reasoning.summary, *(reasoning.content or ()))] == summary
    assert [item.arguments for item in response.output[2:]] == [ARGUMENTS] * (model == "tools")
    assert response.usage.output_tokens == 40
    assert response.reasoning.effort == "high"
    assert find_leaks(response.model_dump_json().encode(), TRACE) == []


@pytest.mark.parametrize("model", WHOLE)
@pytest.mark.parametrize("mount", HARDENED)
def test_response_bodies(gpt: Client, mount: str, model: str) -> None:
    """Catches an item or a part that is gone, or lacks a field of its type."""
    told(respond(gpt(mount), model), mount, model)


@pytest.mark.parametrize("model", LIVING)
@pytest.mark.parametrize("mount", HARDENED)
def test_response_events(gpt: Client, mount: str, model: str) -> None:
    """Catches an event without its fields, a gap in the count, and tellings that differ."""
    events = [*respond(gpt(mount), model, stream=True)]
    assert [one.sequence_number for one in events] == list(range(len(events)))
    texts = [one.delta for one in events if one.type == "response.output_text.delta"]
    whole = [one.text for one in events if one.type == "response.output_text.done"]
    assert ["".join(texts)] == whole == [spoken(mount, model)]
    thoughts = [one for one in events if one.type.startswith("response.reasoning")]
    named = {one.type for one in thoughts if one.type.endswith((".delta", "text.done"))}
    assert len(named) == (2 if mount == "baseline" else 0)
    assert events[-1].type == "response.completed"
    told(events[-1].response, mount, model)
    assert find_leaks("".join(one.model_dump_json() + "\n" for one in events).encode(), TRACE) == []


@pytest.mark.parametrize("model", LIVING)
@pytest.mark.parametrize("mount", HARDENED)
def test_response_stream_helper(gpt: Client, mount: str, model: str) -> None:
    """Catches what only the SDK's own accumulation meets: an item twice, a delta before its part."""
    with gpt(mount).responses.stream(model=model, input=ASKED) as stream:
        snapshots = [one.snapshot for one in stream if one.type == "response.output_text.delta"]
        told(stream.get_final_response(), mount, model)
    assert snapshots[-1] == spoken(mount, model)


@pytest.mark.parametrize("mount", HARDENED)
def test_kept_responses(gpt: Client, mount: str) -> None:
    """Catches an answer that is told raw when it is asked for again."""
    told(gpt(mount).responses.retrieve("resp_1"), mount, "plain")
    events = [*gpt(mount).responses.retrieve("resp_1", stream=True)]
    told(events[-1].response, mount, "plain")


@pytest.mark.parametrize("mount", HARDENED)
def test_a_beat_between_events(gpt: Client, site: Site, mount: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a beat that the SDK or its helper takes for another response."""
    monkeypatch.setattr("hardening.exchange.BEAT_S", 0.01)
    site.left.clear()
    with gpt(mount).responses.stream(model="slow", input=ASKED) as stream:
        kinds = [one.type for one in stream]
        told(stream.get_final_response(), mount, "plain")
    assert kinds.count("response.in_progress") >= 3


@pytest.mark.parametrize("mount", HARDENED)
def test_a_server_that_dies_is_an_error_of_the_stream(gpt: Client, mount: str) -> None:
    """Catches a broken stream that reads as a whole answer."""
    with pytest.raises(openai.APIError) as caught:
        list(respond(gpt(mount), "breaks", stream=True))
    assert not isinstance(caught.value, openai.APIConnectionError)
    assert "the model server failed" in str(caught.value)


def test_a_stream_out_of_tokens_is_incomplete(gpt: Client) -> None:
    """Catches a cut without a reason, without usage, or with an event that the SDK does not know."""
    with gpt("short", "cut-responses").responses.stream(model="plain", input=ASKED) as stream:
        events = [*stream]
    last = events[-1]
    assert last.type == "response.incomplete"
    assert last.response.incomplete_details.reason == "max_output_tokens"
    assert last.response.usage.output_tokens > 0
    assert [one.sequence_number for one in events] == list(range(len(events)))


def test_a_refusal_is_the_error_of_its_status(gpt: Client) -> None:
    """Catches a refusal that is no error of the API."""
    with pytest.raises(openai.PermissionDeniedError) as caught:
        respond(gpt("tight"), "closed")
    assert caught.value.type == "permission_error"
