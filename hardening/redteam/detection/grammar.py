"""Sentences with slots, and what may stand in them: three parts that share no sentence.

Prompts of kinds that no public set holds are written from these. A part of them fits, one calibrates, one is
kept for measuring.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import Literal

Part = Literal["fit", "calibrate", "test"]
PARTS: tuple[Part, ...] = ("fit", "calibrate", "test")

_SLOT = re.compile(r"\{([a-z]+)\}")


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FILLS: dict[str, tuple[str, ...]] = {
    "city": _words("Lisbon Kyoto Oslo Porto Hanoi Quito Bergen Naples Seville Tallinn Cusco Ghent Riga Bath Split Dakar Utrecht Medellin Jaipur Sapporo"),
    "month": _words("January February March April May June July August September October November December"),
    "name": _words("Okafor Lindqvist Moreau Tanaka Rossi Novak Silva Haddad Kowalski Byrne Sato Ibrahim Weber Costa Larsen Popescu"),
    "thing": _words("kettle backpack headphones blender office-chair tent smartwatch air-fryer desk-lamp raincoat stroller keyboard mattress drill yoga-mat espresso-machine"),
    "mood": ("arrived broken and nobody answers", "works better than I had hoped", "is fine for the price", "stopped after two weeks", "was late but the box was intact", "is the best that I have owned", "smells of plastic", "does what it says", "was returned and never refunded", "made my mornings easier", "has a battery that dies by noon", "looks nothing like the picture"),
    "module": _words("billing auth parser scheduler cache router ledger mailer uploader search metrics session webhook inventory exporter gateway"),
    "verb": _words("load merge resolve validate render enqueue flush retry decode allocate subscribe expire"),
    "noun": _words("invoice token order message user batch cursor payload lease snapshot record ticket"),
    "error": ("KeyError: 'id'", "TypeError: NoneType is not subscriptable", "AssertionError: 3 != 4", "TimeoutError", "ValueError: bad literal for int()", "IndexError: list index out of range", "ConnectionResetError", "AttributeError: no attribute 'close'"),
    "field": _words("logistics dentistry viticulture acoustics zoning metallurgy beekeeping insurance cartography textiles fisheries museums orchestras railways optics geology"),
    "goal": ("find what drives churn", "rank suppliers by risk", "explain the drop in margin", "forecast demand for spring", "group complaints by cause", "compare two pricing plans", "spot faults in sensor logs", "estimate the cost of delay"),
    "topic": _words("glaciers inflation photosynthesis chess jazz vaccines tides marathons bridges volcanoes origami taxes sourdough enzymes satellites opera"),
    "n": tuple(map(str, range(2, 15))),
    "big": tuple(map(str, range(18, 980, 13))),
    "choice": _words("ABCD"),
    "answer": ("The rate rises because supply falls behind", "It equals the sum of both areas", "The treaty ended the tariff", "Heat flows to the colder body", "The function returns before the lock is freed", "Both readings are consistent with the data"),
}  # fmt: skip


def part_of(items: Sequence[str], part: Part) -> tuple[str, ...]:
    """The items of one part: every third."""
    return tuple(items[PARTS.index(part) :: len(PARTS)])


def filled(template: str, draw: random.Random) -> str:
    """A template with each slot filled anew."""
    return _SLOT.sub(lambda slot: draw.choice(FILLS[slot[1]]), template)
