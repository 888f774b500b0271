"""Settings that the model accepts and no mechanism keeps yet: they are named, and they fail closed.

What such a setting would soften is withheld. When a mechanism arrives, its line leaves this module.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from hardening.policy.model import PolicyFile
from hardening.policy.settings import Settings

BUILT_FORMATS = frozenset(
    (
        "openai_chat",
        "openai_completions",
        "openai_responses",
        "anthropic_messages",
        "gemini_generate",
        "ollama_chat",
        "ollama_generate",
        "openai_embeddings",
        "gemini_embed",
        "ollama_embed",
        "cohere_embed",
        "scores",
    )
)


class Note(NamedTuple):
    """One setting that is written down and not enforced yet: its keys, and what happens instead."""

    path: tuple[str, ...]
    text: str

    def __str__(self) -> str:
        return f"{'.'.join(self.path)}: {self.text}"


def notes(file: PolicyFile) -> Iterator[Note]:
    """Every setting of a file that is not enforced yet, in the order of the file."""
    for door, format in file.doors.own.items():
        if format != "pass" and format not in BUILT_FORMATS:
            yield Note(("doors", door), f"{format} is not built yet, so the door is blocked")


def every_settings(file: PolicyFile) -> Iterator[tuple[tuple[str, ...], Settings]]:
    """Every place of a file that holds settings."""
    yield ("defaults",), file.defaults
    for rule in file.rules:
        yield ("rules", rule.name), rule
    if file.risk.new is not None:
        yield ("risk", "new"), file.risk.new
    for name, band in file.risk.bands.items():
        yield ("risk", "bands", name), band
