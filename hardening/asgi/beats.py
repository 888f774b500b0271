"""The only timer of a response: sends what an exchange wants said while it holds text back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from starlette.types import Send


class Sleeper(Protocol):
    """What wants to be woken: at `wake_at` monotonic seconds, if at all."""

    @property
    def wake_at(self) -> float | None:
        """When to call `wake`; None for not at all."""
        ...

    def wake(self, now: float) -> bytes:
        """What leaves now, at a frame boundary."""
        ...


class Beats:
    """Wakes a sleeper in time and sends what it says, never while another send is under way."""

    timer: asyncio.TimerHandle | None = None
    """The beat that is planned."""
    busy = False
    """Whether a beat is planned or under way: then a piece is sent with care."""
    _task: asyncio.Task[None] | None = None
    _sending = _stopped = False

    def __init__(
        self,
        sleeper: Sleeper,
        *,
        clock: Callable[[], float],
        send: Send,
        on_fault: Callable[[Exception], object],
    ) -> None:
        self._sleeper = sleeper
        self._clock = clock
        self._send = send
        self._on_fault = on_fault
        self._loop = asyncio.get_running_loop()

    def arm(self) -> None:
        """Plan the next beat, where the sleeper wants one."""
        wake_at = self._sleeper.wake_at
        if wake_at is not None and self.timer is None and self._task is None and not self._stopped:
            self.busy = True
            self.timer = self._loop.call_later(max(0.0, wake_at - self._clock()), self._ring)

    def stop(self) -> None:
        """Plan nothing more; a beat that is under way ends by itself."""
        self._stopped = True
        self._forget()

    def _forget(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        self.busy = self._task is not None

    async def ended(self) -> None:
        """Return once no beat is under way."""
        if self._task is not None:
            await self._task

    async def __aenter__(self) -> None:
        """Between here and the exit no beat is sent."""
        self._sending = True
        await self.ended()

    async def __aexit__(self, *exception: object) -> None:
        self._sending = False
        if self._sleeper.wake_at is None:
            self._forget()
        else:
            self.arm()

    def _ring(self) -> None:
        self.timer = None
        wake_at, now = self._sleeper.wake_at, self._clock()
        if self._sending or wake_at is None:
            return  # the end of the send, or the next chunk, arms again
        if now < wake_at:
            self.arm()
            return
        try:
            beat = self._sleeper.wake(now)
        except Exception as fault:  # noqa: BLE001  whatever breaks here must not break the app's stream
            self._on_fault(
                fault
            )  # counted there; the app's next piece meets the same fault, and answers for it
            return
        if beat:
            self._task = self._loop.create_task(self._say(beat))
        else:
            self.arm()

    async def _say(self, beat: bytes) -> None:
        try:
            await self._send({"type": "http.response.body", "body": beat, "more_body": True})
        except OSError:
            self.stop()  # the client went away; the app hears it from its own next send
        finally:
            self._task = None
            self.arm()
