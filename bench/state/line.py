"""One figure of a store, beside its budget."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """One figure, with its budget where it has one."""

    what: str
    value: float
    unit: str
    budget: float | None = None

    @property
    def holds(self) -> bool:
        """Whether the budget is kept."""
        return self.budget is None or self.value <= self.budget
