"""Header lists in, header lists out: what a request or response may still say once its bytes change."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import compress

Headers = list[tuple[bytes, bytes]]
Treatment = Mapping[str, str | int | float | bool]

DISCLOSURE = b"x-hardening"

# True only of the bytes that the app wrote, so false once these change.
_OF_THE_BYTES = frozenset(
    {
        b"accept-ranges",
        b"content-digest",
        b"content-length",
        b"content-md5",
        b"content-range",
        b"digest",
        b"etag",
        b"last-modified",
        b"repr-digest",
        b"signature",
        b"signature-input",
        b"trailer",
    }
)
_OF_THE_SERVER_BEHIND = b"llm_provider-"  # LiteLLM repeats its headers, the length of its body among them
# Servers that tell tokens, their time or their price in headers: TGI, LiteLLM, Bedrock, vLLM's packed embeddings.
# What is left of a limit of tokens tells, from one answer to the next, what the first one cost.
_tells_length = re.compile(
    rb"^metadata$|^server-timing$|^x-usage|tokens|token-count|characters|cost|spend|duration|latency"
    rb"|processing-ms|(?:^|-)time(?:$|-per-)|time-ms$"
).search
NOT_ASKED = frozenset({DISCLOSURE, b"accept-encoding", b"if-range", b"range", b"te"})
"""What would make the app answer with other bytes than a plain, whole, unpacked body."""
_PLAIN = (b"accept-encoding", b"identity")
_NOT_OF_ANOTHER = NOT_ASKED | {
    b"content-length",
    b"content-encoding",
    b"content-digest",
    b"transfer-encoding",
}

# What only one body keeps.
OF_ONE_BODY = frozenset({b"content-digest", b"content-length"})


def find(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> bytes | None:
    """The first value of `name` (lower case), or None; ASGI servers send lower-case names, apps need not."""
    for key, value in headers:
        if key == name or key.lower() == name:
            return value
    return None


def lowered(headers: Iterable[tuple[bytes, bytes]]) -> tuple[tuple[bytes, bytes], ...]:
    """The headers with their names in lower case."""
    return tuple([(name.lower(), value) for name, value in headers])


def joined(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> bytes | None:
    """All values of `name` (lower case) as one list, or None: a header that stands twice says both."""
    values = [value for key, value in headers if key.lower() == name]
    return b", ".join(values) if values else None


def without(headers: Iterable[tuple[bytes, bytes]], names: frozenset[bytes]) -> Headers:
    """The headers whose name is not among `names` (lower case)."""
    return [pair for pair in headers if pair[0].lower() not in names]


def for_app(headers: Iterable[tuple[bytes, bytes]], kept: Iterable[bool]) -> Headers:
    """What the app is told with a body that stays as it came, of the headers those that are `kept`: a plain answer is wanted."""
    return [*compress(headers, kept), _PLAIN]


def for_edited(headers: Iterable[tuple[bytes, bytes]], body: bytes) -> Headers:
    """As `for_app`, with this body in place of the one that came; names are in lower case."""
    told = [(name, _without_charset(name, value)) for name, value in headers if name not in _NOT_OF_ANOTHER]
    return [*told, (b"content-length", b"%d" % len(body)), _PLAIN]


def for_client(
    headers: Iterable[tuple[bytes, bytes]],
    *,
    length: int | None,
    told: Headers,
    hide_lengths: bool = False,
) -> Headers:
    """The head of a response whose bytes changed or may change; `length` is None for a stream.

    `told` is what we say of it, in place of what came from upstream under the same names.
    """
    gone = _OF_THE_BYTES | {DISCLOSURE, b"content-encoding", b"cache-control"}
    kept = [pair for pair in headers if pair[0].lower().removeprefix(_OF_THE_SERVER_BEHIND) not in gone]
    if length is not None:
        kept.append((b"content-length", b"%d" % length))
    kept.append((b"cache-control", b"private, no-store"))
    return telling(kept, told, hide_lengths=hide_lengths)


def telling(headers: Iterable[tuple[bytes, bytes]], told: Headers, *, hide_lengths: bool = False) -> Headers:
    """The headers with `told` instead of any of these names, and of `x-hardening`, that came from upstream.

    With `hide_lengths` those go as well that tell how long the answer was.
    """
    kept = without(headers, frozenset({DISCLOSURE, *(name for name, _ in told)}))
    if hide_lengths:
        kept = [pair for pair in kept if not _tells_length(pair[0].lower())]
    return [*kept, *told]


def disclosure(treatment: Treatment) -> Headers:
    """What `x-hardening` says of a response; nothing where nothing is disclosed."""
    return [(DISCLOSURE, _known(tuple(treatment.items())))] if treatment else []


@lru_cache(maxsize=256)  # some few treatments are all that a policy gives
def _known(members: tuple[tuple[str, str | int | float | bool], ...]) -> bytes:
    return dictionary(dict(members))


def dictionary(members: Treatment) -> bytes:
    """An RFC 9651 dictionary: text as tokens or strings, numbers, booleans as ?0 and ?1."""
    return ", ".join(f"{name}={_item(value)}" for name, value in members.items()).encode("ascii")


def _item(value: str | float | bool) -> str:
    if isinstance(value, bool):
        return "?1" if value else "?0"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        # RFC 9651 4.1.5: at most three digits after the point, at least one.
        return f"{value:.3f}".rstrip("0") + ("0" if f"{value:.3f}".endswith("000") else "")
    if value[:1].isalpha() and all(c.isalnum() or c in "!#$%&'*+-.^_`|~:/" for c in value):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _without_charset(name: bytes, value: bytes) -> bytes:
    """An edited body is UTF-8, whatever the caller's was."""
    if name != b"content-type":
        return value
    parts = value.split(b";")
    return b";".join(part for part in parts if not part.strip().lower().startswith(b"charset="))
