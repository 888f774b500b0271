"""Annotated types for what operators write: `60k`, `1m`, `20/s`, `10%`, `4x`, `32M`, `2027-03-31`.

Each type takes a plain YAML scalar and gives a number in base units (units, seconds, per second,
share, factor, bytes). A text that says something else raises ValueError, which names what is allowed.
The same type says in the JSON Schema what may be written, not what comes out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Annotated, Any

from pydantic import BeforeValidator, GetCoreSchemaHandler, GetJsonSchemaHandler, WithJsonSchema
from pydantic_core import CoreSchema, core_schema

_NUMBER = r"([0-9]{1,15}(?:\.[0-9]{1,9})?)"
_THOUSANDS = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}
_BYTES = {**_THOUSANDS, "KiB": 1024.0, "MiB": 1024.0**2, "GiB": 1024.0**3}
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PER = {f"/{unit}": 1 / seconds for unit, seconds in _SECONDS.items()}
_PERCENT = {"%": 0.01}
_TIMES = {"x": 1.0}


def as_written(form: str, *ways: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON Schema of a value that may be written in any of these ways; `form` says so to people."""
    return {"x-written": form, **(ways[0] if len(ways) == 1 else {"anyOf": [dict(way) for way in ways]})}


def written(form: str, *ways: Mapping[str, Any]) -> WithJsonSchema:
    """Marks a type with the JSON Schema of what may be written for it."""
    return WithJsonSchema(as_written(form, *ways))


@dataclass(frozen=True, slots=True, eq=False)  # typing hashes its marks, and a table of units has no hash
class Quantity:
    """Marks a number that is written as `number + unit`, between `low` and `high` in base units.

    `allowed` is the text of the error. Fractions are refused where `whole`.
    """

    units: Mapping[str, float]
    low: float
    high: float
    allowed: str
    whole: bool = False

    def read(self, value: object) -> float:
        """The number in base units; raises ValueError for what is not allowed."""
        text = str(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else ""
        found = re.fullmatch(f"{_NUMBER}({self._endings()})", text)
        if found is None:
            raise ValueError(self.allowed)
        number = float(found[1]) * self.units[found[2]]
        if not self.low <= number <= self.high or (self.whole and number != int(number)):
            raise ValueError(self.allowed)
        return int(number) if self.whole else number

    def _endings(self) -> str:
        return "|".join(re.escape(unit) for unit in sorted(self.units, key=len, reverse=True))

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.read, handler(source))

    def ways(self) -> tuple[dict[str, Any], ...]:
        """The JSON Schema of each way to write it."""
        ways: list[dict[str, Any]] = [{"type": "string", "pattern": f"^{_NUMBER}({self._endings()})$"}]
        if "" in self.units:
            kind = "integer" if self.whole else "number"
            ways.insert(0, {"type": kind, "minimum": int(self.low), "maximum": int(self.high)})
        return tuple(ways)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return as_written(self.allowed, *self.ways())


def read_day(value: object) -> str:
    """The day as `YYYY-MM-DD`, proven to be in the calendar."""
    text = value if isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value) else ""
    try:
        datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(_DAY) from None
    return text


def start_of(day: str) -> float:
    """Seconds since 1970 UTC at which the day `YYYY-MM-DD` begins in UTC."""
    return datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()


def read_network(value: object) -> str:
    """The network in its canonical spelling, such as `10.0.0.0/8`."""
    try:
        return str(ip_network(value if isinstance(value, str) else ""))
    except ValueError:
        raise ValueError(_NETWORK) from None


_AMOUNT = "a quantity from 1 to 1000000G, such as 500, 60k or 50M"
_SPAN = "a duration from 1s to 3660d, such as 30s, 1m, 2h or 30d"
_RATE = "a rate up to 1000000/s, such as 20/s or 30/m"
_SHARE = "a share from 0% to 100%, such as 10%"
_SCALE = "a share from 0.01% to 100%, such as 50%"
_FACTOR = "a multiplier from 0.01x to 10000x, such as 4x"
_ODDS = "odds from 0.25x to 4x, such as 2x"
_TOKENS = "a whole number of tokens from 1 to 10M, such as 160 or 4k"
_COUNT = "a whole number from 0 to 1000M, such as 50 or 10k"
_DAY = "a day such as 2027-03-31"
_NETWORK = "a network such as 10.0.0.0/8 (no host bits set) or an address"

SIZE = Quantity(_BYTES, 1e3, 2**30, "a size from 1k to 1G, such as 32M or 64MiB", whole=True)
"""A number of bytes."""

ODDS = Quantity(_TIMES, 0.25, 4, _ODDS)
"""How much likelier something makes it that an account copies."""

Amount = Annotated[float, Quantity(_THOUSANDS, 1, 1e15, _AMOUNT)]
Seconds = Annotated[float, Quantity(_SECONDS, 1, 3660 * 86400.0, _SPAN)]
PerSecond = Annotated[float, Quantity(_PER, 1e-6, 1e6, _RATE)]
Share = Annotated[float, Quantity(_PERCENT, 0, 1, _SHARE)]
Scale = Annotated[float, Quantity(_PERCENT, 0.0001, 1, _SCALE)]
Factor = Annotated[float, Quantity(_TIMES, 0.01, 1e4, _FACTOR)]
Odds = Annotated[float, ODDS]
TokenBound = Annotated[int, Quantity(_THOUSANDS, 1, 1e7, _TOKENS, whole=True)]
Count = Annotated[int, Quantity(_THOUSANDS, 0, 1e9, _COUNT, whole=True)]
Day = Annotated[
    str,
    BeforeValidator(read_day),
    written(_DAY, {"type": "string", "pattern": "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"}),
]
Network = Annotated[
    str,
    BeforeValidator(read_network),
    written(_NETWORK, {"type": "string", "pattern": "^[0-9a-fA-F:.]+(/[0-9]{1,3})?$"}),
]
