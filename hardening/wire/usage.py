"""Token counts in all their spellings."""

from __future__ import annotations

from hardening.facts import Usage

_PROMPT = ("prompt_tokens", "input_tokens")
_CACHED = ("cache_creation_input_tokens", "cache_read_input_tokens")  # Anthropic counts them apart
_COMPLETION = ("completion_tokens", "output_tokens")
_DETAILS = ("completion_tokens_details", "output_tokens_details")
_REASONING = ("reasoning_tokens", "thinking_tokens")


def read_usage(value: object) -> Usage | None:
    """The usage object `value` as counts; None where it holds none (null, or another shape).

    Most servers count reasoning inside the completion; where the total shows that it stands
    beside (xAI's chat), it is added.
    """
    if not isinstance(value, dict):
        return None
    prompt = _first(value, _PROMPT)
    completion = _first(value, _COMPLETION)
    if prompt is None and completion is None:
        return None
    reasoning = _first(value, _REASONING) or 0
    for name in _DETAILS:
        if isinstance(details := value.get(name), dict):
            reasoning = _first(details, _REASONING) or reasoning
    if "input_tokens" in value:
        prompt = (prompt or 0) + sum(_count(value.get(name)) or 0 for name in _CACHED)
    total = _count(value.get("total_tokens"))
    if reasoning and total == (prompt or 0) + (completion or 0) + reasoning:
        completion = (completion or 0) + reasoning
    return Usage(prompt or 0, completion or 0, reasoning)


def read_count(value: object) -> int | None:
    """A count that stands by itself; None where `value` is none."""
    return _count(value)


def named_counts(value: object) -> tuple[bool, bool]:
    """Whether the usage object `value` names the prompt and the completion; a zero is a count."""
    known = value if isinstance(value, dict) else {}
    return _first(known, _PROMPT) is not None, _first(known, _COMPLETION) is not None


def _first(value: dict[str, object], names: tuple[str, ...]) -> int | None:
    for name in names:
        if (count := _count(value.get(name))) is not None:
            return count
    return None


def _count(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 <= value < 2**53 else None
