"""Characters at which clients split text into lines, inside of a JSON string too.

Source: `str.splitlines`, with which Python clients read JSON a line (read 2026-11-25). Those below 32
are escaped in JSON anyway; these three may stand in a string as they are, or be escaped.
"""

from __future__ import annotations

_ESCAPES = tuple((end.encode(), b"\\u%04x" % ord(end)) for end in "\x85\u2028\u2029")


def escaped(json: bytes) -> bytes:
    """A JSON text in UTF-8 that says the same on one line for every client."""
    for end, escape in () if json.isascii() else _ESCAPES:
        if end in json:
            json = json.replace(end, escape)
    return json
