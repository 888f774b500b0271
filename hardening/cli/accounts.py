"""`hardening accounts`: who a live store knows, what he has spent, to give it back, and to keep him out."""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from inspect import isawaitable
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console

from hardening.cli.accounts_shown import Limits, as_json, limit_line, line, standing_lines
from hardening.cli.validate import FINDINGS, UNREADABLE, unreadable
from hardening.clock import SystemClock
from hardening.errors import PolicyError, StartError, StateError
from hardening.facts import Limit
from hardening.policy import load_policy
from hardening.policy.nodes import looks_secret
from hardening.policy.quantities import Quantity
from hardening.state import Accounts, AccountState, open_accounts
from hardening.state.standing import Calibration

_SPAN = Quantity(
    {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}, 1.0, 3.2e9, "a span such as 30m, 12h or 7d"
)
_REASON_BYTES = 200
_ID_CHARS = 256
_MOST = 1000
_NO_BAND = "none"

accounts = typer.Typer(
    name="accounts",
    help="Show and change accounts in the store that the workers use; what is done acts on the next request.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def _checked(id: str) -> str:
    """An id that can be one; a key is never quoted."""
    if looks_secret(id):
        raise typer.BadParameter("found a value shaped like an API key; give the id of the receipts")
    if not 0 < len(id) <= _ID_CHARS or not id.isprintable():
        raise typer.BadParameter(f"an id has 1 to {_ID_CHARS} characters, all printable")
    return id


Id = Annotated[str, typer.Argument(metavar="ID", help="The account, as receipts name it.", callback=_checked)]
State = Annotated[
    str | None,
    typer.Option(
        metavar="URL", help="The store, instead of the policy's; a password belongs in HARDENING_STATE."
    ),
]
PolicyName = Annotated[
    str | None,
    typer.Option(
        "--policy",
        metavar="PATH_OR_PRESET",
        envvar="HARDENING_POLICY",
        help="The policy that names the store and the limits.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Until = Annotated[
    str, typer.Option(metavar="WHEN", help="A day or time (UTC), a span such as 7d, or `forever`.")
]
Org = Annotated[
    str | None, typer.Option(help="The organisation of an account that a Redis store has not seen yet.")
]


@dataclass(frozen=True, slots=True)
class Place:
    """The store that is asked; of the policy that was given the limits by their keys, and where each band begins."""

    accounts: Accounts
    limits: Limits
    bands: Mapping[str, float]
    has_policy: bool
    calibration: str | None = None


@accounts.command("list")
def list_accounts(
    state: State = None,
    policy: PolicyName = None,
    limit: Annotated[int, typer.Option(min=1, max=_MOST, help="How many at most.")] = 100,
    after: Annotated[str, typer.Option(metavar="ID", help="Begin after this account.")] = "",
    json: Json = False,
) -> None:
    """List the accounts that the store knows, in the order of their ids: exit 2 where it cannot be asked."""
    place = _place(state, policy)
    page = _asked(place, lambda store, now: store.page(after, limit + 1, now))
    shown, more = page[:limit], len(page) > limit
    if json:
        following = shown[-1].id if more else None
        _print_json({"accounts": [as_json(one, place.limits) for one in shown], "after": following})
        return
    console = _console()
    for one in shown:
        console.print(line(one), style="red" if one.block else None)
    if more:
        console.print(f"more: --after {shown[-1].id}")


@accounts.command()
def show(id: Id, state: State = None, policy: PolicyName = None, json: Json = False) -> None:
    """Show one account with its limits and its block: exit 1 where the store does not know it."""
    place = _place(state, policy)
    _tell(id, _asked(place, lambda store, now: store.find(id, now)), place, json)


@accounts.command()
def shared(state: State = None, policy: PolicyName = None, json: Json = False) -> None:
    """Show what is left of limits that all callers share (`by: all`)."""
    place = _place(state, policy)
    found = _asked(place, lambda store, now: store.shared(now))
    if json:
        _print_json({name: as_json(found, place.limits)[name] for name in ("open_leases", "limits")})
        return
    console = _console()
    for kept in found.limits:
        console.print(limit_line(kept, found, place.limits))
    if not found.limits:
        console.print("all of them are whole")


@accounts.command()
def reset(id: Id, state: State = None, policy: PolicyName = None, json: Json = False) -> None:
    """Make all limits of an account whole; what is reserved for running answers stays reserved."""
    place = _place(state, policy)
    _tell(id, _asked(place, lambda store, now: store.reset(id, now)), place, json)


@accounts.command()
def forget(id: Id, state: State = None, policy: PolicyName = None, json: Json = False) -> None:
    """Forget what an account has asked: its standing, its requests and what it has spent; a block and a flag stay."""
    place = _place(state, policy)
    _tell(id, _asked(place, lambda store, now: store.forget(id, now)), place, json)


@accounts.command()
def grant(
    id: Id,
    units: Annotated[float, typer.Argument(help="How many units; never more than were spent.")],
    limit: Annotated[
        list[str] | None, typer.Option(help="A limit of the policy; may be repeated; without it, all.")
    ] = None,
    state: State = None,
    policy: PolicyName = None,
    json: Json = False,
) -> None:
    """Give an account units of limits back that it has spent; needs the policy, which says what a unit is."""
    place = _place(state, policy)
    chosen = _chosen(place, limit or [])
    if not 0.0 < units < math.inf:
        raise typer.BadParameter("units: write a number above 0")
    _tell(id, _asked(place, lambda store, now: store.grant(id, chosen, units, now)), place, json)


@accounts.command()
def block(
    id: Id,
    reason: Annotated[str, typer.Option(help="Why; for operators only, callers never see it.")],
    until: Until,
    org: Org = None,
    state: State = None,
    policy: PolicyName = None,
    json: Json = False,
) -> None:
    """Refuse every request of an account from now on, with 403, in every worker that uses the store."""
    place, for_s = _place(state, policy), _seconds_until(until)
    _check_reason(reason)
    found = _asked(place, lambda store, now: store.block(id, reason, for_s, now, org))
    _tell(id, found, place, json)
    if not found.requests:
        typer.echo(
            f"{id} has asked nothing yet: is that the id of its receipts? "
            "On Redis an account of an organisation needs --org as long as it has asked nothing",
            err=True,
        )


@accounts.command()
def flag(
    id: Id,
    band: Annotated[
        str, typer.Option(metavar="NAME", help="A band of the policy, or `none`: then it is in no band.")
    ],
    reason: Annotated[str, typer.Option(help="Why; for operators only, callers never see it.")],
    until: Until,
    org: Org = None,
    state: State = None,
    policy: PolicyName = None,
    json: Json = False,
) -> None:
    """Put an account into a band of risk, or out of all, whatever its requests say; needs the policy, which has the bands."""
    place, for_s = _place(state, policy), _seconds_until(until)
    if not place.has_policy:
        raise typer.BadParameter("give --policy: it says which bands there are")
    _check_reason(reason)
    if band not in place.bands and band != _NO_BAND:
        raise typer.BadParameter(f"--band: allowed are {', '.join([*place.bands, _NO_BAND])}")
    name, risk = (band, place.bands[band]) if band in place.bands else ("", 0.0)
    found = _asked(place, lambda store, now: store.flag(id, name, risk, for_s, now, org, reason))
    _tell(id, found, place, json)


@accounts.command()
def unflag(id: Id, state: State = None, policy: PolicyName = None, json: Json = False) -> None:
    """Take an account out of its band: exit 1 where the store does not know it."""
    place = _place(state, policy)
    _tell(id, _asked(place, lambda store, now: store.unflag(id, now)), place, json)


@accounts.command()
def unblock(id: Id, state: State = None, policy: PolicyName = None, json: Json = False) -> None:
    """Let a blocked account ask again: exit 1 where the store does not know it."""
    place = _place(state, policy)
    _tell(id, _asked(place, lambda store, now: store.unblock(id, now)), place, json)


# -- what is asked


def _check_reason(reason: str) -> None:
    if not reason.strip() or not reason.isprintable() or len(reason.encode()) > _REASON_BYTES:
        raise typer.BadParameter(f"--reason: write 1 to {_REASON_BYTES} bytes on one line")


def _place(state: str | None, policy: str | None) -> Place:
    """The store and the limits that the options and the environment name."""
    limits: dict[str, Limit] = {}
    bands: dict[str, float] = {}
    calibration = None
    if policy is not None:
        if why := unreadable(policy):
            raise _unusable(why)
        try:
            read = load_policy(policy, os.environ)
        except PolicyError as fault:
            typer.echo(str(fault), err=True)
            raise typer.Exit(FINDINGS) from None
        limits = {limit.key: limit for limit in read.limits.values()}
        bands = {layer.band: layer.enter for layer in read.layers if layer.band is not None}
        state = state or read.runtime.state
        calibration = read.runtime.calibration
    state = state or os.environ.get("HARDENING_STATE")
    if not state:
        raise typer.BadParameter("name the store: --policy FILE, --state URL or HARDENING_STATE")
    try:
        return Place(open_accounts(state), limits, bands, policy is not None, calibration)
    except StateError as fault:
        raise _unusable(str(fault)) from None


def _asked(place: Place, act: Callable[[Accounts, float], Any]) -> Any:
    """What the store answers."""

    async def ask() -> Any:
        try:
            answer = act(place.accounts, SystemClock().wall())
            return await answer if isawaitable(answer) else answer
        finally:
            if isawaitable(closing := getattr(place.accounts, "close", lambda: None)()):
                await closing

    try:
        return asyncio.run(ask())
    except StateError as fault:
        raise _unusable(str(fault)) from None


def _chosen(place: Place, names: Sequence[str]) -> list[Limit]:
    """The limits of these names, or all that are an account's own."""
    own = {limit.name: limit for limit in place.limits.values() if limit.by not in ("all", "org")}
    if not place.has_policy:
        raise typer.BadParameter("give --policy: it says what a unit of a limit is")
    for name in names:
        if name not in own:
            raise typer.BadParameter(f"--limit: allowed are {', '.join(own) or 'none'}, which accounts have")
    return [own[name] for name in names] if names else list(own.values())


def _seconds_until(text: str) -> float:
    """Seconds from now to a day or time, in UTC without a zone, or after a span."""
    if text == "forever":
        return math.inf
    try:
        return _SPAN.read(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            "--until: write a day such as 2027-03-31, a time such as 2027-03-31T12:00, a span such as 7d, or `forever`"
        ) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    seconds = moment.timestamp() - SystemClock().wall()
    if seconds <= 0.0:
        raise typer.BadParameter("--until: found a time that is past")
    return seconds


def _unusable(why: str) -> typer.Exit:
    typer.echo(why, err=True)
    return typer.Exit(UNREADABLE)


# -- what is told


def _tell(id: str, found: AccountState | None, place: Place, json: bool) -> None:
    if found is None:
        typer.echo(f"{id}: the store does not know this account", err=True)
        raise typer.Exit(FINDINGS)
    calibration = _calibration(place) if found.record else None
    if json:
        _print_json(as_json(found, place.limits, calibration))
        return
    console = _console()
    console.print(line(found), style="red" if found.block else None)
    for text in standing_lines(found, calibration):
        console.print(f"  {text}")
    for kept in found.limits:
        console.print(f"  {limit_line(kept, found, place.limits)}")


def _calibration(place: Place) -> Calibration | None:
    """How much each signal counts; None where the numbers cannot be read, for then nothing is judged by them either."""
    from hardening.scoring import reference  # numpy takes longer to import than all the rest

    try:
        return reference.load(Path(place.calibration) if place.calibration else None).calibration()
    except StartError:
        return None


def _print_json(report: object) -> None:
    typer.echo(orjson.dumps(report, option=orjson.OPT_INDENT_2).decode())


def _console() -> Console:
    return Console(soft_wrap=True, highlight=False, markup=False)
