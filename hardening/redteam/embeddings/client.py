"""A caller of the toy encoder, bare or behind a policy: texts in, vectors out."""

from __future__ import annotations

import asyncio
import base64
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
from starlette.types import ASGIApp

from hardening.redteam.client import behind, sent
from hardening.redteam.embeddings.encoder import Floats
from hardening.testing import ManualClock

PATH = "/v1/embeddings"
_BATCH = 256
_PAUSE_S = 600.0
"""Between two batches, so that no limit is what stops an attack."""


class Caller:
    """Asks an app for vectors as one account, unless another is named."""

    def __init__(self, app: ASGIApp, clock: ManualClock | None = None) -> None:
        self._app = app
        self._clock = clock
        self._loop = asyncio.new_event_loop()
        weakref.finalize(self, self._loop.close)

    def vectors(self, texts: Sequence[str], *, account: str = "acct", **more: Any) -> Floats:
        """The vectors of texts, a row each. Raises LookupError where they are not given."""
        found = [self._batch(texts[at : at + _BATCH], account, more) for at in range(0, len(texts), _BATCH)]
        return np.concatenate(found)

    def _batch(self, texts: Sequence[str], account: str, more: dict[str, Any]) -> Floats:
        if self._clock is not None:
            self._clock.advance(_PAUSE_S)
        asked = orjson.dumps({"model": "toy", "input": texts, "encoding_format": "base64", **more})
        status, body = self._loop.run_until_complete(sent(self._app, PATH, account.encode(), asked))
        if status != 200:
            raise LookupError(f"no vectors were given: {status} {body[:200].decode(errors='replace')}")
        rows = [base64.b64decode(one["embedding"]) for one in orjson.loads(body)["data"]]
        return np.array([np.frombuffer(row, "<f4") for row in rows], np.float64)


def mounted(app: ASGIApp, policy: str, *, band: str | None = None, account: str = "acct") -> Caller:
    """A caller of `app` behind a policy; the account is put into `band`, where one is named."""
    hardened, clock = behind(app, policy, account=account, band=band)
    return Caller(hardened, clock)
