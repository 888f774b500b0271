"""Frames that say of a hidden trace that it ends, while nobody knows yet whether it goes on.

Some servers write a reason to end into each frame. So such a frame waits for the next one: where that goes on nothing has
ended, and the frame can go, for a number of empty ones would tell how long the trace was, and each would end a summary.
"""

from __future__ import annotations

from hardening.events import Event, Finish, Reasoning, Text, Tool
from hardening.transform.chain import Chain
from hardening.wire.frame import Frame


def may_go_on(frame: Frame, chain: Chain) -> bool:
    """Whether a frame says of nothing but a hidden trace that it ends."""
    if chain.hidden is None or frame.numbers:
        return False
    said = _said(frame)
    ends = any(isinstance(event, Finish) for event, _ in frame.events)
    return ends and bool(said) and all(_is_in_trace(event, chain) for event in said)


def goes_on(then: Frame | None) -> set[int]:
    """The indices of which a frame, if one follows, says more."""
    return set() if then is None else {event.index for event in _said(then)}


def _said(frame: Frame) -> list[Text | Reasoning | Tool]:
    return [event for event, _ in frame.events if isinstance(event, Text | Reasoning | Tool)]


def _is_in_trace(event: Event, chain: Chain) -> bool:
    if isinstance(event, Text):
        return chain.may_hide(event.index, event.text)
    return isinstance(event, Reasoning)
