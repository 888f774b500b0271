"""The way back of one request: the app's messages in, hardened messages out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress

from starlette.types import Message, Send

from hardening.asgi import headers as head
from hardening.asgi.beats import Beats
from hardening.asgi.control import Control
from hardening.asgi.encoding import Unpacker
from hardening.asgi.inbound import Inbound
from hardening.asgi.resting import Resting
from hardening.asgi.studying import study
from hardening.errors import WireError
from hardening.exchange import Exchange
from hardening.facts import Outcome, Refusal
from hardening.lanes import ElementLane, Lane, NoLane

# What one response may unpack to: the longest answers known are a few megabytes.
UNPACKED_BYTES = 256 * 1024 * 1024

# Of eight pieces of a stream, more of short ones and fewer of long ones, one is timed for all of them; then it is also
# asked whether the answer stops.
_SPAN, _LEAST_BYTES, _MOST_BYTES = 8, 4096, 16384

# A paced stream is taken in slices of this many bytes, one or two frames each.
_SLICE_BYTES = 512

_START, _BODY = "http.response.start", "http.response.body"
# Messages that let a body leave without its bytes being seen here.
_AROUND = frozenset({"http.response.pathsend", "http.response.zerocopysend"})


_REPEATED = Refusal(403, "forbidden", "the answer repeats reasoning that is withheld here")


def _unreadable_for(fault: WireError) -> str:
    """What a client is told of an answer that cannot be read: of vectors how to ask for some that can."""
    if fault.format != "embeddings":
        return "the model server's answer cannot be read"
    return "the model server packed its embeddings in a way that nobody asked for; name float, base64 or base64_int8 as their encoding"


async def _nothing() -> None:
    """A send that has nothing to send."""


class Response:
    """The app's `send` while its answer is hardened.

    The head waits until its headers are certain: for a body that is changed as a whole, until its
    end. `answered` is the app's own status, `status` the one that left.
    """

    # Of the class until the app has said more: most of it changes for few answers.
    answered: int | None = None
    status = 0
    body_s = 0.0
    _start: Message | None = None
    _unpacker: Unpacker | None = None
    _kept = _opened = _passing = _stopped = False
    _raw_bytes = 0
    _room = _span = 0  # bytes until a piece is timed, and of how many
    # The hot path: the head is out, what comes is a stream that is not packed, and this is what the next
    # piece is compared with. It is `_calm` while no beat is wanted, planned or under way.
    _lane: Lane | ElementLane | NoLane | None = None
    _calm = True

    def __init__(self, *, exchange: Exchange, control: Control, inbound: Inbound, send: Send) -> None:
        self._exchange = exchange
        self._control = control
        self._clock = control.now
        self._inbound = inbound
        self._send = send
        self._tally = exchange.tally
        self._granted = exchange.granted_bytes
        self._raw: list[bytes] = []
        self._beats = Beats(exchange, clock=control.now, send=send, on_fault=control.passes)
        self._resting = Resting(exchange, control, self._beats, inbound)
        self._studying = asyncio.ensure_future(study(exchange, control.now)) if exchange.restores else None

    def send(self, message: Message) -> Awaitable[None]:
        """Take one message of the app; what is awaited is what leaves for it."""
        lane = self._lane
        try:
            data = message["body"] if lane is not None and message["more_body"] else None
        except KeyError:  # ASGI lets both be left out
            data = None
        if type(data) is not bytes or lane is None:
            return self._take(message)
        self._room = room = self._room - len(data)
        if room < 0:
            return self._timed(message, data)
        try:
            out = lane.take(data)
        except Exception as fault:  # noqa: BLE001  our fault, not the app's: the policy says what follows
            return self._fault(fault, message, self._exchange.surrender(data))
        if out is data and self._calm and self._tally.bytes <= self._granted:
            return self._send(message)
        return self._read(message, data) if out is None else self._left(message, data, out)

    def _timed(self, message: Message, data: bytes) -> Awaitable[None]:
        """As `send`, for the piece that is timed, and behind which it is asked whether the answer stops."""
        exchange = self._exchange
        began = self._clock()
        try:
            out = exchange.receive(data, began)
        except Exception as fault:  # noqa: BLE001  as in send
            return self._fault(fault, message, exchange.surrender(data))
        self._flow()
        passed, size = self._span - self._room, len(data)
        self.body_s += (self._clock() - began) * passed / (size or 1)
        self._room = self._span = max(_LEAST_BYTES, min(_SPAN * size, _MOST_BYTES))
        return self._carefully(out) if exchange.stops else self._left(message, data, out)

    def _read(self, message: Message, data: bytes) -> Awaitable[None]:
        """As `send`, for a piece that is not of the lane."""
        exchange = self._exchange
        try:
            out = exchange.read(data, self._clock())
        except Exception as fault:  # noqa: BLE001  as in send
            return self._fault(fault, message, exchange.surrender(data))
        self._flow()
        return self._left(message, data, out)

    def _flow(self) -> None:
        """Look anew what the next piece is compared with, and what it may need beside being sent."""
        exchange = self._exchange
        self._lane = exchange.lane
        self._granted = exchange.granted_bytes
        self._calm = exchange.wake_at is None and not self._beats.busy

    def _left(self, message: Message, data: bytes, out: bytes) -> Awaitable[None]:
        """Send what left of a piece; nothing to send disturbs no beat."""
        if self._tally.bytes > self._granted:
            return self._carefully(out)
        if not out:
            if self._beats.timer is None:
                self._beats.arm()
            return _nothing()
        if not self._calm:
            return self._carefully(out)
        return self._send(message if out is data else {"type": _BODY, "body": out, "more_body": True})

    async def app_returned(self) -> None:
        """End what the app left open; where it said nothing at all, its server will."""
        if not self._stopped and self._start is not None and not self._inbound.gone:
            await self._end_badly(Refusal(502, "internal", "the model server ended its answer too early"))

    async def app_raised(self) -> None:
        """End an open stream in its own format; before the head, what stands outside answers."""
        if self._opened and not self._stopped and not self._inbound.gone:
            with suppress(OSError):  # the app's own error is on its way already
                await self._end_badly(Refusal(502, "internal", "the model server failed"))

    def close(self) -> None:
        """Let nothing more leave, and no timer ring."""
        self._stopped = self._resting.over = True
        self._lane = None
        if self._studying is not None:
            self._studying.cancel()
        self._beats.stop()

    async def _take(self, message: Message) -> None:
        """Any message that is not the next piece of a running stream."""
        kind = message["type"]
        if self._stopped:
            return
        if self._passing:
            await self._pass(message)
        elif kind == _START:
            await self._begin(message)
        elif kind == _BODY:
            await (self._paced(message) if self._exchange.paced else self._piece(message))
        elif kind in _AROUND:
            await self._fault(WireError("asgi", 0, f"found {kind}, which nobody offered"), message)
        # Early hints, trailers, debug: not offered by our scope, and nobody has read what they carry.

    async def _begin(self, message: Message) -> None:
        self.answered = self.status = message["status"]
        self._start = message
        headers = list(message.get("headers", ()))
        coding = head.joined(headers, b"content-encoding")
        try:
            if coding is not None and coding.strip().lower() != b"identity":
                self._unpacker = Unpacker(coding, UNPACKED_BYTES)
            if self._studying is not None:
                await self._studying
            start = self._exchange.start(self.status, headers)
        except Exception as fault:  # noqa: BLE001  as in send
            await self._fault(fault, message)
            return
        self._start = {**message, "headers": start.headers}
        self._kept = start.hold
        if not self._kept:
            await self._open(self._changed(start.headers, None))
            self._begin_to_flow()

    def _begin_to_flow(self) -> None:
        """Take what still comes by the hot path, where the head is out and nothing needs more."""
        if self._unpacker is None and not self._exchange.paced and not self._stopped:
            self._flow()

    async def _open(self, headers: head.Headers) -> None:
        self._opened = True
        async with self._beats:
            await self._say({"type": _START, "status": self.status, "headers": headers})

    async def _open_changed(self) -> None:
        """Open a held head for a body whose length nobody knows yet."""
        assert self._start is not None
        await self._open(self._changed(list(self._start.get("headers", ())), None))

    async def _paced(self, message: Message) -> None:
        """Take a piece in slices, and keep the app waiting after each as long as the pace wants."""
        data, more = bytes(message.get("body", b"")), message.get("more_body", False)
        step = max(len(data), 1) if self._kept else _SLICE_BYTES
        for at in range(0, max(len(data), 1), step):
            if self._stopped:
                return
            part = {**message, "body": data[at : at + step], "more_body": more or at + step < len(data)}
            if self._passing:
                await self._pass(part)
            else:
                await self._piece(part)
                await self._resting.rest(self._exchange.rest_s(self._clock()), silent=not self._opened)

    async def _piece(self, message: Message) -> None:
        """A piece of a whole body, a packed piece, or the last piece of anything."""
        now = self._clock()
        data = bytes(message.get("body", b""))
        last = not message.get("more_body", False)
        out, untold = b"", None
        try:
            if self._kept:
                self._keep(data)
            untold = data = self._unpacked(data, last=last)
            out = self._exchange.receive(data, now)
            untold = b""
            if last:
                out += self._exchange.end(now)
        except Exception as fault:  # noqa: BLE001  as in send
            taken = None if untold is None else out + self._exchange.surrender(untold)
            await self._fault(fault, message, taken)
            return
        self.body_s += self._clock() - now
        if self._kept and last and self._exchange.stops:
            await self._end_badly(_REPEATED)
        elif self._kept and last:
            await self._whole(out)
        elif last:
            await self._finish(out)
        else:
            await self._early(out)

    def _keep(self, data: bytes) -> None:
        """Hold a piece of a body whose head is held, so that it can leave as it came."""
        self._raw.append(data)
        self._raw_bytes += len(data)
        if self._raw_bytes > UNPACKED_BYTES:
            raise WireError(
                "http", UNPACKED_BYTES, f"a body of more than {UNPACKED_BYTES} bytes before any may leave"
            )

    def _unpacked(self, data: bytes, *, last: bool) -> bytes:
        if self._unpacker is None:
            return data
        plain = self._unpacker.feed(data)
        if last:
            self._unpacker.end()
        return plain

    async def _early(self, out: bytes) -> None:
        """Send a piece; the first bytes that may leave before the end take a held head with them."""
        if self._kept and out:
            self._kept = False
            self._raw.clear()
            await self._open_changed()
            self._begin_to_flow()
        await self._carefully(out)

    async def _whole(self, body: bytes) -> None:
        """Send a body that was held to its end; one that no rule touched leaves with its own headers."""
        assert self._start is not None
        await self._resting.rest(self._exchange.whole_rest_s(self._clock()), silent=True)
        headers = list(self._start.get("headers", ()))
        if self._unpacker is None and body == b"".join(self._raw):
            control = self._control
            headers = head.telling(headers, control.told, hide_lengths=control.hides_lengths)
        else:
            headers = self._changed(headers, len(body))
        await self._open(headers)
        await self._finish(body)

    def _changed(self, headers: head.Headers, length: int | None) -> head.Headers:
        control = self._control
        return head.for_client(headers, length=length, told=control.told, hide_lengths=control.hides_lengths)

    async def _carefully(self, out: bytes) -> None:
        """Send a piece while beats may be due or tokens are owed."""
        wait_s: float | None = None
        self._calm = False
        async with self._beats:
            if self._exchange.stops:
                await self._finish(self._exchange.cut(self._clock()), "cut")
                return
            if self._exchange.owed:
                granted, wait_s = await self._control.extended()
                if not granted and wait_s is None:
                    await self._finish(out + self._exchange.cut(self._clock()), "cut")
                    return
            if out:
                await self._say({"type": _BODY, "body": out, "more_body": True})
        if wait_s is not None and not await self._resting.until_granted(wait_s):
            async with self._beats:
                await self._finish(self._exchange.cut(self._clock()), "cut")
        if self._lane is not None:
            self._flow()

    async def _finish(self, out: bytes, outcome: Outcome = "complete") -> None:
        """Send the last bytes and settle; what the app still sends goes nowhere."""
        if not self._opened:
            await self._open_changed()  # cut before anything could leave
        self.close()
        await self._beats.ended()
        await self._say({"type": _BODY, "body": out, "more_body": False})
        await self._control.over(outcome)
        self._inbound.stop()  # last: an app that hears of it may cancel the task that runs here

    async def _say(self, message: Message) -> None:
        if self._inbound.gone and message["type"] == _BODY:
            message = {**message, "body": b""}  # who has left is not waited for, so nothing more is for him
        try:
            await self._send(message)
        except OSError:
            self._inbound.gone = True
            raise

    async def _fault(self, fault: Exception, message: Message, taken: bytes | None = None) -> None:
        """What the policy wants where we cannot read or where we failed.

        `taken` is what the exchange holds of the body and has not let out; None where nobody can tell.
        """
        if self._stopped:
            return
        unreadable = isinstance(fault, WireError)
        passes = self._control.passes(fault)
        if passes and self._opened and message["type"] == _BODY:
            # Behind a head that is out only plain bytes may follow, and each of them once.
            passes, message = taken is not None, {**message, "body": taken}
        if passes:
            self._passing = True
            self._lane = None
            self._beats.stop()
            await self._pass(message, plain=True)
        else:
            words = _unreadable_for(fault) if isinstance(fault, WireError) else "the answer cannot be given"
            status = max(self.answered or 0, 502) if unreadable else 500  # clients wait by a 503
            await self._end_badly(Refusal(status, "internal", words))

    async def _pass(self, message: Message, *, plain: bool = False) -> None:
        """Send what the app said as it said it; a held head and what lay behind it first.

        Where a head is out that does not tell of a packed body, each piece that is not `plain` is unpacked.
        """
        await self._beats.ended()
        kind, last = message["type"], not message.get("more_body", False)
        if self._start is not None and not self._opened and kind == _BODY:
            self._opened = True
            self._unpacker = None  # the whole of it leaves as it is packed, and so does its head
            await self._send(self._start)
            message = {**message, "body": b"".join(self._raw)}
        elif kind == _START:
            self._opened = True
            self._unpacker = None
        elif kind == _BODY and not plain:
            try:
                message = {**message, "body": self._unpacked(bytes(message.get("body", b"")), last=last)}
            except WireError:
                await self._end_badly(Refusal(502, "internal", "the model server's answer cannot be read"))
                return
        await self._send(message)
        if kind == _BODY and last:
            self.close()
            await self._control.over("complete")

    async def _end_badly(self, refusal: Refusal) -> None:
        """End an open stream in its own format; where nothing has left yet, answer in its place."""
        self.close()
        await self._beats.ended()
        if self._opened:
            await self._say({"type": _BODY, "body": self._last_words(refusal), "more_body": False})
        else:
            self.status = refusal.status
            for message in self._control.refusal(refusal):
                await self._say(message)
        await self._control.over("error")
        self._inbound.stop()

    def _last_words(self, refusal: Refusal) -> bytes:
        try:
            return self._control.last_words(refusal)
        except Exception as fault:  # noqa: BLE001  as in send; here nothing is left but to end the body
            self._control.passes(fault)
            return b""
