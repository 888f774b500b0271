"""One frame of a response: its bytes, the events in them, and the same bytes with edits.

Edits replace values and never members, so that a client finds every field it expects, of
the type it expects: a string becomes empty, a list becomes empty, rows become null.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from hardening.errors import WireError
from hardening.events import (
    Event,
    Failed,
    Finish,
    Logprobs,
    Reasoning,
    ReasoningEnd,
    Score,
    Seal,
    Text,
    TextCopy,
    Tool,
    UsageSeen,
    Vector,
    Withheld,
)
from hardening.facts import Usage
from hardening.wire.columns import COLUMNS, columns_of, rows_of
from hardening.wire.fractions import with_scores
from hardening.wire.given import given_in
from hardening.wire.lists import as_rows, with_rows
from hardening.wire.roles import SEALS, Role, Table
from hardening.wire.scan import UNKNOWN_TEXT_BYTES, Walk, read_json, read_string, write_string
from hardening.wire.sites import Site
from hardening.wire.traces import holds_numbers, is_readable, is_settings, signatures_of, trace_of, with_text
from hardening.wire.usage import read_count, usage_seen, with_counts
from hardening.wire.vectors import pooled, with_vectors

_ROWS = {Role.LOGPROBS: "text", Role.LOGPROBS_REASONING: "reasoning", Role.LOGPROBS_REFUSAL: "refusal"}
_WITHHELD = {
    Role.IDS: "ids",
    Role.ROWS: "rows",
    Role.LOGPROBS_OTHER: "rows",
    Role.STATES: "states",
    Role.TRACE: "trace",
    Role.VECTOR_BITS: "vectors",
    Role.LENGTH: "lengths",
}
_VALUES: Mapping[Role, type[Vector | Score]] = {Role.VECTOR: Vector, Role.SCORE: Score}
_SPOKEN = frozenset({Role.TEXT, Role.TEXT_WHOLE, Role.TEXT_COPY, Role.BLOCKS})
_WHOLE = frozenset({Role.TEXT_WHOLE, Role.BLOCKS})
_TRACES = frozenset({Role.REASONING, Role.REASONING_WHOLE, Role.SETTINGS})
_TOOLS = frozenset({Role.TOOL, Role.TOOL_WHOLE, Role.CALL, Role.RESULT, Role.ATTACHED})
_NO_OBJECT = frozenset(
    {Role.TOOL, Role.CALL, Role.RESULT, Role.ATTACHED}
)  # absent, not empty, where it was one
_COUNTS = frozenset({Role.COUNT_PROMPT, Role.COUNT_COMPLETION})
_NULL = _COUNTS | {
    Role.FINISH,
    Role.USAGE,
    Role.LENGTH,
    Role.FAILED,
    Role.HOLDER,
    Role.LOGPROBS_LISTS,
}  # absent, not empty
_IN_HOLDER = frozenset({*_ROWS, *COLUMNS, Role.LOGPROBS_OTHER})
_MUTE = frozenset(
    {
        *COLUMNS,
        Role.ECHO,
        Role.NOTE,
        Role.ENDED,
        Role.VOLATILE,
        Role.SEQUENCE,
        Role.NAME,
        Role.SPEAKER,
        Role.HEAD,
        Role.INDEX,
        Role.PIECE,
    }
)
_CLASSIFYING = frozenset({Role.TEXT, Role.TEXT_WHOLE, Role.KIND, Role.SEQUENCE})
_EMPTY_BYTES = 2  # of a string: its quotes
_BESIDE_A_TRACE = frozenset(
    {*_TRACES, *_MUTE, Role.HOLDER, Role.KIND, Role.TRACE, Role.LOGPROBS_REASONING, Role.LENGTH}
)
_EMPTY = frozenset({b"null", b'""', b"[]", b"{}"})
_LONGEST_EMPTY = 4  # bytes of the longest of them
# What servers write where nothing has finished.
_GOES_ON = frozenset({"", "null", "none", "in_progress", "queued", "finish_reason_unspecified", "0"})
_DIGITS = 10  # of a number that counts frames
_AFTER_ALL = 1 << 30

# The trace is read before the answer that follows it, whatever order a body has.
_RANK: dict[type[Event], int] = {
    Reasoning: 0,
    Withheld: 1,
    Seal: 2,
    ReasoningEnd: 3,
    Text: 4,
    TextCopy: 5,
    Logprobs: 6,
    Tool: 7,
    Finish: 8,
    UsageSeen: 9,
    Failed: 9,
    Score: 10,
    Vector: 10,  # after the counts: a vector that cannot be read has cost as much as one that can
}


def _order(pair: tuple[Event, Site]) -> tuple[int, int]:
    event = pair[0]
    whole = isinstance(event, UsageSeen | Failed | Score | Vector)
    return (_AFTER_ALL if whole else event.index, _RANK[type(event)])  # type: ignore[union-attr]


class Frame:
    """A frame as read: `events` in the order of their meaning, each with its site.

    `raw` holds the JSON value from `start` to `end`; `source` is what leaves when nothing is edited;
    `strings` are the spans of strings that the format's table does not know, `unknown` the long ones of
    them; `numbers` are where the frame carries its number in its stream. The value stands at `at:end`.
    """

    __slots__ = (
        "_deltas",
        "_errors",
        "_kinds",
        "_spoken",
        "_table",
        "at",
        "end",
        "events",
        "format",
        "numbers",
        "raw",
        "sites",
        "source",
        "strings",
        "unknown",
    )

    def __init__(self, raw: bytes, start: int, end: int, *, table: Table, format: str, source: bytes) -> None:
        self.raw = raw
        self.source = source
        self.format = format
        if not table.embeds:
            read_json(raw[start:end], format=format)
        walk = Walk(raw, start, table.root, format=format, end=end, least=_EMPTY_BYTES)
        self.at, self.end, self._table = start, end, table
        self.sites = walk.sites
        if table.embeds:  # a parse of all the numbers would cost as much as all the rest
            self.sites = with_vectors(raw, start, end, walk.sites, format=format)
        elif table.scores:
            self.sites = with_scores(raw, start, end, walk.sites)
        elif states := pooled(raw, start, end):  # of a door that answers by the body
            self.sites = sorted([*self.sites, *states], key=lambda site: site.start)
        self.strings = walk.unknown
        self.unknown = [span for span in walk.unknown if span[1] - span[0] > UNKNOWN_TEXT_BYTES]
        self.numbers: list[Site] = []
        self._kinds: list[Site] = []
        self._deltas: set[int] = set()
        self._spoken: set[int] = set()
        self._errors: frozenset[int] | None = None  # where errors begin, once somebody has asked
        self._classify()
        try:
            self.events = self._events()
        except RecursionError:
            raise WireError(format, start, "a reasoning value nested too deep") from None

    def value(self, site: Site) -> bytes:
        """The bytes of a site."""
        return self.raw[site.start : site.end]

    def _is_empty(self, site: Site) -> bool:
        # By its length first: to look for a vector in a set, all of it would be hashed.
        return site.end - site.start <= _LONGEST_EMPTY and self.value(site) in _EMPTY

    def names_payload(self, site: Site) -> bool:
        """Whether a site of Role.KIND says that its frame carries a payload and nothing else."""
        return self.value(site) in self._table.deltas

    @property
    def kind(self) -> bytes:
        """The frame's own name for what it is, as JSON; empty where it has none."""
        return self.value(self._kinds[0]) if self._kinds else b""

    @property
    def begins(self) -> int | None:
        """The index of the block or item that the frame begins; None where it begins none."""
        return self._of_block(0)

    @property
    def ends(self) -> int | None:
        """The index of the block or item that the frame ends; None where it ends none."""
        return self._of_block(1)

    def _of_block(self, which: int) -> int | None:
        blocks = self._table.blocks
        named = bool(blocks) and self.kind == blocks[which]
        return self._kinds[0].owner.index if named else None

    @property
    def is_final(self) -> bool:
        """Whether the frame ends its stream and holds all that was said in it."""
        return any(self.value(site) in self._table.finals for site in self._kinds)

    @property
    def is_of_trace(self) -> bool:
        """Whether the frame is about a trace alone, with text or without, and may go with it."""
        if not self._kinds or not all(map(self.names_payload, self._kinds)):
            return False
        roles = {site.role for site in self.sites}
        return not roles.isdisjoint(_TRACES) and roles <= _BESIDE_A_TRACE

    def _classify(self) -> None:
        """Note, in one pass, what the frame is called and counted as, and which indices say something in it."""
        for site in self.sites:
            role = site.role
            if role not in _CLASSIFYING:
                continue
            if role is Role.TEXT or role is Role.TEXT_WHOLE:
                if self.value(site) not in _EMPTY:
                    self._spoken.add(site.owner.index)
                    if role is Role.TEXT:
                        self._deltas.add(site.owner.index)
            elif role is Role.KIND:
                self._kinds.append(site)
            elif self.value(site).isdigit() and site.end - site.start < _DIGITS:
                self.numbers.append(site)

    def _events(self) -> list[tuple[Event, Site]]:
        found: list[tuple[Event, Site]] = []
        traces: dict[tuple[int, int], list[tuple[Reasoning, Site]]] = {}
        piece = 0
        for site in self.sites:
            if site.role in _MUTE or self._is_empty(site):
                piece += site.role is Role.PIECE
                continue
            event = self._event(site)
            if isinstance(event, Reasoning) and not event.whole:
                traces.setdefault((event.index, piece), []).append((event, site))
            elif event is not None:
                found.append((event, site))
        for copies in traces.values():
            found += self._one_trace(copies)
        return sorted(found, key=_order)

    def _one_trace(self, copies: list[tuple[Reasoning, Site]]) -> list[tuple[Event, Site]]:
        """The first plain string is the trace, or the first value of another shape; the rest are copies."""
        copies.sort(key=lambda pair: (pair[1].role in SEALS, self.raw[pair[1].start] != 34))
        first, *rest = copies
        return [first, *((Withheld(event.index, "trace"), site) for event, site in rest)]

    def _event(self, site: Site) -> Event | None:
        role, index = site.role, site.owner.index
        if role in _SPOKEN:
            return self._spoken_event(site)
        if role is Role.TEXT_ALL:
            return TextCopy(_AFTER_ALL, text, whole=True) if (text := self.text(site)) else None
        if role in _TRACES:
            value = read_json(self.value(site), format=self.format)
            if role is Role.SETTINGS and is_settings(value):
                return None
            if text := trace_of(value):
                return Reasoning(index, text, whole=role is not Role.REASONING)
            if holds_numbers(value):
                return Withheld(index, "trace")
            signature = next(signatures_of(value), None)
            return None if signature is None else Seal(index, signature)
        if role in SEALS:
            return self._seal_event(site)
        if role in _ROWS:
            return Logprobs(index, self.value(site), _ROWS[role])  # type: ignore[arg-type]
        if role is Role.LOGPROBS_LISTS:
            return Logprobs(index, as_rows(self.value(site), format=self.format))
        if role in _VALUES:
            return _VALUES[role](index, self.value(site))
        if role in _WITHHELD:
            return Withheld(index, _WITHHELD[role])  # type: ignore[arg-type]
        return self._plain_event(site)

    def _spoken_event(self, site: Site) -> Event | None:
        role, index = site.role, site.owner.index
        if role in _WHOLE and self.raw[site.start] != 34:
            return None
        text = self.text(site)
        said = self._spoken if role is Role.TEXT_COPY else self._deltas
        copy = role is not Role.TEXT and index in said
        return TextCopy(index, text) if copy else Text(index, text, whole=role in _WHOLE)

    def _seal_event(self, site: Site) -> Event:
        index, seal = site.owner.index, self.text(site)
        if not is_readable(seal):
            return Seal(index, seal, apart=site.role is Role.SEAL_APART)
        # Beside the place of a whole trace it is one more copy, whatever stands there.
        beside = any(one.role is Role.REASONING_WHOLE and one.owner.index == index for one in self.sites)
        return Withheld(index, "trace") if beside else Reasoning(index, seal)

    def _plain_event(self, site: Site) -> Event | None:
        role, index = site.role, site.owner.index
        if role in _TOOLS:
            return Tool(index, site.end - site.start, whole=role is Role.TOOL_WHOLE)
        if role is Role.FINISH:
            return Finish(index, self.word(site)) if self.finishes(site) else None
        if role is Role.HOLDER:
            return self._in_columns(site)
        if role is Role.DONE:
            return Finish(index, "done") if self.value(site) == b"true" else None
        if role in _COUNTS:
            return self._counted(site)
        if role is Role.KIND:
            return ReasoningEnd(index) if self.value(site) in self._table.ends else None
        if role is Role.FAILED:
            return Failed()
        if role is Role.USAGE:
            value = read_json(self.value(site), format=self.format)
            seen = usage_seen(value, embeds=self._table.embeds or self._table.scores)
            return Withheld(index, "lengths") if seen is None else seen
        return None

    def _counted(self, site: Site) -> Event | None:
        """A count that stands by itself; it says nothing of the other one."""
        count = read_count(read_json(self.value(site), format=self.format))
        if count is None:
            return Withheld(site.owner.index, "lengths")
        of_prompt = site.role is Role.COUNT_PROMPT
        usage = Usage(prompt=count) if of_prompt else Usage(completion=count)
        return UsageSeen(usage, prompt=of_prompt, completion=not of_prompt)

    def _columns(self, holder: Site) -> list[Site]:
        """The parallel lists in a holder of rows."""
        return [one for one in self.sites if one.role in COLUMNS and holder.start < one.start < holder.end]

    def _in_columns(self, holder: Site) -> Event | None:
        """The rows that a holder has as parallel lists, which do not leave where they cannot be read."""
        columns = {site.role: self.value(site) for site in self._columns(holder)}
        if not columns:
            return None
        rows = rows_of(columns, format=self.format)
        index = holder.owner.index
        return Withheld(index, "rows") if rows is None else Logprobs(index, rows)

    def with_rows(self, site: Site, rows: bytes) -> dict[Site, bytes]:
        """The edits that put `rows` where the rows of `site` stand."""
        if site.role is Role.LOGPROBS_LISTS:
            return {site: with_rows(rows, format=self.format)}
        if site.role is not Role.HOLDER:
            return {site: rows}
        columns = columns_of(rows, format=self.format)
        return {one: columns[one.role] for one in self._columns(site) if self.value(one) not in _EMPTY}

    def with_counts(self, site: Site, seen: UsageSeen) -> bytes:
        """The value of a site of counts with those of `seen` for its own; what else tells a length is gone."""
        if site.role is Role.USAGE:
            return with_counts(read_json(self.value(site), format=self.format), seen)
        return b"%d" % seen.usage.completion if site.role is Role.COUNT_COMPLETION else self.value(site)

    def text(self, site: Site) -> str:
        """The text of a string site; empty for any other value."""
        return self.said(self.value(site))

    def said(self, value: bytes) -> str:
        """The text of a JSON value that is a string; empty for any other."""
        return read_string(value, format=self.format) if value[:1] == b'"' else ""

    def given(self, site: Site) -> str:
        """What a site hands to tools: its strings, in order."""
        return " ".join(given_in(read_json(self.value(site), format=self.format)))

    def finishes(self, site: Site) -> bool:
        """Whether a site of Role.FINISH says that its owner has ended."""
        return self.word(site).lower() not in _GOES_ON

    def word(self, site: Site) -> str:
        """The text of a site, or its number: some servers write the words of an enumeration so."""
        value = self.value(site)
        return value.decode() if value.isdigit() else self.text(site)

    def string(self, start: int, end: int) -> str:
        """The text of the JSON string at `start:end`."""
        return read_string(self.raw[start:end], format=self.format, offset=start)

    def unknown_like(self, texts: Collection[str]) -> list[tuple[int, int]]:
        """The spans of strings, short ones too, that the table does not know and that say one of `texts`."""
        return [span for span in self.strings if self.string(*span) in texts]

    def is_error(self, site: Site) -> bool:
        """Whether a value is all of an error: clients know one by its words."""
        if self._errors is None:
            self._errors = frozenset([one.start for one in self.sites if one.role is Role.FAILED])
        return site.role is not Role.FAILED and site.start in self._errors

    def written(self, site: Site, text: str) -> bytes:
        """The value of `site` with `text` in it, in the shape it has."""
        raw = self.value(site)
        if site.role in _NULL:
            return b"null"
        if site.role is Role.DONE:
            return b"false"
        if raw[:1] == b'"':
            return write_string("" if site.role in SEALS else text)
        if raw[:1] in (b"[", b"{") and site.role in _TRACES:
            return with_text(raw, text, format=self.format)
        if raw[:1] == b"{" and site.role not in _NO_OBJECT:
            return b"{}"
        return b"[]" if raw[:1] == b"[" else b"null"

    def around(self, value: bytes) -> bytes:
        """The frame with another JSON value in place of its own."""
        return self.raw[: self.at] + value + self.raw[self.end :]

    def render(self, edits: Mapping[Site, bytes], masked: list[tuple[int, int]] | None = None) -> bytes:
        """The frame with the sites in `edits` replaced and the strings in `masked` emptied."""
        if not edits and not masked:
            return self.source
        spans = [(site.start, site.end, value) for site, value in edits.items()]
        spans += [(site.start, site.end, b"null") for site in self._emptied_holders(edits)]
        spans += [(start, end, b'""') for start, end in masked or ()]
        pieces: list[bytes] = []
        at = 0
        for start, end, value in sorted(spans, key=lambda span: (span[0], -span[1])):
            if start < at:
                continue
            pieces += (self.raw[at:start], value)
            at = end
        pieces.append(self.raw[at:])
        return b"".join(pieces)

    def _emptied_holders(self, edits: Mapping[Site, bytes]) -> list[Site]:
        emptied: dict[Site, bool] = {}
        holder: Site | None = None
        for site in self.sites:  # in the order of the text: a holder, then what stands in it
            if site.role is Role.HOLDER:
                holder = site
            elif holder is not None and site.role in _IN_HOLDER and site.start < holder.end:
                empty = edits.get(site, self.value(site)) in _EMPTY
                emptied[holder] = empty and emptied.get(holder, True)
        return [holder for holder, empty in emptied.items() if empty]
