"""OpenAI chat completions and their imitators.

Sources: OpenAI API reference, chat object and chunk object; the servers' own extensions as
read in vLLM 0.33, SGLang 0.5, llama.cpp, LiteLLM 1.109, Groq, OpenRouter, DeepSeek, Mistral
(all read 2026-11-23). A dialect is a row here, not a branch.
"""

from __future__ import annotations

from typing import ClassVar

import orjson

from hardening.facts import Refusal, RefusalKind, Usage
from hardening.wire.frame import Frame
from hardening.wire.framing import Write
from hardening.wire.questions import compile_questions
from hardening.wire.roles import IN_ERRORS, Role, compile_table
from hardening.wire.scan import read_json
from hardening.wire.sse import SSE
from hardening.wire.switches import ASKS, NESTED, NESTED_SWITCHES, SWITCHES

NAME = "openai_chat"

_SPOKEN = "choices[].{message,delta}"
_PARTS = f"{_SPOKEN}.{{content,content[]}}"
# Where imitators put a text: in an object of its own, or in the parts of other APIs.
_TEXTS = "{content,content[],content.parts,content.parts[]}"
_SAID = "{,.text,.text.value,.text.content,.text.text,.output_text,.content}"
_ERROR = "{error,choices[].error,x_groq.error}"
_GATEWAY = f"{{,choices[].,{_SPOKEN}.}}{{provider_metadata,providerMetadata}}{{,.gateway}}"
_EXTRA = f"{{,choices[].,{_SPOKEN}.}}provider_specific_fields"
FIELDS = {
    "choices[].index": Role.INDEX,
    "choices[].delta": Role.TEXT,  # of imitators, a string
    "choices[].message": Role.TEXT_WHOLE,
    f"{_SPOKEN}.role": Role.SPEAKER,
    f"choices[].delta.{_TEXTS}{_SAID}": Role.TEXT,
    "choices[].delta.text": Role.TEXT,
    "choices[].message.text": Role.TEXT_WHOLE,
    f"choices[].message.{_TEXTS}{_SAID}": Role.TEXT_WHOLE,
    f"{_PARTS}.{{thinking,reasoning}}": Role.REASONING,
    f"{_PARTS}.signature": Role.SEAL,
    "choices[].{text,content}": Role.TEXT_COPY,
    "choices[].delta.{refusal,audio.transcript}": Role.TEXT,
    "choices[].message.{refusal,audio.transcript}": Role.TEXT_WHOLE,
    f"{_SPOKEN}.{{reasoning_content,reasoning,reasoning_text,thinking}}": Role.REASONING,
    f"{_SPOKEN}.{{reasoning_details,thinking_blocks,reasoning_items}}": Role.REASONING,
    f"{_SPOKEN}.{{encrypted_content,reasoning_opaque,thought_signature,signature}}": Role.SEAL,
    "{reasoning_content,reasoning,thinking}": Role.REASONING,
    f"{_SPOKEN}.tool_calls": Role.CALL,
    f"{_SPOKEN}.function_call": Role.CALL,
    f"{_SPOKEN}.{{annotations,citations,search_results}}": Role.RESULT,
    f"{_SPOKEN}.images": Role.CALL,
    f"{_SPOKEN}.audio": Role.TOOL,
    f"{_SPOKEN}.audio.{{id,data,expires_at,format}}": Role.VOLATILE,  # of what was counted above
    "{citations,search_results,related_questions,annotations}": Role.RESULT,
    f"{_SPOKEN}.{{executed_tools,tool_plan,plan,planning}}": Role.TRACE,
    "choices[].finish_reason": Role.FINISH,
    "choices[].logprobs": Role.HOLDER,
    "choices[].logprobs.content": Role.LOGPROBS,
    "choices[].logprobs.reasoning_content": Role.LOGPROBS_REASONING,
    "choices[].logprobs.refusal": Role.LOGPROBS_REFUSAL,
    "choices[].logprobs.tokens": Role.TOKENS,
    "choices[].logprobs.token_logprobs": Role.TOKEN_LOGPROBS,
    "choices[].logprobs.top_logprobs": Role.TOKEN_TOPS,
    "choices[].logprobs.text_offset": Role.IDS,  # it tells how long the trace before it was
    "choices[].logprobs.token_ids": Role.LOGPROBS_OTHER,
    f"{{logprobs,{_SPOKEN}.logprobs,{_EXTRA}.logprobs}}": Role.LOGPROBS_OTHER,
    "choices[].{token_ids,prompt_token_ids,response_token_ids}": Role.IDS,
    "{token_ids,prompt_token_ids,response_token_ids,prompt_text,sglext,choices[].sglext}": Role.IDS,
    "{prompt_logprobs,choices[].prompt_logprobs}": Role.ROWS,
    "choices[].{cumulative_logprob,avg_logprob,avg_logprobs}": Role.ROWS,
    "{hidden_states,choices[].hidden_states,choices[].routed_experts}": Role.STATES,
    "{embedding,embeddings}": Role.STATES,  # vLLM's /invocations embeds messages, where that is its model's task
    "{__verbose,_debug_info,x_groq.debug,output_messages,trace}": Role.TRACE,
    "{meta_info,choices[].meta_info,choices[].raw_output}": Role.TRACE,
    _ERROR: Role.FAILED,
    "{system,metadata,venice_parameters}": Role.NOTE,  # notices, what the caller set, sources
    "{,choices[].}{content_filter_result,content_filter_results,prompt_filter_results}": Role.NOTE,
    f"{_ERROR}.{IN_ERRORS}": Role.TRACE,
    f"{_GATEWAY}.routing": Role.NOTE,  # why Vercel's gateway chose a server, under names of reasoning
    "{usage,x_groq.usage,choices[].usage}": Role.USAGE,
    "{timings,metrics,time_info,usage_breakdown,x_groq.usage_breakdown,cost}": Role.LENGTH,
    # In the order in which most servers write them, which the grammar tries first.
    "id": Role.VOLATILE,
    "object": Role.NAME,
    "created": Role.VOLATILE,
    "{model,provider,service_tier}": Role.NAME,
    "{system_fingerprint,obfuscation,choices[].obfuscation,x_groq.id}": Role.VOLATILE,
    "p": Role.VOLATILE,  # Mistral's padding
}
"""What stands where; text completions have all of it as well, beside text of their own."""
OWNERS = ("choices[]",)
GUARDED = ("", "choices[]", _SPOKEN, _EXTRA, _GATEWAY, f"{_SPOKEN}.{_TEXTS}{{,.text}}", "x_groq")
RESPONSE = compile_table(FIELDS, owners=OWNERS, guarded=GUARDED)

REQUEST = compile_questions(
    {
        "model": Role.ASK_MODEL,
        "stream": Role.ASK_STREAM,
        "{max_tokens,max_completion_tokens}": Role.ASK_TOKENS,
        "top_logprobs": Role.ASK_TOP,
        "messages[].content": Role.PARTS,  # Mistral's, whose traces are parts of the content
        "messages[].content[]": Role.PART,
        "messages[].{reasoning_content,reasoning,reasoning_text,thinking,encrypted_content}": Role.THOUGHTS,
        "messages[].{reasoning_details,thinking_blocks}": Role.RESENT,  # OpenRouter's, LiteLLM's
        "messages[].{reasoning_details,thinking_blocks}[]": Role.PART,
    },
    pins=SWITCHES,
    asks=ASKS,
    nested=NESTED,
    nested_pins=NESTED_SWITCHES,
)
BOUND = ("max_completion_tokens",)
TOP = ("top_logprobs",)
GRAMMAR = "choices[].delta", SSE

_KINDS: dict[RefusalKind, tuple[str, str | None]] = {
    "forbidden": ("permission_error", "forbidden"),
    "rate_limit": ("rate_limit_error", "rate_limit_exceeded"),
    "quota": ("insufficient_quota", "insufficient_quota"),
    "unreadable": ("invalid_request_error", None),
    "pinned": ("invalid_request_error", "unsupported_parameter"),
    "too_large": ("invalid_request_error", "request_too_large"),
    "unauthenticated": ("authentication_error", "invalid_api_key"),
    "unavailable": ("server_error", "unavailable"),
    "internal": ("server_error", None),
}


def error_body(refusal: Refusal, request_id: str) -> bytes:
    """The error object that OpenAI's clients raise from."""
    kind, code = _KINDS[refusal.kind]
    error = {"message": refusal.message, "type": kind, "param": None, "code": code}
    return orjson.dumps({"error": error})


class Stream:
    """What a stream of this format needs to say something itself: its identity and open choices."""

    kind = "chat.completion.chunk"
    silence: ClassVar[dict[str, object]] = {"delta": {}}

    __slots__ = ("_eol", "_finished", "_head", "_seen", "_write")

    def __init__(self, write: Write) -> None:
        self._write = write
        self._head: dict[str, object] | None = None
        self._eol = b"\n"
        self._seen: set[int] = set()
        self._finished: set[int] = set()

    def note(self, frame: Frame, *, eol: bytes, data: bytes) -> None:
        """Learn from a frame that leaves."""
        self._eol = eol
        for site in frame.sites:
            if site.role is Role.SPEAKER or site.role is Role.TEXT:
                self._seen.add(site.owner.index)
            elif site.role is Role.FINISH and frame.text(site):
                self._finished.add(site.owner.index)
        if self._head is None:
            self._head = _head_of(data)

    def beat(self) -> bytes:
        """A chunk that says nothing; empty before the first real chunk and after the last choice."""
        open_choices = self._seen - self._finished
        if self._head is None or not open_choices:
            return b""
        return self._chunk([self._choice(min(open_choices), None)])

    def seal(self, index: int, member: bytes, like: Frame) -> bytes:
        """A chunk with the seal of a trace in a detail that clients send back."""
        choice = {
            "index": index,
            "delta": {"reasoning_details": orjson.Fragment(member)},
            "finish_reason": None,
        }
        return like.around(orjson.dumps({**_head_of(like.raw[like.at : like.end]), "choices": [choice]}))

    def cut(self, usage: Usage) -> bytes:
        """The format's own end for a stream that is out of tokens."""
        choices = [self._choice(index, "length") for index in sorted((self._seen or {0}) - self._finished)]
        total = {
            "prompt_tokens": usage.prompt,
            "completion_tokens": usage.completion,
            "total_tokens": usage.prompt + usage.completion,
        }
        return self._chunk(choices) + self._chunk([], usage=total) + self._write(b"[DONE]", eol=self._eol)

    def fail(self, refusal: Refusal, request_id: str) -> bytes:
        """An error after the first byte."""
        return self._write(error_body(refusal, request_id), eol=self._eol)

    def _chunk(self, choices: list[dict[str, object]], **more: object) -> bytes:
        head = self._head or {"id": "", "object": self.kind, "created": 0, "model": ""}
        return self._write(orjson.dumps({**head, "choices": choices, **more}), eol=self._eol)

    def _choice(self, index: int, finish: str | None) -> dict[str, object]:
        return {"index": index, **self.silence, "finish_reason": finish}


def _head_of(data: bytes) -> dict[str, object]:
    """What every chunk of an answer says of it, as one of them has it."""
    value = read_json(data, format=NAME)
    names = ("id", "object", "created", "model", "system_fingerprint")
    return {name: value[name] for name in names if name in value} if isinstance(value, dict) else {}
