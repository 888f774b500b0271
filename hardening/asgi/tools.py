"""The parts of an exchange that need kernels or a tokenizer, made once for the process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import lru_cache

from hardening import kernels
from hardening.errors import StartError
from hardening.exchange import Tools
from hardening.policy import Policy
from hardening.transform.chain import Makers
from hardening.transform.coverage import Coverages
from hardening.transform.embeddings import VectorStepper
from hardening.transform.logprobs import LogprobCutter
from hardening.transform.seal import Sealer
from hardening.transform.summary import Summariser
from hardening.transform.tagger import shipped

_CUTTERS = 64  # terms are those of the policy's rules and bands
_CHARS_PER_TOKEN = 4  # of English prose


class Toolbox:
    """The tools of a process: usable at once, exact and fast once `warm` has run.

    Until then tokens of summaries are estimated and the plain twins of the kernels serve.
    """

    def __init__(self, sealer: Sealer | None = None, sketch_key: bytes | None = None) -> None:
        """`sealer` is None where there is no key for it; without `sketch_key` nobody counts what accounts see."""
        self._sealer = sealer
        self._coverages = None if sketch_key is None else Coverages(sketch_key)
        self.counted = threading.Event()
        """Set once it is known how tokens are counted from now on: summaries before and after may differ."""
        self._count: Callable[[str], int] = _estimate
        model = shipped()
        self._makers = Makers(
            cutter=lru_cache(maxsize=_CUTTERS)(LogprobCutter),
            stepper=VectorStepper,
            summariser=lambda budget: Summariser(budget, self.count_tokens, model),
        )

    def tools(self, policy: Policy) -> Tools:
        """The tools of a policy's exchanges."""
        failure = policy.on_failure
        return Tools(
            makers=self._makers,
            sealer=self._sealer,
            pass_unreadable=failure.unreadable == "pass",
            hide_unknown=failure.unknown_text == "hide",
            families=policy.families,
            coverages=self._coverages,
        )

    def count_tokens(self, text: str) -> int:
        """The tokens of a piece of a summary."""
        return self._count(text)

    def warm(self) -> float:
        """Load the tokenizer and compile the kernels; the seconds that the kernels took.

        Raises:
            StartError: the tokenizer's files are missing, or are not the published ones.
        """
        missing: StartError | None = None
        try:
            self._count = _counter()
        except StartError as fault:
            missing = fault
        self.counted.set()
        seconds = kernels.warm().seconds
        if missing is not None:
            raise missing
        return seconds


def _counter() -> Callable[[str], int]:
    # Imported here: a tokenizer takes as long to import as all the rest, and is first needed now.
    from hardening.scoring import tokens

    return tokens.load().count


def _estimate(text: str) -> int:
    return -(-len(text) // _CHARS_PER_TOKEN)
