"""A trace in an authenticated blob that its client keeps and sends back: written piece by piece, opened in bounds.

Layout: name, version, key id, salt, then AES-256-GCM over times, lengths, a deflate stream and zeros, all in
base64url. Key and nonce are drawn from the installation's key and 24 random bytes of each seal, so no number of seals wears
the key out. Nothing here knows a format, a clock or a source of chance: these are given.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hardening.events import THE_TRACE
from hardening.wire.mark import MARK
from hardening.wire.scan import read_json
from hardening.wire.traces import written
from hardening.wire.unseal import Steps

SIZES = tuple(768 * 3**n for n in range(8))
"""The lengths of seals, in characters: eight, so that they tell three bits of the length of a trace at most."""

LASTS_S = 30 * 24 * 3600.0
"""How long a seal can be opened."""

MOST_SEALS = 1024
MOST_BYTES = 4 * 1024 * 1024
"""What is opened of one request: seals, and bytes that they hold together."""

_NAME = base64.urlsafe_b64decode(MARK)
_VERSION = b"\1"
_KEY_ID_BYTES, _SALT_BYTES, _TAG_BYTES = 4, 24, 16
_KEY_BYTES, _NONCE_BYTES, _PLACE_BYTES = 32, 12, 8
_HEAD_BYTES = len(_NAME) + len(_VERSION) + _KEY_ID_BYTES + _SALT_BYTES
_INNER = struct.Struct(">d8sIII")  # seconds since 1970, the answered ids, bytes of the text, of all, deflated
_PIECE = 1 << 15
"""Characters of a blob, and bytes of a deflate stream, that are read in one step: a quarter of a millisecond."""
_LEVEL = 1  # of zlib: a third of the time of the usual level, for a tenth more bytes
_plain = bytes.maketrans(b"-_", b"+/")  # either alphabet is read: some clients write the other


@dataclass(frozen=True)
class Bound:
    """What a seal holds for and nothing else: whose it is, of which API and models, and which results its turn answers.

    `answers` are the ids of the tool results right before the turn, none where it answers a person; None stands for
    a turn before which the history may be cut off.
    """

    owner: str
    format: str
    family: str
    answers: tuple[str, ...] | None = ()

    def digest(self) -> bytes:
        """Whose it is, of which API and models, in 32 bytes."""
        return _digest([self.owner, self.format, self.family], 32)

    @cached_property  # of thousands of results in a row as well
    def place(self) -> bytes:
        """Where it stands, in 8 bytes."""
        return _digest(self.answers or (), _PLACE_BYTES)


class Sealer:
    """Seals under the newest of its keys, opens under all; `random` gives bytes, `wall` seconds since 1970."""

    __slots__ = ("_current", "_keys", "_random", "_wall")

    def __init__(
        self,
        current: bytes,
        previous: Sequence[bytes] = (),
        *,
        random: Callable[[int], bytes],
        wall: Callable[[], float],
    ) -> None:
        self._current = current
        self._keys = {_key_id(key): key for key in (*reversed(previous), current)}
        self._random = random
        self._wall = wall

    def seal(self, deflated: bytes, lengths: tuple[int, int], size: int, bound: Bound) -> str:
        """The blob of `size` characters; `lengths` are the bytes of the text and of all in the deflate stream."""
        head = _NAME + _VERSION + _key_id(self._current) + self._random(_SALT_BYTES)
        key, nonce = _drawn(self._current, head)
        room = size * 3 // 4 - _HEAD_BYTES - _TAG_BYTES
        plain = (_INNER.pack(self._wall(), bound.place, *lengths, len(deflated)) + deflated).ljust(
            room, b"\0"
        )
        sealed = AESGCM(key).encrypt(nonce, plain, head + bound.digest())
        return base64.urlsafe_b64encode(head + sealed).decode()

    def begin(self, bound: Bound) -> Sealing:
        """A seal to fill."""
        return Sealing(self, bound)

    def opening(self) -> Opening:
        """Opens the seals of one request."""
        return Opening(self)

    def plain(self, blob: str, bound: Bound) -> Steps[bytes | None]:
        """What the blob encrypts, if it is a whole one of ours, not expired, and holds for `bound`."""
        if len(blob) not in SIZES or not blob.startswith(MARK):
            return None
        pieces: list[bytes] = []
        for at in range(0, len(blob), _PIECE):  # a seal has no padding, so each piece is whole bytes
            piece = _decoded(blob[at : at + _PIECE])
            if piece is None:
                return None
            pieces.append(piece)
            yield
        raw = b"".join(pieces)
        head, sealed = raw[:_HEAD_BYTES], raw[_HEAD_BYTES:]
        key = self._keys.get(head[len(_NAME) + len(_VERSION) : -_SALT_BYTES])
        if key is None:
            return None
        drawn, nonce = _drawn(key, head)
        try:
            plain = AESGCM(drawn).decrypt(nonce, sealed, head + bound.digest())
        except InvalidTag:
            return None
        made, place, *_ = _INNER.unpack_from(plain)
        fits = bound.answers is None or place == bound.place
        return plain if fits and self._wall() - made <= LASTS_S else None


class Sealing:
    """One trace on its way into a seal; it keeps no more than its deflated form, and nothing beyond the largest size."""

    __slots__ = ("_bound", "_data", "_deflate", "_sealer", "_text_bytes")

    def __init__(self, sealer: Sealer, bound: Bound) -> None:
        self._sealer = sealer
        self._bound = bound
        self._start()

    def _start(self) -> None:
        self._deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._data: list[bytes] = []
        self._text_bytes = 0

    def feed(self, text: str) -> None:
        """Take a piece of the trace; pieces of some hundred characters cost least."""
        if self._text_bytes <= SIZES[-1]:
            self._text_bytes += self._take(text.encode("utf-8", "surrogatepass"))

    def _take(self, raw: bytes) -> int:
        if data := self._deflate.compress(raw):
            self._data.append(data)
        return len(raw)

    def finish(self, members: Mapping[str, object]) -> str | None:
        """The seal over `members`, JSON values by name; None where no size holds it.

        Where none of them is THE_TRACE, they hold all of it, and what was fed is forgotten.
        """
        if not any(map(_names_the_trace, members.values())):
            self._start()
        if self._text_bytes > SIZES[-1]:
            return None
        raw_bytes = self._text_bytes + self._take(written(members))
        deflated = b"".join((*self._data, self._deflate.flush()))
        for size in SIZES:
            if raw_bytes <= size and len(deflated) <= room_of(size):
                return self._sealer.seal(deflated, (self._text_bytes, raw_bytes), size, self._bound)
        return None


class Opening:
    """The seals of one request, as many and as large together as may be; more stay closed."""

    __slots__ = ("_bytes", "_sealer", "_seals")

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer
        self._seals = MOST_SEALS
        self._bytes = MOST_BYTES

    def open(self, blob: str, bound: Bound) -> Steps[dict[str, object] | None]:
        """What was sealed, as JSON values by name; None where it may not be known here, for whatever cause."""
        self._seals -= 1
        plain = (yield from self._sealer.plain(blob, bound)) if self._seals >= 0 else None
        if plain is None:
            return None
        _, _, text_bytes, raw_bytes, deflated_bytes = _INNER.unpack_from(plain)
        if raw_bytes > self._bytes:
            return None
        self._bytes -= raw_bytes
        deflated = plain[_INNER.size : _INNER.size + deflated_bytes]
        raw = yield from _inflated(deflated, raw_bytes)
        text = raw[:text_bytes].decode("utf-8", "surrogatepass")
        members = read_json(raw[text_bytes:], format="seal")
        assert isinstance(members, dict)  # nobody else has the key
        return {name: _told(value, text) for name, value in members.items()}


def _decoded(piece: str) -> bytes | None:
    try:
        return binascii.a2b_base64(piece.encode().translate(_plain), strict_mode=True)
    except ValueError:  # `binascii.Error` is one
        return None


def _inflated(deflated: bytes, most: int) -> Steps[bytes]:
    """What stands in a deflate stream, up to `most` bytes."""
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    pieces: list[bytes] = []
    for at in range(0, len(deflated), _PIECE):
        pieces.append(inflate.decompress(deflated[at : at + _PIECE], most))
        most -= len(pieces[-1])
        if not most:  # which to zlib is no bound
            break
        yield
    return b"".join(pieces)


def room_of(size: int) -> int:
    """The bytes of a deflate stream for which a seal of `size` characters has room."""
    return size * 3 // 4 - _HEAD_BYTES - _TAG_BYTES - _INNER.size


def _names_the_trace(value: object) -> bool:
    if isinstance(value, list):
        return any(map(_names_the_trace, value))
    return _names_the_trace([*value.values()]) if isinstance(value, dict) else value == THE_TRACE


def _told(value: object, text: str) -> object:
    """The value with the text for what stands in its place."""
    if isinstance(value, list):
        return [_told(one, text) for one in value]
    if isinstance(value, dict):
        return {name: _told(one, text) for name, one in value.items()}
    return text if value == THE_TRACE else value


def _digest(told: Sequence[str], size: int) -> bytes:
    return hashlib.blake2b(json.dumps([*told]).encode(), digest_size=size).digest()


def _key_id(key: bytes) -> bytes:
    return hashlib.blake2b(key=key, digest_size=_KEY_ID_BYTES, person=b"hardening/sealid").digest()


def _drawn(key: bytes, head: bytes) -> tuple[bytes, bytes]:
    """Key and nonce of one seal."""
    drawn = hashlib.blake2b(
        head, key=key, digest_size=_KEY_BYTES + _NONCE_BYTES, person=b"hardening/seal/1"
    ).digest()
    return drawn[:_KEY_BYTES], drawn[_KEY_BYTES:]
