"""Requests: the same bytes asking for less, at every occurrence of what asks for too much."""

from __future__ import annotations

import json
from dataclasses import dataclass

from hardening.errors import WireError
from hardening.wire.own import own, with_fewest, with_number
from hardening.wire.pins import Switch
from hardening.wire.questions import Questions
from hardening.wire.resent import without_resent
from hardening.wire.roles import Node, Role
from hardening.wire.rows_asked import (
    asks_drawn,
    number_asked,
    without_rows,
)
from hardening.wire.scan import read_json
from hardening.wire.sites import Site


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
    put_in = bound if edits.max_tokens is not None else None
    # The walk sees each name that a parser does: a body in which it saw none is not parsed to find none.
    named = put_in is not None and (len(put_in) > 1 or any(site.role is Role.ASK_TOKENS for site in sites))
    value = read_json(text, format=format) if drawn or named else None
    if put_in is not None and not (named and own(value, table, Role.ASK_TOKENS)):
        spans += with_number(text, sites, put_in, edits.max_tokens or 0, value=value)
    if drawn:
        spans += with_fewest(text, sites, drawn, edits.top_logprobs or 0, table=table, rows=rows, value=value)
    if not spans:
        return body
    return splice(text, spans)


def splice(text: bytes, spans: list[tuple[int, int, bytes]]) -> bytes:
    """`text` with each `(start, end, new)` put in place; an edit inside an earlier one is skipped."""
    whole = memoryview(text)  # each byte is copied once
    pieces: list[bytes | memoryview] = []
    at = 0
    for start, end, new in sorted(spans, key=lambda span: (span[0], -span[1])):
        if start < at:
            continue
        pieces += (whole[at:start], new)
        at = end
    pieces.append(whole[at:])
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
