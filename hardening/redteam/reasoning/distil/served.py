"""The teacher behind an API, and what of its traces leaves there."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import orjson
from starlette.types import Receive, Scope, Send

from hardening.redteam.client import answer, behind, heard, sent
from hardening.redteam.reasoning.distil.teacher import Task

PRESET = "baseline"
_PATH = "/v1/chat/completions"
_PAUSE_S = 10.0
"""Between two questions, so that no limit is what stops the thief."""


class Teacher:
    """An ASGI app that answers the questions of some tasks, and thinks before."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._tasks = {task.question: task for task in tasks}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        asked = orjson.loads(await heard(receive))
        task = self._tasks[asked["messages"][-1]["content"]]
        said = {"role": "assistant", "content": task.answer, "reasoning_content": task.trace}
        counts = {"prompt_tokens": 20, "completion_tokens": 60, "total_tokens": 80}
        told = {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": asked["model"],
            "choices": [{"index": 0, "message": said, "finish_reason": "stop"}],
            "usage": counts,
        }
        await answer(send, orjson.dumps(told))


def left(tasks: Sequence[Task], policy: str = PRESET) -> list[str]:
    """What a caller under a policy reads of the thoughts behind each answer. Raises LookupError where an answer is refused or changed."""
    app, clock = behind(Teacher(tasks), policy, account="acct", band=None)

    async def ask() -> list[str]:
        told = []
        for task in tasks:
            clock.advance(_PAUSE_S)
            asked = {"model": "toy", "messages": [{"role": "user", "content": task.question}]}
            status, body = await sent(app, _PATH, b"acct", orjson.dumps(asked))
            told.append(_thoughts(status, body, task))
        return told

    return asyncio.run(ask())


def _thoughts(status: int, body: bytes, task: Task) -> str:
    if status != 200:
        raise LookupError(f"no answer was given: {status} {body[:200].decode(errors='replace')}")
    message = orjson.loads(body)["choices"][0]["message"]
    if message["content"] != task.answer:
        raise LookupError("the answer was changed")
    return str(message.get("reasoning_content") or "")
