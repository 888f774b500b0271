"""Switches that bring what is withheld: each alone and in pairs, at every door that has it, whole and streamed."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from itertools import pairwise

import pytest
from starlette.types import Receive, Scope, Send

from hardening import DEFERRED, Account, admit
from hardening.testing import Hardened, harden
from hardening.wire.codec import CODECS
from hardening.wire.pins import Touch
from hardening.wire.roles import Node
from hardening.wire.switches import NESTED
from tests.asgi.driver import Answer, ask, run
from tests.exchanges import ANSWER
from tests.laws.obeying import BEGUN, NEVER, ONLY, SECRET, SET, SPEECHES, asking, obeying

POLICY = """\
version: 1
limits:
  calls: {{requests: 1k, per: 1m}}
  one: {{requests: 1, per: 30d}}
defaults:
  limits: [calls]
  reasoning: {{show: summary}}
  logprobs: {{top: 2}}
  pins: {pins}
rules:
  - {{name: once, match: {{account: once}}, limits: [one]}}
  - {{name: open, match: {{account: open}}, reasoning: {{show: full}}, logprobs: {{top: all}}}}
"""
EACH = [(format, path, value) for format in ONLY for path, value in ONLY[format].items()]
EACH += [("openai_chat", path, value) for path, value in SET.items()]
# Of what all doors share, a few at each.
_SOME = ("reasoning_format", "stop", "extra_body.echo", "chat_template_kwargs", "return_token_ids")
EACH += [
    (format, path, SET[path.removeprefix("extra_body.")])
    for format in SPEECHES
    if format != "openai_chat"
    for path in _SOME
]
EACH += [("openai_chat", f"{place}.{path}", SET[path]) for place in NESTED for path in ("stop", "verbose")]
CASES = pytest.mark.parametrize(
    ("format", "path", "value"), EACH, ids=[f"{format}-{path}" for format, path, _ in EACH]
)
STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


def answer(
    format: str,
    switches: Mapping[str, object],
    policy: str,
    *,
    stream: bool = False,
    who: str = "a",
    **more: object,
) -> tuple[Answer, Hardened, list[bytes]]:
    seen: list[bytes] = []
    app = harden(
        obeying(format, switches, seen), POLICY.format(pins=policy), identify=lambda scope: Account(who)
    )
    return sent(app, format, switches, stream=stream, **more), app, seen


def sent(app: object, format: str, switches: Mapping[str, object], *, stream: bool, **more: object) -> Answer:
    speech = SPEECHES[format]
    path = speech.streamed_path if stream and speech.streamed_path else speech.path
    more = {"query_string": b"alt=sse", **more}
    return run(ask(app, asking(format, switches, stream=stream), path=path, **more))  # type: ignore[arg-type]


def names(node: Node) -> Iterator[str]:
    beside_seals = node.pin is not None and node.pin.touches == Touch.GIVEN  # see `test_tool_turns`
    if node.pin is not None and node.pin.half is None and not beside_seals:
        yield node.pin.name
    for child in (*node.names.values(), *([node.items] if node.items else ())):
        yield from names(child)


@pytest.mark.parametrize("format", [name for name in CODECS if "embed" not in name and name != "scores"])
def test_every_row_of_the_tables_is_attacked_here(format: str) -> None:
    there = {name for name in names(CODECS[format].request) if name[0] != "."}
    only = {name for name in ONLY.get(format, {}) if not name.startswith("options")}
    assert there == {*SET, *only}


@CASES
@STREAMED
def test_a_switch_is_forced(format: str, path: str, value: object, stream: bool) -> None:
    plain = sent(obeying(format, {path: value}), format, {path: value}, stream=stream)
    assert SECRET.encode() in plain.body
    allowed, _, _ = answer(format, {path: value}, "allow", stream=stream)
    assert SECRET.encode() in allowed.body, "the answer alone tells nobody"
    left, app, seen = answer(format, {path: value}, "force", stream=stream)
    assert SECRET.encode() not in left.body
    receipt = app.receipts[0]
    assert "pins" in receipt.reasons
    if path in NEVER:
        assert (left.status, seen, receipt.changed) == (400, [], ())
        return
    assert (left.status, receipt.changed) == (200, ("pins",))
    assert ANSWER.split()[-1].encode() in left.body
    assert left.headers["x-hardening"].endswith("pins=force")


@CASES
def test_a_switch_is_refused_by_its_name(format: str, path: str, value: object) -> None:
    left, app, seen = answer(format, {path: value}, "refuse", who="once")
    assert (left.status, seen) == (400, [])
    assert f"`{path.replace('[]', '[]')}`" in json.dumps(json.loads(left.body))
    assert SECRET.encode() not in left.body
    assert str(value) not in left.body.decode() or str(value) in ("True", "False", "3", "5", "9")
    assert app.receipts[0].outcome == "refused"
    assert app.receipts[0].tokens.settled == 0
    again = sent(app, format, {}, stream=False)
    assert again.status == 200, "a refused switch costs no request"


@CASES
@STREAMED
def test_who_may_see_everything_keeps_every_switch(
    format: str, path: str, value: object, stream: bool
) -> None:
    left, app, seen = answer(format, {path: value}, "refuse", stream=stream, who="open")
    assert left.status == 200
    assert seen == [asking(format, {path: value}, stream=stream)]
    assert SECRET.encode() in left.body
    assert app.receipts[0].changed == ()


PAIRS = list(pairwise([*SET, next(iter(SET))]))


@pytest.mark.parametrize(("one", "other"), PAIRS, ids=["+".join(pair) for pair in PAIRS])
@STREAMED
def test_two_switches_hide_each_other_from_nobody(one: str, other: str, stream: bool) -> None:
    both = {one: SET[one], other: SET[other]}
    left, _, seen = answer("openai_chat", both, "force", stream=stream)
    assert SECRET.encode() not in left.body
    assert left.status == (400 if NEVER & {*both} else 200)
    assert all(json.loads(body)["model"] == "m" for body in seen)
    refused, _, seen = answer("openai_chat", both, "refuse", stream=stream)
    assert (refused.status, seen) == (400, [])


HARMLESS: tuple[tuple[str, object], ...] = (
    ("skip_special_tokens", True),
    ("echo", False),
    ("reasoning_format", "hidden"),
    ("reasoning_effort", "high"),
    ("thinking", {"type": "enabled", "budget_tokens": 1024}),
    ("stream_options", {"include_usage": True}),
    ("stop", ["\n\n", "</s>", "<|im_end|>", "<|end|>", "<", "think"]),
    ("chat_template_kwargs", {"enable_thinking": True, "thinking": True, "reasoning_effort": "low"}),
    ("chat_template_kwargs", {}),
    ("reasoning", {"effort": "high", "exclude": False, "enabled": True}),
    ("extra_body", {"top_k": 20, "echo": None}),
    ("continue_final_message", None),
    ("reasoning_effort", "none"),
    ("structured_outputs", {"regex": "[a-z]{9}"}),
    ("response_format", {"type": "json_schema", "json_schema": {"schema": {"pattern": "[^<]*"}}}),
)


@pytest.mark.parametrize(("path", "value"), HARMLESS)
@pytest.mark.parametrize("pins", ["force", "refuse"])
def test_what_honest_clients_send_is_neither_edited_nor_refused(path: str, value: object, pins: str) -> None:
    left, app, seen = answer("openai_chat", {path: value}, pins)
    assert (left.status, seen) == (200, [asking("openai_chat", {path: value}, stream=False)])
    assert "pins" not in (*app.receipts[0].reasons, *app.receipts[0].changed)


def test_another_model_than_the_rules_were_asked_about_is_asked_of_nobody() -> None:
    """Catches a caller who gets one model by the rule of another, because a gateway looks in a second place."""
    asked: dict[str, object] = {"extra_body.model": "glass-9"}
    for who in ("a", "open"):
        left, _, seen = answer("openai_chat", asked, "force", who=who)
        assert (left.status, json.loads(seen[0])["extra_body"]) == (200, {"model": None})
        refused, _, seen = answer("openai_chat", asked, "refuse", who=who)
        assert (refused.status, seen) == (400, [])
        assert b"`extra_body.model` may not be set here" in refused.body


def test_a_begun_answer_without_a_tag_goes_on_unless_switches_are_refused() -> None:
    begun: dict[str, object] = {"messages": BEGUN}
    left, app, seen = answer("openai_chat", begun, "force")
    assert (left.status, seen) == (200, [asking("openai_chat", begun, stream=False)])
    assert (app.receipts[0].reasons, app.receipts[0].changed) == (("pins",), ())
    refused, _, seen = answer("openai_chat", begun, "refuse")
    assert (refused.status, seen) == (400, [])


def test_a_turn_that_its_api_paused_goes_on() -> None:
    signed = [
        {"type": "thinking", "thinking": "First", "signature": "EuwJ"},
        {"type": "redacted_thinking", "data": "Em"},
    ]
    content = [*signed, {"type": "text", "text": "I look it up."}]
    paused: dict[str, object] = {
        "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": content}]
    }
    left, _, seen = answer("anthropic_messages", paused, "force")
    assert (left.status, len(seen)) == (200, 1)
    content[2]["text"] += "<think>"
    left, _, seen = answer("anthropic_messages", paused, "force")
    assert (left.status, seen) == (400, [])


@pytest.mark.parametrize(
    "turn",
    [
        {"role": "assistant", "content": "<th"},
        {"role": "ASSISTANT", "content": [{"type": "text", "text": "a [think]"}]},
        {"Role": "assistant", "content": "all thought</think>"},
        {"role": "assistant", "content": "", "reasoning_content": "First"},
        {"role": "model", "parts": [{"text": "First", "thought": True}]},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "First"}]},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "First", "signature": ""}]},
    ],
)
def test_an_answer_begun_in_a_trace_is_refused(turn: dict[str, object]) -> None:
    messages = {"messages": [{"role": "user", "content": "q"}, turn]}
    left, _, seen = answer("openai_chat", messages, "force")
    assert (left.status, seen) == (400, [])
    assert b"`messages` may not end in a begun answer here" in left.body


def test_a_switch_of_rows_is_left_to_who_sees_rows_and_one_of_ids_to_nobody() -> None:
    policy = POLICY.replace("logprobs: {{top: 2}}", "logprobs: {{top: all}}").format(pins="force")
    seen: list[bytes] = []
    app = harden(obeying("openai_chat", {}, seen), policy)
    asked = {"prompt_logprobs": 5, "echo": True, "return_token_ids": True, "reasoning_format": "raw"}
    sent(app, "openai_chat", asked, stream=False)
    told = json.loads(seen[0])
    assert {key: told[key] for key in asked} == {
        "prompt_logprobs": 5,
        "echo": True,
        "return_token_ids": False,
        "reasoning_format": None,
    }


def test_shadow_changes_nothing_and_says_what_it_saw() -> None:
    for pins in ("force", "refuse"):
        seen: list[bytes] = []
        policy = POLICY.format(pins=pins) + "mode: shadow\n"
        app = harden(obeying("openai_chat", {}, seen), policy)
        left = sent(app, "openai_chat", {"messages": SET["messages"], "echo": True}, stream=False)
        assert left.status == 200
        assert seen == [asking("openai_chat", {"messages": SET["messages"], "echo": True}, stream=False)]
        assert (app.receipts[0].reasons, app.receipts[0].changed) == (("pins",), ())


THOUGHT = "First take two from five, which is three of them.</think>"


@pytest.mark.parametrize(
    "prompt", ["q<think>\n", ["q", "q <Think> Okay, so"], "q [think]", "q<thin", {"prompt_string": "<think>"}]
)
@STREAMED
def test_what_follows_a_prompt_that_begins_a_trace_is_one(prompt: object, stream: bool) -> None:
    speech = SPEECHES["openai_completions"]
    text = THOUGHT + ANSWER

    async def app(scope: object, receive: object, send: object) -> None:
        pieces = speech.pieces(text) if stream else [json.dumps(speech.whole(text)).encode()]
        kind = speech.kind if stream else b"application/json"
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})  # type: ignore[operator]
        for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})  # type: ignore[operator]
        await send({"type": "http.response.body", "body": b"", "more_body": False})  # type: ignore[operator]

    policy = POLICY.replace("show: summary", "show: none").format(pins="allow")
    asked = {"prompt": prompt}
    assert b"take two" in sent(app, "openai_completions", asked, stream=stream).body
    left = sent(harden(app, policy), "openai_completions", asked, stream=stream).body  # type: ignore[arg-type]
    assert b"take two" not in left
    assert ANSWER.split()[-1].encode() in left
    closed = sent(
        harden(app, policy),
        "openai_completions",
        {"prompt": "<think>a</think>q"},
        stream=True,  # type: ignore[arg-type]
    )
    assert (b"take two" in closed.body) is stream


@pytest.mark.parametrize("late", [False, True])
def test_a_switch_that_a_deferring_app_has_read_already_is_refused(late: bool) -> None:
    seen: list[bytes] = []
    inner = obeying("openai_chat", {"echo": True}, seen)

    async def app(scope: dict[str, object], receive: object, send: object) -> None:
        if not late:
            await admit(scope, Account("a"))
            await inner(scope, receive, send)  # type: ignore[arg-type]
            return
        message = await receive()  # type: ignore[operator]
        await admit(scope, Account("a"))

        async def again() -> dict[str, object]:
            return message  # type: ignore[no-any-return]

        await inner(scope, again, send)  # type: ignore[arg-type]

    hardened = harden(app, POLICY.format(pins="force"), identify=DEFERRED)  # type: ignore[arg-type]
    left = sent(hardened, "openai_chat", {"echo": True}, stream=False)
    assert (left.status, len(seen)) == ((400, 0) if late else (200, 1))
    assert SECRET.encode() not in left.body


SHA = b"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
SIGV4 = (b"authorization", b"AWS4-HMAC-SHA256 Credential=AK/20261126/us-east-1/x/aws4_request, Signature=ab")
SIGNED: tuple[list[tuple[bytes, bytes]], ...] = (
    [SIGV4],
    [SIGV4, (b"x-amz-content-sha256", SHA)],
    [(b"X-Amz-Content-Sha256", b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD")],
    [(b"x-amz-content-sha256", b"UNSIGNED-PAYLOAD"), (b"x-amz-content-sha256", SHA)],
    [(b"content-digest", b"sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:")],
    [(b"Digest", b"SHA-256=X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=")],
    [(b"content-md5", b"Q2hlY2sgSW50ZWdyaXR5IQ==")],
    [(b"x-goog-content-sha256", SHA)],
    [(b"signature-input", b'sig1=("@method" "content-digest");created=1'), (b"signature", b"sig1=:a:")],
    [(b"authorization", b"TC3-HMAC-SHA256 Credential=a/2026-11-26/b/tc3_request, Signature=ab")],
)
UNSIGNED: tuple[list[tuple[bytes, bytes]], ...] = (
    [(b"authorization", b"Bearer sk-hmac-aws4")],
    [SIGV4, (b"x-amz-content-sha256", b"UNSIGNED-PAYLOAD")],
    [(b"signature-input", b'sig1=("@method" "@path");created=1'), (b"signature", b"sig1=:a:")],
)


@pytest.mark.parametrize("headers", SIGNED)
def test_a_signed_body_is_never_edited(headers: list[tuple[bytes, bytes]]) -> None:
    left, app, seen = answer("openai_chat", {"echo": True}, "force", headers=headers)
    assert (left.status, seen) == (400, [])
    assert b"the body is signed" in left.body
    assert "signed_body" in app.receipts[0].reasons
    left, _, seen = answer("openai_chat", {"top_logprobs": 20, "logprobs": True}, "allow", headers=headers)
    assert (left.status, seen) == (400, [])
    left, _, seen = answer("openai_chat", {"user": "u"}, "force", headers=headers)
    assert (left.status, seen) == (200, [asking("openai_chat", {"user": "u"}, stream=False)])


def test_a_signed_body_that_came_packed_stays_packed() -> None:
    seen: list[bytes] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((await receive())["body"])
        assert (b"content-encoding", b"gzip") in scope["headers"]
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    packed = gzip.compress(asking("openai_chat", {"user": "u"}, stream=False))
    headers = [(b"content-encoding", b"gzip"), (b"content-digest", b"sha-256=:a:")]
    hardened = harden(app, POLICY.format(pins="force"))
    assert run(ask(hardened, packed, headers=headers)).status == 204
    assert seen == [packed]


@pytest.mark.parametrize("headers", UNSIGNED)
def test_a_body_that_nobody_signed_is_edited(headers: list[tuple[bytes, bytes]]) -> None:
    left, _, seen = answer("openai_chat", {"echo": True}, "force", headers=headers)
    assert (left.status, json.loads(seen[0])["echo"]) == (200, False)


def test_an_address_that_is_signed_signs_the_body_and_shadow_refuses_none() -> None:
    query = b"X-Amz-Signature=ab"
    left, _, seen = answer("openai_chat", {"echo": True}, "force", query_string=query)
    assert (left.status, seen) == (400, [])
    seen = []
    app = harden(obeying("openai_chat", {}, seen), POLICY.format(pins="force") + "mode: shadow\n")
    assert sent(app, "openai_chat", {"echo": True}, stream=False, query_string=query).status == 200
