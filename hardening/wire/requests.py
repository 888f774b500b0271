"""Requests: what they ask for, and the same bytes asking for less.

Every server parses in its own way: encodings, duplicate keys, keys in another case. Reading
takes the largest of what stands there; editing changes every occurrence.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from hardening.errors import WireError
from hardening.facts import Packing, RequestFacts, quickly
from hardening.wire.own import own, with_fewest, with_number
from hardening.wire.packings import more_packed, packing_of
from hardening.wire.pins import Half, Pin, Switch
from hardening.wire.questions import Questions
from hardening.wire.resent import without_resent
from hardening.wire.roles import Node, Role
from hardening.wire.rows_asked import (
    asks_drawn,
    names_rows,
    number_asked,
    without_rows,
)
from hardening.wire.scan import read_json
from hardening.wire.sites import Site
from hardening.wire.tags import leaves_open

_ALL = 1 << 20  # what a negative or absent bound means: as many as there are
_UNSCALED = (None, 0, 1)
"""Temperatures at which values are the model's own: at 0 nothing is drawn, and nothing is divided by it."""
_NUMBER_CHARS = 32
_EXACT = 2**53  # beyond, a float may be no whole number
_WHOLE = Half.SHAPE | Half.QUIET


@dataclass(frozen=True, slots=True)
class Edits:
    """What a request must not ask for beyond; None leaves a field as it is.

    `top_logprobs` 0 asks for none at all; of more, as many are asked for as may leave. `drop_resent` takes out reasoning that comes back without a
    signature or sealed content, which can only be summaries written here; `drop_unsealed`, beside it, all that was not sealed here.
    """

    max_tokens: int | None = None
    top_logprobs: int | None = None
    drop_resent: bool = False
    drop_unsealed: bool = False


def as_utf8(body: bytes) -> bytes:
    """The body in UTF-8 without byte order mark; JSON in UTF-16 or UTF-32 is told by its zero bytes."""
    if body[:1] == b"{" and 0 not in body[:4]:  # as nearly every body begins
        return body
    encoding = json.detect_encoding(body)
    if encoding == "utf-8":
        return body
    try:
        return body.decode(encoding).encode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise WireError("request", error.start, f"expected JSON in {encoding}") from None


def read_request(body: bytes, facts: RequestFacts, *, table: Node) -> RequestFacts:
    """`facts`, which say what is known without it, with what the body asks.

    Raises WireError where the body is no JSON object.
    """
    value = read_json(as_utf8(body), format=facts.format)
    if not isinstance(value, dict):
        raise WireError(facts.format, 0, "expected a JSON object")
    asked = _Asked(facts.model, facts.stream, unless_told=table.streams)
    asked.take_body(value, table)
    size = len(body)
    return quickly(
        RequestFacts,
        (
            facts.door,
            facts.format,
            asked.model,
            asked.stream,
            asked.choices,
            asked.max_tokens,
            asked.rows,
            size,
            size,
            facts.client,
            facts.headers,
            asked.switches,
            asked.opens,
            asked.packing,
            asked.scaled,
        ),
    )


class _Asked:
    __slots__ = (
        "_bound",
        "_boundless",
        "_each",
        "_halves",
        "_named",
        "_prompts",
        "_stream",
        "_unless_told",
        "logprobs",
        "model",
        "opens",
        "packing",
        "scaled",
        "switches",
        "top",
    )

    def __init__(self, model: str, stream: bool, *, unless_told: bool) -> None:
        self.model = model
        self._named = bool(model)
        self._unless_told = unless_told
        self._stream: bool | None = stream or None
        self._each = self._prompts = 1
        self._bound: int | None = None
        self._boundless = False
        self._halves = Half(0)
        self.logprobs = self.switches = self.opens = self.scaled = False
        self.packing: Packing = "floats"
        self.top = 0

    @property
    def stream(self) -> bool:
        return self._unless_told if self._stream is None else self._stream

    @property
    def choices(self) -> int:
        return min(self._each * self._prompts, _ALL)

    @property
    def max_tokens(self) -> int | None:
        return None if self._boundless else self._bound

    def take_body(self, value: dict[str, object], table: Node) -> None:
        """Take all that a whole body asks; a bound that the format's own servers do not read bounds nothing."""
        self.take_all(value, table)
        if self._bound is not None and not any(
            _integer(one) is not None for one in own(value, table, Role.ASK_TOKENS)
        ):
            self._boundless = True

    @property
    def rows(self) -> int | None:
        return self.top if self.logprobs or self.top else None

    def take_all(self, value: dict[str, object], table: Node) -> None:
        names = table.names
        for key, element in value.items():
            node = names.get(key)
            if node is None:
                if key.isascii() and key.islower():
                    continue
                node = names.get(key.casefold())
                if node is None:
                    continue
            if node.watched and not self.switches:
                self._watch(node.pin, element)
            if isinstance(element, dict) and node.names:
                self.take_all(element, node)
            elif node.role is not None:
                self._take(node.role, element)

    def _watch(self, pin: Pin | None, value: object) -> None:
        """Note whether a switch stands here or below."""
        if pin is None:
            self.switches = isinstance(value, dict)
        elif pin.half is None:
            # An earlier one of two keys may hold more than the last, which a parser keeps.
            self.switches = not (pin.common and pin.harmless(value))
        elif pin.half is Half.SHAPE or not pin.harmless(value):
            self._halves |= pin.half
            self.switches = self._halves == _WHOLE

    def _take(self, role: Role, value: object) -> None:
        if role is Role.ASK_MODEL:
            if isinstance(value, str) and not self._named:  # a server that reads the path reads no more
                self.model = value
        elif role is Role.ASK_STREAM:
            asks = value is not False if self._unless_told else bool(value)
            self._stream = self._stream or asks
        elif role is Role.ASK_CHOICES:
            self._each = max(self._each, min(_integer(value) or 1, _ALL))
        elif role is Role.ASK_PROMPTS:
            self._prompts = max(self._prompts, _prompts(value))
            self.opens = self.opens or _opens(value)
        elif role is Role.ASK_PACKING:
            self.packing = more_packed(self.packing, packing_of(value))
        elif role is Role.ASK_TOKENS:
            if (bound := _integer(value)) is not None:
                self._bound = max(self._bound or 0, bound)
                self._boundless = self._boundless or bound < 0
        elif role is Role.ASK_LOGPROBS or role is Role.ASK_TOP or role is Role.ASK_COUNT:
            self._take_rows(value)
            self.logprobs = self.logprobs or (role is Role.ASK_COUNT and value == 0 and value is not False)
        elif role is Role.ASK_SCALE:
            self.scaled = self.scaled or value not in _UNSCALED
        elif role is Role.ASK_INCLUDE:
            named = value if isinstance(value, list) else [value]
            self.logprobs = self.logprobs or any(map(names_rows, named))

    def _take_rows(self, value: object) -> None:
        self.logprobs = self.logprobs or bool(value)
        if not isinstance(value, bool) and (top := _integer(value)) is not None:
            self.top = max(self.top, _ALL if top < 0 else top)


def _opens(prompts: object) -> bool:
    """Whether one of the prompts ends in a trace."""
    listed = prompts if isinstance(prompts, list) else [prompts]
    texts = [
        one.get("prompt_string") if isinstance(one, dict) else one for one in listed
    ]  # llama.cpp's, with pictures
    return any(isinstance(text, str) and leaves_open(text) for text in texts)


def _prompts(value: object) -> int:
    """How many prompts a value holds: a list of numbers, with texts between or not, is the tokens of one."""
    if not isinstance(value, list) or any(isinstance(element, int | float) for element in value):
        return 1
    return max(1, len(value))


def _integer(value: object) -> int | None:
    if type(value) is int and -_EXACT < value < _EXACT:  # as nearly everybody writes it
        return value
    if isinstance(value, str) and len(value) < _NUMBER_CHARS:  # some servers read a number in quotes
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if abs(value) < _EXACT else None  # NaN is not


def edit_request(
    body: bytes,
    edits: Edits,
    *,
    table: Node,
    format: str,
    bound: tuple[str, ...] | None,
    rows: tuple[str, ...] | None = None,
    switches: tuple[Switch, ...] = (),
) -> bytes:
    """The body asking for no more than `edits` allow; the same object where nothing has to change.

    `bound` is the path of the key that bounds an answer, `rows` of that which says how many alternatives are
    asked for, for a body that names none. `switches` of it are set to what is harmless. Sizes and unknown
    fields stay as they are.
    """
    text = as_utf8(body)
    sites = Questions(text, table if edits.drop_resent else table.lean, format=format).sites
    spans = [(one.start, one.end, one.new) for one in switches if one.new is not None and not one.kept]
    drawn = [site for site in sites if edits.top_logprobs and asks_drawn(text, site)]
    spans += [
        (site.start, site.end, new)
        for site in sites
        if (new := _less(text, site, edits, drawn=bool(drawn))) is not None
    ]
    if edits.drop_resent:
        spans += without_resent(text, sites, sealed_only=edits.drop_unsealed)
    value = read_json(text, format=format) if drawn or edits.max_tokens is not None else None
    if (
        edits.max_tokens is not None
        and bound is not None
        and not any(True for _ in own(value, table, Role.ASK_TOKENS))
    ):
        spans += with_number(text, sites, bound, edits.max_tokens, value=value)
    if drawn:
        spans += with_fewest(text, sites, drawn, edits.top_logprobs or 0, table=table, rows=rows, value=value)
    if not spans:
        return body
    return splice(text, spans)


def splice(text: bytes, spans: list[tuple[int, int, bytes]]) -> bytes:
    """`text` with each `(start, end, new)` put in place; an edit inside an earlier one is skipped."""
    pieces: list[bytes] = []
    at = 0
    for start, end, new in sorted(spans, key=lambda span: (span[0], -span[1])):
        if start < at:
            continue
        pieces += (text[at:start], new)
        at = end
    pieces.append(text[at:])
    return b"".join(pieces)


def _less(text: bytes, site: Site, edits: Edits, *, drawn: bool) -> bytes | None:
    """The new value of a site that asks for too much, else None."""
    raw = text[site.start : site.end]
    if site.role is Role.ASK_TOKENS and edits.max_tokens is not None:
        return None if _within(raw, edits.max_tokens) else b"%d" % edits.max_tokens
    if site.role is Role.THOUGHTS:
        return b'""' if edits.drop_unsealed and raw[:1] == b'"' and raw != b'""' else None
    if site.role is Role.RESENT:
        return b'""' if edits.drop_resent and raw[:1] == b'"' and raw != b'""' else None
    if edits.top_logprobs is None:
        return None
    if site.role is Role.ASK_TOP or site.role is Role.ASK_COUNT or site.role is Role.ASK_LOGPROBS:
        return number_asked(site.role, raw, edits.top_logprobs, drawn=drawn)
    if raw == b"null":
        return None
    if site.role is Role.ASK_INCLUDE:
        return without_rows(raw) if edits.top_logprobs == 0 else None
    return b"null" if site.role is Role.ASK_ROWS else None


def _within(raw: bytes, bound: int) -> bool:
    return raw.isdigit() and len(raw) < 16 and int(raw) <= bound
