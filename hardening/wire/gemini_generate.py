"""Gemini generateContent, on the Gemini API, on Vertex AI and behind gateways.

Sources: Gemini API reference, GenerateContentResponse, Candidate, Part and GenerationConfig; Vertex AI
reference, the same (both read 2026-11-25); python-genai 3.4.0. Protocol buffers are written as JSON in
camelCase and read in snake_case too; a field that has its default is left out.
"""

from __future__ import annotations

import orjson

from hardening.facts import Refusal, RefusalKind, Usage
from hardening.wire.frame import Frame
from hardening.wire.framing import Write
from hardening.wire.pins import Touch, quiet, shape, stops, turns
from hardening.wire.questions import compile_questions
from hardening.wire.roles import IN_ERRORS, Role, compile_table
from hardening.wire.scan import read_json
from hardening.wire.steering import STEERING
from hardening.wire.switches import ASKS, NESTED, NESTED_SWITCHES, SWITCHES

NAME = "gemini_generate"

_CANDIDATE = "{candidates,candidates[]}"
_CONTENT = f"{_CANDIDATE}.{{content,content[]}}"
_PARTS = f"{_CONTENT}.{{parts,parts[]}}"
RESPONSE = compile_table(
    {
        f"{_CANDIDATE}.index": Role.INDEX,
        f"{_CONTENT}.role": Role.HEAD,
        _CONTENT: Role.TEXT,  # a string, where imitators leave the parts out
        f"{_CANDIDATE}.{{text,output}}": Role.TEXT,
        f"{_CONTENT}.{{text,parts}}": Role.TEXT,
        f"{_CONTENT}.parts[]": Role.PIECE,
        f"{_PARTS}.text": Role.TEXT,
        f"{_PARTS}.{{thought,isThought,is_thought}}": Role.SWITCH,
        f"{_PARTS}.{{thoughtSignature,thought_signature}}": Role.SEAL_APART,
        f"{_PARTS}.{{functionCall,function_call,toolCall,tool_call}}": Role.CALL,
        f"{_PARTS}.{{functionResponse,function_response,toolResponse,tool_response}}": Role.RESULT,
        f"{_PARTS}.{{inlineData,inline_data,fileData,file_data,videoMetadata,video_metadata}}": Role.ATTACHED,
        f"{_PARTS}.{{executableCode,executable_code}}": Role.ATTACHED,
        f"{_PARTS}.{{codeExecutionResult,code_execution_result}}": Role.ATTACHED,
        f"{_CANDIDATE}.{{finishReason,finish_reason}}": Role.FINISH,
        f"{_CANDIDATE}.{{logprobsResult,logprobs_result}}": Role.LOGPROBS_LISTS,
        f"{_CANDIDATE}.{{logprobsResult,logprobs_result}}.{{logProbabilitySum,log_probability_sum}}": Role.ROWS,
        f"{_CANDIDATE}.{{logprobsResult,logprobs_result}}.{{chosenCandidates,chosen_candidates}}": Role.TOKENS,
        f"{_CANDIDATE}.{{logprobsResult,logprobs_result}}.{{topCandidates,top_candidates}}": Role.TOKEN_TOPS,
        f"{_CANDIDATE}.{{avgLogprobs,avg_logprobs,logProbabilitySum,log_probability_sum}}": Role.ROWS,
        f"{_CANDIDATE}.{{tokenIds,token_ids}}": Role.IDS,
        "{usageMetadata,usage_metadata}": Role.USAGE,
        f"{_CANDIDATE}.{{groundingMetadata,grounding_metadata,citationMetadata,citation_metadata}}": Role.NOTE,
        f"{_CANDIDATE}.{{finishMessage,finish_message}}": Role.ENDED,
        f"{_CANDIDATE}.{{tokenCount,token_count}}": Role.LENGTH,
        "error": Role.FAILED,
        f"error.{IN_ERRORS}": Role.TRACE,
        "{modelVersion,model_version}": Role.NAME,
        "{responseId,response_id,createTime,create_time}": Role.VOLATILE,
    },
    owners=("candidates", "candidates[]"),
    guarded=("", _CANDIDATE, _CONTENT, _PARTS),
)

_CONFIG = "{generationConfig,generation_config}"
REQUEST = compile_questions(
    {
        "model": Role.ASK_MODEL,
        _CONFIG: Role.ASK_TOKENS_IN,
        f"{_CONFIG}.{{maxOutputTokens,max_output_tokens}}": Role.ASK_TOKENS,
        f"{_CONFIG}.{{temperature,topP,top_p,topK,top_k}}": Role.ASK_SCALE,
        **{f"{_CONFIG}.{names}": role for names, role in STEERING.items()},
        f"{_CONFIG}.{{candidateCount,candidate_count}}": Role.ASK_CHOICES,
        f"{_CONFIG}.{{responseLogprobs,response_logprobs}}": Role.ASK_LOGPROBS,
        f"{_CONFIG}.logprobs": Role.ASK_TOP,
        "contents": Role.TURNS,
        "contents[]": Role.TURN,
        "{contents,contents[]}.parts": Role.PARTS,
        "{contents,contents[]}.parts[]": Role.PART,
    },
    pins={
        **SWITCHES,
        "contents": turns(Touch.TRACE),
        f"{_CONFIG}.{{stopSequences,stop_sequences}}": stops(Touch.TRACE),
        f"{_CONFIG}.{{thinkingConfig,thinking_config}}": quiet(Touch.TRACE),
        f"{_CONFIG}.{{responseSchema,responseJsonSchema}}": shape(Touch.TRACE, "json"),
        f"{_CONFIG}.{{response_schema,response_json_schema}}": shape(Touch.TRACE, "json"),
    },
    asks=ASKS,
    nested=NESTED,
    nested_pins=NESTED_SWITCHES,
)
BOUND = ("generationConfig", "maxOutputTokens")
TOP = ("generationConfig", "logprobs")
GRAMMAR = None  # what changes from frame to frame is the usage, which lanes allow for

_STATUSES: dict[RefusalKind, str] = {
    "forbidden": "PERMISSION_DENIED",
    "rate_limit": "RESOURCE_EXHAUSTED",
    "quota": "RESOURCE_EXHAUSTED",
    "unreadable": "INVALID_ARGUMENT",
    "pinned": "INVALID_ARGUMENT",
    "too_large": "INVALID_ARGUMENT",
    "unauthenticated": "UNAUTHENTICATED",
    "unavailable": "UNAVAILABLE",
    "internal": "INTERNAL",
}


def error_body(refusal: Refusal, request_id: str) -> bytes:
    """The error object that Google's clients raise from."""
    error = {"code": refusal.status, "message": refusal.message, "status": _STATUSES[refusal.kind]}
    return orjson.dumps({"error": error})


class Stream:
    """What a stream of this format needs to say something itself: its identity and open candidates."""

    __slots__ = ("_eol", "_finished", "_head", "_seen", "_write")

    def __init__(self, write: Write) -> None:
        self._write = write
        self._head: dict[str, object] | None = None
        self._eol = b"\r\n"
        self._seen: set[int] = set()
        self._finished: set[int] = set()

    def note(self, frame: Frame, *, eol: bytes, data: bytes) -> None:
        """Learn from a frame that leaves."""
        self._eol = eol
        for site in frame.sites:
            if site.role is Role.HEAD or site.role is Role.TEXT:
                self._seen.add(site.owner.index)
            elif site.role is Role.FINISH and frame.finishes(site):
                self._finished.add(site.owner.index)
        if self._head is None:
            self._head = _head_of(data)

    def beat(self) -> bytes:
        """A thought that says nothing; empty before the first real chunk and after the last candidate has ended.

        The clients know neither comments nor names of events.
        """
        still = self._open()
        if self._head is None or not still:
            return b""
        return self._chunk([_candidate(still[0], thought=True)])

    def seal(self, index: int, member: bytes, like: Frame) -> bytes:
        """A chunk with the seal of a thought as what signs it."""
        candidate = _candidate(index, thought=True, thoughtSignature=orjson.Fragment(member))
        head = _head_of(like.raw[like.at : like.end])
        return like.around(orjson.dumps({"candidates": [candidate], **head}))

    def cut(self, usage: Usage) -> bytes:
        """The format's own end for a stream that is out of tokens."""
        total = {
            "promptTokenCount": usage.prompt,
            "candidatesTokenCount": usage.completion - usage.reasoning,
            "thoughtsTokenCount": usage.reasoning,
            "totalTokenCount": usage.prompt + usage.completion,
        }
        candidates = [{**_candidate(index), "finishReason": "MAX_TOKENS"} for index in self._open()]
        return self._chunk(candidates, usageMetadata=total)

    def fail(self, refusal: Refusal, request_id: str) -> bytes:
        """An error after the first byte."""
        return self._write(error_body(refusal, request_id), eol=self._eol)

    def _open(self) -> list[int]:
        return sorted((self._seen or {0}) - self._finished)

    def _chunk(self, candidates: list[dict[str, object]], **more: object) -> bytes:
        value = {"candidates": candidates, **more, **(self._head or {})}
        return self._write(orjson.dumps(value), eol=self._eol)


def _head_of(data: bytes) -> dict[str, object]:
    """What every chunk of an answer says of it, as one of them has it."""
    value = read_json(data, format=NAME)
    names = ("modelVersion", "responseId")
    return {name: value[name] for name in names if name in value} if isinstance(value, dict) else {}


def _candidate(index: int, **part: object) -> dict[str, object]:
    return {"index": index, "content": {"role": "model", "parts": [{"text": "", **part}]}}
