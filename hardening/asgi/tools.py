"""The parts of an exchange that need kernels or a tokenizer, made once for the process."""

from __future__ import annotations

from hardening.exchange import Tools
from hardening.policy import Policy
from hardening.transform.chain import Makers
from hardening.transform.logprobs import LogprobCutter
from hardening.transform.summary import Summariser


def make_tools(policy: Policy) -> Tools:
    """What the exchanges of a process under this policy share."""
    return Tools(
        makers=Makers(cutter=LogprobCutter, summariser=Summariser),
        pass_unreadable=policy.on_failure.unreadable == "pass",
    )
