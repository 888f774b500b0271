"""What a chunk with 20 alternatives costs where its values get noise, beside one parse of it."""

from __future__ import annotations

import asyncio
import gc

from bench.apps import EmptyAsgi, Playback, one_core, started
from bench.latency import (
    QUICK_ROUNDS,
    ROUNDS,
    Progress,
    added,
    column,
    interleave,
    parsing,
    ratio,
    streaming,
    us,
)
from bench.report import Row
from hardening.testing import harden

_POLICY = """\
version: 1
extends: baseline
defaults: {logprobs: {noise: 0.5}}
"""
_STREAM = "logprobs"


def measure(progress: Progress, *, quick: bool) -> list[Row]:
    """The row about noise."""
    progress("noise")
    with one_core():
        return asyncio.run(_measure(QUICK_ROUNDS if quick else ROUNDS))


async def _measure(rounds: int) -> list[Row]:
    plain = Playback()
    noised = harden(plain, _POLICY)
    async with started(noised):
        assert noised.service is not None
        noised.service.warm()
        gc.collect()
        gc.freeze()
        ways = {
            "parse": parsing(_STREAM),
            "empty": streaming(_STREAM, EmptyAsgi(plain), plain),
            "noised": streaming(_STREAM, noised, plain),
        }
        samples = await interleave(ways, rounds)
    cost = added(samples, "noised", over="empty")
    beside = ratio(cost, column(samples, "parse"))
    words = "20 top_logprobs cut to 5, stepped, noised: median chunk"
    section = "added to a chunk over an empty pure ASGI wrapper"
    return [Row(section, words, us(cost), "us", beside, "parse", "logprobs_noised_vs_parse")]
