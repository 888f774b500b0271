"""A word problem as the teacher understands it: facts, goal, steps, reply; and who reads it from text."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from teacher.arithmetic import Step

NUMBER = r"\d+(?:,\d{3})*(?:\.\d+)?"
HUGE = re.compile(r"\d{13}")
LONGEST = 1_000
"""Characters of a question that the readers' patterns are tried on; beyond it is no short problem."""
WORDS = (
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
)


@dataclass(frozen=True, slots=True)
class Problem:
    """What is given, what is asked, the steps that lead there and the sentence that answers.

    The last step's value is the answer; `reply` holds it already written out.
    """

    kind: str
    facts: tuple[str, ...]
    goal: str
    steps: tuple[Step, ...]
    reply: str

    @property
    def answer(self) -> Fraction:
        """The number that the question asks for."""
        return self.steps[-1].value


Reader = Callable[[str], Problem | None]


def value(text: str) -> Fraction:
    """The number that a piece of text such as `1,250` or `2.5` stands for."""
    return Fraction(text.replace(",", ""))


def tidy(question: str) -> str:
    """The question in one line, with number words as digits and prices as `$5`."""
    text = " ".join(question.replace("€", "$").split())
    text = re.sub(r"\ba dozen\b", "12", text, flags=re.IGNORECASE)
    for digit, word in enumerate(WORDS):
        if word != "one":
            text = re.sub(rf"\b{word}\b", str(digit), text, flags=re.IGNORECASE)
    text = re.sub(r"\bone (?=of\b|more\b)", "1 ", text)
    return re.sub(rf"({NUMBER}) (?:dollars?|euros?|pounds?)\b", r"$\1", text)


def read_problem(question: str, readers: tuple[Reader, ...]) -> Problem | None:
    """The problem that the first reader who understands the whole question sees in it, or None.

    A reading that leaves a number of the question unused is no understanding.
    """
    if len(question) > LONGEST or HUGE.search(question):
        return None
    text = tidy(question)
    said = {value(digits) for digits in re.findall(NUMBER, text)}
    for reader in readers:
        try:
            problem = reader(text)
        except ZeroDivisionError:
            return None
        if problem is not None and said <= {n for step in problem.steps for n in (step.left, step.right)}:
            return problem
    return None
