"""Switches of a request: what in it moves, repeats or turns off a trace or rows, and what is harmless there.

A switch is a row of a table: its path, what it touches, and a `Pin`. Nothing here knows a vendor.
"""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import NamedTuple

from hardening.wire.constraints import bars_tags, with_room
from hardening.wire.names import speaks_of_reasoning
from hardening.wire.tags import cuts_tag, holds_tag

_SPEAKERS = frozenset({"assistant", "model"})
_SEALED = frozenset({"thinking", "redacted_thinking"})  # parts of which an API gives back only what it signed
_SEALS = ("signature", "data")
_NO = frozenset({"none", "off", "disabled", "disable", "no", "false", "0"})
_NOTHING: tuple[object, ...] = (None, "", [], {})
_HARDLY = 64  # tokens of a trace that is cut off before it has begun
_tells_whether = re.compile(r"type|effort|enabled|mode|level|max_tokens|.*budget.*", re.I).fullmatch


class Touch(enum.IntFlag):
    """What a switch brings where it is not read, or brings at all."""

    TRACE = enum.auto()
    ROWS = enum.auto()
    IDS = enum.auto()
    STATES = enum.auto()
    PROMPT = enum.auto()
    GIVEN = enum.auto()  # shows what the model was given, and so what was sealed in it
    MODEL = enum.auto()


class Half(enum.IntFlag):
    """Which of two halves a switch is, that do only together what one does alone."""

    SHAPE = enum.auto()
    QUIET = enum.auto()


@dataclass(frozen=True, slots=True)
class Pin:
    """What becomes of a switch, by the value that stands there.

    `forced` gives what is written in place of a value that is not `harmless`: None where nothing could
    make it so, the value as it stands where it may pass unless switches are refused. A `common` one is
    sent by many: its value is looked at before a body is walked. `words` follow its name in a refusal.
    A `half` is a switch only where the other half is not harmless either; of both the shape is forced. But what is `alone`
    is one by itself.
    """

    touches: Touch
    harmless: Callable[[object], bool]
    forced: Callable[[object, bytes], bytes | None]
    common: bool = False
    words: str = "may not be set here; leave it out"
    name: str = ""
    half: Half | None = None
    alone: Callable[[object], bool] = bool  # of no half it is not asked


class Switch(NamedTuple):
    """A switch that stands in a body and is not harmless; `new` as `Pin.forced` gives it, `kept` where that is the same."""

    pin: Pin
    start: int
    end: int
    new: bytes | None
    kept: bool


def _writes(raw: bytes | None) -> Callable[[object, bytes], bytes | None]:
    return lambda value, was: raw


def off(touches: Touch) -> Pin:
    """A switch that is harmless while it is off."""
    return Pin(touches, lambda value: value is None or value == 0, _writes(b"false"))


def on(touches: Touch) -> Pin:
    """A switch that is harmless while it is on."""
    return Pin(touches, lambda value: value is None or value == 1, _writes(b"true"))


def unset(touches: Touch, *harmless: object) -> Pin:
    """A setting that is harmless where it is left out, which is what null means, or one of these."""
    return Pin(touches, lambda value: value is None or value in harmless, _writes(b"null"))


def unset_but(touches: Touch, harmless: Callable[[object], bool]) -> Pin:
    """A setting that is harmless where it is left out, or where `harmless` says so."""
    return Pin(touches, lambda value: value is None or harmless(value), _writes(b"null"))


def stops(touches: Touch) -> Pin:
    """Texts at which a server stops: those that cut a tag are taken out, for behind them no trace closes."""
    return Pin(
        touches, _stops_at_no_tag, _without_tags, common=True, words="may hold no tag of reasoning here"
    )


def turns(touches: Touch) -> Pin:
    """Messages, of which the last may be one that the model goes on with, in a trace or behind its end."""
    return Pin(touches, _asks, _kept_without_tags, common=True, words="may not end in a begun answer here")


def prompts(touches: Touch) -> Pin:
    """Prompts, which as token ids nobody here can read: they may leave a trace open."""
    return Pin(touches, _are_texts, _writes(None), common=True, words="may not be token ids here; send text")


def shape(touches: Touch, kind: str) -> Pin:
    """A grammar of one kind to which an answer is held, or an object that holds one; see `constraints`."""

    def with_room_for_tags(value: object, raw: bytes) -> bytes:
        left = with_room({kind: value})
        return b"null" if left is None else json.dumps(left[kind]).encode()

    return Pin(
        touches,
        lambda value: with_room({kind: value}) == {kind: value},
        with_room_for_tags,
        words="may leave no room for a tag of reasoning here",
        half=Half.SHAPE,
        alone=lambda value: bars_tags({kind: value}),
    )


def quiet(touches: Touch) -> Pin:
    """A setting that can turn thinking off."""
    return Pin(
        touches, lambda value: not is_off(value), lambda value, raw: raw, half=Half.QUIET, alone=_never
    )


def _never(value: object) -> bool:
    return False


def is_off(value: object) -> bool:
    """Whether a setting says that nothing, or hardly anything, shall be thought."""
    if isinstance(value, dict):
        return any(is_off(one) for key, one in value.items() if _tells_whether(key))
    if isinstance(value, str):
        return value.strip().lower() in _NO
    if isinstance(value, bool):
        return not value
    return isinstance(value, int | float) and 0 <= value < _HARDLY


def names_none(value: object, names: frozenset[str]) -> bool:
    """Whether none of `names` stands, with a value, in any object of a value, however deep; keys are told in any case."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting += one
        elif isinstance(one, dict):
            if any(each not in _NOTHING and key.casefold() in names for key, each in one.items()):
                return False
            waiting += one.values()
    return True


def _are_texts(value: object) -> bool:
    return not any(isinstance(one, int | float | list) for one in _listed(value))


def _stops_at_no_tag(value: object) -> bool:
    return not any(isinstance(stop, str) and cuts_tag(stop) for stop in _listed(value))


def _without_tags(value: object, raw: bytes) -> bytes:
    if not isinstance(value, list):
        return b"null"
    return json.dumps([stop for stop in value if _stops_at_no_tag(stop)]).encode()


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _asks(value: object) -> bool:
    """Whether the last of the messages is not the model's own."""
    last = value[-1] if isinstance(value, list) and value else value
    if isinstance(last, dict) and len(last) == 2 and last.get("role") == "user" and "content" in last:
        return True  # as nearly everybody writes it
    return not _is_own(last)


def _kept_without_tags(value: object, raw: bytes) -> bytes | None:
    """A begun answer stays as it is, unless it begins a trace or ends one; several messages may be read as one."""
    begun = list(takewhile(_is_own, reversed(_listed(value))))
    return None if any(named or holds_tag(text) for named, text in _texts(begun)) else raw


def _is_own(turn: object) -> bool:
    role, kind = _said(turn)
    return role.lower() in _SPEAKERS or (kind != "" and _is_of_reasoning(kind))


def _said(turn: object) -> tuple[str, str]:
    """Who speaks in a message, and of which type it calls itself; keys are told in any case."""
    if not isinstance(turn, dict):
        return "", ""
    found = {key.casefold(): value for key, value in turn.items()}
    role, kind = found.get("role"), found.get("type")
    return role if isinstance(role, str) else "", kind if isinstance(kind, str) else ""


def _texts(value: object) -> Iterator[tuple[bool, str]]:
    """The texts in a value, each with whether it stands under a name, or in a part, of reasoning."""
    waiting = [(False, value)]
    while waiting:
        named, one = waiting.pop()
        if isinstance(one, str) and one:
            yield named, one
        elif isinstance(one, list):
            waiting += [(named, element) for element in one]
        elif isinstance(one, dict):
            kind = _said(one)[1]
            if kind in _SEALED and any(one.get(seal) for seal in _SEALS):
                continue  # a turn that its API paused and lets go on, with a whole trace in it
            named = named or _is_of_reasoning(kind)
            named = named or any(each is True and _is_of_reasoning(key) for key, each in one.items())
            waiting += [(named or _is_of_reasoning(key), each) for key, each in one.items()]


def _is_of_reasoning(name: str) -> bool:
    return bool(speaks_of_reasoning(name.encode("utf-8", "surrogatepass")))
