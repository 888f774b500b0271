"""Loading of policies from text, for the tests of this room."""

from __future__ import annotations

from collections.abc import Mapping

from hardening.errors import PolicyError, PolicyFault
from hardening.policy import Policy
from hardening.policy.load import Source, load_text


def loaded(text: str | bytes, environment: Mapping[str, str] | None = None, **parents: str) -> Policy:
    """The policy of a text; `parents` are the texts that `extends` may name."""
    data = text.encode() if isinstance(text, str) else text

    def parent(name: str, source: Source) -> Source:
        return Source(f"{name}.yaml", name, parents[name].encode())

    return load_text(Source("p.yaml", "p", data), environment=environment or {}, parents=parent)


def faults(
    text: str | bytes, environment: Mapping[str, str] | None = None, **parents: str
) -> tuple[PolicyFault, ...]:
    """The faults of a text that must have some."""
    try:
        loaded(text, environment, **parents)
    except PolicyError as error:
        return error.faults
    raise AssertionError("loaded without a fault")
