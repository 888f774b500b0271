"""Readers of problems that tell a story: things that come and go, things that are shared."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from teacher.arithmetic import Step, quantity
from teacher.problems import NUMBER, Problem, value

START = re.compile(
    rf"(?P<who>[A-Z]\w+|there|(?:the|a) \w+) (?:has|had|have|are|were|starts with|picks|picked|bakes|baked|"
    rf"collects|collected|owns) (?P<n>{NUMBER}) (?P<thing>[a-z]+)"
)
GAIN = "buys|bought|gets|got|finds|found|receives|received|wins|won|earns|adds|bakes|picks|collects"
LOSS = "eats|ate|gives|gave|sells|sold|loses|lost|uses|used|drops|breaks|donates|lends|throws"
HANDLED = re.compile(
    rf"\b(?:(?P<gain>{GAIN})|(?P<loss>{LOSS}))(?: away| up| out)?(?: \w+)?? (?:another )?"
    rf"(?:half|(?P<n>{NUMBER}))(?: (?!more|of|to)(?P<pack>[a-z]+) (?:of|with) (?P<each>{NUMBER}))?"
)
MOVED = re.compile(
    rf"\b(?:[Hh]alf of them|(?P<n>{NUMBER})(?: of them| more| other)?(?: [a-z]+)??) "
    r"(?:(?P<gain>arrive|join|come|land)|(?P<loss>leave|fly|go|run|drive|melt|break|fall))\b"
)
DEALT = r"(?:shares?|divides?|splits?|packs?|puts?|deals?)"
INTO = rf"(?:among|between|into|in|to) (?P<m>{NUMBER}) (?P<whom>[a-z]+)"
SHARE = re.compile(rf"{DEALT}\D*? (?P<n>{NUMBER}) (?P<thing>[a-z]+)(?: \w+)*? {INTO}")
SHARE_THEM = re.compile(rf"(?P<n>{NUMBER}) (?P<thing>[a-z]+)\b\D*?{DEALT} (?:them|these|it)\b\D*?{INTO}")


@dataclass(frozen=True, slots=True)
class Move:
    """Something that changes a stock: `amount` None means half of it; `each` is the size of a pack."""

    verb: str
    comes: bool
    amount: Fraction | None
    pack: str = ""
    each: Fraction | None = None


def comings_and_goings(text: str) -> Problem | None:
    """`Mara has 14 apples. She eats 5 and buys 2 bags of 6. How many are left?`"""
    start = START.search(text) or START.search(text[:1].lower() + text[1:])
    if start is None or "$" in text or "ow many" not in text:
        return None
    who, thing, now = start["who"], start["thing"], value(start["n"])
    facts, steps = [f"at the start there are {quantity(now, thing)}"], list[Step]()
    for move in moves(text.split("How many")[0], start.end()):
        fact, found = follow(move, thing, now)
        facts.append(fact)
        steps += found
        now = steps[-1].value
        if now < 0:
            return None
    if not steps:
        return None
    owner = "There remain" if who.lower() == "there" else f"{who[0].upper()}{who[1:]} ends up with"
    goal = f"the number of {thing} at the end of the story"
    return Problem("counting", tuple(facts), goal, tuple(steps), f"{owner} {quantity(now, thing)}")


def moves(story: str, begin: int) -> list[Move]:
    """Everything that comes or goes in the story, in its order."""
    found = [*HANDLED.finditer(story, begin), *MOVED.finditer(story, begin)]
    rows: list[Move] = []
    for match in sorted(found, key=re.Match[str].start):
        said = match.groupdict()
        amount = value(said["n"]) if said["n"] else None
        each = value(said["each"]) if said.get("each") else None
        rows.append(
            Move(said["gain"] or said["loss"], bool(said["gain"]), amount, said.get("pack") or "", each)
        )
    return rows


def follow(move: Move, thing: str, now: Fraction) -> tuple[str, list[Step]]:
    """What a move says, and the steps from the stock before it to the stock after it."""
    steps: list[Step] = []
    amount = move.amount
    if amount is None:
        steps.append(Step(f"half of the {thing}", now, "/", Fraction(2), thing))
        fact = f"the word '{move.verb}' is about half of them"
    elif move.each is not None:
        steps.append(Step(f"the {thing} in all {move.pack}", amount, "*", move.each, thing))
        packs = f"{quantity(amount, move.pack)}, each with {quantity(move.each, thing)}"
        fact = f"the word '{move.verb}' {'brings' if move.comes else 'takes'} {packs}"
    else:
        way = "come in" if move.comes else "go out"
        fact = f"the word '{move.verb}' means that {quantity(amount, thing)} {way}"
    change = steps[-1].value if amount is None or steps else amount
    steps.append(Step(f"the {thing} after '{move.verb}'", now, "+" if move.comes else "-", change, thing))
    return fact, steps


def sharing(text: str) -> Problem | None:
    """`Ben shares 23 sweets equally among 4 friends. How many are left over?`"""
    share = SHARE.search(text) or SHARE_THEM.search(text)
    if share is None or "ow many" not in text or "$" in text:
        return None
    n, m, thing, whom = value(share["n"]), value(share["m"]), share["thing"], share["whom"]
    part = Step(f"whole {thing} in one share", n, "div", m, thing)
    facts = (f"{quantity(n, thing)} to hand out", f"{quantity(m, whom)}, all treated alike")
    if re.search(r"left|remain|over", text.split("ow many")[1]):
        given = Step(f"the {thing} that can be handed out", part.value, "*", m, thing)
        rest = Step(f"the {thing} nobody gets", n, "-", given.value, thing)
        reply = f"The remainder is {quantity(rest.value, thing)}"
        return Problem("sharing", facts, "what cannot be shared out", (part, given, rest), reply)
    reply = f"Every share holds {quantity(part.value, thing)}"
    return Problem("sharing", facts, f"the {thing} in each share", (part,), reply)
