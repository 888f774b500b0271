"""The demonstration on the terminal: before and after side by side, claims, cost."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from demo_parts.ask import QUESTION, WAYS, Reply
from demo_parts.claims import Claim
from demo_parts.cost import ROUNDS, Cost
from demo_parts.page import TITLES, telling
from demo_parts.session import Session

ALTERNATIVES_SHOWN = 8


def show(console: Console, session: Session, claims: tuple[Claim, ...], costs: tuple[Cost, ...]) -> None:
    """Everything, in the order in which a reader wants it."""
    console.rule("[bold]One answer, three accounts")
    console.print(f"[dim]question[/]  {escape(QUESTION)}\n")
    console.print(side_by_side(session, "openai"))
    console.print(side_by_side(session, "anthropic"))
    console.print(calls(session))
    console.print(checked(claims))
    console.print(price(costs))


def side_by_side(session: Session, api: str) -> Table:
    """One API's streamed answers of the three accounts."""
    way = next(way for way in WAYS if way == (api, True))
    replies = (session.internal[way], session.ordinary[way], session.limited[way])
    table = Table(title=TITLES[way], expand=True, show_lines=True, title_justify="left")
    table.add_column("", style="dim", width=9)
    for reply, note, ratio in zip(replies, ("before", "after", "refused"), (4, 4, 3), strict=True):
        table.add_column(f"{reply.caller.title} ({note})", ratio=ratio, overflow="fold")
    table.add_row("treated", *(escape(reply.headers.get("x-hardening", "-")) for reply in replies))
    table.add_row("reasoning", *(escape(reply.reasoning.strip() or "-") for reply in replies))
    table.add_row("answer", *(escape(reply.answer or reply.refusal) for reply in replies))
    if api == "openai":
        table.add_row("logprobs", *(alternatives(reply) for reply in replies))
    return table


def alternatives(reply: Reply) -> str:
    """The likeliest tokens at one number of the answer."""
    row = telling(reply)
    if row is None:
        return "-"
    lines = [f"{len(row.top)} at {row.token!r}:"]
    lines += [f"{token!r:>10} {logprob:8.3f}" for token, logprob in row.top[:ALTERNATIVES_SHOWN]]
    if len(row.top) > ALTERNATIVES_SHOWN:
        lines.append(f"{'...':>10} {len(row.top) - ALTERNATIVES_SHOWN} more")
    return escape("\n".join(lines))


def calls(session: Session) -> Table:
    """All twelve calls in figures."""
    table = Table(title="All twelve calls", title_justify="left")
    for name in ("API", "account"):
        table.add_column(name)
    for name in ("status", "reasoning chars", "alternatives", "positions", "bytes"):
        table.add_column(name, justify="right")
    for way in WAYS:
        for place, replies in enumerate((session.internal, session.ordinary, session.limited)):
            reply = replies[way]
            numbers = (reply.status, len(reply.reasoning), reply.widest, len(reply.rows), len(reply.body))
            figures = [f"{number:,}" for number in numbers]
            table.add_row(
                TITLES[way] if place == 0 else "", reply.caller.title, *figures, end_section=place == 2
            )
    return table


def checked(claims: tuple[Claim, ...]) -> Table:
    """The claims with their figures."""
    table = Table(title="What was checked", title_justify="left", show_header=False)
    for claim in claims:
        verdict = "[green]holds[/]" if claim.holds else "[red bold]FAILS[/]"
        table.add_row(verdict, f"{escape(claim.text)}\n[dim]{escape(claim.figures)}[/]")
    return table


def price(costs: tuple[Cost, ...]) -> Table:
    """What the middleware adds to a chunk, in microseconds."""
    table = Table(title=f"Added per chunk, us (medians of {ROUNDS} rounds, in process)", title_justify="left")
    table.add_column("stream")
    for name in (
        "bytes",
        "ordinary",
        "internal",
        "one JSON parse + write",
        "the app itself",
        "added to the app",
    ):
        table.add_column(name, justify="right")
    for cost in costs:
        figures = [f"{us:.1f}" for us in (cost.ordinary, cost.internal, cost.parse, cost.app)]
        table.add_row(cost.name, f"{cost.chunk_bytes:,.0f}", *figures, f"{cost.ordinary / cost.app:.1%}")
    return table
