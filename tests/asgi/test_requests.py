"""The way in: which requests are ours, what the app is told, and who is refused in which shape."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from hardening import Account, AccountError
from hardening.testing import find_leaks, harden
from tests.asgi.chat import BODY, HIDE, PLAIN_JSON, TRACE, stream, whole
from tests.asgi.driver import Answer, LoopClock, ask, replies, run, scope_of

Seen = list[tuple[Scope, bytes]]
JSON = b"application/json"


def plain(seen: Seen | None = None) -> Any:
    return replies([PLAIN_JSON], kind=JSON, seen=seen)


def leaking(seen: Seen | None = None) -> Any:
    return replies([whole()], kind=JSON, seen=seen)


def header(scope: Scope, name: bytes) -> list[bytes]:
    return [value for key, value in scope["headers"] if key == name]


# -- what the app is told


def test_the_app_reads_the_callers_bytes_and_is_asked_for_a_plain_answer() -> None:
    seen: Seen = []
    headers = [(b"accept-encoding", b"gzip"), (b"x-hardening", b"reasoning=full")]
    run(ask(harden(plain(seen), HIDE), [BODY[:10], BODY[10:]], headers=headers))
    scope, body = seen[0]
    assert body == BODY
    assert header(scope, b"accept-encoding") == [b"identity"]
    assert header(scope, b"x-hardening") == []


def test_a_request_that_asks_too_much_is_edited_with_its_length() -> None:
    seen: Seen = []
    body = json.dumps({"model": "m", "messages": [], "logprobs": True, "top_logprobs": 20}).encode()
    run(ask(harden(plain(seen), HIDE), body, headers=[(b"content-length", b"%d" % len(body))]))
    scope, told = seen[0]
    assert json.loads(told)["top_logprobs"] == 2
    assert header(scope, b"content-length") == [b"%d" % len(told)]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "utf-8-sig"])
def test_a_request_in_another_charset_is_read(encoding: str) -> None:
    body = json.dumps({"model": "m", "messages": [], "logprobs": True, "top_logprobs": 20}).encode(encoding)
    hardened = harden(plain(), HIDE)
    assert run(ask(hardened, body)).status == 200
    assert hardened.receipts[0].model == "m"


def test_a_packed_request_reaches_the_app_unpacked() -> None:
    seen: Seen = []
    run(ask(harden(plain(seen), HIDE), gzip.compress(BODY), headers=[(b"content-encoding", b"gzip")]))
    scope, body = seen[0]
    assert body == BODY
    assert header(scope, b"content-encoding") == []
    assert header(scope, b"content-length") == [b"%d" % len(BODY)]


@pytest.mark.parametrize(
    ("body", "headers"), [(b"{", []), (b"[]", []), (b"", []), (BODY, [(b"content-encoding", b"br")])]
)
def test_a_request_that_cannot_be_read_is_refused_in_the_apis_shape(body: bytes, headers: Any) -> None:
    answer = run(ask(harden(leaking(), HIDE), body, headers=headers))
    assert answer.status == 400
    assert json.loads(answer.body)["error"]["type"] == "invalid_request_error"


def test_a_request_that_may_pass_unread_still_gets_a_hardened_answer() -> None:
    seen: Seen = []
    hardened = harden(leaking(seen), HIDE + "on_failure: {unreadable: pass}\n")
    answer = run(ask(hardened, b"{oops"))
    assert seen[0][1] == b"{oops"
    assert find_leaks(answer.body, TRACE) == []
    assert "unreadable_request" in hardened.receipts[0].reasons


def test_what_routing_found_is_seen_outside() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = "found"
        await plain()(scope, receive, send)

    scope = scope_of("/v1/chat/completions")
    messages = [{"type": "http.request", "body": BODY}]

    async def receive() -> Any:
        return messages.pop()

    async def send(message: Any) -> None:
        pass

    run(harden(app, HIDE)(scope, receive, send))
    assert scope["route"] == "found"
    assert header(scope, b"accept-encoding") == []


# -- refusals


def test_a_large_body_is_refused_with_413_in_the_apis_shape() -> None:
    policy = HIDE + "runtime: {max_body: 1k}\n"
    hardened = harden(leaking(), policy)
    for body in (b"x" * 1001, [b"x" * 600, b"x" * 600]):
        answer = run(ask(hardened, body, path="/v1/messages"))
        assert answer.status == 413
        assert json.loads(answer.body)["type"] == "error"
    assert [receipt.outcome for receipt in hardened.receipts] == ["refused", "refused"]


def test_a_used_up_window_says_when_to_come_back_and_a_quota_says_not_to_retry() -> None:
    for limit, retry in (("{requests: 1, per: 30s}", None), ("{requests: 1, per: 30d}", "false")):
        policy = HIDE.replace("calls: {requests: 1k, per: 1m}", f"calls: {limit}")
        hardened = harden(plain(), policy, clock=LoopClock(), identify=lambda scope: "acct_7")

        async def twice(hardened: Any = hardened) -> list[Answer]:
            return [await ask(hardened, BODY) for _ in range(2)]

        first, second = run(twice())
        assert (first.status, second.status) == (200, 429)
        assert second.headers.get("x-should-retry") == retry
        wait_s = int(second.headers["retry-after"])
        assert (1 <= wait_s <= 30) if retry is None else wait_s > 86_400
        assert hardened.receipts[1].decision.refusal is not None


LIMITED = HIDE.replace("calls: {requests: 1k, per: 1m}", "calls: {requests: 2, per: 30s}")


def limits_of(answer: Answer) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if "ratelimit" in name and "req" in name}


def test_what_is_left_is_told_with_each_answer_and_each_no() -> None:
    """Catches a client that cannot pace itself, and two values under one name where the app tells limits too."""
    app = replies([PLAIN_JSON], kind=JSON, headers=[(b"X-RateLimit-Remaining-Requests", b"999")])
    hardened = harden(app, LIMITED, clock=LoopClock(), identify=lambda scope: "acct_7")

    async def thrice() -> list[Answer]:
        return [await ask(hardened, BODY) for _ in range(3)]

    first, second, third = run(thrice())
    assert limits_of(first) == {
        "x-ratelimit-limit-requests": "2",
        "x-ratelimit-remaining-requests": "1",
        "x-ratelimit-reset-requests": "15s",
    }
    assert len([1 for name, _ in first.messages[0]["headers"] if b"remaining-requests" in name.lower()]) == 1
    assert [one.headers["x-ratelimit-remaining-requests"] for one in (second, third)] == ["0", "0"]
    assert (third.status, "retry-after" in third.headers) == (429, True)


def test_what_all_callers_share_is_not_told() -> None:
    """Catches a caller who reads off how much others ask."""
    policy = LIMITED.replace("limits:\n", "limits:\n  all: {requests: 1, per: 1m, by: all}\n", 1)
    policy = policy.replace("limits: [", "limits: [all, ")
    hardened = harden(
        replies([PLAIN_JSON], kind=JSON), policy, clock=LoopClock(), identify=lambda scope: "acct_7"
    )

    async def twice() -> list[Answer]:
        return [await ask(hardened, BODY) for _ in range(2)]

    first, second = run(twice())
    assert first.headers["x-ratelimit-limit-requests"] == "2"
    assert (second.status, second.headers["x-ratelimit-remaining-requests"]) == (429, "1")
    assert b"all callers share" in second.body


@pytest.mark.parametrize("body", [PLAIN_JSON, whole()], ids=["untouched", "changed"])
@pytest.mark.parametrize("usage", ["keep", "round", "drop"])
def test_no_header_tells_how_long_an_answer_was_where_its_counts_do_not(usage: str, body: bytes) -> None:
    """Catches a count, a price or what is left of tokens, of the server's limits or of ours."""
    lengths = {
        b"x-generated-tokens": b"812",
        b"X-LiteLLM-Response-Cost": b"0.01",
        b"x-ratelimit-remaining-tokens": b"9",
        b"x-amzn-bedrock-output-token-count": b"812",
        b"openai-processing-ms": b"812",
    }
    kept = {b"x-request-id": b"r1", b"x-csrf-token": b"c"}
    app = replies([body], kind=JSON, headers=[*lengths.items(), *kept.items()])
    policy = LIMITED.replace("defaults:\n", f"defaults:\n  usage: {usage}\n")
    answer = run(ask(harden(app, policy, clock=LoopClock(), identify=lambda scope: "acct_7"), BODY))
    told = [name.decode().lower() in answer.headers for name in lengths]
    assert told == [usage == "keep"] * len(lengths)
    assert all(name.decode() in answer.headers for name in kept)
    assert answer.headers["x-ratelimit-remaining-requests"] == "1"
    assert ("x-ratelimit-limit-tokens" in answer.headers) is (usage == "keep")


@pytest.mark.parametrize(
    ("policy", "identify"),
    [
        ("mode: shadow\n" + LIMITED, lambda scope: "acct_7"),
        ("disclose: false\n" + LIMITED, lambda scope: "acct_7"),
        (LIMITED, None),  # a pool would tell what its neighbours ask
    ],
)
def test_limits_are_told_to_nobody_else(policy: str, identify: Any) -> None:
    hardened = harden(plain(), policy, clock=LoopClock(), identify=identify)
    assert limits_of(run(ask(hardened, BODY))) == {}


def test_tokens_that_are_left_are_told_only_where_nobodys_length_is_hidden() -> None:
    """Catches a model with open counts by which the hidden ones of another model, or account, are told."""
    for rule, told in (("", True), ("rules: [{name: r, match: {model: big}, usage: round}]\n", False)):
        hardened = harden(plain(), LIMITED + rule, clock=LoopClock(), identify=lambda scope: "acct_7")
        answer = run(ask(hardened, BODY))
        assert ("x-ratelimit-remaining-tokens" in answer.headers) == told
        assert "x-ratelimit-remaining-requests" in answer.headers


def test_an_app_that_names_nobody_allowed_is_refused_as_unauthenticated() -> None:
    def identify(scope: Scope) -> str:
        raise AccountError("no such tenant")

    answer = run(ask(harden(plain(), HIDE, identify=identify), BODY))
    assert answer.status == 401


def test_an_identify_that_breaks_is_our_fault_and_says_nothing_of_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def identify(scope: Scope) -> str:
        raise RuntimeError("sk-secret")

    answer = run(ask(harden(plain(), HIDE, identify=identify), BODY))
    assert answer.status == 500
    assert "sk-secret" not in answer.body.decode() + caplog.text
    assert "RuntimeError at test_requests.py" in caplog.text


@pytest.mark.parametrize("sync", [True, False])
def test_the_account_that_the_app_names_is_the_one_that_is_charged(sync: bool) -> None:
    def identify(scope: Scope) -> Account:
        return Account("acct_7", groups=("partner",))

    async def identify_later(scope: Scope) -> Account:
        return identify(scope)

    hardened = harden(plain(), HIDE, identify=identify if sync else identify_later)
    run(ask(hardened, BODY))
    assert (hardened.receipts[0].account, hardened.receipts[0].proven) == ("acct_7", True)


def test_an_exempt_account_gets_every_byte_as_it_came() -> None:
    policy = HIDE + "rules:\n  - {name: own, match: {account: acct_7}, exempt: true}\n"
    frames = stream()
    headers = [(b"etag", b'"1"')]
    hardened = harden(replies(frames, headers=headers), policy, identify=lambda scope: "acct_7")
    answer = run(ask(hardened, BODY))
    assert answer.chunks[:-1] == frames
    assert answer.headers == {"content-type": "text/event-stream", "etag": '"1"'}
    assert hardened.receipts[0].tokens.completion == 60


# -- shadow


def test_in_shadow_no_byte_and_no_header_changes_but_the_receipt_tells() -> None:
    seen: Seen = []
    packed = gzip.compress(b"".join(stream()))
    headers = [(b"content-encoding", b"gzip"), (b"x-hardening", b"upstream"), (b"etag", b'"1"')]
    app = replies([packed[:99], packed[99:]], headers=headers, seen=seen)
    hardened = harden(app, HIDE + "mode: shadow\n")
    asked = [(b"accept-encoding", b"gzip"), (b"content-encoding", b"gzip")]
    answer = run(ask(hardened, gzip.compress(BODY), headers=asked))
    assert answer.chunks == [packed[:99], packed[99:], b""]
    assert answer.messages[0]["headers"] == [(b"content-type", b"text/event-stream"), *headers]
    assert seen[0][1] == gzip.compress(BODY)
    assert header(seen[0][0], b"accept-encoding") == [b"gzip"]
    receipt = hardened.receipts[0]
    assert (receipt.mode, receipt.changed, receipt.tokens.completion) == ("shadow", (), 60)
    assert receipt.would is not None
    assert receipt.would.enforced


@pytest.mark.parametrize("body", [b"x" * 1001, [b"x" * 600, b"x" * 600], b"{"])
def test_in_shadow_nobody_is_refused(body: Any) -> None:
    seen: Seen = []
    policy = HIDE.replace("{requests: 1k, per: 1m}", "{requests: 1, per: 30d}")
    hardened = harden(leaking(seen), policy + "mode: shadow\nruntime: {max_body: 1k}\n")

    async def twice() -> list[Answer]:
        return [await ask(hardened, body) for _ in range(2)]

    assert [answer.body for answer in run(twice())] == [whole()] * 2
    assert seen[0][1] == (body if isinstance(body, bytes) else b"".join(body))


# -- doors


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions", "/llm/v1/chat/completions/", "//v1//chat/completions", "/v1/messages"]
)
def test_every_spelling_of_a_door_is_the_door(path: str) -> None:
    hardened = harden(leaking(), HIDE)
    run(ask(hardened, BODY, path=path))
    assert len(hardened.receipts) == 1


def test_own_doors_are_matched_below_the_root() -> None:
    policy = HIDE + 'doors: {/chat: openai_chat, "/raw/*": pass}\n'
    hardened = harden(leaking(), policy)
    for path, root in (("/app/chat", "/app"), ("/chat", "/app"), ("/app/raw/chat", "/app")):
        run(ask(hardened, BODY, path=path, root_path=root))
    assert len(hardened.receipts) == 2


def test_a_path_that_is_no_door_gets_our_callers_own_objects() -> None:
    handed: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        handed.append((scope, receive, send))

    async def receive() -> Any: ...

    async def send(message: Any) -> None: ...

    hardened = harden(app, HIDE)
    for _ in range(2):
        scope = scope_of("/health", "GET")
        run(hardened(scope, receive, send))
        assert handed.pop() == (scope, receive, send)


@pytest.mark.parametrize(("unknown", "status"), [("report", 200), ("block", 403)])
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_unknown_paths_that_take_a_request_follow_the_policy(unknown: str, status: int, method: str) -> None:
    policy = HIDE + f'doors: {{unknown: {unknown}, "/raw/*": pass}}\n'
    hardened = harden(leaking(), policy)
    assert run(ask(hardened, BODY, path="/ask", method=method)).status == status
    assert run(ask(hardened, b"", path="/ask", method="GET")).status == 200
    assert run(ask(hardened, BODY, path="/raw/generate", method=method)).status == 200


def test_what_is_blocked_is_counted_and_the_first_paths_are_named(caplog: pytest.LogCaptureFixture) -> None:
    """Catches an operator who hears nothing of an app of his that `block` has closed, and a flood of lines."""
    hardened = harden(leaking(), HIDE + "doors: {unknown: block}\n")
    for path in (
        "/app/v1/ask",
        "/app/v1/ask",
        "/users/sk-4711/ask",
        "/x\nERROR: forged",
        *map("/p{}".format, "abcdef"),
    ):
        assert run(ask(hardened, BODY, path=path)).status == 403
    counted = hardened.options.registry.get_sample_value
    assert counted("hardening_closed_total", {"door": "unknown"}) == 10
    assert caplog.text.count("blocked /app/v1/ask, which is no door") == 1
    assert "blocked /users/*/ask, which" in caplog.text
    assert "blocked /*, which" in caplog.text
    for at in range(40):
        run(ask(hardened, BODY, path=f"/{'abcdefghij'[at % 10]}{'klmnop'[at // 10]}"))
    assert len([one for one in caplog.records if "blocked" in one.message]) == 16
    assert "further paths are only counted" in caplog.records[-1].message
    assert counted("hardening_closed_total", {"door": "unknown"}) == 50
    run(ask(hardened, BODY, path="/generate"))
    assert counted("hardening_closed_total", {"door": "/generate"}) == 1


def test_model_output_on_an_unknown_path_is_counted_once_a_path() -> None:
    hardened = harden(leaking(), HIDE)
    for _ in range(3):
        run(ask(hardened, BODY, path="/ask"))
        run(ask(hardened, BODY, path="/generate2"))
    assert hardened.options.registry.get_sample_value("hardening_unclaimed_output_total") == 2


def test_an_error_of_an_unknown_path_does_not_end_the_look_at_it() -> None:
    """Whoever knocks first without a key would else keep the operator from hearing of the route."""
    statuses = [401, 422, 503, 200, 200]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"Application/JSON")]
        await send({"type": "http.response.start", "status": statuses.pop(0), "headers": headers})
        await send({"type": "http.response.body", "body": whole()})

    hardened = harden(app, HIDE)
    counts = []
    while statuses:
        run(ask(hardened, BODY, path="/ask"))
        counts.append(hardened.options.registry.get_sample_value("hardening_unclaimed_output_total"))
    assert counts == [0, 0, 0, 1, 1]


def test_the_route_of_such_output_is_named_once_by_its_template(caplog: pytest.LogCaptureFixture) -> None:
    async def answer(request: Request) -> Response:
        return Response(whole(), media_type="application/json")

    app = Starlette(routes=[Route("/custom/{tenant}/llm", answer, methods=["POST"])])
    hardened = harden(app, HIDE)
    for tenant in ("acme", "other"):
        run(ask(hardened, BODY, path=f"/custom/{tenant}/llm"))
    assert caplog.text.count("model output on /custom/{tenant}/llm") == 1
    assert "acme" not in caplog.text


def test_the_name_of_such_a_path_forges_no_line(caplog: pytest.LogCaptureFixture) -> None:
    hardened = harden(leaking(), HIDE)
    run(ask(hardened, BODY, path="/x\nERROR: forged\x1b[31m"))
    assert "model output on /x%0AERROR:%20forged%1B%5B31m, which" in caplog.text
    assert hardened.service is not None
    hardened.service.notices.unclaimed("/\udc80")
    assert "model output on /%3F, which" in caplog.text


@pytest.mark.parametrize("method", ["POST", "GET", "PUT"])
def test_a_known_side_door_is_closed_and_the_log_says_once_how_to_open_it(
    method: str, caplog: pytest.LogCaptureFixture
) -> None:
    hardened = harden(leaking(), HIDE)
    for _ in range(3):
        answer = run(ask(hardened, BODY if method != "GET" else b"", path="/generate", method=method))
        assert answer.status == 403
    assert caplog.text.count("closed /generate") == 1
    opened = harden(leaking(), HIDE + "doors: {/generate: pass}\n")
    assert run(ask(opened, BODY, path="/generate", method=method)).body == whole()
    assert run(ask(harden(leaking(), HIDE + "mode: shadow\n"), BODY, path="/generate")).body == whole()


def test_a_declared_door_whose_format_is_not_built_is_closed() -> None:
    hardened = harden(leaking(), HIDE + "doors: {/model: bedrock_converse}\n")
    assert run(ask(hardened, BODY, path="/model")).status == 403


def test_options_pass_and_head_has_no_body() -> None:
    hardened = harden(leaking(), HIDE)
    assert run(ask(hardened, method="OPTIONS")).body == whole()
    head = run(ask(hardened, method="HEAD"))
    assert (head.status, head.body) == (200, b"")
    assert "content-length" not in head.headers
    assert hardened.receipts == []


def test_a_get_at_a_door_is_hardened_too() -> None:
    answer = run(ask(harden(leaking(), HIDE), method="GET"))
    assert find_leaks(answer.body, TRACE) == []


@pytest.mark.parametrize(
    ("mode", "told"), [("enforce", ["websocket.close"]), ("shadow", ["websocket.accept"])]
)
def test_a_websocket_at_a_door_is_denied_and_elsewhere_passes(mode: str, told: list[str]) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})

    async def talk(path: str) -> list[str]:
        said: list[str] = []

        async def receive() -> Any:
            return {"type": "websocket.connect"}

        async def send(message: Any) -> None:
            said.append(message["type"])

        scope = {"type": "websocket", "path": path, "headers": [], "client": None}
        await harden(app, HIDE + f"mode: {mode}\n")(scope, receive, send)
        return said

    assert run(talk("/v1/chat/completions")) == told
    assert run(talk("/live")) == ["websocket.accept"]


# -- two in one stack


def test_the_same_policy_twice_charges_once() -> None:
    inner = harden(leaking(), HIDE)
    outer = harden(inner, HIDE)
    answer = run(ask(outer, BODY))
    assert find_leaks(answer.body, TRACE) == []
    assert (len(inner.receipts), len(outer.receipts)) == (0, 1)


def test_two_policies_both_act() -> None:
    inner = harden(leaking(), HIDE)
    outer = harden(inner, "observe")
    answer = run(ask(outer, BODY))
    assert find_leaks(answer.body, TRACE) == []
    assert (len(inner.receipts), len(outer.receipts)) == (1, 1)


def test_a_path_that_is_known_below_one_mount_is_not_known_below_another() -> None:
    """Catches a memory of paths alone: left alone below `/api`, the same path is a door at the root."""
    hardened = harden(leaking(), HIDE + "doors: {/own/*: pass}\n")
    asked: Any = {"path": "/api/own/v1/chat/completions"}
    for _ in range(2):
        assert find_leaks(run(ask(hardened, BODY, root_path="/api", **asked)).body, TRACE)
    assert not find_leaks(run(ask(hardened, BODY, **asked)).body, TRACE)
    assert find_leaks(run(ask(hardened, BODY, root_path="/api", **asked)).body, TRACE)
