"""The evidence of one request: what each signal says of it, in nats, and the sketch moved on."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence

from hardening.scoring.request import Facts, Read
from hardening.scoring.signals import Signal, gate
from hardening.scoring.sketch import Sketch
from hardening.state.standing import LEAST_NATS, MOST_NATS

GRID_NATS = 0.01
"""What evidence is rounded to: a finer number would tell who reads the store which of many prompts was asked."""

PATTERN_STAYS = 127 / 128
"""What is left of an account's pattern after a request: honest ones between a campaign's do not hide it, a chance hit fades."""


def evidence(read: Read, facts: Facts, sketch: Sketch, signals: Sequence[Signal]) -> Mapping[str, float]:
    """What each signal says of a request; nothing of a message that was scored just now. Moves the sketch on."""
    if sketch.repeats(read.mark, facts):
        return {}
    said, opened, share = {}, 0.0, gate(sketch)
    for signal in signals:
        nats = 0.0
        if share or not signal.gated:
            nats = _on_grid(signal.nats(read, facts, sketch) * (share if signal.gated else 1.0))
        said[signal.name] = nats
        if signal.opens:
            opened += max(nats, 0.0)
    sketch.pattern = min(sketch.pattern * PATTERN_STAYS + opened, 2 * MOST_NATS)
    sketch.note(read, facts)
    return said


def _on_grid(nats: float) -> float:
    return min(max(round(nats / GRID_NATS) * GRID_NATS, LEAST_NATS), MOST_NATS)


class Sketches:
    """The sketches of the accounts that were seen last, no more than so many; for one thread."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: OrderedDict[str, Sketch] = OrderedDict()

    def of(self, account: str) -> Sketch:
        """The sketch of an account, new where there is none."""
        known = self._known
        sketch = known.pop(account, None) or Sketch()
        known[account] = sketch
        if len(known) > self._most:
            known.popitem(last=False)
        return sketch
