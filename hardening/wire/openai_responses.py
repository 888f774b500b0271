"""OpenAI responses and their imitators: events that tell everything up to five times, and kept answers.

Sources: OpenAI API reference, responses and their streaming events; openai-python 2.54; what vLLM 0.33,
SGLang 0.5, Ollama, mistral.rs, Bedrock and OpenRouter write in their place (all read 2026-11-25).
"""

from __future__ import annotations

import re

import orjson

from hardening.facts import Refusal, Usage
from hardening.wire.frame import Frame
from hardening.wire.framing import Write
from hardening.wire.names import speaks_of_reasoning
from hardening.wire.openai_chat import error_body
from hardening.wire.pins import Touch, turns
from hardening.wire.questions import compile_questions
from hardening.wire.roles import IN_ERRORS, Retelling, Role, compile_table
from hardening.wire.scan import read_json
from hardening.wire.switches import ASKS, NESTED, NESTED_SWITCHES, SWITCHES

__all__ = ["BOUND", "GRAMMAR", "NAME", "REQUEST", "RESPONSE", "TOP", "Stream", "error_body"]

NAME = "openai_responses"

# One table for events, responses and items, for a list of kept items holds these at its root.
_RESPONSE = "{,response.}"
_ITEM = "{,item.,output[].,response.output[].}"
_SPOKEN = f"{{part.,{_ITEM}content[].}}"
_OBJECTS = "{,item,output[],response.output[],part,content[],item.content[],output[].content[]}"
_PARTS = "response.output[].content[]"

_OF_TRACE = Retelling(
    speaks_of_reasoning,
    {
        Role.TEXT: Role.REASONING,
        Role.TEXT_WHOLE: Role.REASONING_WHOLE,
        Role.BLOCKS: Role.REASONING_WHOLE,
        Role.LOGPROBS: Role.LOGPROBS_REASONING,
    },
)
# Pieces of calls come under the same keys as those of the answer.
_OF_CALL = Retelling(
    re.compile(rb"_call").search,
    {Role.TEXT: Role.TOOL, Role.TEXT_WHOLE: Role.TOOL_WHOLE, Role.TRACE: Role.TOOL_WHOLE},
)
# A new kind of event, item or part may say anything under the keys of the answer.
_OF_NO_KIND = Retelling(
    re.compile(
        rb'^(?!"response\.(?:created|queued|in_progress|completed|incomplete|failed)"|.*(?:text|message|part|item|audio|refusal))',
        re.DOTALL,
    ).search,
    {Role.TEXT: Role.TEXT_UNKNOWN, Role.TEXT_WHOLE: Role.TEXT_UNKNOWN, Role.TEXT_COPY: Role.TEXT_UNKNOWN},
)
_KINDS = (_OF_TRACE, _OF_CALL, _OF_NO_KIND)

_TRACE_PARTS = ("reasoning_text", "reasoning_summary_text", "reasoning_summary", "reasoning")

RESPONSE = compile_table(
    {
        "type": Role.KIND,
        "sequence_number": Role.SEQUENCE,
        "output_index": Role.INDEX,
        "delta": Role.TEXT,
        "text": Role.TEXT_WHOLE,
        f"{_ITEM}content": Role.BLOCKS,
        f"{_ITEM}content[]": Role.TEXT_WHOLE,
        f"{_SPOKEN}text": Role.TEXT_WHOLE,
        f"{_RESPONSE}output_text": Role.TEXT_ALL,
        f"{_ITEM}summary": Role.REASONING_WHOLE,
        f"{_RESPONSE}reasoning": Role.SETTINGS,
        f"{_ITEM}encrypted_content": Role.SEAL_APART,
        f"{{,{_SPOKEN}}}refusal": Role.TEXT_WHOLE,
        f"{_ITEM}{{arguments,code,command,action,operation,result,results,outputs,queries}}": Role.TOOL_WHOLE,
        "{item,output[],response.output[]}.input": Role.TOOL_WHOLE,
        # Of a response what the model was given, restored traces too; of a call its arguments.
        f"{_RESPONSE}{{input,prompt[]}}": Role.TRACE,
        "{item,output[],response.output[]}.{output,tools,diff}": Role.TOOL_WHOLE,
        "{item,output[],response.output[]}.error": Role.ENDED,
        "{item,output[],response.output[]}.{stdout,stderr,prompt,revised_prompt}": Role.TOOL_WHOLE,
        "{delta.stdout,delta.stderr}": Role.TOOL,
        "annotation": Role.RESULT,
        f"{_SPOKEN}annotations": Role.TOOL_WHOLE,
        f"{{,{_SPOKEN}}}logprobs": Role.LOGPROBS,
        f"{_RESPONSE}{{input_messages,output_messages}}": Role.TRACE,
        f"{_RESPONSE}{{token_ids,prompt_token_ids,output_token_ids}}": Role.IDS,
        f"{_RESPONSE}{{prompt_logprobs,logprobs_content}}": Role.ROWS,
        f"{_RESPONSE}status": Role.FINISH,
        f"{_RESPONSE}usage": Role.USAGE,
        f"{_RESPONSE}tool_usage": Role.LENGTH,
        f"{_RESPONSE}error": Role.FAILED,
        f"{_RESPONSE}error.{IN_ERRORS}": Role.TRACE,
        # What the caller said himself, and what he set.
        f"{_RESPONSE}{{instructions,tools,tool_choice,model}}": Role.NAME,
        f"{_RESPONSE}incomplete_details": Role.ENDED,
        "text.{format,verbosity}": Role.NAME,
        "response.text": Role.NAME,
        f"{_RESPONSE}{{metadata,content_filters,prompt}}": Role.NOTE,
        "{item,output[],response.output[],part}.type": Role.NAME,
        f"{_ITEM}{{name,call_id,role,server_label,namespace,phase,format}}": Role.NAME,
        "{item,output[],response.output[]}.{id,status}": Role.NAME,
        "item_id": Role.NAME,
        "{obfuscation,id,response.id}": Role.VOLATILE,
    },
    owners=("", "output[]", "response.output[]"),
    guarded=("response", _OBJECTS, _PARTS),
    retold={"": _KINDS, _OBJECTS: _KINDS, _PARTS: (_OF_TRACE, _OF_NO_KIND)},
    ends=("response.output_text.done", "response.refusal.done", "response.output_item.done"),
    deltas=(
        "response.output_text.delta",
        "response.refusal.delta",
        "response.content_part.added",
        "response.content_part.done",
        *(f"response.{part}.{end}" for part in _TRACE_PARTS for end in ("delta", "done")),
        *(f"response.{part}.{end}" for part in ("reasoning_part", "reasoning_summary_part") for end in ("added", "done")),
    ),
    finals=("response.completed", "response.incomplete", "response.failed"),
    blocks=("response.output_item.added", "response.output_item.done"),
)  # fmt: skip

REQUEST = compile_questions(
    {
        "model": Role.ASK_MODEL,
        "stream": Role.ASK_STREAM,
        "max_output_tokens": Role.ASK_TOKENS,
        "top_logprobs": Role.ASK_TOP,
        "include": Role.ASK_INCLUDE,
        "input": Role.PARTS,
        "input[]": Role.PART,
    },
    pins={**SWITCHES, "input": turns(Touch.TRACE)},
    asks=ASKS,
    nested=NESTED,
    nested_pins=NESTED_SWITCHES,
)
BOUND = ("max_output_tokens",)
TOP = ("top_logprobs",)
GRAMMAR = None  # a frame that carries its number takes the shape of those before it

_OPENING = frozenset({"response.created", "response.in_progress", "response.queued"})
_CLOSING = frozenset({"response.completed", "response.incomplete", "response.failed", "error"})
_UNKNOWN = {
    "id": "",
    "object": "response",
    "created_at": 0,
    "model": "",
    "output": [],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
}


class Stream:
    """What a stream of this format needs to say something itself: the response as it began."""

    __slots__ = ("_begun", "_ended", "_eol", "_write")

    def __init__(self, write: Write) -> None:
        self._write = write
        self._begun: dict[str, object] | None = None
        self._eol = b"\n"
        self._ended = False

    def note(self, frame: Frame, *, eol: bytes, data: bytes) -> None:
        """Learn from a frame that leaves."""
        self._eol = eol
        kind = frame.kind.decode("utf-8", "replace").strip('"')
        if kind in _OPENING and not self._begun:
            value = read_json(data, format=NAME)
            begun = value.get("response") if isinstance(value, dict) else None
            self._begun = {**begun, "usage": None} if isinstance(begun, dict) else None
        self._ended = kind in _CLOSING

    def beat(self) -> bytes:
        """The response once more, still in progress; nothing before its start and after its end."""
        if self._begun is None or self._ended:
            return b""
        return self._event("response.in_progress", {"response": self._begun})

    def cut(self, usage: Usage) -> bytes:
        """The format's own end for a stream that is out of tokens."""
        counts = {
            "input_tokens": usage.prompt,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": usage.completion,
            "output_tokens_details": {"reasoning_tokens": usage.reasoning},
            "total_tokens": usage.prompt + usage.completion,
        }
        response = {
            **(self._begun or _UNKNOWN),
            "status": "incomplete",
            "incomplete_details": {"reason": "max_output_tokens"},
            "usage": counts,
        }
        return self._event("response.incomplete", {"response": response})

    def fail(self, refusal: Refusal, request_id: str) -> bytes:
        """An error after the first byte, in the words of the event and in those that clients raise from."""
        error = orjson.loads(error_body(refusal, request_id))["error"]
        told = {"code": error["code"], "message": error["message"], "param": None}
        return self._event("error", {**told, "error": error})

    def _event(self, kind: str, value: dict[str, object]) -> bytes:
        told = {"type": kind, "sequence_number": 0, **value}
        return self._write(orjson.dumps(told), eol=self._eol, name=kind)
