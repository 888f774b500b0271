"""What the demonstration says of itself, checked on the bytes that left."""

from __future__ import annotations

import re
from dataclasses import dataclass

from demo_parts.ask import WAYS, Reply
from demo_parts.session import Session
from hardening.testing import PIECE, Leak, find_leaks

EQUATION = re.compile(r"\d[\d.]* [-+\u00d7\u00f7] \d[\d.]* = \d[\d.]*")
TOP, STEP = 5, 0.25
"""As in demo_policy.yaml."""
SHORT = 0.6
"""The share of a trace under which a text counts as its summary."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One sentence, whether it holds, and the figures behind it."""

    text: str
    holds: bool
    figures: str


def check(session: Session) -> tuple[Claim, ...]:
    """Every claim of the demonstration."""
    return (
        untouched(session),
        no_trace(session),
        no_equation(session),
        same_answer(session),
        few_alternatives(session),
        refused(session),
    )


def untouched(session: Session) -> Claim:
    """The exempt account gets the app's own bytes."""
    same = sum(session.internal[way].chunks == session.bare[way].chunks for way in WAYS)
    size = sum(len(reply.body) for reply in session.internal.values())
    figures = f"{same} of {len(WAYS)} responses, {size:,} bytes, chunk for chunk"
    return Claim("The internal account gets every byte as the app sent it.", same == len(WAYS), figures)


def no_trace(session: Session) -> Claim:
    """Nothing of the trace leaves for the ordinary account but what the summary shows."""
    leaked, allowed, control = 0, 0, 0
    for way in WAYS:
        hidden, shown = split_leaks(session.ordinary[way], session.bare[way])
        leaked, allowed = leaked + len(hidden), allowed + len(shown)
        control += len(find_leaks(session.bare[way].body, session.bare[way].reasoning))
    text = f"No {PIECE}-character piece of the trace reaches the ordinary account outside the summary."
    figures = f"{leaked} pieces outside, {allowed} inside the summary, {control} without the middleware"
    return Claim(text, leaked == 0 < control and share(session) < SHORT, figures)


def split_leaks(reply: Reply, bare: Reply) -> tuple[list[Leak], list[Leak]]:
    """Pieces of the trace in a reply: those that must not be there, and those that the summary shows."""
    leaks = find_leaks(reply.body, bare.reasoning)
    shown = [leak for leak in leaks if leak.text in reply.reasoning]
    return [leak for leak in leaks if leak not in shown], shown


def share(session: Session) -> float:
    """How long the summaries are beside the traces, in characters."""
    short = sum(len(session.ordinary[way].reasoning) for way in WAYS)
    return short / sum(len(session.bare[way].reasoning) for way in WAYS)


def no_equation(session: Session) -> Claim:
    """No derivation of the trace leaves for the ordinary account, and the summary is short."""
    steps = {found for way in WAYS for found in EQUATION.findall(session.bare[way].reasoning)}
    seen = {step for step in steps for way in WAYS if step in session.ordinary[way].reasoning}
    figures = f"{len(seen)} of {len(steps)} equations; the summary is {share(session):.0%} of the trace"
    holds = bool(steps) and not seen and 0 < share(session) < SHORT
    return Claim(
        "The ordinary account sees a summary without a single equation of the trace.", holds, figures
    )


def same_answer(session: Session) -> Claim:
    """The visible answer is the model's own."""
    same = [session.ordinary[way].answer == session.bare[way].answer != "" for way in WAYS]
    figures = f"{sum(same)} of {len(same)} answers, all read by the official SDKs"
    return Claim("The ordinary account's answer is the model's, character for character.", all(same), figures)


def few_alternatives(session: Session) -> Claim:
    """Log-probabilities are cut and stepped, and none are left of reasoning tokens."""
    mine = [session.ordinary[way] for way in WAYS if way[0] == "openai"]
    bare = [session.bare[way] for way in WAYS if way[0] == "openai"]
    rows = [row for reply in mine for row in reply.rows]
    values = [value for row in rows for _, value in (("", row.logprob), *row.top)]
    stepped = all(abs(value / STEP - round(value / STEP)) < 1e-6 for value in values)
    visible = all("".join(row.token for row in reply.rows) == reply.answer for reply in mine)
    widest = max(reply.widest for reply in mine)
    figures = (
        f"{bare[0].widest} became {widest} a position, {sum(len(b.rows) for b in bare)} positions became "
        f"{len(rows)}, {'all' if stepped else 'not all'} values on the grid of {STEP}"
    )
    holds = bool(rows) and stepped and visible and widest <= TOP < bare[0].widest
    text = f"Log-probabilities: at most {TOP}, in steps, of answer tokens only."
    return Claim(text, holds, figures)


def refused(session: Session) -> Claim:
    """Beyond its limit an account is refused in the API's own shape, and the model does nothing."""
    replies = session.limited.values()
    right = [r.status == 429 and r.refusal.startswith("RateLimitError") and not r.answer for r in replies]
    figures = (
        f"{sum(right)} of {len(right)} refused (429, `RateLimitError` in both SDKs), "
        f"the model was called {session.model_calls_refused} times"
    )
    text = "Over its limit an account is refused before the model is asked."
    return Claim(text, all(right) and session.model_calls_refused == 0, figures)
