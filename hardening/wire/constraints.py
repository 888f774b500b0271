"""Grammars to which a request holds its answer: whether one leaves room for a tag, and the same with room.

A model that thinks although it was told not to writes its trace where its answer should be. Its tag tells the
two apart, unless a grammar forbids the tag: a regular expression, a grammar's own language, a `pattern` in a
schema. In JSON alone there is room, for a tag may stand in any of its strings. A grammar that is no JSON bans the tag
as a list of banned words does, also where the model may think: servers without a parser of traces hold its first word to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

_FEW = 200  # characters of an answer that no trace is worth hiding in; a summary may say more
_DEEPEST = 64  # levels of a schema
_TRIGGERED = frozenset({"type", "structures", "triggers"})  # members of tags before which anything may stand
_REGEXES = frozenset({"regex", "guided_regex"})
_LANGUAGES = frozenset({"grammar", "ebnf", "lark", "guided_grammar", "structural_tag"})
_TAGS = "structural_tag"
_KINDS = (_TAGS, "regex")  # objects of these types hold one
_GRAMMARS = _REGEXES | _LANGUAGES
_HOLDERS = (dict, list)
_SCHEMAS = frozenset({"json", "schema", "json_schema", "guided_json"})  # which some servers read as text
_one_rule = re.compile(r"\s*(\w+)\s*(?:::=|:)(.*)", re.DOTALL).fullmatch
_counts = re.compile(r"(\)?)\{(\d*)(,?)(\d*)\}").findall
_quoted = re.compile(r'"(?:[^"\\]|\\.)*"').sub
_AGAIN = frozenset("*+{%:~/\n")  # what repeats, brings in other rules, or begins another one
_PATTERN, _NAMES = "pattern", "patternProperties"


def bars_tags(value: Mapping[str, object]) -> bool:
    """Whether a grammar that is no JSON, and that a tag may not pass, stands in an object."""
    waiting: list[tuple[object, int]] = [(value, 0)]
    while waiting:
        one, depth = waiting.pop()
        if depth == _DEEPEST and one:
            return True  # what stands in it is too deep to be followed
        if isinstance(one, dict):
            # Tools have hundreds of schemas, and none of them says any of this.
            named = one.get("type") in _KINDS or not _GRAMMARS.isdisjoint(one)
            if named and any(_bars(key, each, one) for key, each in one.items()):
                return True
            waiting += [(each, depth + 1) for each in one.values() if type(each) in _HOLDERS]
        elif isinstance(one, list):
            waiting += [(each, depth + 1) for each in one if type(each) in _HOLDERS]
    return False


def with_room(value: Mapping[str, object]) -> Mapping[str, object] | None:
    """The same object without patterns in its schemas that a tag may not pass; None where it holds other grammars."""
    # First what cannot be mended; what is too deep to be followed is of that.
    if bars_tags(value) or any(key in _SCHEMAS and _is_patterned(one) for key, one in _members(value)):
        return None
    return {key: _without_patterns(one) for key, one in value.items()}


def _members(value: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Each member of an object and of those in it."""
    waiting: list[object] = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting += one
        elif isinstance(one, dict):
            yield from one.items()
            waiting += one.values()


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


def _is_patterned(schema: object) -> bool:
    return isinstance(schema, str) and _PATTERN in schema


def _bars(key: str, value: object, beside: Mapping[str, object]) -> bool:
    """Whether a member is a grammar, other than a schema of JSON, that a tag may not pass."""
    kind = beside.get("type")
    if kind == _TAGS and key == "format":
        return value is not None
    if not isinstance(value, str):
        triggered = isinstance(value, dict) and value.keys() <= _TRIGGERED
        return key == _TAGS and value is not None and not triggered
    if key in _REGEXES or (kind == "regex" and key in ("value", _PATTERN)):
        return not _is_short(value)
    return key in _LANGUAGES and not _is_choice(value)


def _is_choice(grammar: str) -> bool:
    """Whether a grammar is one rule that neither repeats nor names anything by which it could go on: a choice of a few words."""
    rule = _one_rule(grammar)
    return (
        rule is not None
        and len(grammar) <= _FEW
        and not _AGAIN.intersection(rule[2])
        and re.search(rf"\b{rule[1]}\b", _quoted("", rule[2])) is None
    )


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
