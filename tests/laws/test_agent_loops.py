"""Agents whose reasoning is hidden go on as if it were not: the loops of the official SDKs, streamed and not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from hardening.testing import find_leaks, harden
from tests.laws.served import listening
from tests.laws.thinker import Thinker, thought

CALLS = 4
NAMES = ["first", "second", "third"]


class Mounted:
    """A thinker behind `baseline`, on loopback; `left` is what its clients got."""

    def __init__(self) -> None:
        self.thinker = Thinker()
        self.app = harden(self.thinker, "baseline", identify=lambda scope: "agent")
        self.left: list[bytes] = []
        self.address = ""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def noted(message: Any) -> None:
            self.left.append(message.get("body", b""))
            await send(message)

        await self.app(scope, receive, noted)

    def kept_its_word(self, name: str) -> bool:
        """Whether every thought of a conversation came back, as it was, and none left."""
        steps = range(CALLS)
        came = all(self.thinker.back[name, step][0] == thought(name, step) for step in steps)
        out = b"".join(self.left)
        return came and not any(find_leaks(out, thought(name, step)) for step in range(CALLS + 1))


@pytest.fixture
def mounted() -> Iterator[Mounted]:
    site = Mounted()
    with listening(site) as address:
        site.address = address
        yield site


def question(name: str) -> str:
    return f"talk {name}: {CALLS} calls"


@pytest.mark.parametrize("streamed", [False, True])
def test_anthropic_tool_runner(mounted: Mounted, streamed: bool) -> None:
    import anthropic

    @anthropic.beta_tool
    def look(place: int) -> str:
        """Look at a place."""
        return f"seen {place}"

    with anthropic.Anthropic(base_url=mounted.address, api_key="sk-x", max_retries=0) as client:
        for name in NAMES:
            runner = client.beta.messages.tool_runner(
                model="m",
                max_tokens=1000,
                thinking={"type": "enabled", "budget_tokens": 999},
                messages=[{"role": "user", "content": question(name)}],
                tools=[look],
                thread=False,  # this server holds no history
                stream=streamed,
            )
            last: Any = None
            for turn in runner:
                last = turn.get_final_message() if streamed else turn
            assert [block.text for block in last.content if block.type == "text"] == [f"answer of {name}"]
            assert mounted.kept_its_word(name)
    assert mounted.thinker.strayed() == {}


@pytest.mark.parametrize("streamed", [False, True])
def test_openai_responses_tool_runner(mounted: Mounted, streamed: bool) -> None:
    import openai
    from openai.lib.responses_tool_runner import RegisteredFunction, ResponsesToolRunner

    tool: Any = {
        "type": "function",
        "name": "look",
        "parameters": {
            "type": "object",
            "properties": {"place": {"type": "integer"}},
            "required": ["place"],
            "additionalProperties": False,
        },
        "strict": True,
    }
    runner = ResponsesToolRunner(functions=[RegisteredFunction(tool, lambda told: f"seen {told['place']}")])
    with openai.OpenAI(base_url=f"{mounted.address}/v1", api_key="sk-x", max_retries=0) as client:
        for name in NAMES:
            asked: Any = {
                "model": "m",
                "input": [{"role": "user", "content": question(name)}],
                "store": False,
            }
            answer = runner.run(client, asked, stream=streamed)
            assert answer.output_text == f"answer of {name}"
            assert mounted.kept_its_word(name)
    assert mounted.thinker.strayed() == {}


@pytest.mark.parametrize("streamed", [False, True])
def test_openai_chat(mounted: Mounted, streamed: bool) -> None:
    import openai

    with openai.OpenAI(base_url=f"{mounted.address}/v1", api_key="sk-x", max_retries=0) as client:
        for name in NAMES:
            messages: list[Any] = [{"role": "user", "content": question(name)}]
            for _ in range(CALLS + 1):
                if streamed:
                    with client.chat.completions.stream(model="m", messages=messages) as stream:
                        message: Any = stream.get_final_completion().choices[0].message
                else:
                    message = client.chat.completions.create(model="m", messages=messages).choices[0].message
                messages.append(message.model_dump(exclude_none=True, exclude={"parsed"}))
                for call in message.tool_calls or ():
                    messages.append({"role": "tool", "tool_call_id": call.id, "content": "seen"})
            assert messages[-1]["content"] == f"answer of {name}"
            assert mounted.kept_its_word(name)
    assert mounted.thinker.strayed() == {}


@pytest.mark.parametrize("streamed", [False, True])
def test_gemini_automatic_function_calling(mounted: Mounted, streamed: bool) -> None:
    from google import genai
    from google.genai import types

    def look(place: int) -> str:
        """Look at a place."""
        return f"seen {place}"

    options = types.HttpOptions(base_url=mounted.address)
    config = types.GenerateContentConfig(tools=[look])
    client = genai.Client(api_key="AIza-x", http_options=options)
    for name in NAMES:
        asked: Any = {"model": "m", "contents": question(name), "config": config}
        if streamed:
            text = "".join(one.text or "" for one in client.models.generate_content_stream(**asked))
        else:
            text = client.models.generate_content(**asked).text or ""
        assert text == f"answer of {name}"
        assert mounted.kept_its_word(name)
    client.close()
    assert mounted.thinker.strayed() == {}
