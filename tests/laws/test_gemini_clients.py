"""Law 3 for Gemini: the official SDK parses every hardened response, and so does who reads the array."""

from __future__ import annotations

import base64
import json
import urllib.request
from typing import Any

import pytest
from google.genai import errors, types

from hardening.testing import find_leaks
from hardening.wire.mark import MARK
from tests.exchanges import ANSWER, TRACE
from tests.laws.served import Client, Site
from tests.laws.upstream import CALL, GEMINI_ANSWERS, PLAN

ASKED = "Tom has 5 apples and gives 2 away. How many are left?"
HARDENED = ["baseline", "strict"]
OURS = base64.b64decode(MARK)  # our own seals are told apart from what the model signs
WHOLE = [name for name, says in GEMINI_ANSWERS.items() if says.whole]
LIVING = [name for name in GEMINI_ANSWERS if name != "breaks"]
Told = dict[str, Any]


def told(responses: list[types.GenerateContentResponse]) -> Told:
    """What of an answer no policy may change, by candidate."""
    found: Told = {"text": {}, "calls": [], "signatures": set(), "ends": [], "usage": None, "ids": set()}
    for response in responses:
        for candidate in response.candidates or ():
            at = candidate.index or 0
            for part in (candidate.content and candidate.content.parts) or ():
                if part.text and not part.thought:
                    found["text"][at] = found["text"].get(at, "") + part.text
                if part.function_call:
                    found["calls"].append((at, part.function_call.name, part.function_call.args))
                if part.thought_signature and not part.thought_signature.startswith(OURS):
                    found["signatures"].add((at, part.thought_signature))
            if candidate.finish_reason:
                found["ends"].append((at, candidate.finish_reason))
        found["usage"] = response.usage_metadata or found["usage"]
        found["ids"] |= {response.response_id, response.model_version}
    return found


def thoughts(responses: list[types.GenerateContentResponse]) -> str:
    parts = [part for one in responses for part in one.parts or () if part.thought]
    return "".join(part.text or "" for part in parts)


def leaks(responses: list[types.GenerateContentResponse]) -> list[Any]:
    return find_leaks("".join(one.model_dump_json() + "\n" for one in responses).encode(), TRACE)


@pytest.mark.parametrize("model", LIVING)
@pytest.mark.parametrize("mount", HARDENED)
def test_chunks(gemini: Client, mount: str, model: str) -> None:
    """Catches a chunk that the SDK's reader of lines does not take, a lost end, call, signature or count."""
    bare, hardened = (
        [*gemini(where).models.generate_content_stream(model=model, contents=ASKED)]
        for where in ("bare", mount)
    )
    assert told(hardened) == told(bare)
    assert told(hardened)["ends"]
    assert thoughts(hardened) == PLAN.strip() * (mount == "baseline") * (2 if model == "two" else 1)
    assert leaks(hardened) == []


@pytest.mark.parametrize("model", WHOLE)
@pytest.mark.parametrize("mount", HARDENED)
def test_bodies(gemini: Client, mount: str, model: str) -> None:
    """Catches a body that loses a part, or the signature that the next turn needs."""
    bare, hardened = (
        gemini(where).models.generate_content(model=model, contents=ASKED) for where in ("bare", mount)
    )
    assert told([hardened]) == told([bare])
    assert hardened.text == bare.text
    assert hardened.function_calls == bare.function_calls
    assert thoughts([hardened]) == PLAN.strip() * (mount == "baseline")
    assert leaks([hardened]) == []


@pytest.mark.parametrize("mount", HARDENED)
def test_a_chat_goes_on_with_what_it_was_given(gemini: Client, mount: str) -> None:
    """Catches a history that the SDK takes for invalid, and a call whose signature is gone from it."""
    chat = gemini(mount).chats.create(model="tools")
    assert list(chat.send_message_stream(ASKED))
    parts = [part for content in chat.get_history(curated=True) for part in content.parts or ()]
    (call,) = [part for part in parts if part.function_call]
    assert call.function_call
    assert call.function_call.args == CALL
    assert call.thought_signature
    assert {content.role for content in chat.get_history()} == {"user", "model"}
    assert list(chat.send_message_stream("And now?"))


@pytest.mark.parametrize("model", LIVING)
@pytest.mark.parametrize("mount", HARDENED)
def test_an_array_holds_what_the_events_hold(gemini: Client, site: Site, mount: str, model: str) -> None:
    """Catches an array that is none once elements went, for clients that do not ask for events."""
    request = urllib.request.Request(
        f"{site.address}/{mount}/v1beta/models/{model}:streamGenerateContent?key=AIza-x",
        data=json.dumps({"contents": [{"parts": [{"text": ASKED}]}]}).encode(),
        headers={"x-who": "reader", "content-type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        values = json.loads(answer.read())
    elements = [types.GenerateContentResponse.model_validate(value) for value in values]
    events = [*gemini(mount).models.generate_content_stream(model=model, contents=ASKED)]
    assert told(elements) == told(events)
    assert leaks(elements) == []


@pytest.mark.parametrize("mount", HARDENED)
def test_heart_beats_in_between(
    gemini: Client, site: Site, mount: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Catches a beat that the SDK's reader of lines cannot parse, or that reads as a piece of the answer."""
    monkeypatch.setattr("hardening.exchange.BEAT_S", 0.01)
    site.left.clear()
    answers = [
        told([*gemini(mount).models.generate_content_stream(model=model, contents=ASKED)])
        for model in ("plain", "slow")
    ]
    assert answers[0] == answers[1]
    assert answers[0]["text"] == {0: ANSWER}
    assert sum(b'"parts":[{"text":"","thought":true}]' in piece for piece in site.left) >= 2


REFUSED: dict[str, tuple[str, dict[str, str], str, int, str]] = {
    "closed": ("closed", {}, ASKED, 403, "PERMISSION_DENIED"),
    "packed": ("plain", {"content-encoding": "br"}, ASKED, 400, "INVALID_ARGUMENT"),
    "large": ("plain", {}, "long " * 2000, 413, "INVALID_ARGUMENT"),
    "nobody": ("plain", {"x-who": "nobody"}, ASKED, 401, "UNAUTHENTICATED"),
}


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("case", REFUSED)
def test_a_refusal_is_the_error_of_its_status(gemini: Client, case: str, streamed: bool) -> None:
    """Catches a refusal in another API's shape, as plain text, or as a stream that is empty."""
    model, headers, asked, status, name = REFUSED[case]
    models = gemini("tight").models
    config = types.GenerateContentConfig(http_options=types.HttpOptions(headers=headers))
    with pytest.raises(errors.ClientError) as caught:
        if streamed:
            list(models.generate_content_stream(model=model, contents=asked, config=config))
        else:
            models.generate_content(model=model, contents=asked, config=config)
    assert (caught.value.code, caught.value.status) == (status, name)
    assert caught.value.message


def test_a_limit_is_an_exhausted_resource(gemini: Client) -> None:
    """Catches a limit that the SDK reads as anything else, or as an answer."""
    models = gemini("tight", "window-gemini").models
    models.generate_content(model="plain", contents=ASKED)
    with pytest.raises(errors.ClientError) as caught:
        models.generate_content(model="plain", contents=ASKED)
    assert (caught.value.code, caught.value.status) == (429, "RESOURCE_EXHAUSTED")


@pytest.mark.parametrize("mount", HARDENED)
def test_a_server_that_dies_in_mid_stream_is_an_error_of_the_stream(gemini: Client, mount: str) -> None:
    """Catches a broken stream that reads as a whole answer."""
    seen: list[Any] = []
    with pytest.raises(errors.APIError) as caught:
        seen += gemini(mount).models.generate_content_stream(model="breaks", contents=ASKED)
    assert "the model server failed" in str(caught.value)
    assert TRACE[:20] not in str(caught.value)


def test_a_stream_out_of_tokens_ends_as_one_that_reached_its_length(gemini: Client) -> None:
    """Catches a cut without an end, or without a count."""
    last = [*gemini("short", "cut-gemini").models.generate_content_stream(model="plain", contents=ASKED)][-1]
    (candidate,) = last.candidates
    assert candidate.finish_reason is types.FinishReason.MAX_TOKENS
    assert last.usage_metadata.thoughts_token_count > 0
