"""What the formats of embeddings share: where vectors stand, and that nothing streams.

Sources: OpenAI API reference, the embeddings object; Gemini API reference, EmbedContentResponse and
BatchEmbedContentsResponse; Vertex AI reference, text embeddings; Ollama's API types; Cohere API reference,
embed v1 and v2; Voyage's; llama.cpp's server and vLLM 0.33 (read 2026-11-26). Servers and gateways answer in
each other's shapes, so all are known at each door.
"""

from __future__ import annotations

from collections.abc import Callable

from hardening.facts import Refusal, Usage
from hardening.wire.frame import Frame
from hardening.wire.framing import Write
from hardening.wire.roles import Role, compile_table

_VECTORS = ("", "[]", "data[].embedding", "embedding", "embeddings[]", "[].embedding")
_TYPES = "{data[].embedding,embeddings}"
RESPONSE = compile_table(
    {
        **dict.fromkeys(_VECTORS, Role.VECTOR),
        "{data[].embedding,[].embedding,embedding}[]": Role.VECTOR,  # llama.cpp: a vector for each token
        "{embedding,embeddings[],predictions[].embeddings}.values": Role.VECTOR,
        f"{_TYPES}.{{float,int8,uint8}}[]": Role.VECTOR,
        f"{_TYPES}.base64[]": Role.VECTOR,
        f"{_TYPES}.{{binary,ubinary}}": Role.VECTOR_BITS,
        "texts[]": Role.ECHO,
        "data[].text": Role.ECHO,
        "{usage,meta.billed_units,usageMetadata,usage_metadata}": Role.USAGE,
        "prompt_eval_count": Role.COUNT_PROMPT,
        "predictions[].embeddings.statistics.token_count": Role.COUNT_PROMPT,
        "error": Role.FAILED,
        "model": Role.NAME,
    },
    guarded=("",),
    embeds=True,
)


class Stream:
    """A stream of a format that has none: it says nothing by itself but that it failed."""

    __slots__ = ("_body", "_eol", "_write")

    def __init__(self, write: Write, *, error_body: Callable[[Refusal, str], bytes]) -> None:
        self._write = write
        self._body = error_body
        self._eol = b"\n"

    def note(self, frame: Frame, *, eol: bytes, data: bytes) -> None:
        """Learn from a frame that leaves."""
        self._eol = eol

    def beat(self) -> bytes:
        """Nothing: no client expects a frame that says nothing."""
        return b""

    def cut(self, usage: Usage) -> bytes:
        """Nothing: an embedding has no length to reach."""
        return b""

    def fail(self, refusal: Refusal, request_id: str) -> bytes:
        """An error after the first byte."""
        return self._write(self._body(refusal, request_id), eol=self._eol)
