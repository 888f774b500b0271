"""Reasoning values in any shape: a string, a list of parts, an object.

Imitators put a trace under many names and shapes; what they share is that text stands in
strings, and that opaque stand-ins (signatures, encrypted data) stand under a few names.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from collections.abc import Iterator

import orjson

from hardening.errors import WireError
from hardening.wire.line_ends import escaped
from hardening.wire.scan import read_json, write_string

_OPAQUE = frozenset(
    {"signature", "data", "encrypted_content", "encrypted", "thought_signature", "thoughtSignature"}
)
_OVER_TEXT = "signature"  # what signs the text beside it; the others hold whatever becomes of that
_LABELS = frozenset({"type", "id", "index", "format", "provider", "role", "status", "object"})

# A seal is written in base64, base64url or hex, in parts between dots, after a name and a version.
_prefix = re.compile(r"^.*[.:|]", re.DOTALL)
_is_no_seal = re.compile(r"[^A-Za-z0-9+/=_.:|\-\s]").search

_is_name = re.compile(r"[\w$@.:/+-]{0,64}").fullmatch  # of a member; what is longer, or has blanks, is text

_WORD_CHARS = 18  # of a setting; a longer string may be a piece of a trace
_INFLATED_BYTES = 4096  # enough of a compressed blob to tell text from noise
_TEXT_SHARE = 0.9


def trace_of(value: object) -> str:
    """The readable text in a reasoning value, its strings joined in order."""
    return "".join(texts_of(value))


def texts_of(value: object) -> Iterator[str]:
    """The readable strings in a reasoning value, in order."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for element in value:
            yield from texts_of(element)
    elif isinstance(value, dict):
        for key, element in value.items():
            if not _is_name(key):
                yield key
            if key in _OPAQUE:
                if isinstance(element, str) and is_readable(element):
                    yield element
            elif not _is_label(key, element):
                yield from texts_of(element)


def _is_label(key: str, value: object) -> bool:
    """Whether a value only says what the object around it is; a sentence does not."""
    return key in _LABELS and not (isinstance(value, str) and len(value) > _WORD_CHARS and " " in value)


def holds_numbers(value: object) -> bool:
    """Whether a list of numbers stands in a reasoning value: ids or bytes, which spell it as well."""
    if isinstance(value, dict):
        return any(holds_numbers(element) for element in value.values())
    return isinstance(value, list) and any(
        holds_numbers(element) or isinstance(element, int | float) for element in value
    )


def signatures_of(value: object) -> Iterator[str]:
    """The signatures of texts in a reasoning value, in order."""
    if isinstance(value, list):
        for element in value:
            yield from signatures_of(element)
    elif isinstance(value, dict):
        for key, element in value.items():
            if key != _OVER_TEXT:
                yield from signatures_of(element)
            elif isinstance(element, str) and element:
                yield element


def is_settings(value: object) -> bool:
    """Whether a value is an object of switches, numbers and short words, in which no trace can stand."""
    return isinstance(value, dict) and not any(
        isinstance(element, list | dict) or (isinstance(element, str) and len(element) > _WORD_CHARS)
        for element in value.values()
    )


def with_text(raw: bytes, text: str, *, format: str) -> bytes:
    """The reasoning value `raw` with `text` for its trace, in the same shape.

    The first place that holds text takes it; every other text is emptied or dropped, lists of numbers
    with it, what is opaque stays, but for the signatures of what was there. With an empty `text` an object that
    held only text is dropped from its list. Raises WireError where it is nested too deep to be followed.
    """
    value = read_json(raw, format=format)
    if isinstance(value, str):
        return write_string(text)
    try:
        return written(_with_text(value, text))
    except RecursionError:
        raise WireError(format, 0, "a reasoning value nested too deep") from None


def _with_text(value: object, text: str) -> object:
    if not _unsign(value, alone=False):  # a piece of a trace that was told before
        _unsign(value, alone=True)
    rest = [text] if text else []
    kept = _replaced(value, rest)
    if kept is None and isinstance(value, dict):
        kept = {key: _emptied(key, element) for key, element in value.items() if _is_name(key)}
    return [] if kept is None else kept


def written(value: object) -> bytes:
    """The JSON of a value."""
    try:
        return escaped(orjson.dumps(value))
    except orjson.JSONEncodeError:  # half a surrogate pair in what stays, 64 bits, 254 levels
        return json.dumps(value).encode()


def _unsign(value: object, *, alone: bool) -> bool:
    """Whether a text stands in `value`, in which the signatures of texts are emptied.

    One that comes apart from its text is known by the `index` of both; `alone` there is no text, and all are such.
    What is sealed keeps its own.
    """
    if isinstance(value, str):
        return bool(value)
    told = False
    if isinstance(value, list):
        numbers: set[int] = set()
        for element in value:
            if _unsign(element, alone=alone):
                told = True
                numbers |= _number(element)
        for element in value:
            if _number(element) & numbers:
                _without_signature(element)
    elif isinstance(value, dict):
        sealed = False
        for key, element in value.items():
            if key in _OPAQUE:
                sealed = sealed or (key != _OVER_TEXT and bool(element))
            elif not _is_label(key, element):
                told = _unsign(element, alone=alone) or told
        if told or (alone and not sealed):
            _without_signature(value)
    return told


def _number(value: object) -> set[int]:
    number = value.get("index") if isinstance(value, dict) else None
    return {number} if isinstance(number, int) else set()


def _without_signature(value: object) -> None:
    if isinstance(value, dict) and isinstance(value.get(_OVER_TEXT), str):
        value[_OVER_TEXT] = ""


def _emptied(key: str, element: object) -> object:
    if _is_label(key, element) or not isinstance(element, str | list | dict):
        return element
    return type(element)()


def _replaced(value: object, rest: list[str]) -> object:
    """`value` with the one text in `rest` at its first text; None where nothing is left."""
    if isinstance(value, str):
        if not value:  # what signs it stays valid
            return value
        return rest.pop() if rest else None
    if isinstance(value, list):
        kept = [new for element in value if (new := _replaced(element, rest)) is not None]
        return kept or None
    return _replaced_object(value, rest) if isinstance(value, dict) else None


def _replaced_object(value: dict[str, object], rest: list[str]) -> object:
    new: dict[str, object] = {}
    worth = False
    for key, element in value.items():
        if not _is_name(key):
            continue
        if _is_label(key, element) or not isinstance(element, str | list | dict):
            new[key] = element
        elif key in _OPAQUE:
            if isinstance(element, str) and not is_readable(element):
                new[key] = element
                worth = worth or bool(element)
        elif (kept := _replaced(element, rest)) is not None:
            new[key] = kept
            worth = worth or bool(kept)
    return new if worth else None


def is_readable(blob: str) -> bool:
    """Whether a seal is none: text that anybody can read, plain, in base64 or deflated.

    Some servers fill `encrypted_content` with the trace itself, or with base64 of its
    deflated form under a name of their own.
    """
    if not blob:
        return False
    if blob.count(" ") > len(blob) / 20 or _is_no_seal(blob):
        return True
    return any(_is_text(data) or _is_text(_inflated(data)) for data in _decoded(_prefix.sub("", blob)))


def _decoded(blob: str) -> Iterator[bytes]:
    padded = blob + "=" * (-len(blob) % 4)
    for decode, text in (
        (bytes.fromhex, blob),
        (base64.b64decode, padded),
        (base64.urlsafe_b64decode, padded),
    ):
        try:
            yield decode(text)
        except (binascii.Error, ValueError):
            continue


def _inflated(data: bytes) -> bytes:
    for window in (zlib.MAX_WBITS | 32, -zlib.MAX_WBITS):
        try:
            return zlib.decompressobj(window).decompress(data, _INFLATED_BYTES)
        except zlib.error:
            continue
    return b""


def _is_text(data: bytes) -> bool:
    if len(data) < 16:
        return False
    text = data.decode("utf-8", "replace")
    return (
        text.count("\ufffd") < len(text) / 20  # first: of a seal it is found at once
        and sum(character.isprintable() or character.isspace() for character in text)
        > _TEXT_SHARE * len(text)
    )
