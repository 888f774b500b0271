"""An ASGI scope becomes an `Account`; raw credentials go no further than this module."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import chain, compress
from operator import itemgetter
from typing import Any, Literal

from hardening.errors import AccountError, StartError
from hardening.facts import Account
from hardening.identity.keys import Keys
from hardening.identity.proven import UNAUTHORIZED, ProvenLedger

ANONYMOUS = "anonymous"
"""The id of a caller that no source names; he is never proven."""

CONSUMER_HEADER = b"x-consumer-id"
"""The header in which a trusted proxy names the account."""

_ID_BYTES = 11
_ID_CHARS = 256
_ATTRIBUTES = 16
_CREDENTIAL_BYTES = 8192
_REMEMBERED = 4096
"""Peers, and hashed accounts, that are kept ready; never a credential."""

_AUTHORIZATION = b"authorization"
_CREDENTIAL_HEADERS = frozenset({_AUTHORIZATION, b"x-api-key", b"api-key", b"x-goog-api-key"})

_name = itemgetter(0)
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a connection comes from: hashed network, hashed client (None: no address), trusted or not."""

    network: str
    client: str | None
    trusted: bool


class _Hash:
    """A keyed hash of one domain, short, as `<prefix>_<hex>`."""

    def __init__(self, key: bytes, domain: str, prefix: str) -> None:
        person = blake2b(domain.encode(), digest_size=16).digest()
        self._empty = blake2b(key=key, digest_size=_ID_BYTES, person=person)
        self._prefix = prefix + "_"

    def __call__(self, value: bytes) -> str:
        state = self._empty.copy()
        state.update(value)
        return self._prefix + state.hexdigest()


@dataclass(frozen=True, slots=True)
class _Source:
    """One entry of `accounts.identify`: `key` and `name` read `header` and hash it with `digest`."""

    kind: Literal["app", "key", "name", "client"]
    header: bytes = b""
    digest: _Hash | None = None


class Identifier:
    """Tells who sent a request, from the sources that a policy names, in its order.

    Sources: `app` (what the app handed over), `bearer`, `header:<name>`, `client`. All headers
    that carry API keys share one hash, so the same key is one account wherever it stands. Keys
    that contradict each other name nobody: whichever the app checks, the other could be made up.
    """

    def __init__(
        self,
        keys: Keys,
        *,
        order: Sequence[str] = ("app", "bearer", "header:x-api-key", "client"),
        trusted_proxies: Iterable[str] = (),
        ledger: ProvenLedger | None = None,
        by_key: bool = False,
    ) -> None:
        """Compile the sources; `by_key` whether an account that the app names shall also tell its key.

        Raises:
            StartError: an unknown source, or a network that cannot be read.
        """
        self.ledger = ProvenLedger() if ledger is None else ledger
        self._by_key = by_key
        self._key_hash = _Hash(keys.identity, "key", "key")
        self._client_hash = _Hash(keys.identity, "client", "ip")
        self._network_hash = _Hash(keys.identity, "network", "net")
        self._sources = tuple(self._source(text, keys) for text in order)
        self._key_headers = tuple(source.header for source in self._sources if source.kind == "key")
        self._wanted = _CREDENTIAL_HEADERS.union((CONSUMER_HEADER,), (s.header for s in self._sources))
        self._trusted = tuple(_network(text) for text in trusted_proxies)
        self._place = functools.lru_cache(maxsize=_REMEMBERED)(self._locate)

    def identify(self, scope: Mapping[str, Any], named: Account | str | None, now: float) -> Account:
        """The account of this request; `named` is what the app handed over, `now` is monotonic.

        Raises:
            AccountError: the app or a trusted proxy named the account in a way that is not allowed.
        """
        client = scope.get("client")
        place = self._place(client[0] if client else "")
        seen = _collect(scope["headers"], self._wanted)
        if place.trusted and CONSUMER_HEADER in seen:
            consumer = _consumer(seen[CONSUMER_HEADER])
            return Account(id=consumer, network=place.network, key=self._key(seen))
        for source in self._sources:
            if source.kind == "app":
                if named is not None:
                    return self._vouched(named, seen, place)
                continue
            name = place.client if source.digest is None else self._hashed(source, source.digest, seen)
            if name is not None:
                proven = self.ledger.is_proven(name + place.network, now)
                return _hashed_account(name, place.network, proven)
        return Account(id=ANONYMOUS, proven=False, network=place.network)

    def vouched(self, scope: Mapping[str, Any], named: Account | str) -> Account:
        """The account that the app names in the middle of a request, whatever else the request says.

        Raises:
            AccountError: the account may not be named so.
        """
        client = scope.get("client")
        place = self._place(client[0] if client else "")
        return self._vouched(named, _collect(scope["headers"], self._wanted), place)

    def answered(self, account: Account, status: int, now: float) -> None:
        """Take the status with which the app itself answered `account`; ours must not come here."""
        # Of an address a 401 says nothing: whoever shares it could take its proof away with a made-up key.
        if account.id.startswith("key_") or (account.id.startswith("ip_") and status != UNAUTHORIZED):
            self.ledger.mark(account.id + account.network, status, now)

    def _hashed(self, source: _Source, digest: _Hash, seen: Mapping[bytes, bytes | None]) -> str | None:
        """The hash of what stands in the source's header, None where nothing stands or keys disagree."""
        value = seen.get(source.header)
        if value is None:
            return None
        if source.kind == "key":
            for other in self._key_headers:
                if seen.get(other, value) != value:
                    return None
        return digest(value)

    def _vouched(self, named: Account | str, seen: Mapping[bytes, bytes | None], place: _Place) -> Account:
        """The app's own account, checked; an id that is the caller's raw key is replaced by its hash."""
        account = Account(id=named) if isinstance(named, str) else named
        if not isinstance(account, Account):
            raise AccountError(f"account: found {type(named).__name__}, allowed are Account, str and None")
        for text in (account.id, *account.groups, *(() if account.org is None else (account.org,))):
            _check(text, "account")
        if account.attributes:
            _check_attributes(account.attributes)
        raw = account.id.encode()
        name = self._key_hash(raw) if raw in seen.values() else account.id
        return replace(account, id=name, network=place.network, key=self._key(seen))

    def _key(self, seen: Mapping[bytes, bytes | None]) -> str:
        """The hash of the one credential that the request carries; empty where there is none, or several."""
        if not self._by_key:
            return ""
        values = {seen[name] for name in _CREDENTIAL_HEADERS if name in seen}
        value = values.pop() if len(values) == 1 else None
        return "" if value is None else self._key_hash(value)

    def _source(self, text: str, keys: Keys) -> _Source:
        if text in ("app", "client"):
            return _Source("app" if text == "app" else "client")
        if text == "bearer":
            return _Source("key", _AUTHORIZATION, self._key_hash)
        header = text.removeprefix("header:").strip().lower().encode()
        if not text.startswith("header:") or header in (b"", CONSUMER_HEADER, _AUTHORIZATION):
            raise StartError(
                f"accounts.identify: found {text!r}, allowed are app, bearer, client and header:<name>; "
                f"x-consumer-id is read from trusted_proxies only, authorization by bearer only"
            )
        if header in _CREDENTIAL_HEADERS:
            return _Source("key", header, self._key_hash)
        return _Source("name", header, _Hash(keys.identity, f"header:{header.decode()}", "key"))

    def _locate(self, host: str) -> _Place:
        """The place of a TCP peer; whatever is no IP address shares one network."""
        try:
            address: _Address = ipaddress.ip_address(host)
        except ValueError:
            return _Place(self._network_hash(b""), None, trusted=False)
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        # A site is handed a /48 in IPv6 and may use any of it; of a /24 or a /48 a client is one in 256.
        narrow, wide = (4, 3) if address.version == 4 else (7, 6)
        return _Place(
            network=self._network_hash(address.packed[:wide]),
            client=self._client_hash(address.packed[:narrow]),
            trusted=any(address in network for network in self._trusted),
        )


@functools.lru_cache(maxsize=_REMEMBERED)
def _hashed_account(name: str, network: str, proven: bool) -> Account:
    return Account(id=name, proven=proven, network=network)


def _network(text: str) -> _Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError as fault:
        raise StartError(f"accounts.trusted_proxies: {text!r} is no network such as 10.0.0.0/8") from fault


def _collect(headers: Collection[tuple[bytes, bytes]], wanted: frozenset[bytes]) -> dict[bytes, bytes | None]:
    """The wanted headers that are not empty; None for one that is unusable, or there twice and not alike."""
    seen: dict[bytes, bytes | None] = {}
    for name, value in compress(headers, map(wanted.__contains__, map(_name, headers))):
        if value:
            usable = _value(name, value)
            seen[name] = usable if seen.get(name, usable) == usable else None
    return seen


def _value(name: bytes, value: bytes) -> bytes | None:
    """What a header names a caller by; None for one too long, blank, or an authorization that is no bearer."""
    if len(value) > _CREDENTIAL_BYTES:
        return None
    if name == _AUTHORIZATION:
        scheme, _, value = value.strip().partition(b" ")
        if scheme.lower() != b"bearer":
            return None
    return value.strip() or None


def _consumer(value: bytes | None) -> str:
    """The account that a trusted proxy named."""
    name = CONSUMER_HEADER.decode()
    if value is None:
        raise AccountError(f"{name}: found no usable value, or two that differ; one is allowed")
    try:
        text = value.decode()
    except UnicodeDecodeError as fault:
        raise AccountError(f"{name}: found bytes that are not UTF-8") from fault
    _check(text, name)
    return text


def _check_attributes(attributes: Mapping[str, str]) -> None:
    """Raise AccountError for attributes that are none; never quotes one."""
    if not isinstance(attributes, Mapping):
        raise AccountError(f"account attributes: found {type(attributes).__name__}, allowed is a mapping")
    if len(attributes) > _ATTRIBUTES:
        raise AccountError(f"account attributes: found {len(attributes)}, at most {_ATTRIBUTES} are allowed")
    for text in chain.from_iterable(attributes.items()):
        _check(text, "account attribute")


def _check(text: str, where: str) -> None:
    """Raise AccountError for a name that may not be one; never quotes it, it could be a key."""
    if not isinstance(text, str):
        raise AccountError(f"{where}: found a name of type {type(text).__name__}, allowed is str")
    if not 0 < len(text) <= _ID_CHARS or not text.isprintable():
        raise AccountError(
            f"{where}: found a name of {len(text)} characters, allowed are 1 to {_ID_CHARS}, all printable"
        )
