"""What a response asks of the request that it belongs to, and what that asks of it."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import NamedTuple, Protocol

from starlette.types import Message

from hardening.asgi.headers import Headers
from hardening.facts import Outcome, Refusal


class Extension(NamedTuple):
    """Whether an answer may go on; where not, in how many seconds to ask again, None where it ends here."""

    granted: bool
    wait_s: float | None = None


GRANTED = Extension(granted=True)
ENDED = Extension(granted=False)


class Control(Protocol):
    """What a response asks of the request that it belongs to."""

    @property
    def told(self) -> Headers:
        """What a response says of itself: `x-hardening`, and what is left of the caller's limits."""
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

    async def extended(self) -> Extension:
        """Reserve what the exchange owes, or say how the answer goes on without."""
        ...

    async def over(self, outcome: Outcome) -> None:
        """Settle; only the first call counts."""
        ...


class Way(Protocol):
    """The way back of one request: takes the app's messages."""

    @property
    def answered(self) -> int | None:
        """The app's own status; None while it has said nothing that counts."""
        ...

    @property
    def status(self) -> int:
        """The status that left; 0 before that."""
        ...

    @property
    def body_s(self) -> float:
        """Seconds spent on the body."""
        ...

    def send(self, message: Message) -> Awaitable[None]:
        """Take one message of the app; what is awaited is what leaves for it."""
        ...

    async def app_returned(self) -> None:
        """The app has nothing more to say."""
        ...

    async def app_raised(self) -> None:
        """The app failed; its error goes on."""
        ...

    def close(self) -> None:
        """Let nothing more leave."""
        ...
