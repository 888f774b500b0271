"""What the corpus needs to know of a recorded format: how a client reads it, and which client that is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import httpx2

from bench.corpus.reading import Answer

STRICT = "with strict validation"
LENIENT = "as it is"
HELPER = "with the stream helper"

Ways = dict[str, Callable[[], None]]
"""Ways of asking by the name of each; what one raises is its answer."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """A recorded format: the codec that reads it, and the door at which it is asked where none was recorded.

    `read` adds what one JSON value of a body says to an Answer. `ways` makes the official client's ways of
    asking, streamed or not, over a transport that answers from memory; none where the format has no client.
    """

    codec: str
    path: str
    read: Callable[[dict, Answer], None]
    ways: Callable[[httpx2.MockTransport, bool], Ways]


def ways_of(
    plain: Callable[[bool], None], chunks: Callable[[bool], None], helper: Callable[[], None], *, stream: bool
) -> Ways:
    """The ways of a client that can validate strictly (its argument), and has a helper for streams."""
    read = chunks if stream else plain
    ways: Ways = {STRICT: lambda: read(True), LENIENT: lambda: read(False)}
    if stream:
        ways[HELPER] = helper
    return ways
