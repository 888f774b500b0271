"""What an operator wrote, loaded and compiled, and the two pure questions about a request."""

from __future__ import annotations

from hardening.policy.bounds import available, bound, counting, lowered
from hardening.policy.charges import (
    RESERVE_TOKENS,
    Charges,
    charges,
    claimed,
    extended,
    going_on,
    held,
    settled,
)
from hardening.policy.compiled import DoorTerms, FailureTerms, KeyPlace, Policy, Runtime
from hardening.policy.decide import decide, would
from hardening.policy.editions import Holder
from hardening.policy.load import load_policy
from hardening.policy.presets import find_preset, preset_names

__all__ = [
    "RESERVE_TOKENS",
    "Charges",
    "DoorTerms",
    "FailureTerms",
    "Holder",
    "KeyPlace",
    "Policy",
    "Runtime",
    "available",
    "bound",
    "charges",
    "claimed",
    "counting",
    "decide",
    "extended",
    "find_preset",
    "going_on",
    "held",
    "load_policy",
    "lowered",
    "preset_names",
    "settled",
    "would",
]
