"""Law 3 for `ollama`: its client parses every hardened line, and misses nothing but the trace."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import ollama
import pytest

from hardening.testing import find_leaks
from tests.exchanges import ANSWER, TRACE
from tests.laws.served import Site
from tests.laws.upstream import CALL, OLLAMA_CHATS, OLLAMA_TEXTS, PLAN, SAID_ROWS

ASKED: Any = [{"role": "user", "content": "Tom has 5 apples and gives 2 away. How many are left?"}]
HARDENED = ["baseline", "strict"]
WHOLE_CHATS = [name for name, says in OLLAMA_CHATS.items() if says.whole]
LIVING = [name for name in OLLAMA_CHATS if name != "breaks"]
Client = Callable[..., ollama.Client]


@pytest.fixture(scope="module")
def llama(site: Site) -> Iterator[Client]:
    """Makes clients of the `ollama` SDK."""
    made: list[ollama.Client] = []

    def client(mount: str, name: str = "reader") -> ollama.Client:
        made.append(ollama.Client(f"{site.address}/{mount}", headers={"x-who": name}, timeout=60.0))
        return made[-1]

    yield client
    for one in made:
        one._client.close()


def text_of(parts: list[Any], name: str) -> str:
    return "".join(getattr(part.message, name) or "" for part in parts)


def told(parts: list[Any]) -> dict[str, Any]:
    """What of a chat no policy may change."""
    calls = [call.function for part in parts for call in part.message.tool_calls or ()]
    last = parts[-1]
    return {
        "text": text_of(parts, "content"),
        "calls": [(call.name, call.arguments) for call in calls],
        "ends": [part.done_reason for part in parts if part.done],
        "usage": (last.prompt_eval_count, last.eval_count, last.total_duration),
        "model": {part.model for part in parts},
        "roles": {part.message.role for part in parts},
    }


@pytest.mark.parametrize("model", LIVING)
@pytest.mark.parametrize("mount", HARDENED)
def test_chat_lines(llama: Client, mount: str, model: str) -> None:
    """Catches a line without a field that the client demands, a lost call, end or count."""
    bare, hardened = ([*llama(where).chat(model, ASKED, stream=True)] for where in ("bare", mount))
    assert told(hardened) == told(bare)
    assert text_of(hardened, "thinking") == PLAN.strip() * (mount == "baseline")
    assert find_leaks("".join(part.model_dump_json() + "\n" for part in hardened).encode(), TRACE) == []


@pytest.mark.parametrize("model", WHOLE_CHATS)
@pytest.mark.parametrize("mount", HARDENED)
def test_chat_bodies(llama: Client, mount: str, model: str) -> None:
    """Catches a body that loses a required field with its trace or its rows."""
    bare, hardened = ([llama(where).chat(model, ASKED)] for where in ("bare", mount))
    assert told(hardened) == told(bare)
    assert hardened[0].message.thinking == PLAN.strip() * (mount == "baseline")
    assert (told(hardened)["calls"] == [("weather", CALL)]) is (model == "tools")


@pytest.mark.parametrize("streamed", [True, False])
def test_chat_rows(llama: Client, streamed: bool) -> None:
    """Catches rows in a shape that the client does not know, of a trace, or beyond the policy."""
    found = {}
    for mount in ("bare", *HARDENED):
        answer: Any = llama(mount).chat("rows", ASKED, stream=streamed, logprobs=True, top_logprobs=8)
        found[mount] = [row for part in (answer if streamed else [answer]) for row in part.logprobs or ()]
    assert "".join(row.token for row in found["baseline"]) == SAID_ROWS
    assert {len(row.top_logprobs) for row in found["baseline"]} == {5}
    assert {row.logprob for row in found["baseline"]} == {-0.25}
    assert (len(found["bare"][0].top_logprobs), found["strict"]) == (8, [])


@pytest.mark.parametrize("model", OLLAMA_TEXTS)
@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("mount", HARDENED)
def test_generated_text(llama: Client, mount: str, streamed: bool, model: str) -> None:
    """Catches a trace in the text, beside it, or in the tokens of the conversation so far."""
    raw = model == "raw" and mount != "strict"  # which refuses it
    answer: Any = llama(mount).generate(model, "?", stream=streamed, raw=raw)
    parts = [*answer] if streamed else [answer]
    text = "".join(part.response for part in parts)
    assert text.endswith(ANSWER)
    assert (text.strip() == ANSWER) is (model == "plain" or mount == "strict")
    assert parts[-1].context == []
    assert (parts[-1].eval_count, parts[-1].done) == (40, True)
    assert find_leaks("".join(part.model_dump_json() + "\n" for part in parts).encode(), TRACE) == []


def test_a_prompt_without_a_template_is_refused_where_switches_are(llama: Client) -> None:
    with pytest.raises(ollama.ResponseError, match="`raw` may not be set here") as caught:
        llama("strict").generate("raw", "?", raw=True)
    assert caught.value.status_code == 400


@pytest.mark.parametrize("mount", HARDENED)
def test_heart_beats_in_between(
    llama: Client, site: Site, mount: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Catches a beat that the client cannot parse or that it counts as a part of the answer."""
    monkeypatch.setattr("hardening.exchange.BEAT_S", 0.01)
    site.left.clear()
    calm, beaten = (told([*llama(mount).chat(model, ASKED, stream=True)]) for model in ("plain", "slow"))
    assert beaten == calm
    assert sum(piece.endswith(b'"content":""},"done":false}\n') for piece in site.left) >= 2


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize(("model", "who", "status"), [("closed", "reader", 403), ("plain", "nobody", 401)])
def test_a_refusal_is_the_error_of_its_status(
    llama: Client, streamed: bool, model: str, who: str, status: int
) -> None:
    """Catches a refusal in another API's shape, or a stream that is empty."""
    with pytest.raises(ollama.ResponseError) as caught:
        list(llama("tight", who).chat(model, ASKED, stream=streamed))
    assert caught.value.status_code == status
    assert caught.value.error
    assert "{" not in caught.value.error


def test_a_server_that_dies_in_mid_stream_is_an_error_of_the_stream(llama: Client) -> None:
    """Catches a broken stream that reads as a whole answer."""
    seen: list[Any] = []
    with pytest.raises(ollama.ResponseError) as caught:
        seen += llama("strict").chat("breaks", ASKED, stream=True)
    assert "the model server failed" in caught.value.error


def test_a_stream_out_of_tokens_ends_as_one_that_reached_its_length(llama: Client) -> None:
    """Catches a cut that has no end or no counts."""
    parts: Any = [*llama("short", "cut-llama").chat("plain", ASKED, stream=True)]
    assert [part.done_reason for part in parts if part.done] == ["length"]
    assert parts[-1].eval_count > 0
