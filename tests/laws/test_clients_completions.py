"""Law 3 at the doors of text completions, with `openai`, and of Mistral's chat, with `mistralai`."""

from __future__ import annotations

from collections import Counter
from typing import Any

import openai
import pytest
from mistralai.client import Mistral

from hardening.testing import find_leaks
from tests.exchanges import ANSWER, TRACE
from tests.laws.served import Client, Site
from tests.laws.upstream import COMPLETIONS, PLAN, SAID_ROWS

HARDENED = ["baseline", "strict"]
ASKED: Any = [{"role": "user", "content": "How many are left?"}]


def completions(client: openai.OpenAI, model: str, *, streamed: bool, **more: Any) -> list[Any]:
    """The parts of an answer. In streams the SDK's own types deny the null that all servers finish with."""
    client._strict_response_validation = not streamed
    answer = client.completions.create(model=model, prompt="?", stream=streamed, **more)
    return [*answer] if streamed else [answer]


def told(parts: list[Any]) -> dict[str, Any]:
    """What of a completion no policy may change, but its text."""
    ends = Counter(
        (one.index, one.finish_reason) for part in parts for one in part.choices if one.finish_reason
    )
    return {
        "ends": ends,
        "usage": [part.usage for part in parts if part.usage],
        "ids": {part.id for part in parts},
    }


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("model", [name for name in COMPLETIONS if name != "rows"])
@pytest.mark.parametrize("mount", HARDENED)
def test_text_completions(gpt: Client, mount: str, model: str, streamed: bool) -> None:
    """Catches a chunk without a required field, a lost choice, end or usage, and a trace between tags."""
    bare, hardened = (completions(gpt(where), model, streamed=streamed) for where in ("bare", mount))
    assert told(hardened) == told(bare)
    for index in range(2 if model == "two" else 1):
        text = "".join(one.text for part in hardened for one in part.choices if one.index == index)
        shown = f"<think>\n{PLAN.strip()}\n</think>\n" * (mount == "baseline")
        assert text == shown + ANSWER
    assert find_leaks("".join(part.model_dump_json() + "\n" for part in hardened).encode(), TRACE) == []


@pytest.mark.parametrize("streamed", [True, False])
def test_rows_of_text_completions(gpt: Client, streamed: bool) -> None:
    """Catches rows that are cut to a shape which the SDK does not know."""
    found = {}
    for mount in ("bare", *HARDENED):
        parts = completions(gpt(mount), "rows", streamed=streamed, logprobs=8)
        found[mount] = [one.logprobs for part in parts for one in part.choices if one.logprobs]
    kept = [token for rows in found["baseline"] for token in rows.tokens]
    assert "".join(kept) == SAID_ROWS
    assert {len(top) for rows in found["baseline"] for top in rows.top_logprobs} == {5}
    assert {value for rows in found["baseline"] for value in rows.token_logprobs} == {-0.25}
    assert found["strict"] == []


@pytest.mark.parametrize("model", ["parts", "plain"])
@pytest.mark.parametrize("mount", HARDENED)
def test_mistrals_client(site: Site, mount: str, model: str) -> None:
    """Catches a list of parts that its client cannot read, and a string that has become a list."""
    texts = {}
    for where in ("bare", mount):
        with Mistral(api_key="sk-x", server_url=f"{site.address}/{where}") as client:
            whole = client.chat.complete(model=model, messages=ASKED)
            with client.chat.stream(model=model, messages=ASKED) as events:
                deltas = [choice.delta.content for event in events for choice in event.data.choices]
        content = whole.choices[0].message.content
        texts[where] = ([piece for piece in map(_said, deltas) if piece[0]], _said(content)[0])
        thoughts = _said(content)[1], "".join(_said(one)[1] for one in deltas)
    assert texts[mount] == texts["bare"]
    if model == "parts":
        assert thoughts == (PLAN.strip() * (mount == "baseline"),) * 2
    assert find_leaks("\n".join(thoughts).encode(), TRACE) == []


def _said(content: Any) -> tuple[str, str]:
    """Text and thought of a content."""
    if not isinstance(content, list):
        return content or "", ""
    texts = [part.text for part in content if part.type == "text"]
    thoughts = [one.text for part in content if part.type == "thinking" for one in part.thinking]
    return "".join(texts), "".join(thoughts)
