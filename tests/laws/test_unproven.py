"""Law 10, and what strangers can do to an account: nothing that they send loosens or spends what is not theirs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.types import ASGIApp, Receive, Scope, Send

from hardening import Receipt
from hardening.policy.load import Source, load_text
from hardening.testing import Hardened, ManualClock, find_leaks, harden
from tests.asgi.driver import Answer, ask, run
from tests.exchanges import TRACE
from tests.laws.formats import CHAT, MESSAGES

VICTIM_KEY, OTHER_KEY = b"sk-victim-0123456789", b"sk-other-0123456789"
VICTIM = [(b"authorization", b"Bearer " + VICTIM_KEY)]
VICTIM_AT, NEIGHBOUR_AT, ELSEWHERE = "203.0.113.9", "203.0.113.77", "198.51.100.4"
POLICY = """\
version: 1
name: limited
accounts:
  identify: [app, bearer, "header:x-api-key", "header:x-user", client]
  trusted_proxies: [10.0.0.0/8]
  unproven: {limits: [trial]}
  groups: {internal: ["acct_*", "key_*", "victim"]}
doors: {unknown: block}
limits:
  trial: {requests: 20, per: 30d}
  calls: {requests: 10, per: 30d}
  minute: {tokens: 100k, per: 30d}
defaults:
  limits: [calls, minute]
  reasoning: {show: none}
  logprobs: {top: 2, step: 0.25}
rules:
  - {name: internal, match: {group: internal}, exempt: true}
  - {name: gold, match: {header: {x-plan: gold}}, reasoning: {show: full}, logprobs: {top: 20, step: 0}}
  - {name: glass, match: {model: "glass-*"}, reasoning: {show: full}, logprobs: {top: 20, step: 0}}
  - {name: named, match: {account: [victim, "acct_*"]}, reasoning: {show: full}, limits: []}
  - {name: door, match: {door: "/v1/messages"}, reasoning: {show: full}, limits: []}
"""
LIMITED = POLICY.partition("rules:")[0].replace('  groups: {internal: ["acct_*", "key_*", "victim"]}\n', "")
Header = tuple[bytes, bytes]
REFUSED: Sequence[bytes] = [b'{"error":{"message":"who?"}}']


def checks_keys(*, second_factor: bool = False) -> ASGIApp:
    """An app of two customers: 422 to a body that it cannot use, 401 to strangers, else its whole answer."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        asked = (await receive()).get("body", b"")
        headers = dict(scope["headers"])
        key = headers.get(b"x-api-key") or headers.get(b"authorization", b"")[7:]
        signed = not second_factor or headers.get(b"x-signature") == b"right"
        kind, pieces = b"application/json", REFUSED
        if b'"messages"' not in asked:
            status = 422
        elif key not in (VICTIM_KEY, OTHER_KEY) or not signed:
            status = 401
        else:
            status, (kind, pieces) = 200, _spoken(scope["path"], asked)
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind)]})
        for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    return app


def _spoken(path: str, asked: bytes) -> tuple[bytes, Sequence[bytes]]:
    format = MESSAGES if "messages" in path.lower() else CHAT
    streamed = b'"stream": true' in asked
    return (b"text/event-stream", format.stream) if streamed else (b"application/json", [format.whole])


def asked_by(hardened: Hardened, headers: Sequence[Header], host: str = VICTIM_AT, **more: Any) -> Answer:
    body = more.pop("body", CHAT.asked)
    return run(ask(hardened, body, headers=[*headers], client=(host, 4711), **more))


def left_to_victim(hardened: Hardened) -> tuple[int, dict[str, float], bool]:
    """The victim asks once: status, what is left of which limits, and whether he is proven."""
    answer = asked_by(hardened, [*VICTIM, (b"x-signature", b"right")])
    receipt: Receipt = hardened.receipts[-1]
    left = {state.limit.name: state.remaining for state in receipt.limits}
    return answer.status, left, receipt.proven


def regular(**app: Any) -> Hardened:
    """The middleware, with a victim whom the app has accepted."""
    hardened = harden(checks_keys(**app), LIMITED, clock=ManualClock())
    for _ in range(3):
        left_to_victim(hardened)
    assert left_to_victim(hardened)[2]
    return hardened


def assert_alike(flooded: Hardened, quiet: Hardened) -> None:
    """The victim finds the same, but for the tokens by which his own requests teach the estimate of a prompt."""
    status, left, proven = left_to_victim(quiet)
    assert left_to_victim(flooded) == (status, pytest.approx(left, abs=2), proven)
    assert left.keys() == {"calls", "minute"}


SPOOFED: dict[str, list[Header]] = {
    "missing": [],
    "random key": [(b"authorization", b"Bearer sk-%d")],
    "random x-api-key": [(b"x-api-key", b"%d")],
    "the victim's name": [(b"x-user", b"victim")],
    "a proxy's word": [(b"x-consumer-id", b"victim")],
    "the victim's key beside another": [(b"authorization", b"Bearer wrong"), (b"x-api-key", VICTIM_KEY)],
    "another's key beside the victim's": [
        (b"authorization", b"Bearer " + VICTIM_KEY),
        (b"x-api-key", OTHER_KEY),
    ],
    "the victim's hash": [(b"x-api-key", b"key_0123456789abcdef012345")],
}


@pytest.mark.parametrize("host", [VICTIM_AT, NEIGHBOUR_AT, ELSEWHERE], ids=["same", "near", "far"])
@pytest.mark.parametrize("name", SPOOFED)
def test_a_flood_under_a_made_up_name_leaves_the_victim_alone(name: str, host: str) -> None:
    """Catches a charge, a reservation or a lost proof of the victim through requests that are not his."""
    flooded, quiet = regular(), regular()
    for at in range(30):
        headers = [(key, value.replace(b"%d", b"%d" % at)) for key, value in SPOOFED[name]]
        assert asked_by(flooded, headers, host).status in (200, 401, 429)
    assert_alike(flooded, quiet)


@pytest.mark.parametrize("host", [NEIGHBOUR_AT, ELSEWHERE], ids=["near", "far"])
def test_a_flood_of_401s_on_the_victims_own_key_spends_nothing_of_his(host: str) -> None:
    """Catches limits that a caller spends whom the app then refuses, with a key that is the victim's."""
    flooded, quiet = regular(second_factor=True), regular(second_factor=True)
    for _ in range(10):
        assert asked_by(flooded, VICTIM, host).status == 401
    if host == NEIGHBOUR_AT:  # his proof is gone with the first 401; his next request restores it
        assert left_to_victim(flooded)[0] == 200
    assert_alike(flooded, quiet)


@pytest.mark.parametrize("body", [CHAT.asked, b'{"model": "m"}'], ids=["401", "422"])
def test_newcomers_spend_the_pool_of_their_network_however_they_call_themselves(body: bytes) -> None:
    """Catches a fresh account for every made-up key, and an error of the app that proves a key unseen."""
    hardened = harden(checks_keys(), LIMITED, clock=ManualClock())
    for name in (b"x-api-key", b"x-user"):
        statuses = [
            asked_by(hardened, [(name, b"k%d" % (at % 6))], ELSEWHERE, body=body).status for at in range(15)
        ]
    assert statuses.count(429) == 10
    assert asked_by(hardened, VICTIM).status == 200


LOOSENING = load_text(
    Source("policy.yaml", "policy.yaml", POLICY.encode()), environment={}, parents=lambda *_: None
)
NAMES = st.sampled_from(
    [b"x-plan", b"x-user", b"x-consumer-id", b"x-hardening", b"x-forwarded-for", b"forwarded", b"accept-encoding",
     b"range", b"te", b"accept", b"x-http-method-override", b"content-type", b"x-request-id", b"upgrade", b"expect",
     b"X-Plan", b"if-none-match"]
)  # fmt: skip
VALUES = st.sampled_from(
    [b"gold", b"victim", b"acct_1", b"internal", b"reasoning=full", b"10.0.0.1", b"for=10.0.0.1", b"gzip", b"br",
     b"bytes=0-9", b"trailers", b"text/plain", b"application/json; charset=utf-16", b"HEAD", b"websocket", b"", b"*"]
)  # fmt: skip
FIELDS = st.dictionaries(
    st.sampled_from(
        ["model", "user", "group", "stream", "logprobs", "top_logprobs", "reasoning", "reasoning_effort", "thinking",
         "include_reasoning", "chat_template_kwargs", "separate_reasoning", "metadata", "n", "service_tier",
         "return_token_ids", "prompt_logprobs", "safety_identifier", "account", "hardening", "exempt"]
    ),
    st.sampled_from(["glass-9", "victim", "internal", "acct_1", True, False, 20, -1, None, {}, {"type": "enabled"}]),
    max_size=6,
)  # fmt: skip


@given(
    headers=st.lists(st.tuples(NAMES, VALUES), max_size=6),
    fields=FIELDS,
    path=st.sampled_from(
        ["/v1/chat/completions", "/v1/messages", "/api/v1/chat/completions", "/v1/chat/completions/", "//v1/messages",
         "/v1/messages/", "/v1//messages", "/V1/Messages", "/v1/messages;a=b", "/x/../v1/messages", "/v1/messages/."]
    ),
    query=st.sampled_from([b"", b"group=internal", b"hardening=off"]),
    method=st.sampled_from(["POST", "POST", "PUT", "PATCH"]),
)  # fmt: skip
@settings(max_examples=250, deadline=None)
def test_nothing_that_an_unproven_caller_sends_loosens_what_he_gets(
    headers: list[Header], fields: dict[str, Any], path: str, query: bytes, method: str
) -> None:
    """Catches a rule, a header, a field or a spelling of a path that gives a stranger more than the defaults."""
    hardened = harden(checks_keys(), LOOSENING, clock=ManualClock())
    body = json.dumps({**json.loads(CHAT.asked), **fields}).encode()
    answer = asked_by(hardened, [*VICTIM, *headers], body=body, path=path, query_string=query, method=method)
    assert find_leaks(answer.body, TRACE) == []
    assert answer.body.count(b'"logprob"') <= 2 * 3 * 6  # at most two alternatives beside each of six tokens
    if answer.status == 200:
        assert answer.headers["x-hardening"] == "reasoning=none, logprobs=2"
        (receipt,) = hardened.receipts
        assert (receipt.proven, receipt.decision.exempt) == (False, False)
        assert [state.limit.name for state in receipt.limits] == ["trial"]
    else:
        assert answer.status in (400, 403)


def test_the_same_rules_act_for_who_is_proven() -> None:
    """Catches a test above that passes because its rules never act for anybody."""
    hardened = harden(checks_keys(), LOOSENING, clock=ManualClock())
    asked_by(hardened, VICTIM)
    assert find_leaks(asked_by(hardened, VICTIM).body, TRACE)
    assert hardened.receipts[-1].rule == "internal"
