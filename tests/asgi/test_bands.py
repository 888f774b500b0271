"""Standing in force: what requests say brings an account into a band, at a border and within a stated number of requests."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.types import ASGIApp

from hardening import DEFERRED, Account, admit, load_policy
from hardening.facts import SignalFacts
from hardening.state import MemoryStore, SqliteAccounts, SqliteStore
from hardening.state.standing import BORDER_WAIT, LONGEST_DELAY, SLOTS
from hardening.testing import Hardened, find_leaks, harden
from tests.asgi.chat import TRACE, stream, whole
from tests.asgi.driver import Answer, LoopClock, ask, replies, run
from tests.laws.held import texts_held_by

POLICY = """\
version: 1
accounts: {unproven: {limits: []}}
defaults: {reasoning: {show: summary, seal: true}, pins: force}
rules:
  - {name: ours, match: {account: internal}, exempt: true}
risk:
  bands:
    watch: {enter: 0.5, leave: 0.4, mode: shadow, charge: 4x}
    harden: {enter: 0.8, leave: 0.7, reasoning: {show: none}}
"""
KEY = {"HARDENING_KEY": "a key for tests, and for nothing else"}
SOON = LONGEST_DELAY + BORDER_WAIT
LEAST = 30
"""Requests by which anybody who says 4 nats each is judged, by any calibration."""


class Copying:
    """A signal of an app that knows who copies."""

    name = "copying"

    def __init__(self, *accounts: str) -> None:
        self.accounts = accounts
        self.asked: list[SignalFacts] = []
        self.scored = threading.Semaphore(0)

    def __call__(self, facts: SignalFacts) -> float:
        self.asked.append(facts)
        self.scored.release()
        return 4.0 if facts.account.id in self.accounts else -0.1


class Waiting:
    """An app whose answers take longer than their scores."""

    def __init__(self, app: ASGIApp, signal: Copying) -> None:
        self.app, self.signal = app, signal

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.signal.scored.acquire(timeout=1.0)
        await self.app(scope, receive, send)


def _named(scope: Any) -> str:
    return dict(scope["headers"])[b"x-who"].decode()


@pytest.fixture
def mount() -> Iterator[Any]:
    opened: list[Hardened] = []

    def made(
        app: ASGIApp, *accounts: str, policy: Any = POLICY, store: Any = None, identify: Any = _named
    ) -> Any:
        signal = Copying(*accounts)
        hardened = harden(
            Waiting(app, signal),
            policy,
            identify=identify,
            state=MemoryStore() if store is None else store,
            signals=(signal,),
            clock=LoopClock(),
            environment=KEY,
        )

        async def start() -> None:
            hardened._open()

        run(start())
        hardened._warm()
        opened.append(hardened)
        return hardened, signal

    yield made
    for hardened in opened:
        hardened._retire()


def test_a_kept_answer_is_given_as_the_band_in_which_it_may_have_been_made(
    mount: Any, tmp_path: Path
) -> None:
    """Catches an account that waits until it is flagged no more, and one without a past that somebody hands an id to."""
    file = tmp_path / "state.db"
    store, desk = SqliteStore(file), SqliteAccounts(file)
    store.open()
    replayed, _ = mount(
        replies([whole()], kind=b"application/json"), policy=POLICY + "doors: {kept: then}\n", store=store
    )

    async def talk() -> list[bool]:
        async def shown(who: str) -> bool:
            path = "/v1/chat/completions/chatcmpl-1"
            answer = await ask(replayed, b"", path=path, method="GET", headers=[(b"x-who", who.encode())])
            assert answer.status == 200
            return bool(find_leaks(answer.body, TRACE))  # sentences of its summary

        async def says_hello(who: str) -> None:
            await ask(replayed, body("hello"), headers=[(b"x-who", who.encode())])

        seen = [await shown("bob")]
        await says_hello("bob")
        seen.append(await shown("bob"))
        desk.flag("anne", "harden", 0.9, 1_000.0, 0.0)
        await says_hello("anne")
        desk.unflag("anne", 0.0)
        await says_hello("anne")
        return [*seen, await shown("anne"), await shown("bob")]

    assert run(talk()) == [False, True, False, True]


def body(question: str, *, begins: bool = True, **more: Any) -> bytes:
    before = [] if begins else [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "hi"}]
    return json.dumps(
        {"model": "glass-1", "messages": [*before, {"role": "user", "content": question}], **more}
    ).encode()


def says(who: str) -> dict[str, Any]:
    return {"headers": [(b"x-who", who.encode())]}


def asking(hardened: Hardened, who: str, count: int, *, begins: bool = True) -> list[Answer]:
    async def run_all() -> list[Answer]:
        return [
            await ask(hardened, body(f"question {number}", begins=begins), **says(who))
            for number in range(count)
        ]

    return run(run_all())


def bands(hardened: Hardened, who: str) -> list[str | None]:
    return [one.band for one in hardened.receipts if one.account == who]


def reasoning(answer: Answer) -> str:
    """What leaves of the trace of a whole answer."""
    text: str = json.loads(answer.body)["choices"][0]["message"].get("reasoning_content", "")
    return text


ONE = replies([whole()], kind=b"application/json")


def test_an_account_that_copies_enters_a_band_within_the_stated_requests_and_others_do_not(
    mount: Any,
) -> None:
    hardened, _ = mount(ONE, "thief")
    answers = asking(hardened, "thief", LEAST + SOON)
    asking(hardened, "anne", LEAST + SOON)
    found = bands(hardened, "thief")
    entered = found.index("harden")
    assert set(found[entered:]) == {"harden"}
    assert set(found[:entered]) == {None}
    summaries = [reasoning(answer) for answer in answers]
    assert all(summaries[:entered])
    assert not any(summaries[entered:])
    assert set(bands(hardened, "anne")) == {None}


def test_a_band_begins_with_a_conversation(mount: Any) -> None:
    """Of one that goes on the treatment stays, until the stated number of requests has passed."""
    hardened, _ = mount(ONE, "thief")

    async def run_all() -> None:
        for number in range(LEAST + SOON):
            await ask(hardened, body(f"question {number}", begins=number % 5 == 0), **says("thief"))

    run(run_all())
    assert bands(hardened, "thief").index("harden") % 5 == 0


def test_without_a_new_conversation_it_begins_all_the_same(mount: Any) -> None:
    hardened, _ = mount(ONE, "thief")
    asking(hardened, "thief", LEAST + SOON, begins=False)
    assert bands(hardened, "thief")[-1] == "harden"


def test_a_band_in_shadow_is_told_beside_and_does_nothing(mount: Any) -> None:
    watched = POLICY.replace(
        "harden: {enter: 0.8, leave: 0.7,", "harden: {enter: 0.8, leave: 0.7, mode: shadow,"
    )
    hardened, _ = mount(ONE, "thief", policy=watched)
    answers = asking(hardened, "thief", LEAST + SOON)
    last = hardened.receipts[-1]
    assert (last.band, last.would and last.would.band) == (None, "harden")
    assert reasoning(answers[-1]) == reasoning(answers[0]) != ""
    values = _counted(hardened, "hardening_banded_requests_total")
    assert values["harden", "shadow"] > 0
    assert values["harden", "shadow"] + values["none", "none"] == LEAST + SOON


def _counted(hardened: Hardened, name: str) -> dict[tuple[str, ...], float]:
    """A counter, by the values of its labels."""
    return {
        tuple(sample.labels.values()): sample.value
        for family in hardened.options.registry.collect()
        for sample in family.samples
        if sample.name == name
    }


def test_a_stream_in_flight_keeps_what_it_began_with(mount: Any) -> None:
    store = MemoryStore()
    frames = stream()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", b"text/event-stream")],
            }
        )
        for number, frame in enumerate(frames):
            if number == 3:
                store.flag("anne", "harden", 0.9, 1e6, 0.0)
            await send({"type": "http.response.body", "body": frame, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    hardened, _ = mount(app, store=store)
    first, second = asking(hardened, "anne", 2)
    assert [one.decision.reasoning.show for one in hardened.receipts] == ["summary", "none"]
    assert [text.count(b'"reasoning_content": "') > 0 for text in (first.body, second.body)] == [True, False]


def test_seals_from_before_a_band_are_opened_in_it(mount: Any) -> None:
    seen: list[tuple[Any, bytes]] = []
    hardened, _ = mount(replies([whole()], kind=b"application/json", seen=seen), "thief")
    (first,) = asking(hardened, "thief", 1)
    spoken = json.loads(first.body)["choices"][0]["message"]
    assert spoken["reasoning_details"][0]["data"]
    asking(hardened, "thief", LEAST + SOON)
    assert bands(hardened, "thief")[-1] == "harden"
    talk = [{"role": "user", "content": "question 0"}, spoken, {"role": "user", "content": "and now?"}]
    sent = json.dumps({"model": "glass-1", "messages": talk}).encode()

    async def go_on() -> Answer:
        return await ask(hardened, sent, **says("thief"))

    last = run(go_on())
    assert hardened.receipts[-1].band == "harden"
    assert TRACE.encode() in seen[-1][1]
    assert not find_leaks(last.body, TRACE)


def finished(hardened: Hardened) -> None:
    """Wait until all that waits is scored."""
    judge = hardened.service.judge
    judge.stop()
    judge._thread._thread.join(10.0)


def test_nobody_is_judged_by_what_the_app_refuses(mount: Any) -> None:
    store = MemoryStore()
    closed = replies([b"{}"], kind=b"application/json", status=401)
    hardened, signal = mount(closed, "thief", "internal", store=store)
    asking(hardened, "thief", 3)
    found = store.find("thief", 0.0)
    assert found
    assert found.record is None
    finished(hardened)
    assert [one.account.id for one in signal.asked] == ["thief"] * 3


def test_nobody_is_judged_whom_a_rule_exempts(mount: Any) -> None:
    store = MemoryStore()
    hardened, signal = mount(ONE, "internal", store=store)
    asking(hardened, "internal", 3)
    found = store.find("internal", 0.0)
    assert found
    assert found.record is None
    finished(hardened)
    assert signal.asked == []


def test_a_policy_that_gets_bands_while_it_runs_is_judged_by_from_then_on(mount: Any, tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("version: 1\naccounts: {unproven: {limits: []}}\n")
    policy, store = load_policy(file), MemoryStore()
    hardened, _ = mount(ONE, "thief", policy=policy, store=store)
    asking(hardened, "thief", 1)
    assert hardened.service.judge is None
    file.write_text(POLICY)
    policy.reload()
    asking(hardened, "thief", 2)
    found = store.find("thief", 0.0)
    assert found
    assert found.record
    assert found.record.weight == pytest.approx(2.0)


def test_what_the_app_knows_of_an_account_counts_in_its_risk_and_nothing_shows_it(mount: Any) -> None:
    store = MemoryStore()
    priors = POLICY + "  priors: {plan: {trial: 1.5x, enterprise: 0.5x}}\n"

    def named(scope: Any) -> Account:
        who = _named(scope)
        return Account(who, attributes={"plan": who, "payment": "card_91"})

    hardened, _ = mount(ONE, policy=priors, store=store, identify=named)
    for who in ("trial", "enterprise", "other"):
        asking(hardened, who, 3)
    odds = {}
    for who in ("trial", "enterprise", "other"):
        found = store.find(who, 0.0)
        assert found
        assert found.record
        odds[who] = found.record.risk / (1 - found.record.risk)
    assert odds["trial"] / odds["other"] == pytest.approx(1.5)
    assert odds["enterprise"] / odds["other"] == pytest.approx(0.5)
    assert "card_91" not in repr(hardened.receipts) + repr(store.find("trial", 0.0))


def test_an_app_that_names_the_account_in_the_middle_of_a_request_is_judged_too(mount: Any) -> None:
    store = MemoryStore()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await admit(scope, "thief")
        await ONE(scope, receive, send)

    hardened, _ = mount(app, "thief", store=store, identify=DEFERRED)
    asking(hardened, "nobody", 3)
    found = store.find("thief", 0.0)
    assert found
    assert found.record
    assert found.record.weight == pytest.approx(3.0)


def test_an_account_that_is_named_by_a_key_alone_is_judged_once_the_app_has_answered_it(mount: Any) -> None:
    store = MemoryStore()
    hardened, _ = mount(ONE, "thief", store=store)
    hardened.service.identify = None
    key = {"headers": [(b"authorization", b"Bearer sk-1")]}

    async def run_all() -> None:
        for number in range(3):
            await ask(hardened, body(f"question {number}"), **key)

    run(run_all())
    (found,) = store.page("", 9, 0.0)
    assert [one.proven for one in hardened.receipts] == [False, True, True]
    assert found.record
    assert found.record.weight == pytest.approx(2.0)


def test_a_prompt_in_token_ids_speaks_by_what_it_asks_for_and_never_for_its_account(mount: Any) -> None:
    store = MemoryStore()
    hardened, _ = mount(ONE, store=store, policy=POLICY.replace("pins: force", "pins: allow"))
    plain = {"model": "glass-1", "prompt": [1, 2, 3]}
    harvest = {**plain, "logprobs": 5, "logit_bias": {"50256": -100}}

    async def run_all(asked: Any, who: str) -> None:
        for _ in range(4):
            await ask(hardened, json.dumps(asked).encode(), path="/v1/completions", **says(who))

    run(run_all(plain, "anne"))
    run(run_all(harvest, "thief"))
    heard = {}
    for who in ("anne", "thief"):
        found = store.find(who, 0.0)
        assert found
        assert found.record
        heard[who] = dict(zip(SLOTS, found.record.sums, strict=True))
    assert heard["thief"]["harvesting"] > 1.0
    assert {name for name, nats in heard["anne"].items() if nats} == {"app"}
    assert _counted(hardened, "hardening_unscored_total")["unread",] == 8


def test_no_word_of_a_request_is_kept_by_what_judges_it(mount: Any) -> None:
    store = MemoryStore()
    hardened, signal = mount(ONE, "thief", store=store)

    async def run_all() -> None:
        for number in range(5):
            await ask(hardened, body(f"prompt-mark-of-a-caller {number}"), **says("thief"))

    run(run_all())
    finished(hardened)
    signal.asked.clear()
    held = texts_held_by(store, hardened.service.judge)
    assert "thief" in held
    assert "mark-of-a-caller" not in held


def test_a_signal_that_raises_costs_no_request_and_is_counted(
    mount: Any, caplog: pytest.LogCaptureFixture
) -> None:
    store = MemoryStore()
    hardened, signal = mount(ONE, "thief", store=store)
    signal.accounts = None  # "in" raises
    answers = asking(hardened, "anne", 3)
    assert [answer.status for answer in answers] == [200] * 3
    finished(hardened)
    assert _counted(hardened, "hardening_unscored_total")["signal",] == 3
    assert "test_bands.py" in caplog.text
    assert "question" not in caplog.text


def test_too_many_flagged_accounts_raise_an_alarm_and_nobody_is_let_go(mount: Any) -> None:
    hardened, _ = mount(ONE, policy=POLICY + "  max_flagged: 2%\n")
    _flood(hardened)
    assert _counted(hardened, "hardening_alarms_total")["flagged_above_max",] == 1
    assert bands(hardened, "acct_0")[-1] == "harden"


def test_above_the_bound_bands_stand_in_shadow_where_the_policy_says_so(mount: Any) -> None:
    hardened, _ = mount(ONE, policy=POLICY + "  max_flagged: 2%\n  above_max: shadow\n")
    _flood(hardened)
    last = hardened.receipts[-1]
    assert (last.account, last.band, last.would and last.would.band) == ("acct_0", None, "harden")
    hardened.service.store.unflag("acct_0", 0.0)
    for number in range(5):
        hardened.service.store.unflag(f"acct_{number}", 0.0)
        asking(hardened, f"acct_{number}", 1)
    hardened.service.store.flag("acct_9", "harden", 0.9, 1e6, 0.0)
    asking(hardened, "acct_9", 2)
    assert hardened.receipts[-1].band == "harden"


def _flood(hardened: Hardened) -> None:
    for number in range(5):
        hardened.service.store.flag(f"acct_{number}", "harden", 0.9, 1e6, 0.0)
    for number in range(200):
        asking(hardened, f"acct_{number}", 1)
    asking(hardened, "acct_0", 1)
