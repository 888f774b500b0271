"""Token counts in all their spellings."""

from __future__ import annotations

import re

import orjson

from hardening.events import UsageSeen
from hardening.facts import Usage

_GEMINI_PROMPT = ("promptTokenCount", "prompt_token_count")
_PROMPT = ("prompt_tokens", "input_tokens", *_GEMINI_PROMPT)
# Anthropic counts what was cached apart, Cohere pictures.
_CACHED = ("cache_creation_input_tokens", "cache_read_input_tokens", "image_tokens")
_COMPLETION = ("completion_tokens", "output_tokens", "candidatesTokenCount", "candidates_token_count")
_DETAILS = ("completion_tokens_details", "output_tokens_details")
_REASONING = ("reasoning_tokens", "thinking_tokens")
_ALONE = ("totalTokenCount", "total_token_count")  # without another count all of it is the prompt
_TOTAL = ("total_tokens", *_ALONE)
# Gemini counts these apart: the trace always, what its own tools read where the total shows it.
_THOUGHTS = ("thoughtsTokenCount", "thoughts_token_count")
# Its usage leaves out what is zero, so its prompt alone says that nothing is completed.
_APART = (*_GEMINI_PROMPT, "candidatesTokenCount", "candidates_token_count", *_THOUGHTS)
_TOOL_PROMPT = ("toolUsePromptTokenCount", "tool_use_prompt_token_count")

# What may stay beside counts that are coarse: of the prompt, which the caller knows, and of what he chose.
_PROMPT_DETAILS = frozenset(
    {
        "prompt_tokens_details",
        "input_tokens_details",
        "promptTokensDetails",
        "cache_tokens_details",
        "cacheTokensDetails",
        "tool_use_prompt_tokens_details",
        "toolUsePromptTokensDetails",
        "cache_creation",
        "server_tool_use",
    }
)
_IN_DETAILS = frozenset(
    {
        "cached_tokens",
        "cache_write_tokens",
        "audio_tokens",
        "image_tokens",
        "text_tokens",
        "video_tokens",
        "ephemeral_5m_input_tokens",
        "ephemeral_1h_input_tokens",
        "ephemeral_24h_input_tokens",
        "modality",
        "tokenCount",
        "token_count",
        "web_search_requests",
        "web_fetch_requests",
    }
)
_KEPT = frozenset(
    {
        *_PROMPT,
        *_CACHED,
        *_TOOL_PROMPT,
        "cached_tokens",
        "num_cached_tokens",
        "prompt_cache_hit_tokens",
        "prompt_cache_miss_tokens",
        "cachedContentTokenCount",
        "cached_content_token_count",
        "prompt_audio_seconds",
        "service_tier",
        "serviceTier",
        "trafficType",
        "traffic_type",
        "inference_geo",
        "speed",
    }
)


_LABEL_CHARS = 40


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


def fixed_in(raw: bytes) -> tuple[bytes, ...]:
    """What must stand in a usage object for `with_counts` to write the same for it as for `raw`.

    The names of its members and those that are kept, to the byte behind each; the rest of the two must be
    the same but for digits.
    """
    names = (found[0] for found in _names_in(raw))
    kept = (
        found[0] for found in _numbers_in(raw) if found[1].decode("utf-8", "replace") in _KEPT | _IN_DETAILS
    )
    return (*names, *kept)


_names_in = re.compile(rb'"[^"\\]*+"(?=[ \t\n\r]*+:)').finditer
_numbers_in = re.compile(rb'"([^"\\]*+)"[ \t\n\r]*+:[ \t\n\r]*+[0-9][^,}\]]*+[,}\]]').finditer


def with_counts(value: object, seen: UsageSeen) -> bytes:
    """The usage object `value` as JSON with the counts of `seen`, in which the trace is no count of its own.

    An allow-list: what of the prompt is told stays, details of the answer are 0, all else is null, for a new
    name may be one more count, time or price.
    """
    known = value if isinstance(value, dict) else {}
    return orjson.dumps({name: _coarse(name, element, seen) for name, element in known.items()})


def _coarse(name: str, value: object, seen: UsageSeen) -> object:
    usage = seen.usage
    if name in _COMPLETION:
        return usage.completion
    if seen.guessed and name in _PROMPT:
        return usage.prompt
    if name in _TOTAL:
        return usage.prompt + usage.completion if seen.prompt else None
    if name in _REASONING or name in _THOUGHTS:
        return 0
    if name in _DETAILS and isinstance(value, dict):
        return {key: 0 if isinstance(element, int) else None for key, element in value.items()}
    if name in _PROMPT_DETAILS:
        return None if seen.guessed else _of_prompt(value)
    if name not in _KEPT or isinstance(value, dict | list):
        return None
    return 0 if seen.guessed and isinstance(value, int | float) else _label(value)


def _label(value: object) -> object:
    """A value that is kept; of texts only what is one word, as the names of tiers and kinds are."""
    if isinstance(value, str) and (len(value) > _LABEL_CHARS or not value.isprintable() or " " in value):
        return None
    return value


def _of_prompt(value: object) -> object:
    """Details of a prompt: an object of counts, or a list of such."""
    if isinstance(value, list):
        return [_of_prompt(element) for element in value if isinstance(element, dict)]
    if not isinstance(value, dict):
        return None
    flat = {key: None if isinstance(element, dict | list) else element for key, element in value.items()}
    return {key: _label(element) if key in _IN_DETAILS else None for key, element in flat.items()}


def _first(value: dict[str, object], names: tuple[str, ...]) -> int | None:
    for name in names:
        if (count := _count(value.get(name))) is not None:
            return count
    return None


def _count(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 <= value < 2**53 else None
