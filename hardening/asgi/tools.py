"""The parts of an exchange that need kernels or a tokenizer, made once for the process."""

from __future__ import annotations

from functools import lru_cache

from hardening import kernels
from hardening.exchange import Tools
from hardening.policy import Policy
from hardening.transform.chain import Makers
from hardening.transform.logprobs import LogprobCutter
from hardening.transform.summary import Summariser

_CUTTERS = 64  # terms are those of the policy's rules and bands
_CHARS_PER_TOKEN = 4  # of English prose


class Toolbox:
    """The tools of a process: usable at once, exact and fast once `warm` has run.

    Until then tokens of summaries are estimated and the plain twins of the kernels serve.
    """

    def __init__(self, policy: Policy) -> None:
        self._count = _estimate
        self.tools = Tools(
            makers=Makers(
                cutter=lru_cache(maxsize=64)(LogprobCutter),
                summariser=lambda budget: Summariser(budget, self.count_tokens),
            ),
            pass_unreadable=policy.on_failure.unreadable == "pass",
        )

    def count_tokens(self, text: str) -> int:
        """The tokens of a piece of a summary."""
        return self._count(text)

    def warm(self) -> float:
        """Compile the kernels and load the tokenizer; the seconds that the kernels took.

        Raises:
            StartError: the tokenizer's files are missing, or are not the published ones.
        """
        seconds = kernels.warm().seconds
        # Imported here: a tokenizer takes as long to import as all the rest, and is first needed now.
        from hardening.scoring import tokens

        self._count = tokens.load().count
        return seconds


def _estimate(text: str) -> int:
    return -(-len(text) // _CHARS_PER_TOKEN)
