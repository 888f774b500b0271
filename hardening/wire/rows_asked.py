"""How many alternatives a request asks for at each position: as many as may leave, no more and no fewer.

The token that was drawn has a value too. Among all alternatives that may leave it tells nothing more, and is
withheld where it is none of them. Where fewer are asked nobody can tell, and it may be any token that a caller
forces, bans or waits for. Values are those of the API references (read 2026-11-26).
"""

from __future__ import annotations

import json

from hardening.wire.roles import Role
from hardening.wire.scan import read_json
from hardening.wire.sites import Site, is_on

_MOST = {Role.ASK_TOP: 20, Role.ASK_LOGPROBS: 20, Role.ASK_COUNT: 5}  # what servers give
_WHITE = b" \t\r\n"


def number_asked(role: Role, raw: bytes, top: int, *, drawn: bool) -> bytes | None:
    """The new value of a setting that asks for rows, where `top` alternatives may leave; None where it may stay.

    `drawn` says that the values of drawn tokens are asked for by another setting.
    """
    if role is Role.ASK_LOGPROBS and (raw in (b"true", b"false", b"null") or raw.strip(b"0.") == b""):
        return b"false" if top == 0 and raw == b"true" else None
    if raw == b"null" and not (drawn and top and role is Role.ASK_TOP):
        return None
    if top == 0:
        return b"false" if role is Role.ASK_LOGPROBS else b"null"
    asked = -1 if raw == b"null" else int(raw) if raw.isdigit() and len(raw) < 16 else top + 1
    bounded = min(max(asked, fewest_asked(role, top) if drawn or role is not Role.ASK_TOP else 0), top)
    return None if bounded == asked else b"%d" % bounded


def fewest_asked(role: Role, top: int) -> int:
    """How many alternatives are asked for at least, of those that a server gives at all."""
    return min(top, _MOST[role])


def asks_drawn(text: bytes, site: Site) -> bool:
    """Whether a value asks for those of drawn tokens, and another one says how many alternatives there shall be."""
    raw = text[site.start : site.end]
    if site.role is Role.ASK_INCLUDE:
        return without_rows(raw) is not None
    return site.role is Role.ASK_LOGPROBS and is_on(raw) and not raw.isdigit()


def is_named(text: bytes, site: Site, key: str) -> bool:
    """Whether a value stands under exactly this key: servers pass over one in another case."""
    before = text[max(0, site.start - len(key) - 64) : site.start].rstrip(_WHITE)
    return before[-1:] == b":" and before[:-1].rstrip(_WHITE).endswith(f'"{key}"'.encode())


def names_rows(name: object) -> bool:
    """Whether the name of what an answer shall hold is that of rows."""
    return isinstance(name, str) and "logprobs" in name.lower()


def without_rows(raw: bytes) -> bytes | None:
    """A list of such names without those that ask for rows; None where it holds none."""
    value = read_json(raw, format="request")
    named = value if isinstance(value, list) else [value]
    kept = [name for name in named if not names_rows(name)]
    return json.dumps(kept).encode() if len(kept) < len(named) else None
