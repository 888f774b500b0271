"""An account of a store for people and for programs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from hardening.clock import SystemClock
from hardening.facts import NEW, Limit
from hardening.state import AccountState, Block, Flag, Kept
from hardening.state.buckets import debt, state_of
from hardening.state.standing import SLOTS, Calibration, Record, before

Limits = Mapping[str, Limit]
"""The limits of the policy that was given, by the keys that stores know them by."""


def as_json(found: AccountState, limits: Limits, calibration: Calibration | None = None) -> dict[str, object]:
    """The account as `--json` reports it; with a calibration, how much each signal counts."""
    return {
        "id": found.id,
        "requests": found.requests,
        "first_seen": _date(-found.age_s) if found.requests else None,
        "age_s": round(found.age_s, 3),
        "open_leases": _open_leases(found),
        "blocked": _block_json(found.block),
        "flagged": _flag_json(found.flag),
        "standing": _record_json(found, calibration),
        "limits": [_limit_json(kept, found, limits) for kept in found.limits],
    }


def _block_json(block: Block | None) -> dict[str, object] | None:
    if block is None:
        return None
    forever = block.left_s == math.inf
    return {"reason": block.reason, "until": None if forever else _date(block.left_s)}


def _flag_json(flag: Flag | None) -> dict[str, object] | None:
    if flag is None:
        return None
    until = None if flag.left_s == math.inf else _date(flag.left_s)
    return {"band": flag.band or None, "reason": flag.reason, "until": until}


def _record_json(found: AccountState, calibration: Calibration | None) -> dict[str, object] | None:
    """What its requests have said, in nats by signal; never what they were."""
    record = found.record
    if record is None:
        return None
    told: dict[str, object] = {
        "risk": round(record.risk, 4),
        "band": record.band or None,
        "due": record.due or None,
        "peak": record.peak_at(found.now) or None,
        "requests": round(record.weight, 2),
        "last": _date(record.at - found.now),
        "kept_until": _date(record.until - found.now),
        "signals": {name: round(nats, 3) for name, nats in _spoken(record)},
    }
    if calibration is not None:
        told |= {"weights": {name: calibration.weights.get(name, 0.0) for name, _ in _spoken(record)}}
        known = before(record, calibration)
        told |= {"before": None if known is None else round(known, 3)}
    return told


def _spoken(record: Record) -> list[tuple[str, float]]:
    """The signals that have said something, the weightiest first."""
    said = [(name, nats) for name, nats in zip(SLOTS, record.sums, strict=True) if nats]
    return sorted(said, key=lambda one: -abs(one[1]))


def standing_lines(found: AccountState, calibration: Calibration | None) -> list[str]:
    """What its requests have said, a line for the whole and one for each signal."""
    record = found.record
    if record is None:
        return []
    band = f"in band {record.band}" if record.band else "in no band"
    due = f", {record.due} is due" if record.due else ""
    peak = record.peak_at(found.now)
    lately = f", lately in {peak}" if peak not in ("", NEW, record.band) else ""
    lines = [
        f"risk {record.risk:.3f} {band}{due}{lately}: {record.weight:.1f} requests have spoken, the last {_date(record.at - found.now)}"
    ]
    known = None if calibration is None else before(record, calibration)
    if known is not None:
        lines.append(f"before its requests, by the prior and what the app knows: {known:+.2f} nats")
    for name, nats in _spoken(record):
        counts = "" if calibration is None else f", counts {calibration.weights.get(name, 0.0):g} times"
        lines.append(f"{name}: {nats:+.2f} nats{counts}")
    return lines


def _limit_json(kept: Kept, found: AccountState, limits: Limits) -> dict[str, Any]:
    """A limit in units where the policy is known, else by the time until it is whole."""
    limit = limits.get(kept.key)
    name, unit = _name_and_unit(kept.key)
    told: dict[str, Any] = {
        "limit": name,
        "unit": unit,
        "scope": kept.scope,
        "held": kept.held,
        "open_leases": kept.leases,
        "whole_in_s": round(max(0.0, kept.spent.until - found.now), 3),
    }
    if limit is not None:
        left = state_of(limit, kept.spent, kept.held, found.now)
        told |= {
            "spent": round(debt(limit, kept.spent, found.now), 3),
            "remaining": round(left.remaining, 3),
            "whole_in_s": round(left.reset_s, 3),
        }
    return told


def line(found: AccountState) -> str:
    """The account in one line."""
    seen = f"first seen {_date(-found.age_s)}" if found.requests else "has asked nothing"
    text = f"{found.id}  {found.requests} requests, {seen}, {_open_leases(found)} open"
    if found.flag is not None:
        where = f"in band {found.flag.band}" if found.flag.band else "kept out of bands"
        why = f": {found.flag.reason}" if found.flag.reason else ""
        text += f"  {where} {_until(found.flag.left_s)}{why}"
    if found.block is not None:
        text += f"  BLOCKED {_until(found.block.left_s)}: {found.block.reason}"
    return text


def _until(left_s: float) -> str:
    return "until it is lifted" if left_s == math.inf else f"until {_date(left_s)}"


def limit_line(kept: Kept, found: AccountState, limits: Limits) -> str:
    """One of its limits in a line, in units where the policy is known."""
    told = _limit_json(kept, found, limits)
    name, unit = _name_and_unit(kept.key)
    kind, _, rest = kept.scope.partition(":")
    part = rest.partition("\n")[2]
    where = f" ({kind} {_printable(part)})" if part else ""
    if "spent" not in told:
        return f"{name}{where}: whole in {told['whole_in_s']:.0f} s, {_number(kept.held)} {unit} held; --policy tells what is left"
    return (
        f"{name}{where}: {_number(told['spent'])} {unit} spent, {_number(kept.held)} held, "
        f"{_number(told['remaining'])} left, whole in {told['whole_in_s']:.0f} s"
    )


def _name_and_unit(key: str) -> tuple[str, str]:
    """What the key of a limit begins with; names may hold slashes."""
    name, unit, _ = key.removesuffix("/sliding").rsplit("/", 2)
    return name, unit


def _number(units: float) -> str:
    """Units for people: 49,992,000 or 0.25."""
    return f"{units:,.2f}".rstrip("0").rstrip(".")


def _printable(text: str) -> str:
    """A name that a caller has chosen, without what would speak to a terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _open_leases(found: AccountState) -> int:
    return max((kept.leases for kept in found.limits), default=0)


def _date(in_s: float) -> str:
    """The date so many seconds from now, by this machine's clock."""
    try:
        return datetime.fromtimestamp(SystemClock().wall() + in_s, UTC).isoformat(timespec="seconds")
    except (OverflowError, ValueError):
        return "the end of time"
