"""What a response asks of the request that it belongs to."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

from starlette.types import Message

from hardening.asgi.headers import Treatment
from hardening.facts import Outcome, Refusal


class Control(Protocol):
    """What a response asks of the request that it belongs to."""

    @property
    def treatment(self) -> Treatment:
        """What `x-hardening` says; empty where nothing is disclosed."""
        ...

    @property
    def hides_lengths(self) -> bool:
        """Whether headers that count tokens must go."""
        ...

    def now(self) -> float:
        """Monotonic seconds."""
        ...

    def passes(self, fault: Exception) -> bool:
        """Whether the policy lets what follows `fault` leave unhardened; counts and reports the fault."""
        ...

    def refusal(self, refusal: Refusal) -> list[Message]:
        """The messages of a refusal in the shape of the door's API."""
        ...

    def last_words(self, refusal: Refusal) -> bytes:
        """The end of a stream that has begun, with the format's own error."""
        ...

    def extend(self) -> bool | Awaitable[bool]:
        """Reserve what the exchange owes; False where the response must be cut."""
        ...

    async def over(self, outcome: Outcome) -> None:
        """Settle; only the first call counts."""
        ...
