"""Who asks: an ASGI scope becomes an `Account`.

A credential is known by a keyed hash of itself, so logs, stores and policies can name a caller
without being able to act as him. Whoever is named by a header alone is unproven until the app
accepted him, from that network; the app and trusted proxies are believed at once.
"""

from __future__ import annotations

from hardening.identity.callers import ANONYMOUS, CONSUMER_HEADER, Identifier
from hardening.identity.keys import SECRET_BYTES, Keys
from hardening.identity.proven import ProvenLedger

__all__ = ["ANONYMOUS", "CONSUMER_HEADER", "SECRET_BYTES", "Identifier", "Keys", "ProvenLedger"]
