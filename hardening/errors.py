"""The error tree: each text says what was found, what is allowed and where."""

from __future__ import annotations

from dataclasses import dataclass

from hardening.facts import Refusal


class HardeningError(Exception):
    """The root of every error that this library raises on purpose."""


@dataclass(frozen=True, slots=True, order=True)
class PolicyFault:
    """One mistake in a policy, at a 1-based line and column of its file.

    In a policy that was written in code `file` is the path of the value, and there is no line (0).
    """

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        if not self.line:
            return f"{self.file}: {self.message}"
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


class PolicyError(HardeningError):
    """A policy cannot be used; holds every fault found, in file order."""

    def __init__(self, faults: tuple[PolicyFault, ...]) -> None:
        self.faults = tuple(sorted(faults))
        super().__init__("\n".join(str(fault) for fault in self.faults))

    @property
    def file(self) -> str:
        """The file of the first fault."""
        return self.faults[0].file

    @property
    def line(self) -> int:
        """The line of the first fault."""
        return self.faults[0].line

    @property
    def column(self) -> int:
        """The column of the first fault."""
        return self.faults[0].column


class WireError(HardeningError):
    """Bytes that cannot be read as their format; never quotes the bytes themselves."""

    def __init__(self, format: str, offset: int, message: str) -> None:
        self.format = format
        self.offset = offset
        super().__init__(f"{format}, byte {offset}: {message}")


class StateError(HardeningError):
    """The state store did not answer, or answered what it must not."""


class StoreAway(StateError):
    """The state store did not answer before and is not asked again yet."""


class AccountError(HardeningError):
    """The caller cannot be told, or the app named him in a way that is not allowed."""


class Refused(HardeningError):
    """The policy refuses a request that the app asked to admit; the middleware writes the answer.

    `refusal` has status, kind, message and when to come back.
    """

    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal
        super().__init__(f"refused with {refusal.status}: {refusal.message}")


class StartError(HardeningError):
    """The middleware cannot start: a key, a tokenizer or a kernel is missing or unusable."""
