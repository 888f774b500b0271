"""Token counts in all their spellings."""

from __future__ import annotations

from hardening.events import UsageSeen
from hardening.facts import Usage

_PROMPT = ("prompt_tokens", "input_tokens", "promptTokenCount", "prompt_token_count")
# Anthropic counts what was cached apart, Cohere pictures.
_CACHED = ("cache_creation_input_tokens", "cache_read_input_tokens", "image_tokens")
_COMPLETION = ("completion_tokens", "output_tokens", "candidatesTokenCount", "candidates_token_count")
_DETAILS = ("completion_tokens_details", "output_tokens_details")
_REASONING = ("reasoning_tokens", "thinking_tokens")
_ALONE = ("totalTokenCount", "total_token_count")  # without another count all of it is the prompt
_TOTAL = ("total_tokens", *_ALONE)
# Gemini counts these apart: the trace always, what its own tools read where the total shows it.
_THOUGHTS = ("thoughtsTokenCount", "thoughts_token_count")
_APART = ("candidatesTokenCount", "candidates_token_count", *_THOUGHTS)
_TOOL_PROMPT = ("toolUsePromptTokenCount", "tool_use_prompt_token_count")


def read_usage(value: object) -> Usage | None:
    """The usage object `value` as counts; None where it holds none (null, or another shape).

    Most servers count reasoning inside the completion; where the total shows that it stands
    beside (xAI's chat), it is added.
    """
    if not isinstance(value, dict):
        return None
    prompt = _first(value, _PROMPT)
    completion = _first(value, _COMPLETION)
    thoughts = _first(value, _THOUGHTS)
    if prompt is None and completion is None and thoughts is None:
        prompt = _first(value, _ALONE)
        return Usage(prompt) if prompt is not None else None
    total = _first(value, _TOTAL)
    if thoughts is not None:
        completion = (completion or 0) + thoughts
    if tools := _first(value, _TOOL_PROMPT):
        prompt = (prompt or 0) + (tools if total == (prompt or 0) + (completion or 0) + tools else 0)
    reasoning = _first(value, _REASONING) or 0
    for name in _DETAILS:
        if isinstance(details := value.get(name), dict):
            reasoning = _first(details, _REASONING) or reasoning
    if "input_tokens" in value:
        prompt = (prompt or 0) + sum(_count(value.get(name)) or 0 for name in _CACHED)
    if reasoning and total == (prompt or 0) + (completion or 0) + reasoning:
        completion = (completion or 0) + reasoning
    return Usage(prompt or 0, completion or 0, reasoning + (thoughts or 0))


def read_count(value: object) -> int | None:
    """A count that stands by itself; None where `value` is none."""
    return _count(value)


def usage_seen(value: object, *, embeds: bool = False) -> UsageSeen | None:
    """The usage object `value` as an event; None as in `read_usage`. A zero is a count.

    Of embeddings some servers name the total alone: nothing is completed, so it is the prompt.
    """
    known = value if isinstance(value, dict) else {}
    usage = read_usage(value)
    if usage is None and embeds and (total := _first(known, _TOTAL)) is not None:
        usage = Usage(total)
    prompt, completion, apart = (_first(known, names) is not None for names in (_PROMPT, _COMPLETION, _APART))
    return UsageSeen(usage, prompt, completion, apart) if usage else None


def _first(value: dict[str, object], names: tuple[str, ...]) -> int | None:
    for name in names:
        if (count := _count(value.get(name))) is not None:
            return count
    return None


def _count(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 <= value < 2**53 else None
