"""Exact arithmetic in single steps: what a step computes, how it is written, how it is checked."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Literal

Sign = Literal["+", "-", "*", "/", "div"]
"""`div` is the whole part of a quotient; `/` is exact."""

INVERSE: dict[Sign, Sign] = {"+": "-", "-": "+", "*": "/", "/": "*"}
WRITTEN: dict[Sign, str] = {"+": "+", "-": "-", "*": "\u00d7", "/": "\u00f7", "div": "\u00f7"}


@dataclass(frozen=True, slots=True)
class Step:
    """One operation on two known numbers; `finds` says in words what comes out of it."""

    finds: str
    left: Fraction
    sign: Sign
    right: Fraction
    unit: str = ""

    @property
    def value(self) -> Fraction:
        """The result, exact."""
        return compute(self.left, self.sign, self.right)

    @property
    def equation(self) -> str:
        """The step as it is written down: `14 - 5 = 9`."""
        rest = self.left - self.value * self.right if self.sign == "div" else 0
        remainder = f" remainder {number(Fraction(rest))}" if self.sign == "div" else ""
        return written(self.left, self.sign, self.right) + remainder

    @property
    def check(self) -> str:
        """The same step backwards, computed anew: `9 + 5 = 14`."""
        if self.sign == "div":
            return written(self.value, "*", self.right)
        if self.sign == "*" and self.right == 0:
            return written(self.right, "*", self.left)
        return written(self.value, INVERSE[self.sign], self.right)


def written(left: Fraction, sign: Sign, right: Fraction) -> str:
    """An operation and its result, as on paper."""
    return f"{number(left)} {WRITTEN[sign]} {number(right)} = {number(compute(left, sign, right))}"


def compute(left: Fraction, sign: Sign, right: Fraction) -> Fraction:
    """The exact result of one operation; ZeroDivisionError where there is none."""
    if sign == "+":
        return left + right
    if sign == "-":
        return left - right
    if sign == "*":
        return left * right
    quotient = left / right
    return quotient if sign == "/" else Fraction(quotient.numerator // quotient.denominator)


def number(value: Fraction) -> str:
    """A number as a reader writes it: `12`, `2.5`, and `7/3` where no short decimal is exact."""
    if value.denominator == 1:
        return str(value.numerator)
    for places in (1, 2, 3, 4):
        scaled = value * 10**places
        if scaled.denominator == 1:
            return format(Decimal(scaled.numerator).scaleb(-places), "f")
    return f"{value.numerator}/{value.denominator}"


def quantity(value: Fraction, unit: str) -> str:
    """A number with its unit: `$12`, `2.5 km`, `7 apples`, `1 apple`."""
    if unit == "$":
        return f"${number(value)}" if value.denominator == 1 else f"${float(value):.2f}"
    if unit == "%":
        return f"{number(value)}%"
    return f"{number(value)} {singular(unit) if value == 1 else unit}".rstrip()


def singular(noun: str) -> str:
    """The noun for one of them: `apples` gives `apple`; short units such as `km` stay."""
    if noun.endswith("ies") and len(noun) > 4:
        return noun[:-3] + "y"
    if noun.endswith(("shes", "ches", "xes", "sses")):
        return noun[:-2]
    return noun[:-1] if noun.endswith("s") and not noun.endswith("ss") and len(noun) > 3 else noun
