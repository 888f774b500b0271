"""OpenAI text completions and their imitators, llama.cpp's own completions among them.

Sources: OpenAI API reference, the completion object; vLLM 0.33 and llama.cpp's server (read
2026-11-25). Some servers answer chat chunks at this door, so all of chat is known here as well.
"""

from __future__ import annotations

from typing import ClassVar

from hardening.wire import openai_chat
from hardening.wire.openai_chat import FIELDS, GUARDED, OWNERS, error_body
from hardening.wire.pins import Touch, prompts
from hardening.wire.questions import compile_questions
from hardening.wire.roles import Role, compile_table
from hardening.wire.sse import SSE
from hardening.wire.switches import ASKS, NESTED, NESTED_SWITCHES, SWITCHES

__all__ = ["BOUND", "GRAMMAR", "NAME", "REQUEST", "RESPONSE", "TOP", "Stream", "error_body"]

NAME = "openai_completions"

_NATIVE = {  # llama.cpp's own, at the root: one object a chunk, a list where there are several prompts
    "index": Role.INDEX,
    "content": Role.TEXT,
    "tokens": Role.IDS,
    "completion_probabilities": Role.LOGPROBS,
    "probs": Role.ROWS,
    "stop": Role.DONE,
    "stop_type": Role.FINISH,
    "tokens_evaluated": Role.COUNT_PROMPT,
    "tokens_predicted": Role.COUNT_COMPLETION,
    "tokens_cached": Role.LENGTH,  # of prompt and answer
}
RESPONSE = compile_table(
    {**FIELDS, "object": Role.HEAD, "choices[].text": Role.TEXT, **_NATIVE},
    owners=OWNERS,
    guarded=GUARDED,
)

REQUEST = compile_questions(
    {
        "model": Role.ASK_MODEL,
        "stream": Role.ASK_STREAM,
        "{prompt,prompt_embeds}": Role.ASK_PROMPTS,
        "max_tokens": Role.ASK_TOKENS,
        "logprobs": Role.ASK_COUNT,
        # With rows an echo tells the values of tokens that the caller chose.
        "echo": Role.ASK_ROWS,
    },
    pins={**SWITCHES, "prompt": prompts(Touch.TRACE)},
    asks=ASKS,
    nested=NESTED,
    nested_pins=NESTED_SWITCHES,
)
BOUND = ("max_tokens",)
TOP = None  # one setting says both
GRAMMAR = "choices[]", SSE


class Stream(openai_chat.Stream):
    """What a stream of text completions needs to say something itself."""

    kind = "text_completion"
    silence: ClassVar[dict[str, object]] = {"text": "", "logprobs": None}

    __slots__ = ()
