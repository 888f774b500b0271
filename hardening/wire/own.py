"""The numbers that a format's own servers read, and how one is put into a body that names none.

A number under the name of another server, in another case or in an object for gateways bounds nothing
where nobody reads it.
"""

from __future__ import annotations

import re

from hardening.wire.roles import Node, Role
from hardening.wire.rows_asked import fewest_asked, is_named
from hardening.wire.sites import Site

_BRACE = 123
_TOP = "top_logprobs"  # what gateways pass on, they pass to servers of OpenAI's API
_top_key = re.compile(rb"\{[ \t\n\r]*").match

Spans = list[tuple[int, int, bytes]]


def own(value: object, table: Node, role: Role) -> list[object]:
    """What a body, as a parser has it, holds under the format's own names for what `role` asks."""
    return [one for path in table.named.get(role, ()) for one in _at(value, path)]


def _at(value: object, path: tuple[str, ...]) -> tuple[object, ...]:
    for name in path:
        if not isinstance(value, dict) or name not in value:
            return ()
        value = value[name]
    return (value,)


def with_number(
    text: bytes, sites: list[Site], path: tuple[str, ...], number: int, *, value: object
) -> Spans:
    """The spans that put a number at `path`, into each object that is there for it and where it is looked for.

    `value` is the body as a parser has it: of two objects it may know the last, in which nothing stands.
    """
    *above, key = path
    member = b'"%b":%d' % (key.encode(), number)
    holders = [site for site in sites if site.role is Role.ASK_TOKENS_IN] if above else []
    spans = [
        _inserted(text, one.start, member)
        if text[one.start] == _BRACE
        else (one.start, one.end, b"{%b}" % member)  # null, or what no server takes for an object
        for one in holders
    ]
    if not above or not _at(value, tuple(above)):
        for name in reversed(above):
            member = b'"%b":{%b}' % (name.encode(), member)
        spans.append(_inserted(text, text.index(b"{"), member))
    return spans


def with_fewest(
    text: bytes,
    sites: list[Site],
    drawn: list[Site],
    top: int,
    *,
    table: Node,
    rows: tuple[str, ...] | None,
    value: object,
) -> Spans:
    """The spans that ask for as many alternatives as may leave, beside each of `drawn`, where none are asked for.

    `rows` is where the format itself asks for them, `value` the body as a parser has it.
    """
    fewest = fewest_asked(Role.ASK_TOP, top)
    asked = [site for site in sites if site.role is Role.ASK_TOP and is_named(text, site, _TOP)]
    spans: Spans = []
    nests = [site for site in sites if site.role is Role.ASK_NESTED]
    for nest in nests:
        if any(_within(nest, one) for one in drawn) and not any(_within(nest, one) for one in asked):
            spans.append(_inserted(text, nest.start, b'"%b":%d' % (_TOP.encode(), fewest)))
    outside = any(not any(_within(nest, one) for nest in nests) for one in drawn)
    if outside and rows is not None and not own(value, table, Role.ASK_TOP):
        spans += with_number(text, sites, rows, fewest, value=value)
    return spans


def _within(nest: Site, site: Site) -> bool:
    return nest.start < site.start < nest.end


def _inserted(text: bytes, start: int, member: bytes) -> tuple[int, int, bytes]:
    """The span that puts a member first into the object that begins at `start`."""
    opened = _top_key(text, start)
    at = opened.end() if opened else start + 1
    empty = text[at : at + 1] == b"}"
    return (at, at, member if empty else member + b",")
