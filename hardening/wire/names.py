"""What a value is by its name alone, where no table knows it: imitators rename and move what others name.

Names are told in any case. A switch or null under such a name says nothing and is no matter here; a number
only where the name is one of lengths.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from operator import itemgetter

from hardening.wire.roles import Role
from hardening.wire.tags import tells_trace

_Find = Callable[..., Iterator[re.Match[bytes]]]
_Named = tuple[int, int, re.Match[bytes]]

_QUOTE = 34
_WS = rb"[ \t\n\r]*+"

# Names that imitators give to traces; switches and states of a trace are not the trace.
speaks_of_reasoning = re.compile(
    rb"reason|think|thought|chain_of|rationale|scratch_?pad|self_?talk|ponder|monolog|deliberat|reflection|analysis|(?:^|_)cot(?:$|_)",
    re.I,
).search
_is_about_reasoning = re.compile(
    rb"finish|stop|effort$|_id$|format$|budget|time(?:_m?s)?$|seconds$|status$", re.I
).search
_is_sealed = re.compile(rb"signature|opaque|encrypted", re.I).search
_speaks_of_rows = re.compile(rb"log_?prob|logits|probabilit|perplexit", re.I).search
_speaks_of_ids = re.compile(rb"(?:token|input|output|prompt|completion|response)_?ids", re.I).search
_speaks_of_states = re.compile(rb"hidden_?states|routed_?experts|indexer_?topk", re.I).search
# Counts, times and prices of an answer; a bound that was asked for, a moment and a count of the prompt are none.
LENGTH_NAMES = (
    rb'(?i:(?!max|[^"]*(?:limit|budget|creat|start|expir|timeout|token_?(?:id|type))'
    rb'|(?:[a-z]+_)*(?:prompt|input|cached)_?(?:tokens?|token_?count|eval_?count)(?:$|"))'
    rb'[^"]*(?:usage|token|duration|timing|metrics|latenc|time_info|elapsed|throughput|(?<![a-z])cost'
    rb'|cost(?=$|")|time_?to_|eval_?count|n_decode|predicted_n|time(?=$|")|(?:seconds|_secs?|_[mnu]s)(?=$|")))'
)
_is_of_length = re.compile(LENGTH_NAMES).match
# A part of every such name, in lower case: to look for it costs a tenth of looking for all of the name.
_may_be_of_length = re.compile(
    rb"usage|t(?:oken|im|hroughput)|d(?:uration|ecode)|metrics|latenc|e(?:lapsed|val)|cost|predicted_n|sec|_[mnu]s"
).search
_HEADER_WORD = 18  # bytes of a setting
_SHORT = 64  # bytes of a name; what was found out about a longer one is not kept
# Names that mean a trace wherever they stand.
_TRACES = rb"reasoning_(?:content|details|text)|thinking(?:_blocks)?|thoughts?|chain_of_thought"
# Names that mean one thing wherever they stand, before a string, an object or a list, and those of lengths.
_told_anywhere = re.compile(
    rb'"(%b'
    rb"|(?:[a-z]{1,16}_)?logprobs|(?:[a-z]{1,16}_)?token_ids|output_ids|(?:pooled_)?hidden_states"
    rb"|routed_experts|indexer_topk"
    rb'|(?:[a-z]{1,16}_)?usage(?:_?metadata)?|timings|completion_tokens_details)"%b:%b(?=["\[{])'
    rb'|"((?=[^"\\]{1,64}"%b:%b["\-\[{0-9])%b[^"]*)"%b:%b'
    % (_TRACES, _WS, _WS, _WS, _WS, LENGTH_NAMES, _WS, _WS)
).finditer

# The same beside what is handed over to a tool (group 1), where `reasoning` alone is one too.
_told_beside = re.compile(
    rb'"(?:(arguments|args|input|parameters)|reasoning|%b)"%b:%b(?=["\[{])' % (_TRACES, _WS, _WS)
).finditer
_escaped_key = re.compile(rb'("[^"\\]*+(?:\\.[^"\\]*+)++")%b:%b' % (_WS, _WS), re.DOTALL).finditer


def _speaks_of_length(name: bytes) -> bool:
    return _known_to(name) if len(name) <= _SHORT else _is_of_length(name) is not None


@lru_cache(maxsize=1024)
def _known_to(name: bytes) -> bool:
    return _may_be_of_length(name.lower()) is not None and _is_of_length(name) is not None


def role_of(name: bytes, first: int) -> Role | None:
    """What a string, an object or a list (by its `first` byte) is under a name that no table knows."""
    if _speaks_of_rows(name):
        return Role.ROWS
    if _speaks_of_ids(name):
        return Role.IDS
    if _speaks_of_states(name):
        return Role.STATES
    if not speaks_of_reasoning(name) or _is_about_reasoning(name):
        return Role.LENGTH if first != _QUOTE and _speaks_of_length(name) else None
    if _is_sealed(name):
        return Role.SEAL if first == _QUOTE else None
    return Role.REASONING


def _told_by(found: re.Match[bytes], value: bytes) -> Role | None:
    """What a value, by its first bytes, is under a name that `_told_anywhere` found."""
    name = found[1] or found[2]
    if found[1] or value[:1] in (b"[", b"{"):
        return role_of(name, value[0])
    return Role.LENGTH if tells_length(name, value) else None


def told_inside(raw: bytes, at: int, end: int) -> Iterator[tuple[int, int, Role]]:
    """What stands in `raw[at:end]` under names that need no table: where the key and the value begin, and the role."""
    for start, value, one in _named(_told_anywhere, raw, at, end):
        role = _told_by(one, raw[value : value + 3])
        if role is not None:
            yield start, value, role


def told_beside(raw: bytes, at: int, end: int) -> Iterator[tuple[int, int, bool]]:
    """Members of calls that are called a trace, or, with True, hold what is handed over: where the key and the value begin."""
    for start, value, one in _named(_told_beside, raw, at, end):
        yield start, value, one[1] is not None


def _named(find: _Find, raw: bytes, at: int, end: int) -> list[_Named]:
    """The members whose names a pattern finds in `raw[at:end]`, in order: where the key and the value begin, and what it found."""
    found = [(one.start(), one.end(), one) for one in find(raw, at, end)]
    if raw.find(b"\\u", at, end) >= 0:
        found += _spelt_out(find, raw, at, end)
        found.sort(key=itemgetter(0))
    return found


def _spelt_out(find: _Find, raw: bytes, at: int, end: int) -> Iterator[_Named]:
    """The same for keys in which characters are escaped."""
    for one in _escaped_key(raw, at, end):
        try:
            key: str = json.loads(one[1].decode("utf-8", "surrogateescape"), strict=False)
        except ValueError:
            continue  # an escape that JSON does not have: no key to anybody
        value = raw[one.end() : one.end() + 3]
        spelt = b'"%b":%b' % (key.encode("utf-8", "surrogatepass"), value)
        for told in find(spelt):
            yield one.start(), one.end(), told


def without_traces(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers of a response that tell no trace: by their name in more than a word, or between tags."""
    names, values = zip(*headers, strict=True) if headers else ((), ())
    if not (speaks_of_reasoning(b"\n".join(names)) or b"<" in b"".join(values)):
        return headers
    return [pair for pair in headers if not _is_told_in(*pair)]


def _is_told_in(name: bytes, value: bytes) -> bool:
    if len(value) > _HEADER_WORD and speaks_of_reasoning(name) and not _is_about_reasoning(name):
        return True
    return tells_trace(value.decode("utf-8", "replace"))


def tells_length(name: bytes, value: bytes) -> bool:
    """Whether a number, also one in a string, by its first bytes, stands under a name of lengths."""
    if name == b"token" and value[:1] == b'"':
        return False  # the text of one
    return value.lstrip(b'-"')[:1].isdigit() and _speaks_of_length(name)
