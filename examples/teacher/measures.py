"""Readers of problems about measures: speed, rates, rectangles, bare sums."""

from __future__ import annotations

import ast
import re
from fractions import Fraction

from teacher.arithmetic import Sign, Step, number, quantity
from teacher.problems import NUMBER, Problem, value

DISTANCE = re.compile(rf"({NUMBER}) (km|kilometers|kilometres|miles|meters|metres|m)\b(?!/| per)")
DURATION = re.compile(rf"({NUMBER}) (hour|minute|second)s?\b")
SPEED = re.compile(
    rf"({NUMBER}) (?:(km|kilometers|kilometres|miles|meters|metres|m)(?:/| per )"
    r"(hour|h|minute|second|s)\b|(mph))"
)
SHORT = {"h": "hour", "s": "second"}
WORK = r"(?:makes?|prints?|produces?|reads?|earns?|types?|fills?|plants?|packs?|bakes?)"
RATE = re.compile(
    rf"{WORK} (?P<n>{NUMBER}) (?P<thing>[a-z]+) "
    r"(?:per|an|a|each|every|in 1) (?P<per>hour|minute|day|week|second)"
)
SIGNS: dict[type[ast.operator], Sign] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}


def motion(text: str) -> Problem | None:
    """`A train travels 180 km in 2 hours. How far does it go in 5 hours?`"""
    ways = [(value(n), far) for n, far in DISTANCE.findall(text)]
    times = [(value(n), time) for n, time in DURATION.findall(text)]
    said = SPEED.search(text)
    if len({far for _, far in ways}) > 1 or len({time for _, time in times}) > 1:
        return None
    steps: list[Step] = []
    if said:
        far, time = said[2] or "miles", SHORT.get(said[3] or "h", said[3])
        facts, pace = [f"a speed of {said[1]} {far} per {time}"], value(said[1])
    elif ways and times:
        (way, far), (span, time) = ways.pop(0), times.pop(0)
        facts = [f"a way of {number(way)} {far}", f"a time of {quantity(span, time + 's')}"]
        steps.append(Step("the speed", way, "/", span, f"{far} per {time}"))
        pace = steps[0].value
    else:
        return None
    return journey(steps, facts, pace, f"{far} per {time}", ways, times)


def journey(
    steps: list[Step],
    facts: list[str],
    pace: Fraction,
    unit: str,
    ways: list[tuple[Fraction, str]],
    times: list[tuple[Fraction, str]],
) -> Problem | None:
    """The problem of a known speed: a distance to a time, a time to a distance, or the speed itself."""
    far, _, time = unit.partition(" per ")
    if times:
        span = times[0][0]
        facts.append(f"a journey of {quantity(span, time + 's')}")
        steps.append(Step("the distance", pace, "*", span, far))
        goal, reply = "the distance covered", f"It covers {number(steps[-1].value)} {far}"
    elif ways:
        facts.append(f"{number(ways[0][0])} {far} still to go")
        steps.append(Step("the travelling time", ways[0][0], "/", pace, f"{time}s"))
        goal, reply = "the time it takes", f"It takes {quantity(steps[-1].value, time + 's')}"
    elif steps:
        goal, reply = "the average speed", f"The speed is {number(pace)} {unit}"
    else:
        return None
    return Problem("motion", tuple(facts), goal, tuple(steps), reply)


def rate(text: str) -> Problem | None:
    """`A press prints 40 pages a minute. How many pages in 12 minutes?`"""
    found = RATE.search(text)
    if found is None:
        return None
    thing, per, n = found["thing"], found["per"], value(found["n"])
    rest = text[found.end() :]
    span = re.search(rf"({NUMBER}) {per}s?", rest)
    whole = re.search(rf"({NUMBER}) (?:{thing}|pages)", rest)
    facts = [f"{quantity(n, thing)} in one {per}"]
    if span:
        step = Step(f"all {thing} together", n, "*", value(span[1]), thing)
        facts.append(f"{quantity(value(span[1]), per + 's')} of work")
        reply = f"That gives {quantity(step.value, thing)}"
        return Problem("rate", tuple(facts), f"how many {thing} come out", (step,), reply)
    if whole is None:
        return None
    step = Step(f"the {per}s needed", value(whole[1]), "/", n, f"{per}s")
    facts.append(f"{quantity(value(whole[1]), thing)} to be done")
    return Problem(
        "rate", tuple(facts), "how long it lasts", (step,), f"It lasts {quantity(step.value, per + 's')}"
    )


def rectangle(text: str) -> Problem | None:
    """`A garden is 8 m long and 5 m wide. What is its area?`"""
    sides = re.search(rf"({NUMBER}) (m|cm|km|meters|feet|ft|inches) (?:long|by|x)\D*?({NUMBER}) ", text)
    if sides is None:
        return None
    a, b, unit = value(sides[1]), value(sides[3]), sides[2]
    facts = (f"one side of {sides[1]} {unit}", f"the other side of {sides[3]} {unit}")
    if re.search("perimeter|fence|around", text):
        half = Step("two neighbouring sides", a, "+", b, unit)
        whole = Step("the whole way round", half.value, "*", Fraction(2), unit)
        reply = f"The perimeter is {number(whole.value)} {unit}"
        return Problem("rectangle", facts, "the length of the border", (half, whole), reply)
    area = Step("the area", a, "*", b, f"square {unit}")
    return Problem(
        "rectangle", facts, "the surface", (area,), f"The area is {number(area.value)} square {unit}"
    )


def bare_sum(text: str) -> Problem | None:
    """`What is 12 * (3 + 4) / 2?`"""
    plain = text.translate({0xD7: "*", 0xF7: "/", 0x2212: "-"})
    found = re.search(r"[(\d][\d\s().+*/-]{2,80}", plain)
    if found is None:
        return None
    try:
        tree = ast.parse(found[0].strip().rstrip("."), mode="eval")
    except (SyntaxError, ValueError):
        return None
    steps: list[Step] = []
    result = evaluate(tree.body, steps)
    if result is None or not steps:
        return None
    facts = (f"the expression has {quantity(Fraction(len(steps)), 'operations')}",)
    return Problem(
        "sum", facts, "the value of the expression", tuple(steps), f"The result is {number(result)}"
    )


def evaluate(node: ast.expr, steps: list[Step]) -> Fraction | None:
    """The value of an expression, each operation appended to `steps`; None where it is no plain sum."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return Fraction(str(node.value))
    if isinstance(node, ast.BinOp) and type(node.op) in SIGNS:
        left, right = evaluate(node.left, steps), evaluate(node.right, steps)
        if left is not None and right is not None:
            steps.append(Step(f"part {len(steps) + 1} of the expression", left, SIGNS[type(node.op)], right))
            return steps[-1].value
    return None
