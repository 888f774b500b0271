"""Text as it reads whatever it was escaped by: its letters and digits alone, in one case."""

from __future__ import annotations

import html
import re

_ROUNDS = 12  # of escapes in escapes; a round takes all that escaping again has made of one sign
_RUN = r"(?<!\\)\\++"  # looked at once, however long

_bytes = re.compile(rf"(?:(?:{_RUN}x|%(?:25)*)[0-9a-f]{{2}})+", re.I)
_byte = re.compile(r"(?:\\+x|%(?:25)*)([0-9a-f]{2})", re.I)
_signs = re.compile(_RUN + r"(?:(?-i:U)([0-9a-f]{8})|u\{?([0-9a-f]{4})\}?|[abfnrtv])", re.I)
_entities = re.compile(r"&(?:amp;)*(#x?[0-9a-f]{1,8}|[a-z]{2,31}[0-9]{0,2});", re.I)
_halves = re.compile("[\ud800-\udfff]")
_silent = re.compile(r"[\W_]+")
_SILENT_ASCII = bytes(code for code in range(128) if not chr(code).isalnum())
_escapes = re.compile(r"[\\%&]")


def folded(text: str) -> str | None:
    """The letters and digits of `text`, its escapes undone as often as there are any; None where that does not end.

    Knows the escapes of JSON, Python, HTML and addresses. Text that was escaped, or written in capitals, is told
    as the text itself is.
    """
    for _ in range(_ROUNDS):
        if _escapes.search(text) is None:
            break
        undone = _entities.sub(_entity, _signs.sub(_sign, _bytes.sub(_read, text)))
        if undone == text:
            break
        text = undone
    else:
        return None
    if text.isascii():  # as most text is: a fifth of the time
        return text.lower().encode().translate(None, _SILENT_ASCII).decode()
    if _halves.search(text) is not None:
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return _silent.sub("", text.casefold())


def _read(found: re.Match[str]) -> str:
    raw = bytes.fromhex("".join(_byte.findall(found[0])))
    try:
        return raw.decode()
    except UnicodeDecodeError:  # signs below 256, as Python's `ascii` tells them, or cut
        return raw.decode("latin-1")


def _sign(found: re.Match[str]) -> str:
    code = int(found[1] or found[2] or "20", 16)
    return chr(code) if code < 0x110000 else " "


def _entity(found: re.Match[str]) -> str:
    return html.unescape(f"&{found[1].lower()};")
