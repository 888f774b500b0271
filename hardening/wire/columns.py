"""Log-probabilities as text completions have them: parallel lists, turned to rows and back.

Source: OpenAI API reference, the completion object; vLLM 0.33 (read 2026-11-25). `tokens` and
`token_logprobs` hold one element a position, `top_logprobs` an object of token to value, or null.
"""

from __future__ import annotations

import orjson

from hardening.wire.roles import Role
from hardening.wire.scan import read_json, write_string

COLUMNS = (Role.TOKENS, Role.TOKEN_LOGPROBS, Role.TOKEN_TOPS)


def rows_of(columns: dict[Role, bytes], *, format: str) -> bytes | None:
    """The rows that the lists hold, as `Logprobs` has them; None where they do not fit each other.

    A position without a value is one of an echoed prompt: there the caller chose the token, so none
    of these rows may be read.
    """
    tokens, values, tops = (read_json(columns.get(role, b"null"), format=format) or [] for role in COLUMNS)
    if not isinstance(tokens, list) or not isinstance(values, list) or not isinstance(tops, list):
        return None
    if len(values) != len(tokens) or len(tops) not in (0, len(tokens)):
        return None
    rows = [_row(*position) for position in zip(tokens, values, tops or [None] * len(tokens), strict=True)]
    return None if None in rows else b"[" + b",".join(row for row in rows if row) + b"]"


def _row(token: object, value: object, top: object) -> bytes | None:
    one = _pair(token, value)
    others = (
        [_pair(*pair) for pair in top.items()] if isinstance(top, dict) else [] if top is None else [None]
    )
    if one is None or None in others:
        return None
    listed = b",".join(b"{" + other + b"}" for other in others if other)
    return b"{" + one + b',"top_logprobs":[' + listed + b"]}"


def _pair(token: object, value: object) -> bytes | None:
    if not isinstance(token, str) or isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return b'"token":%b,"logprob":%b,"bytes":null' % (write_string(token), orjson.dumps(float(value)))


def columns_of(rows: bytes, *, format: str) -> dict[Role, bytes]:
    """The lists that hold `rows`."""
    found = read_json(rows, format=format)
    tokens: list[bytes] = []
    values: list[bytes] = []
    tops: list[bytes] = []
    for row in found if isinstance(found, list) else ():
        tokens.append(write_string(row["token"]))
        values.append(orjson.dumps(row["logprob"]))
        pairs = [
            write_string(one["token"]) + b":" + orjson.dumps(one["logprob"]) for one in row["top_logprobs"]
        ]
        tops.append(b"{" + b",".join(pairs) + b"}")
    lists = (b"[" + b",".join(column) + b"]" for column in (tokens, values, tops))
    return dict(zip(COLUMNS, lists, strict=True))
