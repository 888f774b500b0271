"""Law 3 where there is no whole answer: the official SDKs raise what they raise for the real API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anthropic
import openai
import pytest

from tests.exchanges import TRACE
from tests.laws.served import Client, Site

ASKED: Any = [{"role": "user", "content": "How many are left?"}]
Call = Callable[..., Any]


def chat(client: Any, *, model: str = "plain", **more: Any) -> Any:
    return client.chat.completions.create(model=model, messages=more.pop("messages", ASKED), **more)


def message(client: Any, *, model: str = "plain", **more: Any) -> Any:
    asked = more.pop("messages", ASKED)
    return client.messages.create(model=model, messages=asked, max_tokens=1000, **more)


@pytest.fixture(params=["openai", "anthropic"])
def api(request: pytest.FixtureRequest, gpt: Client, claude: Client) -> tuple[Any, Client, Call]:
    """An SDK, its clients, and how it is asked."""
    return (openai, gpt, chat) if request.param == "openai" else (anthropic, claude, message)


REFUSED: dict[str, tuple[dict[str, Any], int, str, str, str]] = {
    "closed": ({"model": "closed"}, 403, "PermissionDeniedError", "permission_error", "permission_error"),
    "packed": (
        {"extra_headers": {"content-encoding": "br"}}, 400, "BadRequestError",
        "invalid_request_error", "invalid_request_error",
    ),
    "large": (
        {"messages": [{"role": "user", "content": "long " * 2000}]}, 413, "APIStatusError",
        "invalid_request_error", "request_too_large",
    ),
    "nobody": (
        {"extra_headers": {"x-who": "nobody"}}, 401, "AuthenticationError",
        "authentication_error", "authentication_error",
    ),
}  # fmt: skip


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("case", REFUSED)
def test_a_refusal_is_the_error_of_its_status(
    api: tuple[Any, Client, Call], case: str, streamed: bool
) -> None:
    """Catches a refusal in another API's shape, as plain text, or as a stream that is empty."""
    sdk, clients, call = api
    options, status, error, openai_type, anthropic_type = REFUSED[case]
    with pytest.raises(getattr(sdk, error)) as caught:
        call(clients("tight"), stream=streamed, **options)
    fault = caught.value
    assert fault.status_code == status
    assert fault.response.headers["cache-control"] == "private, no-store"
    if sdk is openai:
        assert (fault.type, fault.param) == (openai_type, None)
        assert fault.body["message"]
    else:
        assert type(fault) is (anthropic.RequestTooLargeError if status == 413 else getattr(anthropic, error))
        assert (fault.body["type"], fault.body["error"]["type"]) == ("error", anthropic_type)
        assert fault.body["request_id"].startswith("req_")


def test_a_window_says_how_long_to_wait(api: tuple[Any, Client, Call]) -> None:
    """Catches a 429 that is no RateLimitError, or whose wait the SDK cannot read."""
    sdk, clients, call = api
    client = clients("tight", f"window-{sdk.__name__}")
    call(client)
    with pytest.raises(sdk.RateLimitError) as caught:
        call(client)
    headers = caught.value.response.headers
    assert 1 <= int(headers["retry-after"]) <= 30
    assert "x-should-retry" not in headers
    assert client._parse_retry_after_header(headers) == int(headers["retry-after"])
    assert client._should_retry(caught.value.response)


def test_a_quota_is_not_asked_again(api: tuple[Any, Client, Call], site: Site) -> None:
    """Catches an SDK that retries, or sleeps for days, against a limit that waiting does not fill."""
    sdk, clients, call = api
    client = clients("tight", f"quota-{sdk.__name__}", retries=2)
    for _ in range(3):
        call(client)
    before = site.asked("tight")
    with pytest.raises(sdk.RateLimitError) as caught:
        call(client)
    assert site.asked("tight") == before + 1
    headers = caught.value.response.headers
    assert headers["x-should-retry"] == "false"
    assert int(headers["retry-after"]) > 86_400


def test_a_service_that_could_not_start_is_a_server_error(api: tuple[Any, Client, Call]) -> None:
    """Catches a failed start that looks like an answer, or tells a caller about the policy."""
    sdk, clients, call = api
    with pytest.raises(sdk.InternalServerError if sdk is openai else sdk.APIStatusError) as caught:
        call(clients("faulty"))
    assert caught.value.status_code == 503
    assert "no-such-policy" not in str(caught.value)


@pytest.mark.parametrize("mount", ["baseline", "strict"])
def test_a_server_that_dies_in_mid_stream_is_an_error_of_the_stream(
    api: tuple[Any, Client, Call], mount: str
) -> None:
    """Catches a broken stream that reads as a whole answer, or as a lost connection that is asked again."""
    sdk, clients, call = api
    seen: list[Any] = []
    with pytest.raises(sdk.APIError) as caught:
        seen += list(call(clients(mount), model="breaks", stream=True))
    assert not isinstance(caught.value, sdk.APIConnectionError)
    assert "the model server failed" in str(caught.value)
    assert TRACE[:20] not in str(caught.value)


def test_a_stream_out_of_tokens_ends_as_one_that_reached_its_length(gpt: Client, claude: Client) -> None:
    """Catches a cut that leaves a block open, has no end, or no usage."""
    chunks = list(chat(gpt("short", "cut-gpt"), stream=True))
    ends = [choice.finish_reason for part in chunks for choice in part.choices if choice.finish_reason]
    assert ends == ["length"]
    assert [part.usage.completion_tokens > 0 for part in chunks if part.usage] == [True]
    with claude("short", "cut-claude").messages.stream(
        model="plain", messages=ASKED, max_tokens=1000
    ) as stream:
        events = [
            one.type for one in stream if one.type.startswith("content_block") or one.type == "message_stop"
        ]
    assert stream.get_final_message().stop_reason == "max_tokens"
    assert events.count("content_block_start") == events.count("content_block_stop")
    assert events[-1] == "message_stop"
