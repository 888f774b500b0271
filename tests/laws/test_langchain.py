"""Law 3 one layer up: LangChain's chat models read hardened answers, whole and streamed, their calls and counts."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from hardening.testing import find_leaks
from tests.exchanges import ANSWER, TRACE
from tests.laws.served import Site
from tests.laws.upstream import CALL

pytest.importorskip("langchain_core", reason="LangChain is not installed: pip install '.[clients]'")

Make = Callable[[str, str], Any]


def _openai(address: str, model: str) -> Any:
    openai = pytest.importorskip("langchain_openai")
    return openai.ChatOpenAI(base_url=f"{address}/v1", api_key="sk-x", model=model, stream_usage=True)


def _responses(address: str, model: str) -> Any:
    openai = pytest.importorskip("langchain_openai")
    return openai.ChatOpenAI(base_url=f"{address}/v1", api_key="sk-x", model=model, use_responses_api=True)


def _anthropic(address: str, model: str) -> Any:
    anthropic = pytest.importorskip("langchain_anthropic")
    return anthropic.ChatAnthropic(base_url=address, api_key="sk-x", model_name=model, max_tokens=1000)


def _google(address: str, model: str) -> Any:
    google = pytest.importorskip("langchain_google_genai", minversion="4", reason="before 4 it speaks gRPC")
    return google.ChatGoogleGenerativeAI(model=model, api_key="AIza-x", base_url=address, vertexai=False)


def _ollama(address: str, model: str) -> Any:
    return pytest.importorskip("langchain_ollama").ChatOllama(base_url=address, model=model)


def _mistral(address: str, model: str) -> Any:
    mistral = pytest.importorskip("langchain_mistralai")
    return mistral.ChatMistralAI(base_url=f"{address}/v1", api_key="sk-x", model_name=model)


MODELS: dict[str, Make] = {
    "openai": _openai,
    "responses": _responses,
    "anthropic": _anthropic,
    "google": _google,
    "ollama": _ollama,
    "mistral": _mistral,
}
TOLD = {"round": 64, "drop": 0}
"""By mount, the tokens that are told of an answer of 40; elsewhere as many as without us."""

models = pytest.mark.parametrize("name", MODELS)
mounts = pytest.mark.parametrize("mount", ["baseline", "strict", *TOLD])
streamed_or_not = pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])


def asked(site: Site, mount: str, name: str, model: str, *, streamed: bool) -> Any:
    """The message that the chat model makes of an answer; chunks are added up by LangChain itself."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # of their own: models that they do not know, sockets that they leave open
        chat = MODELS[name](f"{site.address}/{mount}", model)
        if streamed:
            first, *rest = chat.stream("How many are left?")
            message = sum(rest, first)
        else:
            message = chat.invoke("How many are left?")
        del chat
        gc.collect()
    return message


def counts(message: Any) -> tuple[int, int, int] | None:
    """What it tells of input, output and total; None where its reader makes nothing of a usage."""
    usage = message.usage_metadata
    return usage and (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"])


@models
@mounts
@streamed_or_not
def test_text_and_counts(site: Site, mount: str, name: str, streamed: bool) -> None:
    """Catches an answer whose counts their reader does not take, or adds up to something else."""
    bare, message = (asked(site, where, name, "plain", streamed=streamed) for where in ("bare", mount))
    assert message.text == bare.text == ANSWER
    without = counts(bare)  # readers of a format make what they can of it, so ours is held to theirs
    if without and mount in TOLD:
        assert counts(message) == (without[0], TOLD[mount], without[0] + TOLD[mount])
    else:
        assert counts(message) == without
    assert find_leaks(message.model_dump_json().encode(), TRACE) == []


@models
@mounts
@streamed_or_not
def test_calls(site: Site, mount: str, name: str, streamed: bool) -> None:
    """Catches a call that is lost beside a hidden trace."""
    bare, message = (asked(site, where, name, "tools", streamed=streamed) for where in ("bare", mount))
    calls, without = ([(one["name"], one["args"]) for one in told.tool_calls] for told in (message, bare))
    assert calls == without
    if not (name == "mistral" and streamed):  # its reader does not join arguments that come without an id
        assert calls == [("weather", CALL)]
