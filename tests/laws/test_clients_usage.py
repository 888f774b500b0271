"""Law 3 for counts: the official SDKs and their stream helpers read counts that are coarse, and lose nothing else."""

from __future__ import annotations

from typing import Any

import ollama
import pytest
from mistralai.client import Mistral

from tests.exchanges import ANSWER
from tests.laws.served import Client, Site

ASKED: Any = [{"role": "user", "content": "Tom has 5 apples and gives 2 away. How many are left?"}]
TOLD = {"round": 64, "drop": 0}
"""By mount, what is told of an answer of 40 tokens after a prompt of 9."""

mounts = pytest.mark.parametrize("mount", TOLD)
streamed_or_not = pytest.mark.parametrize("streamed", [True, False])


@mounts
@streamed_or_not
def test_chat(gpt: Client, mount: str, streamed: bool) -> None:
    answer = gpt(mount).chat.completions.create(model="plain", messages=ASKED, stream=streamed)
    usage = [part.usage for part in answer if part.usage][-1] if streamed else answer.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (
        9,
        TOLD[mount],
        9 + TOLD[mount],
    )


@mounts
def test_chat_stream_helper(gpt: Client, mount: str) -> None:
    with gpt(mount).chat.completions.stream(model="plain", messages=ASKED) as stream:
        list(stream)
        built = stream.get_final_completion()
    assert built.choices[0].message.content == ANSWER
    assert built.usage.completion_tokens == TOLD[mount]


@mounts
@streamed_or_not
def test_completions(gpt: Client, mount: str, streamed: bool) -> None:
    client = gpt(mount)
    client._strict_response_validation = not streamed
    answer = client.completions.create(model="plain", prompt="?", stream=streamed)
    usage = [part.usage for part in answer if part.usage][-1] if streamed else answer.usage
    client._strict_response_validation = True
    assert (usage.completion_tokens, usage.total_tokens) == (TOLD[mount], 9 + TOLD[mount])


@mounts
@streamed_or_not
def test_responses(gpt: Client, mount: str, streamed: bool) -> None:
    if streamed:
        with gpt(mount).responses.stream(model="plain", input=ASKED) as stream:
            list(stream)
            answer = stream.get_final_response()
    else:
        answer = gpt(mount).responses.create(model="plain", input=ASKED)
    assert answer.output_text == ANSWER
    usage = answer.usage
    assert (usage.output_tokens, usage.total_tokens) == (TOLD[mount], 9 + TOLD[mount])
    assert usage.output_tokens_details.reasoning_tokens == 0
    assert usage.input_tokens_details.cached_tokens == 0


@mounts
@streamed_or_not
def test_messages(claude: Client, mount: str, streamed: bool) -> None:
    if streamed:
        with claude(mount).messages.stream(model="plain", messages=ASKED, max_tokens=1000) as stream:
            list(stream)
            answer = stream.get_final_message()
    else:
        answer = claude(mount).messages.create(model="plain", messages=ASKED, max_tokens=1000)
    assert answer.content[-1].text == ANSWER
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (9, TOLD[mount])


@mounts
@streamed_or_not
def test_gemini(gemini: Client, mount: str, streamed: bool) -> None:
    models = gemini(mount).models
    if streamed:
        answers = [*models.generate_content_stream(model="plain", contents="?")]
    else:
        answers = [models.generate_content(model="plain", contents="?")]
    assert "".join(one.text or "" for one in answers) == ANSWER
    usage = answers[-1].usage_metadata
    counts = (usage.candidates_token_count, usage.thoughts_token_count, usage.total_token_count)
    assert counts == (TOLD[mount], 0, 9 + TOLD[mount])
    assert {one.usage_metadata.candidates_token_count or 0 for one in answers[:-1]} <= {0}


@mounts
@streamed_or_not
def test_ollama(site: Site, mount: str, streamed: bool) -> None:
    client = ollama.Client(f"{site.address}/{mount}", headers={"x-who": "reader"})
    answer: Any = client.chat("plain", ASKED, stream=streamed)
    parts = [*answer] if streamed else [answer]
    assert "".join(part.message.content for part in parts) == ANSWER
    assert (parts[-1].prompt_eval_count, parts[-1].eval_count) == (9, TOLD[mount])
    assert parts[-1].total_duration is None
    client._client.close()


@mounts
@streamed_or_not
def test_mistral(site: Site, mount: str, streamed: bool) -> None:
    with Mistral(api_key="sk-x", server_url=f"{site.address}/{mount}") as client:
        if streamed:
            with client.chat.stream(model="parts", messages=ASKED) as events:
                usage: Any = [event.data.usage for event in events if event.data.usage][-1]
        else:
            usage = client.chat.complete(model="parts", messages=ASKED).usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (
        9,
        TOLD[mount],
        9 + TOLD[mount],
    )
