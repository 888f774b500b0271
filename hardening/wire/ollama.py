"""What Ollama's two endpoints share: JSON a line, one answer, counts on the last line.

Sources: Ollama's API types and routes, ollama-python 0.6 (read 2026-11-25). `context`, the tokens of prompt
and raw output, spells the trace and goes with it: a client that sends the empty list back starts anew.
"""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from hardening.facts import Refusal, Usage
from hardening.wire.frame import Frame
from hardening.wire.framing import Write
from hardening.wire.pins import Touch, off, unset
from hardening.wire.questions import compile_questions
from hardening.wire.roles import Role, compile_table
from hardening.wire.scan import read_json
from hardening.wire.switches import ASKS, NESTED, NESTED_SWITCHES, SWITCHES

RESPONSE = compile_table(
    {
        "model": Role.HEAD,
        "created_at": Role.VOLATILE,
        "{remote_model,remote_host}": Role.NAME,
        "message.role": Role.NAME,  # in every line, and clients want it there
        "{message.content,response}": Role.TEXT,
        "message.content[]": Role.TEXT,  # as other APIs have it, and imitators here
        "message.content[].text": Role.TEXT,
        "message.content[].{thinking,reasoning}": Role.REASONING,
        "{,message.}{thinking,reasoning,reasoning_content}": Role.REASONING,
        "message.{tool_calls,images}": Role.CALL,
        "message.tool_name": Role.TOOL,
        "image": Role.TOOL,
        "done": Role.DONE,
        "done_reason": Role.FINISH,
        "context": Role.IDS,
        "logprobs": Role.LOGPROBS,
        "message.logprobs": Role.LOGPROBS_OTHER,
        "_debug_info": Role.TRACE,
        "prompt_eval_count": Role.COUNT_PROMPT,
        "eval_count": Role.COUNT_COMPLETION,
        "{total_duration,load_duration,prompt_eval_duration,eval_duration}": Role.LENGTH,
        "error": Role.FAILED,
    },
    guarded=("", "message", "message.content[]"),
)

REQUEST = compile_questions(
    {
        "model": Role.ASK_MODEL,
        "stream": Role.ASK_STREAM,
        "options": Role.ASK_TOKENS_IN,
        "options.num_predict": Role.ASK_TOKENS,
        "top_logprobs": Role.ASK_TOP,
        "messages[].thinking": Role.RESENT,
    },
    streams=True,
    pins={**SWITCHES, "raw": off(Touch.TRACE), "template": unset(Touch.TRACE, "")},
    asks=ASKS,
    nested=NESTED,
    nested_pins=NESTED_SWITCHES,
)
BOUND = ("options", "num_predict")
TOP = ("top_logprobs",)

_HEAD = ("model", "created_at")


def error_body(refusal: Refusal, request_id: str) -> bytes:
    """The error that Ollama's clients raise from."""
    return orjson.dumps({"error": refusal.message})


class Stream:
    """What a stream needs to say something itself: its head and whether it is done.

    `silence` is the payload of a line that says nothing.
    """

    __slots__ = ("_done", "_eol", "_last", "_silence", "_write")

    def __init__(self, write: Write, *, silence: Mapping[str, object]) -> None:
        self._write = write
        self._silence = silence
        self._last = b"{}"
        self._eol = b"\n"
        self._done = False

    def note(self, frame: Frame, *, eol: bytes, data: bytes) -> None:
        """Learn from a line that leaves."""
        self._eol, self._last = eol, data
        self._done = self._done or any(
            site.role is Role.DONE and frame.value(site) == b"true" for site in frame.sites
        )

    def beat(self) -> bytes:
        """A line that says nothing; none after the last one."""
        return b"" if self._done else self._line(done=False)

    def cut(self, usage: Usage) -> bytes:
        """The format's own end for a stream that is out of tokens."""
        counts = {"prompt_eval_count": usage.prompt, "eval_count": usage.completion}
        return self._line(done=True, done_reason="length", **counts)

    def fail(self, refusal: Refusal, request_id: str) -> bytes:
        """An error after the first byte."""
        return self._write(error_body(refusal, request_id), eol=self._eol)

    def _line(self, **more: object) -> bytes:
        last = read_json(self._last, format="ollama")
        head = {name: last[name] for name in _HEAD if name in last} if isinstance(last, dict) else {}
        return self._write(orjson.dumps({**head, **self._silence, **more}), eol=self._eol)
