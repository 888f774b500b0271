"""How many models of one account have an allowance each: names are made up by callers, and stores are finite."""

from __future__ import annotations

MOST_MODELS = 32
"""Models of an account that are counted apart at a time; `lua/layout.lua` says it again. Others share one scope."""

_BEGIN = "model:"


def spare_of(scope_key: str) -> str | None:
    """The scope that models beyond those share; None for a scope that is of no model, or is that one."""
    if not scope_key.startswith(_BEGIN):
        return None
    account, line, name = scope_key.partition("\n")
    return account + line if name else None
