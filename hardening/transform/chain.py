"""The transforms of one response, made once from its Decision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hardening.events import Event, Text
from hardening.facts import Decision, EmbeddingTerms, Usage
from hardening.kernels import Noise
from hardening.transform.embeddings import BoundedVectors, Stepping
from hardening.transform.inline import InlineTraces
from hardening.transform.noise import RowNoise
from hardening.transform.overlap import Overlap
from hardening.transform.reasoning import HeldReasoning, Keeping, Summarising
from hardening.transform.restored import Restored
from hardening.transform.rows import BoundedRows, Cutting
from hardening.transform.scores import SteppedScores
from hardening.transform.step import Step
from hardening.transform.summary import budget
from hardening.transform.usage import CoarseUsage


@dataclass(frozen=True, slots=True)
class Makers:
    """How the parts are made that need kernels or a tokenizer."""

    cutter: Callable[[int | None, float], Cutting]
    summariser: Callable[[int], Summarising]
    stepper: Callable[[float, Noise | None], Stepping]


class Chain:
    """Events through the steps of a response, in their order; each step only where it acts.

    Tags come before traces, and traces before rows: each needs to know what the one before it took out.
    Counts come first, for what hides a trace takes out what tells that an answer goes on.
    """

    __slots__ = (
        "_scores",
        "_steps",
        "_terms",
        "hidden",
        "inline",
        "overlap",
        "restored",
        "rows",
        "usage",
        "vectors",
    )

    def __init__(
        self,
        decision: Decision,
        makers: Makers,
        question_values: Callable[[], frozenset[str]],
        *,
        embeds: bool = False,
        scores: bool = False,
        in_bytes: bool = False,
        choices: int = 1,
        noise: RowNoise | None = None,
        vector_noise: Noise | None = None,
        asks_rows: bool = True,
        sealing: Callable[[], Keeping] | None = None,
        restored: Restored | None = None,
        prompt_tokens: int | None = None,
        overlap: Overlap | None = None,
    ) -> None:
        """`embeds` says that the response holds embeddings, `in_bytes` that they were asked for as base64 of bytes, `scores` that it holds scores.

        `choices` is how many answers were asked for. `sealing` begins the seal of a trace that comes in pieces.
        `restored` are the traces in the request: whatever the decision shows, no copy of them leaves but as an answer;
        `overlap` knows their words, where an answer that repeats them matters; `prompt_tokens` is what is told of their prompt where counts are coarse.
        Where the decision asks for noise on rows, none leaves without `noise`, nor one that it wants changed by a secret without `vector_noise`. `asks_rows` says that rows were asked for.
        """
        reasoning, logprobs = decision.reasoning, decision.logprobs
        self._terms = reasoning
        self.restored = restored
        self.hidden: HeldReasoning | None = None
        self.inline: InlineTraces | None = None
        self.rows: BoundedRows | None = None
        self.vectors: BoundedVectors | None = None
        self.usage: CoarseUsage | None = None
        if (
            decision.acts and decision.usage != "keep" and not (embeds or scores)
        ):  # who embeds writes nothing that counts
            told = None if restored is None else prompt_tokens
            self.usage = CoarseUsage(decision.usage, choices=choices, prompt=told)
        self.overlap: Overlap | None = None
        if decision.acts and reasoning.show != "full":
            self.overlap = None if reasoning.overlap == "ignore" else overlap or Overlap()
            self.hidden = HeldReasoning(
                reasoning.show,
                summariser=lambda: makers.summariser(budget(reasoning)),
                question_values=question_values,
                sealing=sealing,
                overlap=self.overlap,
            )
            if reasoning.inline != "never":
                self.inline = InlineTraces(reasoning.inline)
        bounded = decision.acts and logprobs.bounded
        if bounded or self.hidden is not None:
            closed = bounded and (logprobs.top == 0 or (logprobs.noise > 0.0 and noise is None))
            cutter = None if closed else makers.cutter(logprobs.top, logprobs.grid)
            asked = asks_rows or logprobs.top is None
            self.rows = BoundedRows(cutter, aligned=self.hidden is not None, noise=noise, asked=asked)
        if decision.acts and embeds:
            terms = decision.embeddings
            closed = terms.moves and vector_noise is None
            stepper = None if closed else makers.stepper(terms.grid, vector_noise)
            self.vectors = BoundedVectors(stepper, packed=terms == EmbeddingTerms(), in_bytes=in_bytes)
        elif decision.acts and self.rows is None and decision.embeddings != EmbeddingTerms():
            self.vectors = BoundedVectors(
                None, packed=False
            )  # some doors answer a chat with what a model computed
        step = decision.scores.step if decision.acts and scores else 0.0
        self._scores = SteppedScores(step) if step else None
        self._lay()

    def _lay(self) -> None:
        """Put the steps that act in their order."""
        steps: tuple[Step | None, ...] = (
            self.usage,
            self.inline,
            self.hidden,
            self.overlap,
            self.rows,
            self.vectors,
            self._scores,
        )
        self._steps = tuple(step for step in steps if step is not None)

    def read_inline(self, *, whole: bool) -> None:
        """Look for tags from here on; with `whole` each event holds all of its text, and traces come whole."""
        if whole and self.hidden is not None:
            self.hidden.sealing = None
        if self.hidden is not None and self._terms.inline != "never":
            self.inline = InlineTraces(self._terms.inline, whole=whole)
            self._lay()

    def start_frame(self) -> None:
        """A new frame begins."""
        for step in self._steps:
            step.start_frame()

    def close_counts(self) -> None:
        """What is counted from here on is all of the answer."""
        if self.usage is not None:
            self.usage.close()

    @property
    def counts_listen(self) -> bool:
        """Whether what still follows decides which counts may leave."""
        return self.usage is not None and self.usage.listens

    def told(self, usage: Usage) -> Usage:
        """What may leave of the counts of an answer that ends here."""
        return usage if self.usage is None else self.usage.told(usage)

    def lanes(self, kinds: list[type[Event]]) -> bool:
        """Whether every step lets frames that hold events of `kinds` be compared in place of read."""
        return all(step.lanes.issuperset(kinds) for step in self._steps)

    def feed(self, event: Event) -> list[Event]:
        """What becomes of an event: itself, others, or nothing."""
        return self._through(event, 0)

    def flush(self) -> list[Event]:
        """What is left at the end; never a trace."""
        return [
            out
            for place, step in enumerate(self._steps, 1)
            for left in step.flush()
            for out in self._through(left, place)
        ]

    def _through(self, event: Event, first: int) -> list[Event]:
        events = [event]
        for step in self._steps[first:] if first else self._steps:
            events = [out for one in events for out in step.feed(one)]
        return events

    @property
    def ear(self) -> Overlap | None:
        """What hears the text that leaves without passing through here; None where there is no trace to repeat."""
        return self.overlap if self.overlap is not None and self.overlap.listens else None

    @property
    def settled(self) -> bool:
        """Whether text without a tag in it passes through unchanged."""
        return self.inline is None or self.inline.idle

    @property
    def holding(self) -> bool:
        """Whether a trace is open, so that the stream is silent."""
        return self.hidden is not None and self.hidden.holding

    def tags(self, index: int) -> tuple[str, str] | None:
        """The tags between which a trace of `index` is open in the visible text, with nothing held back."""
        return None if self.inline is None else self.inline.open_tags(index)

    def stays_inside(self, index: int, text: str) -> bool:
        """Whether the visible `text` is of a trace between tags that is open, and closes it neither now nor later."""
        return self.inline is not None and self.inline.stays_inside(index, text)

    def passes(self, index: int, text: str) -> bool:
        """Whether the visible `text` leaves at once and as it is, where no trace is open."""
        return self.inline is None or self.inline.passes(index, text)

    def may_hide(self, index: int, text: str) -> bool:
        """Whether the visible `text` is of a trace between tags, or may begin one."""
        return self.inline is not None and self.inline.may_hide(index, text)

    def follows(self, index: int, last: str) -> None:
        """What comes next stands after the character `last`, which left without passing through here."""
        if self.inline is not None:
            self.inline.follows(index, last)

    def spoken(self, index: int, text: str) -> str | None:
        """The text that leaves for `text` where no trace is open; None, and nothing done, where a tag acts."""
        if self.inline is None:
            return text
        if not self.inline.spares(index, text):
            return None
        return "".join(out.text for out in self.feed(Text(index, text)) if isinstance(out, Text))

    def repeats(self, text: str) -> bool:
        """Whether `text` holds a piece of a hidden trace, or of one that was restored into the request."""
        hidden = self.hidden is not None and self.hidden.repeats(text)
        return hidden or (self.restored is not None and self.restored.repeats(text))
