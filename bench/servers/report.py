"""The run as a table for people, and as claims."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

from bench.servers.check import HIDDEN_TOP, Attacks, Door, leaked
from bench.servers.clients import Call
from hardening.redteam.claims import Claim, Measured, goals, judge

REPORT = "servers"


@dataclass(slots=True)
class Results:
    """What was measured so far."""

    doors: list[Door] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    attacks: list[Attacks] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def claims_of(results: Results, *, partial: bool) -> list[Claim]:
    """The claims that `docs/claims.json` names for this report; a `partial` run leaves out those it has nothing for."""
    claims = judge(goals(REPORT), _measured(results), seed=1)
    return [claim for claim in claims if claim.n or not partial]


def _measured(results: Results) -> dict[str, Measured]:
    """By claim: the figure, the same without us, and over how many it was taken."""
    doors, attacks = results.doors, results.attacks
    bare = sum(door.bare.hidden for door in doors)
    rows = sum(door.hidden.rows + door.summary.rows for door in doors)
    return {
        "servers_trace_chars": Measured(leaked(doors), len(doors), bare),
        "servers_rows_beyond": Measured(rows, len(doors), sum(door.bare.rows for door in doors)),
        "servers_answers_changed": Measured(sum(door.changed for door in doors), len(doors)),
        "servers_client_faults": Measured(
            sum(bool(call.fault) for call in results.calls), len(results.calls)
        ),
        "servers_client_trace_chars": Measured(
            sum(call.hidden_chars for call in results.calls),
            len(results.calls),
            sum(call.bare_chars for call in results.calls),
        ),
        "servers_attacks_leak": Measured(
            sum(len(each.leaked) for each in attacks),
            sum(each.tried for each in attacks),
            sum(each.bare for each in attacks),
        ),
        "servers_tokens_a_prefix": Measured(
            max((each.tokens for each in attacks), default=0),
            sum(each.tried for each in attacks),
            max((each.tokens_bare for each in attacks), default=0),
        ),
    }


def print_results(console: Console, results: Results, *, most: int = 20) -> None:
    """One row per door, one per attacked door, then the notes."""
    console.print(_doors(results.doors))
    if results.attacks:
        console.print()
        console.print(_attacks(results.attacks))
    for each in results.attacks:
        for name in each.leaked[:most]:
            console.print(f"leaks  {each.server}  {name}", markup=False, highlight=False, soft_wrap=True)
        if len(each.leaked) > most:
            console.print(f"and {len(each.leaked) - most} more at {each.door} of {each.server}")
    for call in results.calls:
        if call.fault or call.hidden_chars:
            console.print(
                f"client  {call.server}  {call.name}  {call.fault}  {call.hidden_chars} characters of the trace",
                markup=False,
                highlight=False,
            )
    silent = [f"{door.server} {door.ask.name}" for door in results.doors if door.statuses[0] == 0]
    if silent:
        console.print(
            f"no whole answer of the bare server: {', '.join(silent)}", markup=False, highlight=False
        )
    for note in results.notes:
        console.print(note, markup=False, highlight=False)


def _table(*left: str, right: Sequence[str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in left:
        table.add_column(title, overflow="fold")
    for title in right:
        table.add_column(title, justify="right")
    return table


def _doors(doors: Sequence[Door]) -> Table:
    counted = [
        "trace chars\nbare",
        "hidden",
        "sum-\nmary",
        "rows beyond\nbare",
        "hidden",
        "sum-\nmary",
        "answer",
    ]
    table = _table("server", "door", "status", right=counted)
    for door in doors:
        told = (door.bare, door.hidden, door.summary)
        figures = [*(each.hidden for each in told), *(each.rows for each in told)]
        statuses = " ".join(map(str, door.statuses))
        verdict = "CHANGED" if door.changed else ""
        table.add_row(
            door.server,
            door.ask.name,
            statuses,
            *(f"{each or '':,}" if each else "" for each in figures),
            verdict,
        )
    return table


def _attacks(attacks: Sequence[Attacks]) -> Table:
    counted = [
        "tried",
        "tell of the\ntrace bare",
        "hardened",
        "by a\ngrammar",
        "tokens a prefix\nbare",
        f"hardened\n(of {HIDDEN_TOP})",
    ]
    table = _table("server", "attacked door", right=counted)
    for each in attacks:
        figures = (each.tried, each.bare, len(each.leaked), len(each.known), each.tokens_bare, each.tokens)
        table.add_row(each.server, each.door, *(f"{figure:,}" for figure in figures))
    return table
