"""One frame through the chain: which bytes leave for it, and which frames come before it."""

from __future__ import annotations

import re
from collections.abc import Collection

from hardening.ending import goes_on, may_go_on
from hardening.events import (
    Event,
    Failed,
    Finish,
    Logprobs,
    Reasoning,
    ReasoningCopy,
    ReasoningEnd,
    Score,
    Seal,
    Sealed,
    Summary,
    Text,
    TextCopy,
    Tool,
    UsageSeen,
    Vector,
    Withheld,
)
from hardening.numbers import Numbers
from hardening.sealed import Seals
from hardening.transform.chain import Chain
from hardening.transform.drift import Drift
from hardening.transform.restored import Restored
from hardening.transform.shorts import Shorts
from hardening.transform.tally import Tally
from hardening.wire.blocks import TraceBlocks
from hardening.wire.codec import Stream
from hardening.wire.frame import Frame
from hardening.wire.roles import LENGTHS, SEALS, Role
from hardening.wire.scan import UNKNOWN_TEXT_BYTES
from hardening.wire.sites import Site
from hardening.wire.unknown import key_before

_BEGINS = frozenset({Role.SPEAKER, Role.HEAD})
_NAMES_OF_CHANGES = {"rows": "logprobs", "vectors": "embeddings", "lengths": "usage"}
_WITHHELD = "the words of this error are withheld, for they hold reasoning"
_KINDS = frozenset({b"type", b"code", b"status"})  # keys of an error by which clients tell what to do
_is_word = re.compile(r"[A-Za-z0-9_.:-]{1,64}").fullmatch
_KEEPS_FRAME = (Tool, Finish, Failed, Seal, Logprobs, Score, Vector)


class Rewriter:
    """Edits frames as the chain says, and writes frames of its own in the shape of earlier ones.

    `changed` names what was altered, for the Receipt: `reasoning`, `logprobs`, `embeddings`, `usage`,
    `copies`; `same` says of the last frame whether it left with what it came with, but for its number and its counts, `masked`
    whether a string was taken out that no table knows. `waits` is a frame for which nothing has left yet. `glue` stands between two frames that leave for one; `voice` writes
    what has no frame to be written like, which are seals alone.
    """

    __slots__ = (
        "_begun",
        "_blocks",
        "_chain",
        "_drift",
        "_heard",
        "_hides_drift",
        "_sealed_here",
        "_seals",
        "_shorts",
        "_tally",
        "_templates",
        "changed",
        "glue",
        "masked",
        "numbers",
        "same",
        "voice",
        "waits",
    )

    def __init__(
        self,
        chain: Chain,
        tally: Tally,
        *,
        drift: Drift | None,
        hides_drift: bool,
        seals: Seals | None = None,
    ) -> None:
        """`drift` finds text in places that no table knows; with `hides_drift` it is taken out as a trace."""
        self._chain = chain
        self._seals = seals
        self._sealed_here = False
        self.voice: Stream | None = None
        self._drift = drift
        self._hides_drift = hides_drift
        self.glue = b""
        self._tally = tally
        self._templates: dict[tuple[int, type[Event]], dict[bytes, Frame]] = {}
        self._begun: set[int] = set()
        self._blocks = TraceBlocks()
        self._heard: set[tuple[int, type[Event]]] = set()
        self._shorts = Shorts()
        self.numbers = Numbers()
        self.changed: set[str] = set()
        self.same = True
        self.masked = False
        self.waits: Frame | None = None

    def frame(self, frame: Frame, *, whole: bool = False) -> bytes:
        """What leaves for a frame: nothing, the frame, or it with edits, after new frames.

        With `whole` the frame is all there is, so what the chain still owes stands in it too.
        """
        before = self._waited(frame)
        if not whole and may_go_on(frame, self._chain):
            self.waits = frame
            return before
        left = self._left(frame, whole=whole)
        return self._glued([before, left]) if before else left

    def _waited(self, then: Frame | None) -> bytes:
        """What leaves for the frame that waits, now that `then` follows, or nothing."""
        frame, self.waits = self.waits, None
        if frame is None:
            return b""
        return self._left(frame, whole=False, open_still=goes_on(then))

    def _left(self, frame: Frame, *, whole: bool, open_still: Collection[int] = ()) -> bytes:
        """What leaves for a frame whose turn it is; what it says of the end of those that are open still is none."""
        self._chain.start_frame()
        self._blocks.begin(frame)
        edits: dict[Site, bytes] = {}
        before: list[bytes] = []
        final = frame.is_final
        if final:
            self._flush(frame, edits, before, ahead=True)
        if whole or final:
            self._chain.close_counts()
        worth = self._events(frame, edits, before, whole=whole, open_still=open_still)
        if whole or final:
            self._flush(frame, edits, before)
        if self._seals is not None and (whole or self._sealed_here or not self._seals.place.alone):
            self._sealed_here = False
            edits |= self._seals.inside(frame, edits)  # last: what is edited by then holds no trace
        edits |= self._given(frame)
        edited = any(site.role not in LENGTHS for site in edits)
        self.same = not edited
        self.masked = False
        if self._hold(frame):
            self._went(frame)
            return self._glued(before)
        self._keep(frame)
        masked = self._copies(frame)
        drifted = self._drifted(frame)
        masked += drifted
        told = edited or (drifted and not frame.events)
        if told and not worth and not whole and self._is_void(frame, masked):
            self._went(frame)
            return self._glued(before)
        masked += self._short_copies(frame)
        self.masked = bool(masked)
        self.same = self.same and not masked
        self._begun.update(site.owner.index for site in frame.sites if site.role in _BEGINS)
        left = self._numbered(frame, edits, masked)
        return self._glued([*before, left]) if before else left

    def _events(
        self,
        frame: Frame,
        edits: dict[Site, bytes],
        before: list[bytes],
        *,
        whole: bool,
        open_still: Collection[int],
    ) -> bool:
        """Take the events of a frame through the chain; whether something of them is worth a frame."""
        worth = False
        heard: set[tuple[int, type[Event]]] = set()
        for came, site in frame.events:
            if isinstance(came, Finish) and came.index in open_still:
                edits[site] = frame.written(site, "")
                continue
            came = self._blocks.read(came)
            event = self._once_more(came, heard, whole=whole)
            if event is came and not self._is_counted(came):
                self._tally.feed(came)
                if isinstance(came, UsageSeen) and self._chain.usage is not None:
                    event = self._tally.so_far(came)
            if isinstance(came, Text | Reasoning | Tool):
                heard.add((came.index, type(came)))
            outs = self._outs(event, whole=whole)
            if isinstance(event, Tool) and not self._is_counted(event) and self._chain.ear is not None:
                self._chain.ear.hear_given(event.index, frame.given(site))
            if isinstance(event, Seal) and not outs and self._seals is not None:
                self._seals.heard(frame, event, site)
            if isinstance(event, ReasoningCopy):
                self._repeat(frame, event, site, outs, edits)
            else:
                rest = [out for out in outs if not self._written(frame, event, out, edits, before)]
                self._edit(frame, event, site, rest, edits)
            worth = worth or any(isinstance(out, _KEEPS_FRAME) or _says(out) for out in outs)
            if isinstance(event, ReasoningEnd):
                self._let_go(event.index)
        self._heard |= heard
        self._blocks.end(frame)
        return worth

    def _once_more(self, event: Event, heard: set[tuple[int, type[Event]]], *, whole: bool) -> Event:
        """The event; as a copy where it is all of something whose pieces came in earlier frames.

        Of several whole traces in one frame (`heard`) all but the first are copies as well; several texts
        are parts of an answer, and in a `whole` body none is a copy.
        """
        if isinstance(event, Text) and event.whole and not whole and (event.index, Text) in self._heard:
            return TextCopy(event.index, event.text, whole=True)
        if isinstance(event, Reasoning) and event.whole:
            key = (event.index, Reasoning)
            return ReasoningCopy(event.index) if key in self._heard or key in heard else event
        return event

    def _is_counted(self, event: Event) -> bool:
        return isinstance(event, Tool) and event.whole and (event.index, Tool) in self._heard

    def _outs(self, event: Event, *, whole: bool) -> list[Event]:
        outs = self._chain.feed(event)
        if isinstance(event, Text) and event.whole and not whole:
            # Nothing follows what is there as a whole: not the rest of a tag, not of a trace.
            ended = self._chain.feed(ReasoningEnd(event.index))
            return outs + [out for out in ended if not isinstance(out, ReasoningEnd)]
        return outs

    def _flush(
        self, frame: Frame, edits: dict[Site, bytes], before: list[bytes], *, ahead: bool = False
    ) -> None:
        """Put what the chain still owes into the frame, or `ahead` of one that only tells all once more."""
        for out in self._chain.flush():
            if ahead and (isinstance(out, Text) or (isinstance(out, Summary) and out.tags is not None)):
                before.append(self._new(out))
            else:
                self._written(frame, out, out, edits, before)

    def rest(self) -> bytes:
        """The frames that the chain still owes at the end of a stream."""
        waited = self._waited(None)
        return self._glued([waited, *[self._new(event) for event in self._chain.flush()]])

    def _glued(self, frames: list[bytes]) -> bytes:
        return self.glue.join(filter(None, frames))

    def _written(
        self, frame: Frame, event: Event, out: Event, edits: dict[Site, bytes], before: list[bytes]
    ) -> bool:
        """Put what belongs elsewhere into its place: a summary, a seal, or text held back from earlier frames."""
        if isinstance(out, Sealed):
            self._seal(out, before)
            return True
        if isinstance(out, Summary) and out.tags is None:
            traces = [(own, site) for own, site in frame.events if isinstance(own, Reasoning)]
            traces = [(own, site) for own, site in traces if own.index == out.index]
            pieces = [site for own, site in traces if not own.whole]
            if not pieces:
                before.append(self._new(out))  # as its pieces came
            for site in [*pieces[:1], *(site for own, site in traces if own.whole)]:
                edits[site] = frame.written(site, out.text)
            return True
        if isinstance(out, Text | Summary) and not isinstance(event, Text | TextCopy):
            said = _text_before(frame, event, out.index)
            if said is None:
                before.append(self._new(out))
            else:
                text = frame.said(edits.pop(said, frame.value(said))) + _spoken(out)
                if text != frame.text(said):
                    edits[said] = frame.written(said, text)
            return True
        return False

    def _seal(self, out: Sealed, before: list[bytes]) -> None:
        """Give a seal in a frame of its own, or in this one where all of the trace stands in it."""
        if self._seals is None or not self._seals.place.alone:
            return  # it stands in the object that tells all of the trace
        if self._templates.get((out.index, Reasoning)):
            before.append(self._new(out))
        else:
            self._sealed_here = True

    def _repeat(
        self, frame: Frame, event: Event, site: Site, outs: list[Event], edits: dict[Site, bytes]
    ) -> None:
        """Answer a trace that is told once more with the summary that took its place."""
        if outs == [event]:
            return
        text = "".join(out.text for out in outs if isinstance(out, Summary))
        edits[site] = frame.written(site, text)
        self.changed.add("reasoning")

    def _edit(
        self, frame: Frame, event: Event, site: Site, outs: list[Event], edits: dict[Site, bytes]
    ) -> None:
        if len(outs) == 1 and outs[0] is event:
            return
        if isinstance(event, Text) or (isinstance(event, TextCopy) and event.whole):
            text = "".join(_spoken(out) for out in outs)
            if text != event.text:
                edits[site] = frame.written(site, text)
                self.changed.add("reasoning")
        elif isinstance(event, UsageSeen):
            edits.update((site, frame.with_counts(site, out)) for out in outs if isinstance(out, UsageSeen))
            self.changed.add("usage")
        elif isinstance(event, Logprobs):
            kept = next((out.raw for out in outs if isinstance(out, Logprobs)), b"[]")
            edits |= frame.with_rows(site, kept)
            self.changed.add("logprobs")
        elif isinstance(event, Vector):
            kept = next((out.raw for out in outs if isinstance(out, Vector)), b"")
            edits[site] = kept or frame.written(site, "")
            self.changed.add("embeddings")
        elif isinstance(event, Score):
            edits.update((site, out.raw) for out in outs if isinstance(out, Score))
            self.changed.add("scores")
        elif not outs or isinstance(event, TextCopy):
            edits.setdefault(site, frame.written(site, _WITHHELD if frame.is_error(site) else ""))
            kind = event.kind if isinstance(event, Withheld) else ""
            self.changed.add(_NAMES_OF_CHANGES.get(kind, "reasoning"))

    def _given(self, frame: Frame) -> dict[Site, bytes]:
        """The edits that take out restored traces where a server says what it was given, and nothing is hidden."""
        restored = self._chain.restored
        if restored is None or self._chain.hidden is not None:
            return {}
        sites = [site for site in frame.sites if site.role is Role.TRACE]
        told = restored.among([frame.value(site).decode("utf-8", "replace") for site in sites])
        if any(told):
            self.changed.add("copies")
        return {site: frame.written(site, "") for site, copy in zip(sites, told, strict=True) if copy}

    def _copies(self, frame: Frame) -> list[tuple[int, int]]:
        """Strings that no table knows and that repeat a hidden trace, or any of this frame's share of it."""
        hidden, restored = self._chain.hidden, self._chain.restored
        if not frame.strings or (hidden is None and restored is None):
            return []
        found = [*self._shorts.copies(frame, self._chain.repeats, _says_the_kind)]
        texts = {span: frame.string(*span) for span in frame.unknown}
        if restored is not None:
            found += self._restored(frame, texts, restored)
        if hidden is not None:
            share = "".join(event.text for event, _ in frame.events if isinstance(event, Reasoning))
            known = {*found}
            found += [
                span
                for span, text in texts.items()
                if span not in known and (text in share or hidden.repeats(text))
            ]
        if found:
            self.changed.add("copies")
            if self._drift is not None:
                self._drift.note(frame, found)
        return found

    def _restored(
        self, frame: Frame, texts: dict[tuple[int, int], str], restored: Restored
    ) -> list[tuple[int, int]]:
        """Those of `texts` that repeat a restored trace; what says the kind of an error stays."""
        copies = restored.among([*texts.values()])
        return [
            span
            for (span, text), copy in zip(texts.items(), copies, strict=True)
            if copy and not _says_the_kind(text, key_before(frame, span[0]))
        ]

    def _drifted(self, frame: Frame) -> list[tuple[int, int]]:
        """The text of a frame that no table knows, where it is hidden: it counts as a trace from then on."""
        found = self._drift.text(frame) if self._drift is not None else []
        hidden = self._chain.hidden
        if hidden is None or not self._hides_drift:
            return []
        for text in (frame.string(*span) for span in found):
            hidden.learn(text)
            self._tally.feed(Reasoning(0, text))
        return found

    def _short_copies(self, frame: Frame) -> list[tuple[int, int]]:
        """As `_copies` for pieces of a trace that are too short to be told from anything else elsewhere."""
        pieces = {event.text for event, _ in frame.events if isinstance(event, Reasoning)}
        short = {text for text in pieces if 0 < len(text) <= UNKNOWN_TEXT_BYTES}
        found = frame.unknown_like(short) if short and self._chain.hidden is not None else []
        if found:
            self.changed.add("copies")
        return found

    # -- frames that are written in the shape of others

    def _hold(self, frame: Frame) -> bool:
        """Whether a frame is about a hidden trace alone: it waits for its end, the first of each kind.

        Then they leave with the summary in the place of the text; where there is none, not at all, and what
        their number would have told stays hidden.
        """
        if self._chain.hidden is None or not frame.is_of_trace:
            return False
        for index in {site.owner.index for site in frame.sites}:
            held = self._templates.setdefault((index, Reasoning), {})
            if b"" not in held:
                held.setdefault(frame.kind, frame)
        return True

    def _let_go(self, index: int) -> None:
        """Hold no frame any longer of a trace that is over: they have left, or never will."""
        if b"" not in self._templates.get((index, Reasoning), {b"": None}):
            del self._templates[index, Reasoning]

    def _keep(self, frame: Frame) -> None:
        """Remember the first frame of each index that can carry text or a trace, to write more like it."""
        for event, site in frame.events:
            if isinstance(event, Text | Reasoning) and site.role not in SEALS and not event.whole:
                self._templates.setdefault((event.index, type(event)), {b"": frame})

    def _new(self, event: Event) -> bytes:
        """Frames that say `event` in the shape of earlier ones; nothing where none can be."""
        if isinstance(event, Sealed):
            return self._seal_alone(event)
        if not isinstance(event, Summary | Text):
            return b""
        kind = Reasoning if isinstance(event, Summary) and event.tags is None else Text
        text = _spoken(event) if kind is Text else event.text
        frames = self._templates.get((event.index, kind), {}).values()
        return self._glued([self._like(frame, kind, event.index, text) for frame in frames])

    def _seal_alone(self, event: Sealed) -> bytes:
        """A frame with a seal, in the format's own voice; nothing where the trace came in no frame to be told by."""
        like = next(iter(self._templates.get((event.index, Reasoning), {}).values()), None)
        if self._seals is None or self.voice is None or like is None:
            return b""
        return self._seals.alone(event, like, self.voice)

    def _like(self, frame: Frame, kind: type[Event], index: int, text: str) -> bytes:
        edits: dict[Site, bytes] = {}
        for own, site in frame.events:
            if isinstance(own, Text | Reasoning) and isinstance(own, kind) and own.index == index:
                edits[site] = frame.written(site, text)
                text = ""
            else:
                edits[site] = frame.written(site, "")
        for site in frame.sites:
            if site.role is Role.SPEAKER:  # clients add a second role to the first
                edits[site] = b"null"
        if sites := frame.numbers:
            edits.update(dict.fromkeys(sites, b"%d" % self.numbers.added()))
        return frame.render(edits, frame.unknown)

    def _is_void(self, frame: Frame, masked: list[tuple[int, int]]) -> bool:
        """Whether a frame whose payload is gone can go as well: it begins nothing and ends nothing.

        A number of empty frames would tell how long the trace was.
        """
        return set(masked).issuperset(frame.unknown) and all(
            site.owner.index in self._begun if site.role in _BEGINS else frame.names_payload(site)
            for site in frame.sites
            if site.role in _BEGINS or site.role is Role.KIND
        )

    # -- their numbers

    def own(self, frame: Frame) -> bytes:
        """A frame of the format's own voice, under the number that is next."""
        sites = frame.numbers
        if not sites or not self.numbers.used:
            return frame.source
        return frame.render(dict.fromkeys(sites, b"%d" % self.numbers.added()))

    def _numbered(self, frame: Frame, edits: dict[Site, bytes], masked: list[tuple[int, int]]) -> bytes:
        if sites := frame.numbers:
            number = b"%d" % self.numbers.left(int(frame.value(sites[-1])))
            edits.update((site, number) for site in sites if frame.value(site) != number)
        return frame.render(edits, masked)

    def _went(self, frame: Frame) -> None:
        if sites := frame.numbers:
            self.numbers.went(int(frame.value(sites[-1])))


def _text_before(frame: Frame, event: Event, index: int) -> Site | None:
    """Where the text of `index` stands that a frame says before `event`; the last, where that is none of its own."""
    found = None
    for own, site in frame.events:
        if own is event:
            break
        if isinstance(own, Text) and own.index == index:
            found = site
    return found


def _says_the_kind(text: str, key: bytes) -> bool:
    """Whether a string under a key says of an error, or of what it stands in, what kind it is."""
    return key in _KINDS and _is_word(text) is not None


def _says(event: Event) -> bool:
    return isinstance(event, Text | Summary | TextCopy) and bool(event.text)


def _spoken(event: Event) -> str:
    """The event as visible text."""
    if isinstance(event, Summary) and event.tags is not None:
        return f"{event.tags[0]}\n{event.text}\n{event.tags[1]}\n"
    return event.text if isinstance(event, Text | TextCopy) else ""
