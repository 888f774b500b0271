"""What a body tells of the trace and of the distribution: as text, as token ids, as rows."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from bench.corpus.leaks import find
from bench.corpus.reading import documents, objects, rows_beyond

_named = re.compile(r"(?:token_id:)?(\d+)")
_WITHHELD = -9000.0  # a value that says that there is none
_CHOICES = 16  # of an answer, at most


@dataclass(frozen=True, slots=True)
class Trace:
    """What must not leave, what is said in the open, and the text of each token by its number."""

    text: str
    answer: str
    words: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Told:
    """What one answer gave away: characters of the trace and where, and the tokens with a value.

    `rows` are those with more alternatives or finer values than the policy allows; `tokens` holds, by the
    token before them, the tokens whose log-probability can be read.
    """

    hidden: int = 0
    where: tuple[str, ...] = ()
    rows: int = 0
    tokens: Mapping[str, frozenset[str]] = field(default_factory=dict)


def judge(body: bytes, trace: Trace, *, top: int | None, step: float, summaries: Iterable[str] = ()) -> Told:
    """What a client reads out of a body and the headers before it."""
    spelled = "\n".join(_by_ids(body, trace.words)).encode()
    hidden, where = 0, set()
    for seen in (body, spelled):
        found = find(seen, [trace.text], spoken=trace.answer, summaries=summaries)
        hidden += found.chars
        where.update(found.where if seen is body else ["token ids"] * bool(found.hidden))
    rows = rows_beyond(body, top, step) + sum(_loose_rows(value) for value in documents(body))
    return Told(hidden, tuple(sorted(where)), rows, tokens_told(body))


def tokens_told(body: bytes, *, begins: bool = False) -> dict[str, frozenset[str]]:
    """By the token before them, the tokens whose log-probability a body tells.

    With `begins` the first rows are those of the first token, whose prefix is the prompt: "".
    """
    told: defaultdict[str, set[str]] = defaultdict(set)
    before: dict[int, str] = dict.fromkeys(range(_CHOICES), "") if begins else {}
    for value in documents(body):
        for choice, rows in _choices(value):
            for row in rows:
                values = [row, *objects(row, "top_logprobs")]
                names = {_name(one) for one in values if _is_told(one.get("logprob"))}
                if choice in before:
                    told[before[choice]] |= names
                before[choice] = _name(row)
    return {name: frozenset(names) for name, names in told.items()}


def _name(row: dict) -> str:
    """A token's text; a part of a letter is spelled in several ways."""
    return str(row.get("token", row.get("token_id"))) or "\ufffd"


def _is_told(value: object) -> bool:
    return isinstance(value, int | float) and value > _WITHHELD


def _choices(value: object) -> Iterator[tuple[int, list[dict]]]:
    """The rows of each choice of a chat or a text completion."""
    if not isinstance(value, dict):
        return
    for choice in objects(value, "choices"):
        logprobs = choice.get("logprobs")
        if isinstance(logprobs, dict):
            yield choice.get("index") or 0, objects(logprobs, "content") or list(_columns(logprobs))


def _columns(logprobs: dict) -> Iterator[dict]:
    """The rows of a text completion, which has them as parallel lists."""
    columns = [logprobs.get(name) or [] for name in ("tokens", "token_logprobs", "top_logprobs")]
    for token, value, top in zip(*columns, strict=False):
        others = [{"token": name, "logprob": number} for name, number in (top or {}).items()]
        yield {"token": token, "logprob": value, "top_logprobs": others}


def _loose_rows(value: object) -> int:
    """Rows in the shape of vLLM's prompt_logprobs: alternatives by their number."""
    if isinstance(value, list):
        return sum(map(_loose_rows, value))
    if not isinstance(value, dict):
        return 0
    numbered = [one for key, one in value.items() if key.isdecimal() and isinstance(one, dict)]
    return any("logprob" in one for one in numbered) + sum(map(_loose_rows, value.values()))


def _by_ids(body: bytes, words: Mapping[int, str]) -> Iterator[str]:
    """The texts that the numbers of a body spell, place by place."""
    spelled: defaultdict[str, list[str]] = defaultdict(list)
    for value in documents(body):
        for path, number in _numbers(value, ""):
            if number in words:
                spelled[path].append(words[number])
    yield from ("".join(parts) for parts in spelled.values())


def _numbers(value: object, path: str) -> Iterator[tuple[str, int]]:
    if isinstance(value, int) and not isinstance(value, bool):
        yield path, value
    elif isinstance(value, str):
        if named := _named.fullmatch(value):
            yield path, int(named[1])
    elif isinstance(value, list):
        for element in value:
            yield from _numbers(element, path)
    elif isinstance(value, dict):
        for key, element in value.items():
            if key.isdecimal():
                yield f"{path}#", int(key)
            yield from _numbers(element, f"{path}.{key}")
