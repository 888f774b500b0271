"""What is known of a request before the app hears of it: who, what, and what shall happen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from inspect import isawaitable
from typing import Any

from starlette.types import Receive, Scope

from hardening.asgi import headers as head
from hardening.asgi.admission import DEFERRED, SEATS
from hardening.asgi.body import read_body
from hardening.asgi.chosen import ANY, in_headers, in_query
from hardening.asgi.encoding import unpack
from hardening.asgi.holding import with_all_that_is_left, with_less
from hardening.asgi.inforce import InForce
from hardening.asgi.judge import beginning
from hardening.asgi.refusals import BLOCKED, limit_refusal
from hardening.asgi.scoring_thread import Job
from hardening.asgi.sent import names_of
from hardening.asgi.service import Identify, Named, Service
from hardening.errors import AccountError, WireError
from hardening.facts import Account, Admission, Decision, EmbeddingTerms, Refusal, RequestFacts, Standing
from hardening.identity import ANONYMOUS
from hardening.policy import Charges, charges, counting, decide
from hardening.state import ReadableStore, StateStore
from hardening.wire.by_body import codec_of
from hardening.wire.codec import Codec
from hardening.wire.doors import Door
from hardening.wire.spoken import Hear, silent

MARK = "hardening"
"""The scope key under which a request carries the digests of the policies that already act on it."""

_OURS = frozenset({MARK, SEATS})
# A method whose request carries no body that could be read as the format.
_BODILESS = frozenset({"GET", "DELETE"})
_UNKNOWN = Standing()
_NO_ADMISSION = Admission(True, None, _UNKNOWN)
_NOBODY = Account(ANONYMOUS, proven=False)
_OF_NO_FORMAT = Refusal(403, "forbidden", "this path is not open for a body of this shape")
_NO_NAMES = names_of(())
_NO_CLAIM = Charges(None, (), 0)
_UNDECIDED = Decision()
_NO_VECTORS = EmbeddingTerms(noise=math.inf)
_blank = cache(RequestFacts)


class Case:
    """One request at a claimed door, filled in from left to right; `refusal` ends it.

    `in_force` is the policy that it began with, and ends with.
    `waited_s` was spent waiting for the client, `before_s` is what was added before the app.
    `would_refuse` is a refusal that is in shadow. `readable` says whether the request's body was
    understood, so that it may be edited. `standing` is what the decision rests on, `entered` says that the request begins a
    conversation in a band that was due, `job` is its score to come.
    """

    # Of the class until it is known better: an instance is made for each request.
    account = _NOBODY
    headers: tuple[tuple[bytes, bytes], ...] = ()
    names = _NO_NAMES
    received = body = b""
    has_body = readable = entered = False
    hear: Hear = staticmethod(silent)
    job: Job | None = None
    standing = _UNKNOWN
    prompt_tokens = 0
    claim = _NO_CLAIM
    admission = _NO_ADMISSION
    store: StateStore | None = None
    decision = _UNDECIDED
    would_refuse: Refusal | None = None
    waited_s = before_s = 0.0

    def __init__(self, door: Door, codec: Codec, in_force: InForce, request_id: str, began: float) -> None:
        self.door = door
        self.codec = codec
        self.in_force = in_force
        self.request_id = request_id
        self.began = began
        self.facts = _blank(door.name, codec.name)
        self.reasons: list[str] = []
        self.refusal: Refusal | None = None

    @property
    def is_judged(self) -> bool:
        """Whether what the request says counts for or against its account."""
        return self.in_force.judges and self.account.proven and not self.decision.exempt


async def fill(case: Case, service: Service, scope: Scope, receive: Receive) -> None:
    """Take a request up to its Decision; where the app will name the account, up to that.

    Raises:
        ClientGone, BodyTooLarge: as `read_body`.
    """
    identify = service.identify
    if identify is None or identify is DEFERRED:
        _identified(case, service, scope, None)
    else:
        await _named_by_app(case, service, scope, identify)
    case.names = names = names_of(scope["headers"])
    case.headers = tuple(scope["headers"]) if names.lower else head.lowered(scope["headers"])
    named = dict(case.headers)
    waiting = service.now()
    max_body = case.in_force.policy.runtime.max_body
    case.received = await read_body(named.get(b"content-length"), receive, max_body)
    case.has_body = True
    case.waited_s = service.now() - waiting
    _read(case, service, scope, packed=b"content-encoding" in named)
    if identify is DEFERRED:
        _await_account(case, service)
    elif case.refusal is None and case.door.counts:
        await _look(case, service)
    elif case.refusal is None:
        await admit(case, service)


async def _named_by_app(case: Case, service: Service, scope: Scope, identify: Identify) -> None:
    try:
        found = identify(scope)
        named = await found if isawaitable(found) else found
    except AccountError as fault:
        _refuse(case, service, Refusal(401, "unauthenticated", str(fault)))
    else:
        _identified(case, service, scope, named)


def _identified(case: Case, service: Service, scope: Scope, named: Named) -> None:
    try:
        case.account = case.in_force.identifier.identify(scope, named, service.now())
    except AccountError as fault:
        _refuse(case, service, Refusal(401, "unauthenticated", str(fault)))


def _read(case: Case, service: Service, scope: Scope, *, packed: bool) -> None:
    """The facts of the request; of a body that nobody understands or reads, only where it was sent."""
    client = scope.get("client")
    headers = case.headers
    address = client[0] if client else ""
    case.body = case.received
    if case.received or not (scope["method"] in _BODILESS or case.door.kept):
        try:
            if packed:
                coding = head.joined(headers, b"content-encoding")
                case.body = unpack(case.received, coding, case.in_force.policy.runtime.max_body)
            if not case.door.by_body or _told_by_body(case, service):
                _asked(case, address)
                case.readable = True
                named = in_query(scope.get("query_string", b""))
                if case.names.chooses:
                    named += in_headers(headers)
                if named:
                    case.facts = case.facts._replace(others=(*case.facts.others, *named))
                if case.door.kept:
                    case.facts = case.facts._replace(others=ANY, kept=True)
                return
        except WireError as fault:
            _unread(case, service, fault)
    case.body = case.received
    case.facts = case.facts._replace(
        client=address,
        headers=headers,
        body_bytes=len(case.received),
        others=ANY,
        kept=case.door.kept,
    )


def _asked(case: Case, address: str) -> None:
    """What the body asks for; where there are bands, what it says as well."""
    door, body = case.door, case.body
    if case.in_force.judges:
        case.facts, case.hear = case.codec.read_spoken(
            body, door=door.name, model=door.model, stream=door.streams, client=address, headers=case.headers
        )
    else:
        case.facts = case.codec.read_request(
            body, door=door.name, model=door.model, stream=door.streams, client=address, headers=case.headers
        )


def _told_by_body(case: Case, service: Service) -> bool:
    """Take the codec of the format that the body is of; a body that is of none that is read finds a closed door."""
    codec = codec_of(case.body)
    if codec is None:
        service.notices.closed(case.door.name)
        _refuse(case, service, _OF_NO_FORMAT)
        return False
    case.codec = codec
    return True


def _unread(case: Case, service: Service, fault: WireError) -> None:
    service.notices.unread(case.door.name)
    case.reasons.append("unreadable_request")
    if case.in_force.policy.on_failure.unreadable == "block":
        _refuse(case, service, Refusal(400, "unreadable", f"the request cannot be read: {fault}"))


def _refuse(case: Case, service: Service, refusal: Refusal) -> None:
    """Refuse, or in shadow only say so."""
    case.reasons.append(f"refusal_{refusal.kind}")
    if case.in_force.policy.mode == "enforce" and case.refusal is None:
        case.refusal = refusal


def _await_account(case: Case, service: Service) -> None:
    """Until the app names the account no trace leaves, whatever the policy gives to strangers."""
    case.account = replace(case.account, proven=False)
    stranger = decide(case.in_force.policy, case.facts, case.account, Standing(), service.clock.wall())
    case.decision = replace(
        stranger,
        exempt=False,
        refusal=None,
        reasoning=replace(stranger.reasoning, show="none"),
        logprobs=replace(stranger.logprobs, top=0),
        embeddings=_NO_VECTORS,
    )


async def _look(case: Case, service: Service) -> None:
    """Decide on what only counts: nothing is reserved; of whom no standing is known no length is told."""
    policy, wall, standing = case.in_force.policy, service.clock.wall(), None
    try:
        if isinstance(service.store, ReadableStore):
            answer = service.store.look(case.account, (), service.now())
            standing = (answer if isinstance(answer, Admission) else await answer).standing
    except Exception as fault:  # noqa: BLE001  a store is somebody else's code, and nothing is asked of it
        service.store_failed("look", fault)
    case.decision = decide(policy, case.facts, case.account, standing or Standing(), wall)
    if standing is None:
        case.decision = replace(case.decision, usage="drop")


async def admit(case: Case, service: Service) -> None:
    """Reserve, read the standing, decide."""
    policy, facts, account, wall = case.in_force.policy, case.facts, case.account, service.clock.wall()
    case.prompt_tokens = tokens = int(facts.prompt_bytes / service.ratio.of(account.scope))
    usual = service.lengths.of(account.scope)
    case.claim = claim = charges(policy, facts, account, tokens, wall, usual_tokens=usual)
    if claim.refusal is None:
        await _reserve(case, service)
        claim = case.claim
        if claim.alone:
            claim, case.admission = counting(claim, case.admission)
            case.claim = claim
    case.standing, case.entered = beginning(case.admission.standing, case.hear)
    case.decision = decision = decide(policy, facts, account, case.standing, wall)
    if claim.completion_reserve < claim.wanted and not facts.stream:
        await _hold_what_is_left(case, service)
    if case.refusal is None and decision.acts:
        case.refusal = claim.refusal or decision.refusal
    if not case.admission.granted:
        no = _not_admitted(case)
        if case.claim.enforced:
            case.refusal = case.refusal or no
        else:
            case.would_refuse = no
    if case.is_judged:
        _let_speak(case, service)
    case.hear = silent  # which keeps nothing


def _let_speak(case: Case, service: Service) -> None:
    """Let the request be scored while the app answers it; one that a limit refuses is only counted."""
    service.saw(case.account, case.standing)
    judge = service.judge
    if judge is None:
        return
    if case.refusal is None:
        case.job = judge.ask(case.account, case.facts, case.hear, case.began)
    elif case.refusal.kind in ("rate_limit", "quota"):
        judge.refused(case.account)


def _not_admitted(case: Case) -> Refusal:
    """The refusal of a request that the store did not grant."""
    if case.admission.blocked_s is None:
        limits = tuple(charge.limit for charge in case.claim.charges)
        return limit_refusal(case.admission, limits, hides_lengths=case.in_force.policy.hides_lengths)
    case.reasons.append("blocked")
    return BLOCKED


async def _reserve(case: Case, service: Service) -> None:
    case.store = service.store
    try:
        answer = service.store.admit(case.account, case.claim.charges, service.now())
        case.admission = answer if isinstance(answer, Admission) else await answer
        if not case.admission.granted:
            await _ask_for_less(case, service.store, service)
    except Exception as fault:  # noqa: BLE001  a store is somebody else's code: the policy says what follows
        service.store_failed("admit", fault)
        case.reasons.append("store_failed")
        terms = case.in_force.policy.on_failure.store
        service.without_store(terms)
        case.store = None
        if terms == "local":
            case.store = service.local
            case.admission = service.local.admit(case.account, case.claim.charges, service.now())
            if not case.admission.granted:
                await _ask_for_less(case, service.local, service)
        elif terms == "reject":
            _refuse(case, service, Refusal(503, "unavailable", "limits cannot be checked now", 5.0))


async def _ask_for_less(case: Case, store: StateStore, service: Service) -> None:
    case.claim, case.admission = await with_less(
        store, case.account, case.claim, case.admission, service.now()
    )


async def _hold_what_is_left(case: Case, service: Service) -> None:
    """Let a whole answer, for which less was reserved than it may use, have what its limits can still give."""
    if case.store is None:
        return
    try:
        case.claim, case.admission = await with_all_that_is_left(
            case.store, case.claim, case.admission, case.decision, service.now()
        )
    except Exception as fault:  # noqa: BLE001  it is bounded by what is reserved
        service.store_failed("extend", fault)


def inner_scope(outer: Scope, case: Case, body: bytes, *, digest: str, final: bool) -> Scope:
    """The scope that the app gets, marked with the policy that acts on it.

    `body` is what the app will read. Not `final`: another may be given in its place.
    """
    changes = case.decision.acts or body is not case.received  # in shadow seals are opened too
    scope = _plain_scope(outer, case, body, final=final) if changes else dict(outer)
    scope[MARK] = (*outer.get(MARK, ()), digest)
    return scope


def _plain_scope(scope: Scope, case: Case, body: bytes, *, final: bool) -> Scope:
    """The scope of an app whose answer may change: no way around the body, and a plain answer asked.

    Where the body is not what came, the headers say so; they say nothing that only one body keeps
    where another may follow.
    """
    kept: Mapping[str, Any] = scope.get("extensions") or {}
    if kept:
        # An allow-list by kind: what a server may let an app do to its response, seen or not yet invented.
        kept = {name: value for name, value in kept.items() if not name.startswith("http.response.")}
    if body is case.received:
        headers = head.for_app(case.headers, case.names.kept)
    else:
        headers = head.for_edited(case.headers, body)
    if not final:
        headers = head.without(headers, head.OF_ONE_BODY)
    return {**scope, "headers": headers, "extensions": kept}


def share_routing(inner: Scope, outer: Scope) -> None:
    """Let middlewares outside see what routing has found (`route`, `endpoint`), as without us."""
    for key in inner.keys() - outer.keys() - _OURS:
        outer[key] = inner[key]
