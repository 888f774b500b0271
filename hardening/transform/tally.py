"""What a response came to in tokens: the upstream's own count, else one from what passed."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

from hardening.errors import WireError
from hardening.events import Event, Finish, Reasoning, Text, Tool, UsageSeen, Vector
from hardening.facts import Usage
from hardening.wire.scan import read_json
from hardening.wire.usage import usage_seen


class Tally:
    """Counts the bytes of text, trace and tool calls, and keeps the upstream's last usage."""

    __slots__ = (
        "_bytes_per_token",
        "_completion_told",
        "_prompt_bytes",
        "_prompt_named",
        "_seen",
        "bytes",
        "finished",
        "reasoning_bytes",
        "unread",
        "vectors",
    )

    def __init__(self, *, prompt_bytes: int, bytes_per_token: float) -> None:
        self._prompt_bytes = prompt_bytes
        self._bytes_per_token = bytes_per_token
        self._seen: Usage | None = None
        self._prompt_named = self._completion_told = False
        self.bytes = 0  # of all that the model wrote
        self.reasoning_bytes = 0  # of these, the trace
        self.vectors = 0
        self.finished = False
        self.unread: bytes | None = None  # a usage object that came later than all that was fed here

    def feed(self, event: Event) -> None:
        """Count an event as it came from the upstream."""
        if isinstance(event, Text):
            self.bytes += len(event.text.encode("utf-8", "replace"))
        elif isinstance(event, Reasoning):
            size = len(event.text.encode("utf-8", "replace"))
            self.bytes += size
            self.reasoning_bytes += size
        elif isinstance(event, Tool):
            self.bytes += event.chars
        elif isinstance(event, Finish):
            self.finished = True
        elif isinstance(event, Vector):
            self.vectors += 1
        elif isinstance(event, UsageSeen):
            self._catch_up()
            self._see(event)

    def _catch_up(self) -> None:
        raw, self.unread = self.unread, None
        if raw is None:
            return
        try:
            event = usage_seen(read_json(raw, format="usage"))
        except WireError:
            return  # numbers in odd places: no count, and the one before it stands
        if event is not None:
            self._see(event)

    def _see(self, event: UsageSeen) -> None:
        """Take the later count; one that the later frame leaves out keeps its value, a prompt never shrinks to 0."""
        old, new = self._seen or Usage(), event.usage
        self._prompt_named = self._prompt_named or event.prompt
        # Who counts the trace apart leaves out what is zero.
        self._completion_told = self._completion_told or event.completion or event.apart
        reasoning = new.reasoning or old.reasoning
        last = new if event.completion else old
        completion = last.completion
        if event.apart:
            completion += reasoning - last.reasoning
        prompt = new.prompt or old.prompt if event.prompt else old.prompt or new.prompt
        self._seen = Usage(prompt, completion, reasoning)

    def so_far(self, event: UsageSeen) -> UsageSeen:
        """The count of `event`, which was fed, with what earlier frames told and it leaves out."""
        return replace(event, usage=self._seen or event.usage)

    @property
    def counted(self) -> Usage:
        """Tokens by the bytes that passed so far."""
        return Usage(
            self._tokens(self._prompt_bytes), self._tokens(self.bytes), self._tokens(self.reasoning_bytes)
        )

    @property
    def source(self) -> Literal["usage", "events", "none"]:
        """Where `usage` comes from."""
        self._catch_up()
        if self._seen is not None:
            return "usage"
        return "events" if self.bytes else "none"

    @property
    def usage(self) -> Usage:
        """The upstream's count; by the bytes where it gave none. With the vectors that came.

        A stream that was ended before its finish may hold only a first count, and some usage counts the prompt
        alone: then the larger of the two stands, since hidden and cut tokens cost as well. Where no count of a
        trace stands beside one that passed, it is ours, within the completion.
        """
        self._catch_up()
        counted, seen = self.counted, self._seen
        if seen is None:
            return counted if self.bytes else Usage(embeddings=self.vectors)
        prompt = seen.prompt if self._prompt_named and self.finished else seen.prompt or counted.prompt
        if self.finished and self._completion_told:
            reasoning = seen.reasoning or min(seen.completion, counted.reasoning)
            return Usage(prompt, seen.completion, reasoning, self.vectors)
        completion, reasoning = counted.completion, counted.reasoning
        return Usage(prompt, max(seen.completion, completion), max(seen.reasoning, reasoning), self.vectors)

    def _tokens(self, size: int) -> int:
        return math.ceil(size / self._bytes_per_token)
