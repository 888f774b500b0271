"""The twins of the kernels, without numba: the same answers, slower, and for any input."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import TypeGuard

import numpy as np
import orjson

from hardening.kernels.codes import LOW_LEVEL, LOWEST, SHARED_SCALE
from hardening.kernels.copies import take_words
from hardening.kernels.draws import Draws, over_one
from hardening.kernels.features import tag_sentences
from hardening.kernels.grid import Grid
from hardening.kernels.phrases import find_nearby, find_phrases
from hardening.kernels.prompts import read_kinds, read_prompt
from hardening.kernels.sketches import note_prompt, weigh
from hardening.kernels.steps import step_floats, step_list
from hardening.kernels.turns import turn

__all__ = [
    "centrality",
    "cut_rows",
    "find_nearby",
    "find_phrases",
    "note_prompt",
    "read_kinds",
    "read_prompt",
    "step_floats",
    "step_list",
    "tag_sentences",
    "take_words",
    "turn",
    "weigh",
]

Json = dict[str, "Json"] | list["Json"] | str | int | float | bool | None | orjson.Fragment
Entry = dict[str, Json]

ENDS = frozenset(
    {"", "</s>", "<eos>", "<|im_end|>", "<|eot_id|>", "<|endoftext|>", "<|end|>", "<|return|>"}
) | {
    "<end_of_turn>",
    "<｜end▁of▁sentence｜>",
}
"""Tokens that end an answer and stand in no text."""
ALTERNATIVE = frozenset({"token", "logprob", "bytes"})
ROW = ALTERNATIVE | {"top_logprobs"}
HIDDEN = orjson.Fragment(f"{LOWEST}.0")


class Digits(str):
    """A JSON number as it was spelled."""

    __slots__ = ()


def cut_rows(
    raw: bytes,
    visible: bytes | None,
    top: int | None,
    grid: Grid,
    draws: Draws | None = None,
    lone: bool = True,
) -> bytes:
    """The rows of a JSON array with at most `top` values a row, on the grid; `[]` if it is no such array.

    With `visible` (UTF-8) only rows that spell it stay: all of them, or else the shortest run up to
    the last one (before tokens that end an answer), or else none. `draws` is noise on the values, for which
    there must be a grid; it goes on behind the rows that stay. Where fewer than `top` are listed, a drawn token
    that is none of them has a value only if it may have a `lone` one.
    """
    rows = [row for row in _read(raw, verbatim=grid.step == 0.0) if _is_entry(row)]
    if visible is not None:
        rows = _spelling(rows, visible)
    if grid.step:
        return _write([_stepped(row, top, grid, draws, lone=lone) for row in rows])
    return _write([_cut(row, top, lone=lone) for row in rows])


def _read(raw: bytes, *, verbatim: bool) -> list[Json]:
    """The array in `raw`, with numbers as spelled where asked; empty if there is none."""
    try:
        rows = json.loads(raw, parse_float=Digits) if verbatim else orjson.loads(raw)
    except (ValueError, RecursionError):
        rows = _read_leniently(raw)
    return rows if isinstance(rows, list) else []


def _read_leniently(raw: bytes) -> Json:
    """What the standard library makes of `raw`: it takes NaN, lone surrogates and, here, bad UTF-8."""
    try:
        rows: Json = json.loads(raw.decode("utf-8", "replace"), parse_float=Digits, strict=False)
    except (ValueError, RecursionError):
        return None
    return rows


def _is_entry(row: Json) -> TypeGuard[Entry]:
    return isinstance(row, dict) and type(row.get("token")) is str and "logprob" in row


def _spelling(rows: list[Entry], visible: bytes) -> list[Entry]:
    """The rows that spell `visible`; see `cut_rows`."""
    pieces = [_spelled(row) for row in rows]
    if b"".join(pieces) == visible:
        return rows
    end = len(rows)
    while True:
        first = _suffix(pieces[:end], visible)
        if first is not None:
            return rows[first:]
        if end == 0 or rows[end - 1]["token"] not in ENDS:
            return []
        end -= 1


def _suffix(pieces: list[bytes], visible: bytes) -> int | None:
    """Where the shortest run up to the last piece that spells `visible` begins."""
    rest = len(visible)
    for first in range(len(pieces) - 1, -1, -1):
        start = rest - len(pieces[first])
        if start < 0 or visible[start:rest] != pieces[first]:
            return None
        if start == 0:
            return first
        rest = start
    return None


def _spelled(row: Entry) -> bytes:
    """The text of a row: its bytes where there are any, else its token."""
    numbers = row.get("bytes")
    if _are_bytes(numbers) and numbers:
        return bytes(numbers)
    return _utf8(row["token"])


def _utf8(token: Json) -> bytes:
    return token.encode("utf-8", "surrogatepass") if isinstance(token, str) else b""


def _are_bytes(value: Json) -> TypeGuard[list[int]]:
    try:
        return isinstance(value, list) and bytes(value) is not None  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False


def _value(entry: Entry) -> float:
    """The value of an entry; -inf where it is no number."""
    number = entry["logprob"]
    if type(number) is float:
        return number if number == number else -math.inf
    if isinstance(number, Digits) or type(number) is int:
        try:
            return float(number)
        except OverflowError:
            return -math.inf
    return -math.inf


def _shown(entry: Entry) -> orjson.Fragment:
    """The value of an entry as it was spelled."""
    number = entry["logprob"]
    return orjson.Fragment(str(number)) if isinstance(number, Digits) or type(number) is int else HIDDEN


def _cut(row: Entry, top: int | None, *, lone: bool) -> Entry:
    """A row with the `top` highest of its alternatives, and its own value if it is one of them."""
    entries = _listed(row, top)
    shown = [_members(entry, ALTERNATIVE, _shown(entry)) for entry in entries]
    own = next((cut["logprob"] for cut, entry in zip(shown, entries, strict=True) if _same(row, entry)), None)
    if lone and (top is None or (own is None and len(entries) < top)):
        own = _shown(row)
    return _row(row, own or HIDDEN, shown)


def _stepped(row: Entry, top: int | None, grid: Grid, draws: Draws | None, *, lone: bool) -> Entry:
    """As `_cut`, with values on the grid, in the order that `levels.py` states."""
    entries = _listed(row, top)
    own = next((at for at, entry in enumerate(entries) if _same(row, entry)), None)
    if lone and own is None and (top is None or len(entries) < top):
        own = len(entries)
    values = [_value(entry) for entry in [*entries, row]]
    best = max(range(len(entries)), key=values.__getitem__, default=None)
    if draws is None:
        levels = [grid.level(value) for value in values]
    else:
        levels = _noised(row, entries, values, own=own, best=best, grid=grid, draws=draws)
    order = sorted(
        range(len(entries)), key=lambda at: (at != best, -levels[at], _utf8(entries[at]["token"]), at)
    )
    shown = [_members(entries[at], ALTERNATIVE, grid.fragment(levels[at])) for at in order]
    return _row(row, HIDDEN if own is None else grid.fragment(levels[own]), shown)


def _noised(
    row: Entry,
    entries: list[Entry],
    values: list[float],
    *,
    own: int | None,
    best: int | None,
    grid: Grid,
    draws: Draws,
) -> list[int]:
    """The levels of the alternatives and of the row itself under noise, which goes on behind its token."""
    digests = [draws.digest(_utf8(entry["token"])) for entry in [*entries, row]]
    levels = [grid.level(value, draws.nats(digest)) for value, digest in zip(values, digests, strict=True)]
    draws.follow(digests[-1])
    if best is not None:
        levels = [min(level, levels[best]) for level in levels]
    down = over_one(levels if own == len(entries) else levels[:-1], grid.step)
    return [level if level == LOW_LEVEL else level - down for level in levels]


def _listed(row: Entry, top: int | None) -> list[Entry]:
    """The alternatives of a row that stay."""
    listed = row.get("top_logprobs")
    return _highest(listed, top) if isinstance(listed, list) else []


def _row(row: Entry, own: Json, shown: list[Entry]) -> Entry:
    """A row with this value and these alternatives."""
    cut = _members(row, ROW if isinstance(row.get("top_logprobs"), list) else ALTERNATIVE, own)
    if "top_logprobs" in cut:
        cut["top_logprobs"] = list[Json](shown)
    return cut


def _highest(listed: list[Json], top: int | None) -> list[Entry]:
    """The `top` entries of the highest values, ties by place, in their order."""
    entries = [entry for entry in listed if _is_entry(entry)]
    if top is None or len(entries) <= top:
        return entries
    values = [_value(entry) for entry in entries]
    if values == sorted(values, reverse=True):
        return entries[:top]
    ranked = sorted(range(len(entries)), key=lambda at: -values[at])
    return [entries[at] for at in sorted(ranked[:top])]


def _members(entry: Entry, names: frozenset[str], shown: Json) -> Entry:
    """The members of these names, in their order, with the value given."""
    cut = entry.copy() if entry.keys() <= names else {k: v for k, v in entry.items() if k in names}
    cut["logprob"] = shown
    if "bytes" in cut and not _are_bytes(cut["bytes"]):
        cut["bytes"] = None
    return cut


def _same(row: Entry, entry: Entry) -> bool:
    """Whether an alternative is the token that was drawn."""
    if row["token"] != entry["token"]:
        return False
    mine, other = row.get("bytes"), entry.get("bytes")
    return mine == other or not (isinstance(mine, list) and isinstance(other, list))


def _write(rows: list[Entry]) -> bytes:
    """The rows as JSON; tokens that hold half a surrogate pair stay escaped."""
    try:
        return orjson.dumps(rows)
    except TypeError:
        return orjson.dumps([_escaped(row) for row in rows])


def _escaped(entry: Entry) -> Entry:
    """The entry with its token, and those of its alternatives, as ASCII."""
    cut: Entry = {**entry, "token": orjson.Fragment(json.dumps(entry["token"]))}
    listed = cut.get("top_logprobs")
    if isinstance(listed, list):
        cut["top_logprobs"] = [_escaped(item) for item in listed if isinstance(item, dict)]
    return cut


def centrality(sentences: Sequence[Sequence[int]]) -> list[int]:
    """Each sentence's summed likeness to the others: shared words squared over the product of the sizes.

    A sentence is the ids of its words, ascending and without repeats.
    """
    vocabulary = {word: at for at, word in enumerate(sorted(set().union(*sentences)))}
    holds = np.zeros((len(sentences), len(vocabulary)))
    for at, words in enumerate(sentences):
        holds[at, [vocabulary[word] for word in words]] = 1.0
    shared = (holds @ holds.T).astype(np.int64)
    np.fill_diagonal(shared, 0)
    sizes = np.array([len(words) for words in sentences], np.int64)
    scores: list[int] = (
        (shared * shared * SHARED_SCALE // np.maximum(np.outer(sizes, sizes), 1)).sum(axis=1).tolist()
    )
    return scores
