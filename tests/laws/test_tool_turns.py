"""Tool turns with hidden reasoning: the model gets its own thoughts back byte for byte, and nobody else anything."""

from __future__ import annotations

import asyncio
import base64
import html
import json
import random
import re
import urllib.parse
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from hardening.testing import Hardened, ManualClock, find_leaks, harden
from hardening.transform.seal import LASTS_S, SIZES
from hardening.wire.mark import MARK
from tests.laws.talks import CALLS, WAYS, Talk, Turns, Value
from tests.laws.thinker import Thinker, thought

TALKS = 200
KEY, OTHER = "a key for tests, and for nothing else", "another key for tests, as long as the first"
FORMATS = [*WAYS]
_seals = re.compile(MARK + r"[A-Za-z0-9_-]+")


def who(scope: Any) -> str:
    return dict(scope["headers"])[b"x-who"].decode()  # type: ignore[no-any-return]


def mounted(thinker: Thinker, policy: str = "baseline", key: str = KEY, **more: Any) -> Hardened:
    return harden(thinker, policy, identify=who, environment={"HARDENING_KEY": key}, **more)


@asynccontextmanager
async def clients(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as client:
        yield client


def leaks(talk: Talk) -> list[Any]:
    out = b"".join(talk.left)
    return [find_leaks(out, thought(talk.name, step)) for step in range(CALLS + 1)]


def is_whole(thinker: Thinker, *names: str) -> bool:
    """Whether every thought of these conversations came back as it was."""
    told = {(name, step) for name in names for step in range(CALLS)}
    return thinker.strayed() == {} and {*thinker.back} == told


# -- what is promised


@pytest.mark.parametrize("format", FORMATS)
def test_every_thought_comes_back_as_it_was(format: str) -> None:
    async def talk() -> None:
        async with clients(mounted(thinker)) as client:
            for number in range(TALKS):
                one = Talk(client, format, f"n{number}", streamed=number % 2 == 0)
                await one.to_the_end()
                assert leaks(one) == [[]] * (CALLS + 1)

    thinker = Thinker()
    asyncio.run(talk())
    assert is_whole(thinker, *(f"n{number}" for number in range(TALKS)))
    assert not any(MARK.encode() in body for body in thinker.bodies)


def trimmed(turns: Turns) -> Turns:
    """The question and the last call: as agents cut what no longer fits."""
    last = next(at for at in range(len(turns) - 1, -1, -1) if not_own(turns[at]))
    first = last
    while first > 1 and not not_own(turns[first - 1]):
        first -= 1
    return [turns[0], *turns[first:]] if first > 1 else turns


def not_own(turn: Value) -> bool:
    return turn.get("role") in ("user", "tool") or turn.get("type") == "function_call_output"


def as_parts(turns: Turns) -> Turns:
    """The question as a list of parts, and keys in another order."""
    first, *rest = turns
    if isinstance(first.get("content"), str):
        kind = "input_text" if any("type" in turn for turn in rest) else "text"
        first = {**first, "content": [{"type": kind, "text": first["content"]}]}
    return [first, *(dict(sorted(turn.items())) for turn in rest)]


def in_other_words(value: Value) -> bytes:
    """As a client writes it that puts no space and escapes all it can."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True, sort_keys=True).encode()


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("change", [trimmed, as_parts])
def test_a_history_that_was_cut_or_written_anew(change: Any, format: str, streamed: bool) -> None:
    async def talk() -> None:
        async with clients(mounted(thinker)) as client:
            one = Talk(client, format, "cut", streamed, write=in_other_words)
            await one.to_the_end(change)

    thinker = Thinker()
    asyncio.run(talk())
    assert is_whole(thinker, "cut")


def own(text: str) -> Value:
    return {"role": "assistant", "content": [{"type": "text", "text": text}]}


def asked(text: str) -> Value:
    return {"role": "user", "content": text}


AGENTS: dict[str, Callable[[Turns], Turns]] = {
    "a summary and its answer": lambda turns: [turns[0], own("I see."), asked("go on"), *turns[-2:]],
    "a call told in words": lambda turns: [turns[0], own("[called]"), asked("[seen]"), *turns[3:]],
    "a note in between": lambda turns: [*turns[:3], own("[note]"), asked("[reminder]"), *turns[3:]],
    "a reminder in between": lambda turns: [*turns[:3], asked("[reminder]"), *turns[3:]],
}


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("name", AGENTS)
def test_a_call_goes_on_after_its_agent_has_put_its_history_in_order(name: str, streamed: bool) -> None:
    """Catches the 400 of a loop that cannot go on any more: its last turn still has all that its API asks for."""

    async def talk() -> httpx.Response:
        more = {"thinking": {"type": "enabled", "budget_tokens": 100}}
        async with clients(mounted(thinker)) as client:
            one = Talk(client, "anthropic_messages", "tidy", streamed, more=more)
            await one.go_on()
            await one.go_on()
            thinker.back.clear()
            return await one.go_on(AGENTS[name])

    thinker = Thinker()
    assert asyncio.run(talk()).status_code == 200
    assert thinker.back["tidy", 1][0] == thought("tidy", 1)


# -- what opens nothing


def flipped(seal: str) -> str:
    at = random.Random(seal).randrange(len(MARK), len(seal))
    return seal[:at] + ("A" if seal[at] != "A" else "B") + seal[at + 1 :]


def in_every_seal(turns: Turns, change: Callable[[str], str]) -> Turns:
    return json.loads(_seals.sub(lambda found: change(found[0]), json.dumps(turns)))  # type: ignore[no-any-return]


def exchanged(turns: Turns) -> Turns:
    """Each turn with the seal of another."""
    found = [*dict.fromkeys(_seals.findall(json.dumps(turns)))]
    other = dict(zip(found, found[1:] + found[:1], strict=True))
    return in_every_seal(turns, other.__getitem__)


LOST: dict[str, Callable[[Turns], Turns]] = {
    "a flipped bit": lambda turns: in_every_seal(turns, flipped),
    "the end cut off": lambda turns: in_every_seal(turns, lambda seal: seal[:-4]),
    "one too long": lambda turns: in_every_seal(turns, lambda seal: seal + "AAAA"),
    "nothing but the name": lambda turns: in_every_seal(turns, lambda seal: MARK),
    "of another size": lambda turns: in_every_seal(turns, lambda seal: seal.ljust(SIZES[-2], "A")),
}


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name", LOST)
def test_a_seal_that_was_touched_is_dropped(name: str, format: str, streamed: bool) -> None:
    assert dropped(format, streamed, LOST[name]) == {(None, True)}


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("format", FORMATS)
def test_a_seal_of_another_turn_is_dropped(format: str, streamed: bool) -> None:
    """The first turn of a request may follow a history that was cut: a seal of any turn opens there."""
    found = dropped(format, streamed, exchanged, first=False)
    assert found == {(None, True)}


def dropped(format: str, streamed: bool, change: Callable[[Turns], Turns], *, first: bool = True) -> set[Any]:
    """What came back of thoughts, as their text and whether nothing leaked, where the last request was changed."""

    async def talk() -> Talk:
        async with clients(mounted(thinker)) as client:
            one = Talk(client, format, "lost", streamed)
            for _ in range(CALLS):
                await one.go_on()
            thinker.back.clear()
            assert (await one.go_on(change)).status_code == 200
            return one

    thinker = Thinker()
    one = asyncio.run(talk())
    fine = leaks(one) == [[]] * (CALLS + 1) and MARK.encode() not in thinker.bodies[-1]
    return {(found[0] or None, fine) for (_, step), found in thinker.back.items() if step or first}


async def taken_up(one: Talk, app: Any, **changed: Any) -> httpx.Response:
    """The answer of another app to a conversation that goes on there."""
    async with clients(app) as client:
        other = Talk(client, one.format, one.name, one.streamed, **{"account": one.account, **changed})
        other.turns = one.turns
        answer = await other.go_on()
        assert leaks(other) == [[]] * (CALLS + 1)
        return answer


FULL = "version: 1\nname: full\nextends: baseline\ndefaults: {reasoning: {show: full}}\n"
OLD = """\
version: 1
name: rotated
extends: baseline
runtime: {keys: {current: {env: NEW}, previous: [{env: OLD}]}}
"""


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name", ["account", "model", "edition", "key", "previous key", "no key", "time"])
def test_who_opens_a_seal(name: str, format: str, streamed: bool) -> None:
    async def talk() -> int:
        clock = ManualClock()
        async with clients(mounted(Thinker(), clock=clock)) as client:
            one = Talk(client, format, "seal", streamed, model="m-2026-01-01")
            await one.go_on()
        changed: dict[str, Any] = {"model": one.model}
        app: Any = mounted(thinker, clock=clock)
        if name == "account":
            changed["account"] = "somebody else"
        elif name in ("model", "edition"):
            changed["model"] = "other-2026-01-01" if name == "model" else "m"
        elif name == "key":
            app = mounted(thinker, key=OTHER)
        elif name == "previous key":
            keys = {"OLD": KEY, "NEW": OTHER}
            app = harden(thinker, OLD, identify=who, environment=keys)
        elif name == "no key":
            app = harden(thinker, "baseline", identify=who, environment={})
        else:
            clock.advance(LASTS_S + 1)
        return (await taken_up(one, app, **changed)).status_code

    thinker = Thinker()
    assert asyncio.run(talk()) == 200
    opened = thinker.back["seal", 0][0] == thought("seal", 0)
    assert opened is (name in ("edition", "previous key"))
    assert opened or not thinker.back["seal", 0][0]
    assert MARK.encode() not in thinker.bodies[-1]


FAMILIES = """\
version: 1
name: families
extends: baseline
families: {claude: ["claude-opus-*", "claude-sonnet-*"], other: "other-*"}
"""


@pytest.mark.parametrize("model", ["anthropic/claude-sonnet-4-5", "other-opus-4-5", "claude-haiku-4-5"])
@pytest.mark.parametrize("format", FORMATS)
def test_an_agent_that_falls_back_in_a_tool_turn_goes_on_within_a_family(format: str, model: str) -> None:
    async def talk() -> int:
        app = mounted(thinker, FAMILIES)
        async with clients(app) as client:
            one = Talk(client, format, "fall", streamed=True, model="claude-opus-4-5-20251101")
            await one.go_on()
        thinks = {"thinking": {"type": "enabled", "budget_tokens": 100}}
        more = thinks if format == "anthropic_messages" else {}
        return (await taken_up(one, app, model=model, more=more)).status_code

    thinker = Thinker()
    opened = "sonnet" in model
    refuses = format == "anthropic_messages" and not opened
    assert asyncio.run(talk()) == (400 if refuses else 200)
    if not refuses:
        assert (thinker.back["fall", 0][0] == thought("fall", 0)) is opened


@pytest.mark.parametrize("streamed", [False, True])
def test_an_open_turn_that_needs_its_reasoning_is_refused(streamed: bool) -> None:
    """Anthropic's API answers 400 to a call without its thinking: so do we, in words that name no cause."""

    async def talk(change: Callable[[Turns], Turns]) -> httpx.Response:
        async with clients(mounted(thinker)) as client:
            more = {"thinking": {"type": "enabled", "budget_tokens": 100}}
            one = Talk(client, "anthropic_messages", "need", streamed, more=more)
            await one.go_on()
            return await one.go_on(change)

    thinker = Thinker()
    answers = {asyncio.run(talk(change)).text.partition("request_id")[0] for change in LOST.values()}
    assert len(answers) == 1
    (told,) = answers
    assert "the sealed reasoning of an open tool turn cannot be used here" in told
    asked = next(iter(LOST.values()))

    def said_more(turns: Turns) -> Turns:
        return [*asked(turns), {"role": "user", "content": "go on"}]

    assert asyncio.run(talk(said_more)).status_code == 200


@pytest.mark.parametrize("policy", ["observe", "full"])
def test_who_hides_nothing_refuses_no_turn_that_lost_its_reasoning(policy: str) -> None:
    async def talk() -> httpx.Response:
        more = {"thinking": {"type": "enabled", "budget_tokens": 100}}
        async with clients(mounted(Thinker())) as client:
            one = Talk(client, "anthropic_messages", "shadow", streamed=False)
            await one.go_on()
        async with clients(mounted(thinker, FULL if policy == "full" else policy)) as client:
            other = Talk(client, one.format, one.name, streamed=False, model="other", more=more)
            other.turns = one.turns
            return await other.go_on()

    thinker = Thinker()
    assert asyncio.run(talk()).status_code == 200
    assert thinker.back["shadow", 0] == (None, None)


def test_a_seal_in_a_turn_of_the_caller_opens_nothing() -> None:
    async def talk() -> None:
        async with clients(mounted(thinker)) as client:
            one = Talk(client, "anthropic_messages", "role", streamed=False)
            await one.go_on()
            (block,) = (block for block in one.turns[1]["content"] if block["type"] == "thinking")

            def moved(turns: Turns) -> Turns:
                return [{"role": "user", "content": [{"type": "text", "text": turns[0]["content"]}, block]}]

            await one.go_on(moved)

    thinker = Thinker()
    asyncio.run(talk())
    (last,) = json.loads(thinker.bodies[-1])["messages"]
    assert last["content"] == [{"type": "text", "text": f"talk role: {CALLS} calls"}]


# -- a restored trace is for the model alone


@pytest.mark.parametrize(
    "switch",
    [{"echo": True}, {"prompt_logprobs": 1}, {"return_prompt_text": True}, {"return_token_ids": True}],
)
@pytest.mark.parametrize("format", FORMATS)
def test_who_brings_a_seal_may_not_see_what_the_model_was_given(format: str, switch: Value) -> None:
    policy = "version: 1\nname: lax\nextends: baseline\ndefaults: {pins: allow, logprobs: {top: all}}\n"

    async def talk() -> list[int]:
        async with clients(mounted(Thinker(), policy)) as client:
            one = Talk(client, format, "echo", streamed=False, more=switch)
            return [(await one.go_on()).status_code, (await one.go_on()).status_code]

    assert asyncio.run(talk()) == [200, 400]


GIVEN: list[str] = [
    *(f'"{name}":true' for name in ("return_full_text", "return_prompt", "include_prompt")),
    *(f'"{name}":true' for name in ("decoder_input_details", "return_prompt_logprobs")),
    *(f'"{name}":"http://other"' for name in ("api_base", "base_url", "langfuse_host", "webhook")),
    '"fallbacks":[{"model":"n","api_base":"http://other"}]',
    '"context_window_fallbacks":[{"model":"n","base_url":"http://other"}]',
    '"fallbacks":[{"m":[{"model":"n","Api_Base":"http://other"}]}]',
    '"content_policy_fallbacks":[{"m":[[{"model":"n","success_callback":["langfuse"]}]]}]',
    '"fallbacks":[{"m":[{"model":"n","litellm_params":{"langfuse_host":"other"}}]}]',
    '"router_settings_override":{"fallbacks":[{"model":"n","api_base":"http://other"}]}',
    '"model_list":[{"litellm_params":{"api_base":"http://other"}}]',
    *(
        f'"{name}":"http://other"'
        for name in ("sagemaker_base_url", "posthog_host", "slack_webhook_url", "dd_site")
    ),
    '"litellm_params":{"metadata":{"braintrust_host":"other"}}',
    '"metadata":{"langfuse_host":"other"}',
    '"litellm_metadata":{"langsmith_api_key":"mine"}',
    '"user_config":{"model_list":[{"litellm_params":{"api_base":"http://other"}}]}',
    '"kv_transfer_params":{"remote_host":"other"}',
    '"response_fields":["prompt"]',
    '"extra_body":{"api_base":"http://other"}',
    '"extra_body":{"extra_body":{"echo":true}}',
    '"extra_body":{"echo":true},"extra_body":null',
]


@pytest.mark.parametrize("policy", ["baseline", "lax"])
@pytest.mark.parametrize("switch", GIVEN)
def test_who_brings_a_seal_sends_it_nowhere_else(switch: str, policy: str) -> None:
    lax = "version: 1\nname: lax\nextends: baseline\ndefaults: {pins: allow}\n"

    def switched(value: Value) -> bytes:
        return json.dumps(value).encode()[:-1] + f",{switch}}}".encode()

    async def talk() -> httpx.Response:
        async with clients(mounted(Thinker(), lax if policy == "lax" else policy)) as client:
            one = Talk(client, "openai_chat", "given", streamed=False)
            await one.go_on()
            one.write = switched
            return await one.go_on()

    refused = asyncio.run(talk())
    assert refused.status_code == 400
    assert "may not be set here" in refused.text


ERRORS: dict[str, Callable[[bytes], bytes]] = {
    "json": lambda body: json.dumps({"error": {"message": "1 error", "input": json.loads(body)}}).encode(),
    "in a string": lambda body: json.dumps({"error": {"message": f"bad value in {body.decode()}"}}).encode(),
    "as python": lambda body: json.dumps({"detail": f"input: {json.loads(body)!r}"}).encode(),
    "in words": lambda body: b"Bad Request: " + body,
}


@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize("format", FORMATS)
def test_an_error_that_quotes_the_request_quotes_no_trace(format: str, kind: str) -> None:
    class Failing(Thinker):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            body = (await receive())["body"]
            if b"seen" not in body and b"functionResponse" not in body:

                async def again() -> Any:
                    return {"type": "http.request", "body": body, "more_body": False}

                await super().__call__(scope, again, send)
                return
            said = ERRORS[kind](body)
            head = [(b"content-type", b"text/plain" if kind == "in words" else b"application/json")]
            await send({"type": "http.response.start", "status": 400, "headers": head})
            await send({"type": "http.response.body", "body": said})

    async def talk(name: str) -> None:
        async with clients(mounted(Failing())) as client:
            one = Talk(client, format, name, streamed=False)
            await one.go_on()
            assert (await one.go_on()).status_code in (400, 502)
            assert leaks(one) == [[]] * (CALLS + 1)

    for number in range(8):
        asyncio.run(talk(f"e{number}"))


class Quoting(Thinker):
    """A server that answers the second request with what `said` makes of it."""

    said: Callable[[bytes], tuple[int, bytes, list[tuple[bytes, bytes]]]]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = (await receive())["body"]
        if b"seen" not in body and b"functionResponse" not in body:

            async def again() -> Any:
                return {"type": "http.request", "body": body, "more_body": False}

            await super().__call__(scope, again, send)
            return
        self.bodies.append(body)
        status, told, headers = self.said(body)
        head = [(b"content-type", b"application/json"), *headers]
        await send({"type": "http.response.start", "status": status, "headers": head})
        await send({"type": "http.response.body", "body": told})


async def second(
    quoting: Quoting, format: str, policy: str = "baseline", change: Any = lambda turns: turns
) -> httpx.Response:
    """The answer to the second request of a conversation, under a policy that came after the first."""
    async with clients(mounted(quoting)) as client:
        one = Talk(client, format, "quoted", streamed=False)
        await one.go_on()
    async with clients(mounted(quoting, policy)) as client:
        other = Talk(client, format, "quoted", streamed=False)
        other.turns = one.turns
        other.left.clear()
        way = WAYS[format]
        asked = {"model": "m", way.key: change(one.turns), **way.more}
        headers = {"x-who": one.account, "content-type": "application/json"}
        answer = await client.post(way.path("m", False), content=json.dumps(asked), headers=headers)
    assert find_leaks(quoting.bodies[-1], thought("quoted", 0))
    return answer


def error(message: str, **more: object) -> tuple[int, bytes, list[tuple[bytes, bytes]]]:
    told = {"message": message, "type": "invalid_request_error", "code": "context_length_exceeded"}
    return 400, json.dumps({"error": {**told, **more}}).encode(), []


TOO_LONG = "prompt is too long: 210000 tokens > 200000 maximum"
FULL = "version: 1\nname: full\nextends: baseline\ndefaults: {reasoning: {show: full}}\n"
TWICE: dict[str, Callable[[str], str]] = {
    "json": lambda text: json.dumps({"e": json.dumps({"error": json.dumps(text)})}),
    "bytes": lambda text: repr(text.encode()),
    "html": html.escape,
    "address": urllib.parse.quote,
    "capitals": str.upper,
}


@pytest.mark.parametrize("policy", ["baseline", "observe", FULL])
@pytest.mark.parametrize("way", TWICE)
@pytest.mark.parametrize("format", FORMATS)
def test_an_error_tells_no_trace_in_other_escapes_and_under_no_other_rule(
    format: str, way: str, policy: str
) -> None:
    quoting = Quoting()
    quoting.said = lambda body: error("bad: " + TWICE[way](body.decode()), hint=TOO_LONG)
    answer = asyncio.run(second(quoting, format, policy))
    assert answer.json()["error"] == {
        "message": "",
        "type": "invalid_request_error",
        "code": "context_length_exceeded",
        "hint": TOO_LONG,
    }


@pytest.mark.parametrize("policy", ["baseline", "observe", FULL])
@pytest.mark.parametrize("size", [1, 7])
def test_an_error_tells_no_trace_in_many_short_strings(size: int, policy: str) -> None:
    def said(body: bytes) -> tuple[int, bytes, list[tuple[bytes, bytes]]]:
        text = json.loads(body)["messages"][1]["reasoning_content"]
        return error(
            TOO_LONG, tokens=[text[at : at + size] for at in range(0, len(text), size)], param="messages"
        )

    quoting = Quoting()
    quoting.said = said
    told = asyncio.run(second(quoting, "openai_chat", policy)).json()["error"]
    assert told.pop("tokens") == [""] * len(range(0, len(thought("quoted", 0)), size))
    assert told == {**json.loads(error(TOO_LONG)[1])["error"], "param": "messages"}


@pytest.mark.parametrize("policy", ["baseline", "observe", FULL])
@pytest.mark.parametrize("quotes", ["body", "header", "nothing"])
def test_a_receipt_names_copies_that_were_taken_out(quotes: str, policy: str) -> None:
    def said(body: bytes) -> tuple[int, bytes, list[tuple[bytes, bytes]]]:
        status, told, _ = error(body.decode() if quotes == "body" else TOO_LONG)
        quoted = urllib.parse.quote(json.loads(body)["messages"][1]["reasoning_content"]).encode()
        return status, told, [(b"x-in", quoted[:150])] if quotes == "header" else []

    async def talk() -> None:
        app = mounted(quoting, policy)
        async with clients(app) as client, clients(mounted(quoting)) as before:
            one = Talk(before, "openai_chat", "quoted", streamed=False)
            await one.go_on()
            one.client = client
            await one.go_on()
        changed: tuple[str, ...] = () if quotes == "nothing" else ("copies",)
        if (quotes, policy) == ("body", "baseline"):  # which hides what an error quotes under a trace's name
            changed = ("copies", "reasoning")
        assert [receipt.changed for receipt in app.receipts] == [changed]

    quoting = Quoting()
    quoting.said = said
    asyncio.run(talk())


@pytest.mark.parametrize("policy", ["baseline", "observe", FULL])
def test_an_answer_tells_no_restored_trace_beside_itself(policy: str) -> None:
    def said(body: bytes) -> tuple[int, bytes, list[tuple[bytes, bytes]]]:
        told = {"id": "r", "object": "response", "status": "completed", "output": []}
        return 200, json.dumps({**told, "input": json.loads(body)["input"]}).encode(), []

    quoting = Quoting()
    quoting.said = said
    answer = asyncio.run(second(quoting, "openai_responses", policy))
    assert answer.json()["output"] == []
    assert find_leaks(answer.content, thought("quoted", 0)) == []


@pytest.mark.parametrize("policy", ["baseline", "observe"])
def test_a_header_quotes_no_trace(policy: str) -> None:
    def said(body: bytes) -> tuple[int, bytes, list[tuple[bytes, bytes]]]:
        quoted = urllib.parse.quote(json.loads(body)["messages"][1]["reasoning_content"]).encode()
        kept = [(b"x-request-id", b"r-1"), (b"set-cookie", b"a=" + b"b" * 300)]
        packed = base64.b64encode(body)
        return (
            307,
            b"{}",
            [*kept, (b"location", b"/x?" + quoted), (b"x-debug", packed), (b"x-in", quoted[:150])],
        )

    quoting = Quoting()
    quoting.said = said
    answer = asyncio.run(second(quoting, "openai_chat", policy))
    assert {*answer.headers} & {"x-request-id", "set-cookie", "location", "x-debug", "x-in"} == {
        "x-request-id",
        "set-cookie",
    }


def test_many_and_long_traces_leave_honest_errors_readable(monkeypatch: pytest.MonkeyPatch) -> None:
    def long(talk: str, step: int) -> str:
        return f"thought {step} of {talk}: " + " ".join(str(i * 7919 % 9973) for i in range(20_000))

    def many(turns: Turns) -> Turns:
        first, own, result = turns
        return [first, *[{**own, "tool_calls": None, "content": "ok"}] * 20, own, result]

    monkeypatch.setattr("tests.laws.thinker.thought", long)
    monkeypatch.setattr("tests.laws.test_tool_turns.thought", long)
    quoting = Quoting()
    quoting.said = lambda body: error(TOO_LONG)
    answer = asyncio.run(second(quoting, "openai_chat", change=many))
    assert answer.json()["error"]["message"] == TOO_LONG


class Ticking:
    """A clock on which each look takes a millisecond."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += 0.001
        return self.now

    def wall(self) -> float:
        return 1.7e9 + self.now


@pytest.mark.parametrize("policy", ["baseline", "observe"])
def test_the_loop_serves_others_while_long_traces_are_learnt(
    policy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Catches an index that is made in one go when the answer starts: .3 s for the traces of a long conversation."""

    def long(talk: str, step: int) -> str:
        return f"thought {step} of {talk}: " + " ".join(str(i * 7919 % 9973) for i in range(60_000))

    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def talk() -> None:
        app = harden(quoting, policy, identify=who, environment={"HARDENING_KEY": KEY}, clock=Ticking())
        async with clients(mounted(quoting)) as before, clients(app) as client:
            one = Talk(before, "openai_chat", "long", streamed=False)
            await one.go_on()
            one.client = client
            beside = asyncio.ensure_future(other())
            answer = await one.go_on()
            beside.cancel()
        assert answer.json()["error"]["message"] == ""

    monkeypatch.setattr("tests.laws.thinker.thought", long)
    quoting = Quoting()
    quoting.said = lambda body: error(body.decode()[-400_000:])
    asyncio.run(talk())
    assert turns > len(long("long", 0)) / 4096 > 60


# -- without us, or without its will


@pytest.mark.parametrize("format", FORMATS)
def test_a_policy_that_seals_nothing_opens_nothing(format: str) -> None:
    async def talk() -> str:
        async with clients(mounted(Thinker())) as client:
            one = Talk(client, format, "tight", streamed=False)
            await one.go_on()
        return (await taken_up(one, mounted(thinker, "strict"))).headers["x-hardening"]

    thinker = Thinker()
    assert "sealed" not in asyncio.run(talk())
    assert not thinker.back["tight", 0][0]


@pytest.mark.parametrize("policy", ["observe", "full"])
@pytest.mark.parametrize("format", FORMATS)
def test_who_hides_nothing_any_more_still_opens(format: str, policy: str) -> None:
    """Else conversations would break at the switch that makes all safe at three in the morning."""

    async def talk() -> None:
        async with clients(mounted(Thinker())) as client:
            one = Talk(client, format, "loose", streamed=False)
            await one.go_on()
        async with clients(mounted(thinker, FULL if policy == "full" else policy)) as client:
            other = Talk(client, format, "loose", streamed=False)
            other.turns = one.turns
            await other.go_on()

    thinker = Thinker()
    asyncio.run(talk())
    assert thinker.back["loose", 0][0] == thought("loose", 0)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("format", FORMATS)
def test_seals_have_eight_sizes(format: str, streamed: bool) -> None:
    async def talk() -> None:
        async with clients(mounted(Thinker())) as client:
            for number in range(20):
                one = Talk(client, format, f"s{number}", streamed)
                answer = await one.go_on()
                assert "sealed=?1" in answer.headers["x-hardening"]
                sizes.update(map(len, _seals.findall(answer.text)))

    sizes: set[int] = set()
    asyncio.run(talk())
    assert sizes <= {*SIZES}
    assert len(sizes) > 1


# -- what servers keep, and give back


class Keeping(Thinker):
    """A server of responses that gives back beside an answer what it was asked, then and later."""

    kept: Value

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = (await receive()).get("body", b"")
        if scope["method"] == "POST" and b"function_call_output" not in body:

            async def again() -> Any:
                return {"type": "http.request", "body": body, "more_body": False}

            await super().__call__(scope, again, send)
            return
        if scope["method"] == "POST":
            self.kept = json.loads(body)["input"]
        told: Value = {
            "id": "resp_1",
            "object": "response",
            "status": "completed",
            "model": "m",
            "output": [],
        }
        told |= {"input": self.kept, "prompt": self.kept}
        if scope["path"].endswith("responses") and scope["method"] == "GET":
            told = {"object": "list", "data": [told]}
        elif scope["path"].endswith("input_items"):
            told = {"object": "list", "data": self.kept}
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", b"application/json")],
            }
        )
        await send({"type": "http.response.body", "body": json.dumps(told).encode()})


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/v1/responses/resp_1",
        "/v1/responses",
        "/v1/openai/v1/responses/resp_1",
        "/v1/responses/resp_1/input_items",
    ],
)
def test_what_a_server_was_given_does_not_leave_with_its_answer(path: str) -> None:
    async def talk() -> bytes:
        async with clients(mounted(keeping)) as client:
            one = Talk(client, "openai_responses", "kept", streamed=False)
            await one.go_on()
            answer = await one.go_on()
            return (
                (await client.get(path, headers={"x-who": one.account})).content if path else answer.content
            )

    keeping = Keeping()
    out = asyncio.run(talk())
    assert find_leaks(json.dumps(keeping.kept).encode(), thought("kept", 0))
    assert b"resp_1" in out or b"function_call_output" in out
    assert find_leaks(out, thought("kept", 0)) == []
