"""The path at which an account reads what is left of its own limits: one look at the store, never its standing.

It tells what the headers of each answer tell, and as they do nothing to strangers, nothing in tokens
where the policy hides how long answers are, and no name of a limit, rule or group.
"""

from __future__ import annotations

import math
from inspect import isawaitable
from urllib.parse import parse_qs

import orjson
from starlette.types import Message, Scope, Send

from hardening.asgi.admission import DEFERRED
from hardening.asgi.entrance import below_mount
from hardening.asgi.inforce import InForce
from hardening.asgi.refusals import BLOCKED, TELL_LENGTH, refusal_messages
from hardening.asgi.service import Service
from hardening.errors import AccountError
from hardening.facts import Account, Admission, LimitState, Refusal, RequestFacts
from hardening.policy import claimed
from hardening.state import ReadableStore

_METHODS = frozenset({"GET", "HEAD"})
_QUERY_BYTES = 1024
_LONGEST_S = 2**53  # what every reader of JSON takes; a debt that a server has miscounted may last longer
_STRANGER = Refusal(
    401,
    "unauthenticated",
    "limits are told to callers that are known here: send a key that has had an answer",
)
_FAULT = Refusal(500, "internal", "the request cannot be handled")
_UNKNOWN = Refusal(503, "unavailable", "limits cannot be read now", 5.0)


def is_asked(in_force: InForce, scope: Scope) -> bool:
    """Whether a request asks for the limits of its account."""
    policy = in_force.policy
    if policy.limits_path is None or scope["method"] not in _METHODS:
        return False
    # In shadow nothing changes, and what is not disclosed stands here neither.
    acts = policy.mode == "enforce" and policy.disclose
    return acts and below_mount(scope["path"], scope.get("root_path", "")) == policy.limits_path


async def tell(service: Service, in_force: InForce, scope: Scope, send: Send) -> None:
    """Answer with the limits of who asks, or with why not."""
    for message in await _answer(service, in_force, scope):
        await send(message)


async def _answer(service: Service, in_force: InForce, scope: Scope) -> list[Message]:
    try:
        named = None
        if service.identify is not None and service.identify is not DEFERRED:
            found = service.identify(scope)
            named = await found if isawaitable(found) else found
        account = in_force.identifier.identify(scope, named, service.now())
    except AccountError as fault:
        return refusal_messages(None, Refusal(401, "unauthenticated", str(fault)), "")
    except Exception as fault:  # noqa: BLE001  an `identify` of the app; nothing of it may leave
        service.faulted(fault)
        return refusal_messages(None, _FAULT, "")
    if not account.proven or service.identify is DEFERRED:
        return refusal_messages(None, _STRANGER, "")
    try:
        admission = await _looked(service, in_force, scope, account)
    except Exception as fault:  # noqa: BLE001  a store is somebody else's code, and nothing was asked of the app
        service.store_failed("look", fault)
        return refusal_messages(None, _UNKNOWN, "")
    if admission.blocked_s is not None:
        return refusal_messages(None, BLOCKED, "")
    return _told(admission, hides_lengths=in_force.policy.hides_lengths)


async def _looked(service: Service, in_force: InForce, scope: Scope, account: Account) -> Admission:
    """What the store says of the account's limits, without those that are not for its standing."""
    client = scope.get("client")
    facts = RequestFacts("", "", client=client[0] if client else "", headers=tuple(scope["headers"]))
    policy, wall = in_force.policy, service.clock.wall()
    asked = claimed(policy, facts, account, wall)
    if model := _model(scope["query_string"]):
        asked += claimed(policy, facts._replace(model=model), account, wall, by_model=True)
    store = service.store
    if not isinstance(store, ReadableStore):
        raise TypeError("the store does not tell limits")
    answer = store.look(account, asked, service.now())
    admission = await answer if isawaitable(answer) else answer
    kept = zip(asked, admission.limits, strict=False)
    return admission._replace(
        limits=tuple(
            [state for charge, state in kept if charge.factor(admission.standing) and _is_told(state)]
        )
    )


def _model(query: bytes) -> str:
    """The model that is asked for; empty where none is, or what nobody would call one."""
    if len(query) > _QUERY_BYTES:
        return ""
    return parse_qs(query.decode("latin-1")).get("model", [""])[0]


def _is_told(state: LimitState) -> bool:
    """Whether a limit is told: of a model only that of which the account has used something.

    Else anybody could ask for nothing which models have rules of their own, and a model that shares the allowance of
    those beyond the bound would look whole.
    """
    return state.limit.by != "model" or state.remaining < state.limit.burst


def _told(admission: Admission, *, hides_lengths: bool) -> list[Message]:
    states = [state for state in admission.limits if not (hides_lengths and state.limit.unit in TELL_LENGTH)]
    body = orjson.dumps({"object": "limits", "limits": [_row(state) for state in states]})
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"private, no-store"),
    ]
    return [
        {"type": "http.response.start", "status": 200, "headers": headers},
        {"type": "http.response.body", "body": body, "more_body": False},
    ]


def _row(state: LimitState) -> dict[str, object]:
    limit = state.limit
    row: dict[str, object] = {"unit": limit.unit, "by": limit.by, "limit": int(limit.burst)}
    if limit.unit == "streams":
        return row | {"remaining": int(state.remaining)}
    waits_s = math.ceil(min(state.reset_s, _LONGEST_S))
    return row | {"per_s": limit.per_s, "remaining": int(state.remaining), "reset_s": waits_s}
