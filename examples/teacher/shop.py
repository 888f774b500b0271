"""Readers of problems about money: bills, change, discounts, percentages."""

from __future__ import annotations

import re
from fractions import Fraction

from teacher.arithmetic import Step, number, quantity
from teacher.problems import NUMBER, Problem, value

PRICED = re.compile(rf"({NUMBER}) ([a-z]+)(?: that cost)?(?: at| for)? \$({NUMBER}) (?:each|apiece)")
TAG = re.compile(rf"(?:[Aa]|[Oo]ne|[Ee]ach) ([a-z]+) costs? \$({NUMBER})")
OFF = re.compile(rf"({NUMBER})(?:%| percent) (?:off|discount|cheaper|less)|discount of ({NUMBER})%")
MORE = re.compile(rf"({NUMBER})(?:%| percent) (?:more|dearer)")
PAID = re.compile(rf"(?:pays?|paid|hands?)[^$]*\$({NUMBER})")
HUNDRED = Fraction(100)


def shopping(text: str) -> Problem | None:
    """`Tom buys 4 pens at $3 each and 2 pads at $5 each. He pays with $50. How much change?`"""
    lines = basket(text)
    if not lines or "ow much" not in text:
        return None
    facts = [f"{quantity(n, thing)} at {quantity(price, '$')} apiece" for n, thing, price in lines]
    steps = [Step(f"the price of the {thing}", n, "*", price, "$") for n, thing, price in lines]
    total = steps[0].value
    for line in steps[1:]:
        steps.append(Step("the bill so far", total, "+", line.value, "$"))
        total = steps[-1].value
    off, paid = OFF.search(text), PAID.search(text)
    if off:
        rate = value(off[1] or off[2])
        facts.append(f"a discount of {number(rate)} percent")
        steps += changed(total, rate, "-")
        total = steps[-1].value
    goal, reply = "the sum to pay", f"The bill comes to {quantity(total, '$')}"
    if paid and "change" in text:
        facts.append(f"{quantity(value(paid[1]), '$')} handed over at the till")
        steps.append(Step("the change", value(paid[1]), "-", total, "$"))
        goal, reply = "the change that comes back", f"The change is {quantity(steps[-1].value, '$')}"
    return Problem("shopping", tuple(facts), goal, tuple(steps), reply)


def basket(text: str) -> list[tuple[Fraction, str, Fraction]]:
    """How many of what at which price, for everything that is bought."""
    lines = [(value(n), thing, value(price)) for n, thing, price in PRICED.findall(text)]
    for thing, price in TAG.findall(text):
        bought = re.search(rf"({NUMBER}) ({thing}\w*)", text)
        if bought:
            lines.append((value(bought[1]), bought[2], value(price)))
    return lines


def changed(price: Fraction, percent: Fraction, sign: str) -> list[Step]:
    """The steps from a price to the price after so many percent less (`-`) or more (`+`)."""
    one = Step("one percent of the price", price, "/", HUNDRED, "$")
    if sign == "-":
        off = Step("the money saved", one.value, "*", percent, "$")
        return [one, off, Step("the reduced price", price, "-", off.value, "$")]
    rise = Step("the extra money", one.value, "*", percent, "$")
    return [one, rise, Step("the raised price", price, "+", rise.value, "$")]


def percent(text: str) -> Problem | None:
    """`What is 15% of 80?` and `A coat costs $80. It is 25% off. What does it cost now?`"""
    part = re.search(rf"({NUMBER})(?:%| percent) of \$?({NUMBER})", text)
    if part:
        share, whole = value(part[1]), value(part[2])
        one = Step("one percent of the whole", whole, "/", HUNDRED)
        found = Step("the share asked for", one.value, "*", share)
        facts = (f"the whole is {number(whole)}", f"the share is {number(share)} percent")
        return Problem(
            "percent", facts, "the share in numbers", (one, found), f"The share is {number(found.value)}"
        )
    price, off, more = re.search(rf"costs? \$({NUMBER})", text), OFF.search(text), MORE.search(text)
    change = off or more
    if price is None or change is None:
        return None
    rate = value(change[1] or change[2])
    steps = changed(value(price[1]), rate, "-" if off else "+")
    facts = (f"a price of {quantity(value(price[1]), '$')}", f"a change of {number(rate)} percent")
    reply = f"It now costs {quantity(steps[-1].value, '$')}"
    return Problem("percent", facts, "the price after the change", tuple(steps), reply)
