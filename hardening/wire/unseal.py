"""Seals that come back in a request: where they stand, and the same body with what they hold in its place.

Only a turn that carries one is written anew; every other byte stays. Seals are opened in steps, so that whoever waits
for many of them can serve others in between.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from typing import NamedTuple, TypeVar

from hardening.errors import WireError
from hardening.wire.mark import MARK
from hardening.wire.questions import Questions
from hardening.wire.requests import as_utf8, splice
from hardening.wire.resent import lists_of, without
from hardening.wire.roles import Role
from hardening.wire.scan import read_json
from hardening.wire.traces import written
from hardening.wire.turns import Turn, Turns

_MARK = MARK.encode()
_RARE = ord("Z")  # once in the mark, and hardly ever in prose and code
_RARE_AT = _MARK.index(_RARE)
_MOST_RARE = 64  # base64 holds more
_BACKSLASH = 92  # looked for first: one byte is found many times faster than four
_escape = re.compile(rb"\\u00").search
_escaped_letters = re.compile(rb"\\u00(4[1-9a-f]|5[0-9a]|6[1-9a-f]|7[0-9a])", re.IGNORECASE).sub

_Found = TypeVar("_Found")
Steps = Generator[None, None, _Found]
"""Work in steps, of which none takes long; what it returns at its end."""

RevealAt = Callable[[str, tuple[str, ...] | None], Steps[Turn | None]]
"""What a seal holds, as members, in a turn that answers these results (None where nobody knows which); None where it cannot be opened."""


def at_once(steps: Steps[_Found]) -> _Found:
    """What all steps come to, one right after another."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: _Found = end.value
            return found


class Unsealed(NamedTuple):
    """A body with its seals replaced; `needed` says that one was dropped that its API wants in this turn."""

    body: bytes
    needed: bool


def carries_seals(body: bytes) -> bool:
    """Whether a seal of ours may stand in the body, however it is written, told without reading it."""
    if _is_marked(body):
        return True
    try:
        text = as_utf8(body)
    except WireError:
        return False
    may_hide = text is not body or (_BACKSLASH in text and _escape(text) is not None)
    return may_hide and _MARK in _escaped_letters(_letter, text)


def _is_marked(body: bytes) -> bool:
    """Whether the mark stands in the body as it is; where its rare letter hardly occurs that is told at once."""
    at = body.find(_RARE)
    for _ in range(_MOST_RARE):
        if at < 0:
            return False
        if body.startswith(_MARK, max(0, at - _RARE_AT)):
            return True
        at = body.find(_RARE, at + 1)
    return _MARK in body


def answered(body: bytes, turns: Turns, *, format: str) -> tuple[str, ...]:
    """The ids of the tool results that the next turn of the model answers."""
    if turns.mark not in body:
        return ()
    value = read_json(as_utf8(body), format=format)
    told = value.get(turns.key) if isinstance(value, dict) else None
    walk = _Answers(turns)
    for turn in told if isinstance(told, list) else ():
        walk.take(turn if isinstance(turn, dict) else {})
    return walk.ids


def unsealed(body: bytes, turns: Turns, reveal: RevealAt, *, format: str) -> Steps[Unsealed]:
    """The body with the seals of the model's own turns opened; what `reveal` refuses, and any other, is dropped.

    The last turns come first: what a request may open is spent on them. A step reads one turn, opens one seal or a piece of it, or writes one turn.
    """
    text = as_utf8(body)
    walk = _Answers(turns)
    lists = lists_of(Questions(text, turns.table, format=format).sites, Role.TURNS, Role.TURN)
    marked: list[_Marked] = []
    open_from = last_from = 0  # in `marked`, the first turn that no person answered, and that nobody did
    for number, (_, sites) in enumerate(lists):
        for at, site in enumerate(sites):
            raw = text[site.start : site.end]
            turn = read_json(raw, format=format)
            named = turn if isinstance(turn, dict) else {}
            own = walk.take(named)
            if not own and not walk.answering:
                open_from = len(marked)
            if carries_seals(raw):
                marked.append(_Marked(number, at, named, own, walk.known if own else None))
            if not own:
                last_from = len(marked)
            yield
    spans: list[tuple[int, int, bytes]] = []
    gone = [[False] * len(sites) for _, sites in lists]
    open_lost = False
    for place in range(len(marked) - 1, -1, -1):
        number, at, named, own, answers = marked[place]
        # Where it is the last, the model would go on with its trace.
        opens = own and (place < last_from or turns.is_paused(named))
        opening = _Opening(reveal if opens else None, answers)
        yield from opening.asked_by(turns, named)
        new = turns.restored(named, opening)
        site = lists[number][1][at]
        gone[number][at] = new is None
        if new is not None and new != named:
            spans.append((site.start, site.end, written(new)))
        open_lost = open_lost or (own and opening.lost and place >= open_from)
        yield
    for (whole, sites), goes in zip(lists, gone, strict=True):
        spans += [(whole.start, whole.end, b"[]")] if all(goes) else without(sites, goes)
    needed = open_lost and walk.answering and turns.needs(_request(text, format=format))
    return Unsealed(splice(text, spans) if spans else body, needed)


class _Marked(NamedTuple):
    """A turn in which a seal may stand: in which list, at which place, what it says, and the results that it answers."""

    number: int
    at: int
    turn: Turn
    own: bool
    answers: tuple[str, ...] | None


class _Opening:
    """Opens the seals of one turn, each once, and knows whether one was lost."""

    def __init__(self, reveal: RevealAt | None, answers: tuple[str, ...] | None) -> None:
        self._reveal = reveal
        self._answers = answers
        self._found: dict[str, Turn | None] = {}
        self.lost = False

    def __call__(self, blob: str) -> Turn | None:
        """What was found in a seal; one that `asked_by` did not ask for stays closed."""
        found = self._found.get(blob)
        self.lost = self.lost or found is None
        return found

    def asked_by(self, turns: Turns, turn: Turn) -> Steps[None]:
        """Open what the turn will ask for, one seal after another."""
        if self._reveal is None:
            return
        blobs: dict[str, None] = {}
        turns.restored(turn, lambda blob: blobs.setdefault(blob))
        for blob in blobs:
            self._found[blob] = yield from self._reveal(blob, self._answers)
            yield


class _Answers:
    """Which tool results stand right before the turn that comes next, turn by turn."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._ids: set[str] = set()
        self._sorted: tuple[str, ...] | None = ()  # None where they have changed since
        self._after_own = False
        self.answering = False
        """Whether the last turn was a tool's."""

    def take(self, turn: Turn) -> bool:
        """Take the next turn; whether it is the model's own."""
        own = self._turns.is_own(turn)
        if not own:
            found = set(self._turns.answers(turn))
            if self._after_own:
                self._ids = found
            else:
                self._ids.update(found)
            if self._after_own or found:
                self._sorted = None
            self.answering = bool(found)
        self._after_own = own
        return own

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids, in an order that does not depend on the client's."""
        if self._sorted is None:
            self._sorted = tuple(sorted(self._ids))
        return self._sorted

    @property
    def known(self) -> tuple[str, ...] | None:
        """The same; None where there are none, for agents cut the calls off, or put a summary or a note in their place."""
        return self.ids if self._ids else None


def _letter(escape: re.Match[bytes]) -> bytes:
    return bytes.fromhex(escape[1].decode())


def _request(text: bytes, *, format: str) -> Turn:
    value = read_json(text, format=format)
    return value if isinstance(value, dict) else {}
