"""Grammars to which a request holds its answer: whether one leaves room for a tag, and the same with room.

A model that thinks although it was told not to writes its trace where its answer should be. Its tag tells the
two apart, unless a grammar forbids the tag: a regular expression, a grammar's own language, a `pattern` in a
schema. In JSON alone there is room, for a tag may stand in any of its strings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_FEW = 200  # characters of an answer that no trace is worth hiding in; a summary may say more
_DEEPEST = 64  # levels of a schema
_REGEXES = frozenset({"regex", "guided_regex"})
_LANGUAGES = frozenset({"grammar", "ebnf", "lark", "guided_grammar", "structural_tag"})
_SCHEMAS = frozenset({"json", "schema", "json_schema", "guided_json"})  # which some servers read as text
_counts = re.compile(r"(\)?)\{(\d*)(,?)(\d*)\}").findall
_PATTERN, _NAMES = "pattern", "patternProperties"


def with_room(value: Mapping[str, object]) -> Mapping[str, object] | None:
    """The same object without patterns in its schemas that a tag may not pass; None where it holds other grammars."""
    waiting: list[tuple[object, int]] = [(value, 0)]
    while waiting:  # first what cannot be mended
        one, depth = waiting.pop()
        if depth > _DEEPEST:
            return None
        if isinstance(one, list):
            waiting += [(each, depth + 1) for each in one]
        elif isinstance(one, dict):
            if any(_forbids(key, each, one) for key, each in one.items()):
                return None
            waiting += [(each, depth + 1) for each in one.values()]
    return {key: _without_patterns(one) for key, one in value.items()}


def _without_patterns(value: object) -> object:
    if isinstance(value, list):
        return [_without_patterns(one) for one in value]
    if not isinstance(value, dict):
        return value
    kept = {}
    for key, one in value.items():
        if key == _PATTERN and isinstance(one, str) and not _is_short(one):
            continue
        if key == _NAMES and isinstance(one, dict):
            one = {name: each for name, each in one.items() if _is_short(name)}
        kept[key] = _without_patterns(one)
    return kept


def _forbids(key: str, value: object, beside: Mapping[str, object]) -> bool:
    """Whether a member is a grammar that a tag may not pass."""
    if not isinstance(value, str):
        return key == "structural_tag" and value is not None
    if key in _SCHEMAS:
        return _PATTERN in value
    if key in _REGEXES or (key == "value" and beside.get("type") == "regex"):
        return not _is_short(value)
    return key in _LANGUAGES


def _is_short(regex: str) -> bool:
    """Whether a regular expression lets through a few characters only."""
    return _longest(regex) <= _FEW


def _longest(regex: str) -> float:
    """No fewer characters than the longest text that a regular expression matches whole."""
    if "*" in regex or "+" in regex:
        return float("inf")
    longest = float(len(regex))
    for group, least, comma, most in _counts(regex):
        if comma and not most:
            return float("inf")
        times = int((most or least or "0")[:9])
        longest = longest * max(times, 1) if group else longest + times
    return longest
