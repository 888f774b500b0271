"""The endpoints at which model servers tell log-probabilities, as the toy server and its caller speak them."""

from __future__ import annotations

from collections.abc import Mapping

from hardening.redteam.logprobs.dialects.completions import Chat, Text
from hardening.redteam.logprobs.dialects.dialect import HIDDEN, Asked, Dialect, Said, Values
from hardening.redteam.logprobs.dialects.gemini import Gemini
from hardening.redteam.logprobs.dialects.ollama import OllamaChat, OllamaGenerate
from hardening.redteam.logprobs.dialects.responses import Responses

__all__ = ["DIALECTS", "HIDDEN", "Asked", "Dialect", "Said", "Values", "dialect_at"]

DIALECTS: Mapping[str, Dialect] = {
    "chat": Chat(),
    "completions": Text(),
    "Responses": Responses(),
    "Gemini": Gemini(),
    "Ollama, chat": OllamaChat(),
    "Ollama, generate": OllamaGenerate(),
}
"""By the name under which the page of all ways has them."""
_BY_PATH = {path: dialect for dialect in DIALECTS.values() for path in (dialect.path, dialect.stream_path)}


def dialect_at(path: str) -> Dialect:
    """The dialect that is spoken at a path."""
    return _BY_PATH[path]
