"""Annotated types for what operators write: `60k`, `1m`, `20/s`, `10%`, `4x`, `32M`, `2027-03-31`.

Each type takes a plain YAML scalar and gives a number in base units (units, seconds, per second,
share, factor, bytes). A text that says something else raises ValueError, which names what is allowed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Annotated

from pydantic import BeforeValidator

_NUMBER = r"([0-9]{1,15}(?:\.[0-9]{1,9})?)"
_THOUSANDS = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}
_BYTES = {**_THOUSANDS, "KiB": 1024.0, "MiB": 1024.0**2, "GiB": 1024.0**3}
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PER = {f"/{unit}": 1 / seconds for unit, seconds in _SECONDS.items()}
_PERCENT = {"%": 0.01}
_TIMES = {"x": 1.0}


def _reader(units: dict[str, float], low: float, high: float, allowed: str) -> Callable[[object], float]:
    """A function that reads `number + unit` and holds it between `low` and `high`."""
    endings = "|".join(re.escape(unit) for unit in sorted(units, key=len, reverse=True))
    pattern = re.compile(_NUMBER + f"({endings})")

    def read(value: object) -> float:
        text = str(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else ""
        found = pattern.fullmatch(text)
        if found is None:
            raise ValueError(allowed)
        number = float(found[1]) * units[found[2]]
        if not low <= number <= high:
            raise ValueError(allowed)
        return number

    return read


def _whole(read: Callable[[object], float], allowed: str) -> Callable[[object], int]:
    """`read`, with fractions refused."""

    def read_whole(value: object) -> int:
        number = read(value)
        if number != int(number):
            raise ValueError(allowed)
        return int(number)

    return read_whole


def read_day(value: object) -> str:
    """The day as `YYYY-MM-DD`, proven to be in the calendar."""
    text = value if isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value) else ""
    try:
        datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("a day such as 2027-03-31") from None
    return text


def start_of(day: str) -> float:
    """Seconds since 1970 UTC at which the day `YYYY-MM-DD` begins in UTC."""
    return datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()


def read_network(value: object) -> str:
    """The network in its canonical spelling, such as `10.0.0.0/8`."""
    try:
        return str(ip_network(value if isinstance(value, str) else ""))
    except ValueError:
        raise ValueError("a network such as 10.0.0.0/8 (no host bits set) or an address") from None


_AMOUNT = "a quantity from 1 to 1000000G, such as 500, 60k or 50M"
_SPAN = "a duration from 1s to 3660d, such as 30s, 1m, 2h or 30d"
_TOKENS = "a whole number of tokens from 1 to 10M, such as 160 or 4k"
_COUNT = "a whole number from 0 to 1000M, such as 50 or 10k"
_SIZE = "a size from 1k to 1G, such as 32M or 64MiB"

Amount = Annotated[float, BeforeValidator(_reader(_THOUSANDS, 1, 1e15, _AMOUNT))]
Seconds = Annotated[float, BeforeValidator(_reader(_SECONDS, 1, 3660 * 86400.0, _SPAN))]
PerSecond = Annotated[
    float, BeforeValidator(_reader(_PER, 1e-6, 1e6, "a rate up to 1000000/s, such as 20/s or 30/m"))
]
Share = Annotated[float, BeforeValidator(_reader(_PERCENT, 0, 1, "a share from 0% to 100%, such as 10%"))]
Factor = Annotated[
    float, BeforeValidator(_reader(_TIMES, 0.01, 1e4, "a multiplier from 0.01x to 10000x, such as 4x"))
]
TokenBound = Annotated[int, BeforeValidator(_whole(_reader(_THOUSANDS, 1, 1e7, _TOKENS), _TOKENS))]
Count = Annotated[int, BeforeValidator(_whole(_reader(_THOUSANDS, 0, 1e9, _COUNT), _COUNT))]
ByteSize = Annotated[int, BeforeValidator(_whole(_reader(_BYTES, 1e3, 2**30, _SIZE), _SIZE))]
Day = Annotated[str, BeforeValidator(read_day)]
Network = Annotated[str, BeforeValidator(read_network)]
