"""What leaves of a trace, as one call: the summary that a caller gets."""

from __future__ import annotations

from hardening.facts import ReasoningTerms
from hardening.scoring.tokens import estimate
from hardening.transform.question import Question
from hardening.transform.summary import Summariser, budget
from hardening.transform.tagger import Model, shipped

_TERMS = ReasoningTerms("summary")


def summarise(
    trace: str, question: str, *, terms: ReasoningTerms = _TERMS, model: Model | None = None
) -> str:
    """The summary of a trace under these terms; `question` is the request that it answers."""
    asked = Question()
    asked.take(question.encode("utf-8", "replace"))
    made = Summariser(budget(terms), estimate, model or shipped())
    made.feed(trace)
    return made.finish(asked.values())
