"""Numbers and steps of arithmetic in digits, in words and in LaTeX."""

from __future__ import annotations

import re
from typing import Literal

Form = Literal["digits", "words", "latex"]
FORMS: tuple[Form, ...] = ("digits", "words", "latex")

_SMALL = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["_", "_", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SIZES = ((1_000_000, "million"), (1_000, "thousand"), (100, "hundred"))
_SIGNS = {"+": " plus ", "-": " minus ", "*": " times ", "/": " divided by ", "=": " is "}
_LATEX = {"*": r" \times ", "/": r" \div ", "x": r" \times "}

NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?|\.\d+")


def in_words(number: float) -> str:
    """A number below a thousand million as English words; decimals digit by digit."""
    whole, _, decimals = f"{number:.10g}".partition(".")
    said = _whole(int(whole))
    return f"{said} point {' '.join(_SMALL[int(digit)] for digit in decimals)}" if decimals else said


def _whole(number: int) -> str:
    if number < 20:
        return _SMALL[number]
    if number < 100:
        return _TENS[number // 10] + (f"-{_SMALL[number % 10]}" if number % 10 else "")
    for size, name in _SIZES:
        if number >= size:
            rest = f" {_whole(number % size)}" if number % size else ""
            return f"{_whole(number // size)} {name}{rest}"
    raise AssertionError


def value(text: str) -> float | None:
    """The number that digits spell; None where there is none, or one that words do not tell."""
    try:
        found = float(text.replace(",", ""))
    except ValueError:
        return None
    return found if found < 1_000_000_000 and found == round(found, 6) else None


def as_form(text: str, form: Form) -> str:
    """A line of arithmetic written in one of the forms."""
    if form == "words":
        spelled = re.sub(r"(?<=[\d)\s])\s*([-+*/=])\s*(?=[\d($\s])", lambda match: _SIGNS[match[1]], text)
        return NUMBER.sub(_spelled, spelled.replace("$", ""))
    if form == "latex":
        return re.sub(r"\$?\(?\d[\d.,()$+*/=x -]*\d\)?", _set, text)
    return text


def _spelled(match: re.Match[str]) -> str:
    number = value(match[0])
    return match[0] if number is None else in_words(number)


def _set(match: re.Match[str]) -> str:
    inside = re.sub(r"[*/x]", lambda sign: _LATEX[sign[0]], match[0].replace("$", ""))
    return rf"\( {inside} \)"
