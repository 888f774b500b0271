"""The visible text of a stream, taken a piece at a time without a reading: what may leave of each."""

from __future__ import annotations

import re

from hardening.transform.chain import Chain
from hardening.transform.inline import FIRST_BYTES
from hardening.transform.tally import Tally
from hardening.wire.around import PLAIN
from hardening.wire.scan import write_string
from hardening.wire.shapes import text_of

EVEN = bytes(byte for byte in PLAIN if byte not in FIRST_BYTES)
"""Bytes of a text that need no look: no end of a string, no escape, no control, no start of a tag."""

# The inside of one string with short escapes: none of them writes the start of a tag.
_is_even = re.compile(
    rb'[^"\\\x00-\x1f%b]*+(?:\\["\\/bfnrt][^"\\\x00-\x1f%b]*+)*+' % ((re.escape(FIRST_BYTES),) * 2)
).fullmatch


class Speech:
    """What the tags know of the text that passes.

    `calm` says that no trace is open and no text is held back. `last` begins with the piece of `size` bytes
    that passed last, at `index`, until the tags hear of it. `flows` is that index while its next text may pass
    unseen: with `last` and `size` set for it, and heard by `ear` where there is one; else it is -1.
    """

    __slots__ = ("_chain", "_changed", "_tally", "calm", "ear", "flows", "index", "last", "size")

    def __init__(self, chain: Chain, tally: Tally, changed: set[str]) -> None:
        self._chain = chain
        self._tally = tally
        self._changed = changed
        self.calm = chain.settled
        self.ear = chain.ear
        self.index = 0
        self.last = b""
        self.size = 0
        self.flows = -1
        self._look()

    def _look(self) -> None:
        self.flows = self.index if self.calm else -1

    def stop(self) -> None:
        """Take that a trace has begun."""
        self.calm = False
        self._look()

    def say(self, index: int, data: bytes, span: tuple[int, int]) -> bytes | None:
        """What leaves for `data`, where a text stands at `span`; None where it must be read in full."""
        start, end = span
        piece = data[start:end]
        if self.glides(index, piece):
            return data
        if not self.calm and (tags := self._chain.tags(index)) is not None:
            return self._goes_on(index, piece, tags)
        text = text_of(piece)
        if not text or (not self.calm and self._chain.holding):
            return None
        spoken = self.spoken(index, text, piece)
        if spoken is None:
            return None
        if spoken == text:
            return data
        return data[:start] + write_string(spoken)[1:-1] + data[end:] if spoken else b""

    def glides(self, index: int, piece: bytes) -> bool:
        """Whether a piece that needs no look leaves, counted; it is then all of the inside of one string."""
        if not self.calm or not piece or (piece.strip(EVEN) and not _is_even(piece)):
            return False
        self.passed(index, piece)
        return True

    def _goes_on(self, index: int, piece: bytes, tags: tuple[str, str]) -> bytes | None:
        """Nothing, for a text inside of a trace between `tags`; None where the closing one may stand in it."""
        hidden = self._chain.hidden
        text = text_of(piece)
        if not text or hidden is None or not self._chain.stays_inside(index, text):
            return None
        self._tally.bytes += len(piece)
        hidden.take(index, text, tags)
        return b""

    def passed(self, index: int, piece: bytes) -> None:
        """Count a text that left unseen, and keep it for the tags: its last character may be a quote."""
        if index != self.index:
            self.catch_up()
            self.index = index
            self._look()
        self.last = piece
        self.size = len(piece)
        self._tally.bytes += len(piece)
        if self.ear is not None:
            self.ear.hear(index, piece)

    def spoken(self, index: int, text: str, piece: bytes) -> str | None:
        """The text that leaves for `text`, counted; None, and nothing done, where a tag acts."""
        if self.calm and self._chain.passes(index, text):
            self.passed(index, piece)
            return text
        self.catch_up()
        spoken = self._chain.spoken(index, text)
        self.calm = self._chain.settled
        self._look()
        if spoken is not None:
            self._tally.bytes += len(piece)
            if spoken != text:
                self._changed.add("reasoning")
        return spoken

    def catch_up(self) -> None:
        """Tell the tags which character stands before the next text."""
        if self.last:
            self._chain.follows(self.index, chr(self.last[self.size - 1]))
            self.last = b""

    def heard(self) -> None:
        """Look anew, after a frame was read in full."""
        self.calm = self._chain.settled and not self._chain.holding
        self.ear = self._chain.ear
        self._look()
