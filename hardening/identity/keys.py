"""The keys of this installation: one secret, one derived key for each purpose."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from hardening.errors import StartError

SECRET_BYTES = 32
"""The least that a secret may have."""


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """One key for each purpose, all from one secret; `durable` is False where nobody gave one.

    `previous_seals` open what older secrets sealed. `repr` shows no key.
    """

    identity: bytes
    sketch: bytes
    seal: bytes
    noise: bytes
    embedding: bytes
    previous_seals: tuple[bytes, ...]
    durable: bool

    @classmethod
    def of(cls, secret: bytes | None = None, previous: Sequence[bytes] = ()) -> Keys:
        """The keys of `secret`; without one, of a random secret that lives as long as the process.

        `previous` are older secrets, newest first. Identity, sketch and embedding stay with the oldest, so
        that accounts keep their ids and stored vectors their neighbours when the secret changes.

        Raises:
            StartError: a secret has fewer than 32 bytes.
        """
        chain = (secrets.token_bytes(SECRET_BYTES) if secret is None else secret, *previous)
        for given in chain:
            if len(given) < SECRET_BYTES:
                raise StartError(f"key: found {len(given)} bytes, at least {SECRET_BYTES} are needed")
        return cls(
            identity=_derive(chain[-1], "identity"),
            sketch=_derive(chain[-1], "sketch"),
            seal=_derive(chain[0], "seal"),
            noise=_derive(chain[0], "noise"),
            embedding=_derive(chain[-1], "embedding"),
            previous_seals=tuple(_derive(older, "seal") for older in chain[1:]),
            durable=secret is not None,
        )


def _derive(secret: bytes, purpose: str) -> bytes:
    info = b"hardening/1/" + purpose.encode()
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(secret)
