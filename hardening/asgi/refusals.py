"""A no, written: the messages of a refusal in the shape of the API that was asked."""

from __future__ import annotations

import math
from collections.abc import Sequence

import orjson
from starlette.types import Message, Send

from hardening.asgi.headers import Headers
from hardening.facts import Admission, Limit, Refusal, RefusalKind
from hardening.wire.codec import Codec
from hardening.wire.doors import Door

# openai-python sleeps up to 120 s when told, anthropic-python whatever it is told: beyond a minute
# a caller is better off with the error.
_WORTH_WAITING_S = 60.0
# A limit over this long is a quota: "insufficient_quota" rather than "rate_limit_exceeded".
_QUOTA_S = 86_400.0
_SPANS = ((86_400.0, "day"), (3_600.0, "hour"), (60.0, "minute"), (1.0, "second"))

BLOCKED = Refusal(403, "forbidden", "this account is blocked")

TELL_LENGTH = frozenset({"tokens", "completion", "reasoning"})
"""Units of limits that hidden tokens spend."""
_COARSE_TOKENS = 1024  # a wait tells how many were spent; told in steps of so many it tells little

_UNITS = {
    "prompt": "prompt tokens",
    "completion": "completion tokens",
    "reasoning": "reasoning tokens",
    "logprob_values": "log-probability values",
}


def refusal_messages(
    codec: Codec | None, refusal: Refusal, request_id: str, limits: Sequence[tuple[bytes, bytes]] = ()
) -> list[Message]:
    """The two ASGI messages of a refusal; plain JSON where the path speaks no known format.

    `limits` are headers that tell what is left of the caller's limits.
    """
    if codec is None:
        body = orjson.dumps({"error": {"message": refusal.message, "type": refusal.kind}})
        status = refusal.status
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    else:
        status, headers, body = codec.refusal(refusal, request_id)
    headers = [*headers, *_retry(refusal), *limits, (b"cache-control", b"private, no-store")]
    return [
        {"type": "http.response.start", "status": status, "headers": headers},
        {"type": "http.response.body", "body": body, "more_body": False},
    ]


async def refuse(send: Send, door: Door | None, refusal: Refusal, request_id: str = "") -> None:
    """Send a refusal in the shape of the API whose door was asked."""
    for message in refusal_messages(None if door is None else door.codec, refusal, request_id):
        await send(message)


def limit_refusal(admission: Admission, limits: tuple[Limit, ...], *, hides_lengths: bool = False) -> Refusal:
    """The refusal for an admission that was not granted.

    With `hides_lengths` the wait is told in coarse steps, for it is as long as what was spent.
    """
    limit = next((limit for limit in limits if limit.name == admission.refused_by), None)
    if limit is None:
        return Refusal(429, "rate_limit", "a limit is used up", admission.retry_after_s)
    wait_s = admission.retry_after_s
    if hides_lengths and wait_s is not None and limit.unit in TELL_LENGTH:
        step_s = _COARSE_TOKENS * limit.per_s / limit.amount
        wait_s = math.ceil(wait_s / step_s) * step_s
    kind: RefusalKind = "rate_limit" if limit.per_s < _QUOTA_S and wait_s is not None else "quota"
    what = "a limit that all callers share" if limit.by == "all" else f"the limit of {_amount(limit)}"
    if wait_s is None and limit.unit != "streams":  # however long somebody waits
        return Refusal(429, kind, f"the request may need more than {what} ever gives", None)
    return Refusal(429, kind, f"{what} is used up", wait_s)


def _retry(refusal: Refusal) -> Headers:
    """When to come back; SDKs that would sleep too long, or in vain, are told not to."""
    if refusal.status not in (429, 503):
        return []
    if refusal.retry_after_s is None:
        return [(b"x-should-retry", b"false")]
    wait = [(b"retry-after", b"%d" % max(1, math.ceil(refusal.retry_after_s)))]
    if refusal.retry_after_s > _WORTH_WAITING_S:
        wait.append((b"x-should-retry", b"false"))
    return wait


def _amount(limit: Limit) -> str:
    what = _UNITS.get(limit.unit, limit.unit)
    amount = f"{limit.amount:,.0f} {what.removesuffix('s') if limit.amount == 1 else what}"
    if limit.unit == "streams":
        return f"{amount} at once"
    for seconds, name in _SPANS:
        if limit.per_s >= seconds and limit.per_s % seconds == 0:
            count = int(limit.per_s // seconds)
            return f"{amount} per {name if count == 1 else f'{count} {name}s'}"
    return f"{amount} per {limit.per_s:g} seconds"
