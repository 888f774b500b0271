"""One frame through the chain: which bytes leave for it, and which frames come before it."""

from __future__ import annotations

from hardening.events import (
    Event,
    Failed,
    Finish,
    Logprobs,
    Reasoning,
    Seal,
    Summary,
    Text,
    TextCopy,
    Tool,
    Withheld,
)
from hardening.transform.chain import Chain
from hardening.transform.tally import Tally
from hardening.wire.frame import Frame
from hardening.wire.roles import Role
from hardening.wire.scan import UNKNOWN_TEXT_BYTES
from hardening.wire.sites import Site

_KEEPS_FRAME = (Tool, Finish, Failed, Seal, Logprobs)
_SPEAKERS = frozenset({Role.SPEAKER, Role.SPEAKER_AGAIN})
_OPAQUE = frozenset({Role.SEAL, Role.SIGNATURE})


class Rewriter:
    """Edits frames as the chain says, and writes frames of its own in the shape of earlier ones.

    `changed` names what was altered, for the Receipt: `reasoning`, `logprobs`, `copies`.
    """

    __slots__ = ("_begun", "_chain", "_tally", "_templates", "changed", "glue")

    def __init__(self, chain: Chain, tally: Tally, *, glue: bytes = b"") -> None:
        """`glue` stands between two frames that leave for one."""
        self._chain = chain
        self.glue = glue
        self._tally = tally
        self._templates: dict[tuple[int, type[Event]], Frame] = {}
        self._begun: set[int] = set()
        self.changed: set[str] = set()

    def frame(self, frame: Frame, *, whole: bool = False) -> bytes:
        """What leaves for a frame: nothing, the frame, or it with edits, after new frames.

        With `whole` the frame is all there is, so what the chain still owes stands in it too.
        """
        self._chain.start_frame()
        edits: dict[Site, bytes] = {}
        before: list[bytes] = []
        worth = False
        for event, site in frame.events:
            self._tally.feed(event)
            outs = self._chain.feed(event)
            rest = [out for out in outs if not self._written(frame, event, out, edits, before)]
            self._edit(frame, event, site, rest, edits)
            worth = worth or any(isinstance(out, _KEEPS_FRAME) or _says(out) for out in outs)
        if whole:
            for out in self._chain.flush():
                self._written(frame, out, out, edits, before)
        self._keep(frame)
        masked = self._copies(frame)
        if edits and not worth and not whole and self._is_void(frame, masked):
            return self._glued(before)
        masked += self._short_copies(frame)
        self._begun.update(site.owner.index for site in frame.sites if site.role in _SPEAKERS)
        return self._glued([*before, frame.render(edits, masked)]) if before else frame.render(edits, masked)

    def rest(self) -> bytes:
        """The frames that the chain still owes at the end of a stream."""
        return self._glued([self._new(event) for event in self._chain.flush()])

    def _glued(self, frames: list[bytes]) -> bytes:
        return self.glue.join(filter(None, frames))

    def _written(
        self, frame: Frame, event: Event, out: Event, edits: dict[Site, bytes], before: list[bytes]
    ) -> bool:
        """Put what belongs elsewhere into its place: a summary, or text held back from earlier frames."""
        if isinstance(out, Summary) and out.tags is None:
            site = next((site for own, site in frame.events if _is_trace(own, out.index)), None)
            if site is None:
                before.append(self._new(out))
            else:
                edits[site] = frame.written(site, out.text)
            return True
        if isinstance(out, Text | Summary) and not isinstance(event, Text):
            before.append(self._new(out))
            return True
        return False

    def _edit(
        self, frame: Frame, event: Event, site: Site, outs: list[Event], edits: dict[Site, bytes]
    ) -> None:
        if len(outs) == 1 and outs[0] is event:
            return
        if isinstance(event, Text):
            text = "".join(_spoken(out) for out in outs)
            if text != event.text:
                edits[site] = frame.written(site, text)
                self.changed.add("reasoning")
        elif isinstance(event, Logprobs):
            kept = next((out.raw for out in outs if isinstance(out, Logprobs)), b"[]")
            edits[site] = frame.with_rows(site, kept)
            self.changed.add("logprobs")
        elif not outs or isinstance(event, TextCopy):
            edits.setdefault(site, frame.written(site, ""))
            self.changed.add(
                "logprobs" if isinstance(event, Withheld) and event.kind == "rows" else "reasoning"
            )

    def _copies(self, frame: Frame) -> list[tuple[int, int]]:
        """Strings that no table knows and that repeat a hidden trace, or any of this frame's share of it."""
        if not frame.unknown or self._chain.hidden is None:
            return []
        share = "".join(event.text for event, _ in frame.events if isinstance(event, Reasoning))
        found = [
            span
            for span in frame.unknown
            if (text := frame.string(*span)) in share or self._chain.repeats(text)
        ]
        if found:
            self.changed.add("copies")
        return found

    def _short_copies(self, frame: Frame) -> list[tuple[int, int]]:
        """As `_copies` for pieces of a trace that are too short to be told from anything else elsewhere."""
        pieces = {event.text for event, _ in frame.events if isinstance(event, Reasoning)}
        short = {text for text in pieces if 0 < len(text) <= UNKNOWN_TEXT_BYTES}
        found = frame.unknown_like(short) if short and self._chain.hidden is not None else []
        if found:
            self.changed.add("copies")
        return found

    def _keep(self, frame: Frame) -> None:
        """Remember the first frame of each index that can carry text or a trace, to write more like it."""
        for event, site in frame.events:
            if isinstance(event, Text | Reasoning) and site.role not in _OPAQUE:
                self._templates.setdefault((event.index, type(event)), frame)

    def _new(self, event: Event) -> bytes:
        """A frame that says `event` in the shape of an earlier one; nothing where none can be."""
        if not isinstance(event, Summary | Text):
            return b""
        kind = Reasoning if isinstance(event, Summary) and event.tags is None else Text
        frame = self._templates.get((event.index, kind))
        if frame is None:
            return b""
        edits: dict[Site, bytes] = {}
        text = _spoken(event) if kind is Text else event.text
        for own, site in frame.events:
            if isinstance(own, kind) and own.index == event.index:
                edits[site] = frame.written(site, text)
                text = ""
            else:
                edits[site] = frame.written(site, "")
        for site in frame.sites:
            if site.role is Role.SPEAKER:  # clients add a second role to the first
                edits[site] = b"null"
        return frame.render(edits, frame.unknown)

    def _is_void(self, frame: Frame, masked: list[tuple[int, int]]) -> bool:
        """Whether a frame whose payload is gone can go as well: it begins nothing and ends nothing.

        A number of empty frames would tell how long the trace was.
        """
        return len(masked) == len(frame.unknown) and all(
            site.owner.index in self._begun if site.role in _SPEAKERS else frame.names_payload(site)
            for site in frame.sites
            if site.role in _SPEAKERS or site.role is Role.KIND
        )


def _is_trace(event: Event, index: int) -> bool:
    return isinstance(event, Reasoning) and event.index == index


def _says(event: Event) -> bool:
    return isinstance(event, Text | Summary | TextCopy) and bool(event.text)


def _spoken(event: Event) -> str:
    """The event as visible text."""
    if isinstance(event, Summary) and event.tags is not None:
        return f"{event.tags[0]}\n{event.text}\n{event.tags[1]}\n"
    return event.text if isinstance(event, Text) else ""
