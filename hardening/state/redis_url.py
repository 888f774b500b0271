"""The address of a Redis or Valkey store, read: where, as whom, under which names.

No error text holds more of an address than its scheme and the names of its options: the rest may be
a password.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

from hardening.errors import StateError

SCHEMES = ("redis://", "rediss://", "redis+cluster://", "rediss+cluster://")
"""What an address may begin with; a double s means TLS."""

_TLS_OPTIONS = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_OPTIONS = ("client_name", "prefix", *_TLS_OPTIONS)
_PORT = 6379


@dataclass(frozen=True, slots=True)
class RedisUrl:
    """Where the store is; `options` are names of the client library, `prefix` begins every key."""

    scheme: str
    nodes: tuple[tuple[str, int], ...]
    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    prefix: str = "hardening"
    options: tuple[tuple[str, str], ...] = ()

    @property
    def is_cluster(self) -> bool:
        """Whether the keys lie on several servers."""
        return self.scheme.endswith("+cluster")

    @property
    def is_tls(self) -> bool:
        """Whether the connection is encrypted, and the server's certificate checked."""
        return self.scheme.startswith("rediss")


def read_url(url: str) -> RedisUrl:
    """The address, read.

    Raises:
        StateError: it is none, or says what cannot be kept.
    """
    try:
        split = urlsplit(url)
        pairs = parse_qsl(split.query, keep_blank_values=True, strict_parsing=bool(split.query))
    except ValueError:
        # The text of the library's error may quote the address.
        raise StateError("state: found an address that cannot be read") from None
    if f"{split.scheme}://" not in SCHEMES:
        raise StateError(f"state: found {split.scheme}://, allowed is {', '.join(SCHEMES)}")
    credentials, _, places = split.netloc.rpartition("@")
    username, _, password = credentials.partition(":")
    options = _options(split.scheme, pairs)
    return RedisUrl(
        split.scheme,
        _nodes(split.scheme, places),
        _db(split.scheme, split.path),
        unquote(username) or None,
        unquote(password) or None,
        options.pop("prefix", "hardening"),
        tuple(options.items()),
    )


def _options(scheme: str, pairs: list[tuple[str, str]]) -> dict[str, str]:
    allowed = _OPTIONS if scheme.startswith("rediss") else tuple(o for o in _OPTIONS if o not in _TLS_OPTIONS)
    options: dict[str, str] = {}
    for name, value in pairs:
        if name not in allowed:
            raise StateError(f"state: found {scheme}://...?{name[:32]}=, allowed is {', '.join(allowed)}")
        if name in options or not value:
            raise StateError(f"state: found {name} empty or twice in {scheme}://..., allowed is one value")
        options[name] = value
    if any(not part.isprintable() or set(part) & set("{} ") for part in options.values()):
        raise StateError(f"state: found a blank or a brace in an option of {scheme}://...")
    return options


def _nodes(scheme: str, places: str) -> tuple[tuple[str, int], ...]:
    texts = places.split(",")
    if len(texts) > 1 and not scheme.endswith("+cluster"):
        raise StateError(f"state: found several servers in {scheme}://..., allowed is one")
    return tuple(_node(scheme, text) for text in texts)


def _node(scheme: str, text: str) -> tuple[str, int]:
    try:
        split = urlsplit(f"//{text}")
        host, port = split.hostname, split.port
    except ValueError:
        host = port = None
    if not host or port == 0:
        raise StateError(f"state: found no host and port in {scheme}://..., such as {scheme}://cache:{_PORT}")
    return host, port or _PORT


def _db(scheme: str, path: str) -> int:
    text = path.strip("/")
    if not text:
        return 0
    if not (text.isascii() and text.isdecimal() and len(text) < 6) or scheme.endswith("+cluster"):
        allowed = "none" if scheme.endswith("+cluster") else "the number of a database"
        raise StateError(f"state: found a path in {scheme}://..., allowed is {allowed}")
    return int(text)
