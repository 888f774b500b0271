"""What keyed noise is a function of, beside the question and the token."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

_PERSON = b"hardening noise"


@dataclass(frozen=True, slots=True, repr=False)
class NoiseKey:
    """The secret of one purpose, and for whom it acts: a group of accounts that asks one model.

    The secret is the epoch as well: with a new one all is drawn anew. `repr` shows nothing of it.
    """

    secret: bytes
    group: str
    model: str

    def of(self, *question: bytes) -> bytes:
        """32 bytes for a question, the same on every worker; nobody without the secret can tell them."""
        hashed = blake2b(key=self.secret, digest_size=32, person=_PERSON)
        # As rules match it: a name in another case is no other model, whose draws could be averaged.
        model = self.model.strip().casefold().encode("utf-8", "surrogatepass")
        for part in (self.group.encode(), model, *question):
            hashed.update(len(part).to_bytes(8, "little"))
            hashed.update(part)
        return hashed.digest()
