"""Scores of rerankers and classifiers on the policy's grid."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Context, Decimal

from hardening.errors import WireError
from hardening.events import Event, Logprobs, Reasoning, Score, Text, UsageSeen
from hardening.transform.step import Step

_LARGEST = Decimal(10) ** 15
"""Beyond it no score is known; and what two digits of an exponent spell out need not fit into memory."""
_EXACT = Context(prec=48, traps=[])


class SteppedScores(Step):
    """Rounds each score to the nearest multiple of `step`, of two the even one."""

    lanes = frozenset({Text, Reasoning, Logprobs, UsageSeen})

    def __init__(self, step: float) -> None:
        """`step` is above 0."""
        self._step = Decimal(repr(float(step)))

    def feed(self, event: Event) -> Iterator[Event]:
        """The event, a score stepped. Raises WireError for one that no grid fits."""
        if not isinstance(event, Score):
            yield event
            return
        raw = self._stepped(event.raw)
        yield event if raw == event.raw else Score(event.index, raw)

    def _stepped(self, raw: bytes) -> bytes:
        value = _EXACT.create_decimal(raw.decode("ascii"))
        if not abs(value) < _LARGEST:
            raise WireError("scores", 0, "expected a score as a number below 1e15")
        steps = _EXACT.to_integral_value(_EXACT.divide(value, self._step))
        text = f"{_EXACT.multiply(steps, self._step) + 0:f}"
        whole, _, decimals = text.partition(".")
        return f"{whole}.{decimals.rstrip('0') or '0'}".encode()
