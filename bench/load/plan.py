"""Which requests there are: who asks, how long the answer gets, and how it ends; the same for the same seed."""

from __future__ import annotations

import functools
import json
import random
from collections.abc import Iterator
from typing import Literal, NamedTuple

Kind = Literal["done", "whole", "gone", "failed", "broken", "tight"]
"""`done` streams to its end, `whole` is one JSON text, `gone` leaves in mid-stream, the app of `failed`
answers 500, that of `broken` raises in mid-stream, `tight` soon has nothing left of its limit."""

SHARES: dict[Kind, float] = {
    "done": 0.55,
    "whole": 0.1,
    "gone": 0.15,
    "failed": 0.05,
    "broken": 0.05,
    "tight": 0.1,
}
ACCOUNTS_OF_A_KIND = 5
CHUNK_TOKENS = 80
CHUNK_TEXT = "word " * 64
"""Of 320 bytes, so that usage and bytes, at four of them a token, say the same. Of few and long chunks an
answer costs less, for what is dear is to send each."""

PROMPT_TOKENS = 60
"""A request is padded to four bytes a token as well, so that what is learnt of prompts holds for answers."""

TIGHT_TOKENS = 20_000
WIDE_TOKENS = 10_000_000_000
_REFILL = "per: 3650d"  # a token in ten years: what is spent stays spent while it is counted

POLICY = f"""\
version: 1
name: load
accounts: {{groups: {{tight: ["tight-*"]}}}}
limits:
  wide: {{tokens: 1, {_REFILL}, burst: {WIDE_TOKENS}}}
  tight: {{tokens: 1, {_REFILL}, burst: {TIGHT_TOKENS}}}
  open: {{streams: 1000}}
defaults: {{limits: [wide]}}
rules:
  - name: tight
    match: {{group: tight}}
    limits: [tight]
"""


class Ask(NamedTuple):
    """One request: of a stream `chunks` come, and at `ends_at` of them it ends as its kind says."""

    kind: Kind
    account: str
    chunks: int
    ends_at: int

    def head(self) -> bytes:
        """What stands before the body."""
        return _HEAD % self.account.encode()

    def body(self) -> bytes:
        """The request as a client sends it; the app reads its part from the end of the model's name."""
        return _body(self.kind, self.chunks, self.ends_at)


_HEAD = (
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: load\r\nx-account: %%b\r\n"
    b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % (4 * PROMPT_TOKENS)
)


@functools.cache
def _body(kind: Kind, chunks: int, ends_at: int) -> bytes:
    asked = {
        "model": f"load-{kind}-{chunks}-{ends_at}",
        "stream": kind != "whole",
        "messages": [{"role": "user", "content": ""}],
    }
    body = json.dumps(asked)
    padding = "x" * (4 * PROMPT_TOKENS - len(body))
    return body.replace('"content": ""', f'"content": "{padding}"').encode()


def asks(count: int, seed: int) -> Iterator[Ask]:
    """So many requests."""
    chance = random.Random(seed)
    kinds, weights = list(SHARES), list(SHARES.values())
    for _ in range(count):
        kind = chance.choices(kinds, weights)[0]
        # A few answers are longer than what is reserved at first, so that leases are extended.
        chunks = chance.randint(15, 30) if chance.random() < 0.03 else chance.randint(2, 6)
        yield Ask(
            kind, f"{kind}-{chance.randrange(ACCOUNTS_OF_A_KIND)}", chunks, chance.randint(1, chunks - 1)
        )


def accounts() -> Iterator[str]:
    """Everybody who may ask."""
    for kind in SHARES:
        for number in range(ACCOUNTS_OF_A_KIND):
            yield f"{kind}-{number}"
