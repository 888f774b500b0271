"""Another policy while requests run: what changes at once, what waits, and what nobody may lose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message

from hardening import StartError, load_policy
from hardening.testing import ManualClock, harden
from tests.asgi.changing import SHADOW, SHOW, change, leaking, metric, shows, started
from tests.asgi.chat import BODY, HIDE, TRACE, stream
from tests.asgi.driver import ask, replies, run


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(HIDE)
    return path


# -- what a change brings, and when


def test_a_request_keeps_the_policy_that_it_began_with(path: Path) -> None:
    """Catches a stream whose second half is treated by a policy that came in its middle."""
    hardened = harden(replies(stream()), path)

    async def on_send(message: Message) -> None:
        if b"There " in message.get("body", b""):
            change(hardened, path, SHADOW)

    first = run(ask(hardened, BODY, on_send=on_send))
    second = run(ask(hardened, BODY))
    assert (shows(first), shows(second)) == (False, True)
    assert [(one.policy.name, one.mode) for one in hardened.receipts] == [
        ("hide", "enforce"),
        ("quiet", "shadow"),
    ]
    assert [one.would is None for one in hardened.receipts] == [True, False]


def test_a_refusal_of_the_new_policy_does_not_reach_a_request_that_waits_for_its_body(path: Path) -> None:
    """Catches a policy that is looked up again after the first await."""

    def identify(scope: Any) -> str:
        change(hardened, path, HIDE + "rules: [{name: closed, refuse: {status: 403}}]\n")
        return "acct_1"

    hardened = harden(leaking(), path, identify=identify)
    hardened._started()
    assert run(ask(hardened, BODY)).status == 200
    assert run(ask(hardened, BODY)).status == 403


def test_what_an_answer_discloses_is_of_the_policy_that_it_began_with(path: Path) -> None:
    def identify(scope: Any) -> str:
        hardened.service.take(load_policy(path))
        return "acct_1"

    hardened = harden(leaking(), "baseline", identify=identify)
    first, second = (run(ask(hardened, BODY)).headers["x-hardening"] for _ in range(2))
    assert "policy=baseline" in first
    assert "policy" not in second


def test_what_cannot_be_read_follows_the_policy_that_the_request_began_with(path: Path) -> None:
    """Catches tools that are taken where the answer begins."""

    def identify(scope: Any) -> str:
        change(hardened, path, HIDE + "on_failure: {unreadable: pass}\n")
        return "acct_1"

    hardened = harden(replies([b"{" + TRACE.encode()], kind=b"application/json"), path, identify=identify)
    hardened._started()
    assert [run(ask(hardened, BODY)).status for _ in range(2)] == [502, 200]


def test_a_bad_edit_changes_nothing_and_shows_until_it_is_mended(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Catches an edit with a mistake that opens, closes or is silently kept out."""
    hardened = started(path)
    change(hardened, path, SHOW + "mode: loud\n")
    assert not shows(run(ask(hardened, BODY)))
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert f"{path}:" in record.getMessage()
    assert "found `loud`" in record.getMessage()
    assert "stays in force" in record.getMessage()
    assert metric(hardened, "hardening_policy_reloads_total", outcome="rejected") == 1
    assert metric(hardened, "hardening_policy_stale", reason="rejected") == 1
    change(hardened, path, SHOW)
    assert shows(run(ask(hardened, BODY)))
    assert metric(hardened, "hardening_policy_reloads_total", outcome="applied") == 1
    assert metric(hardened, "hardening_policy_stale", reason="rejected") == 0


def test_metrics_and_log_say_which_policy_is_in_force(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "hardening")
    hardened = started(path)
    old = load_policy(path).digest
    change(hardened, path, SHOW)
    new = load_policy(path).digest
    assert f"policy changed; hardening 0.1.0: policy=show ({new}); mode=enforce" in caplog.text
    for name, digest, count in (("hide", old, 0), ("show", new, 1)):
        labels = {"name": name, "digest": digest, "mode": "enforce"}
        assert metric(hardened, "hardening_policy_info", **labels) == count


def test_what_runtime_says_waits_for_a_restart_and_the_rest_does_not(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Catches a store that is swapped under open leases, and a change that is kept back without a word."""
    hardened = started(path)
    store = hardened.service.store
    runtime = (
        "runtime: {state: 'redis://:geheim@host', max_body: 1k, audit: {file: geheim},"
        " keys: {previous: [{env: GEHEIM}]}}\n"
    )
    change(hardened, path, SHOW + runtime)
    assert shows(run(ask(hardened, BODY + b" " * 2000)))
    assert hardened.service.store is store
    (record,) = [record for record in caplog.records if record.levelname == "WARNING"]
    for name in ("runtime.state", "runtime.keys", "runtime.audit", "runtime.max_body"):
        assert f"{name} waits for a restart" in record.getMessage()
    assert "geheim" not in record.getMessage().lower()
    assert metric(hardened, "hardening_policy_stale", reason="restart") == 1
    change(hardened, path, SHOW)
    assert metric(hardened, "hardening_policy_stale", reason="restart") == 0


def test_a_path_that_becomes_a_door_is_one_from_then_on(path: Path) -> None:
    """Catches the memory of paths that are no doors, which would let a trace pass for ever."""
    hardened = harden(leaking(), path)
    for _ in range(2):
        assert shows(run(ask(hardened, BODY, path="/own/chat")))
    before = hardened.service.in_force
    change(hardened, path, HIDE + "doors: {/own/chat: openai_chat}\n")
    before.quiet.add("POST", "/own/chat", "")  # a request that began before and is only now there
    for _ in range(2):
        assert not shows(run(ask(hardened, BODY, path="/own/chat")))


def test_who_a_caller_is_follows_the_policy(path: Path) -> None:
    hardened = harden(leaking(), path)
    asked = {"headers": [(b"authorization", b"Bearer sk-1"), (b"x-consumer-id", b"acct_9")]}
    run(ask(hardened, BODY, **asked))
    change(hardened, path, HIDE.replace("accounts:", "accounts:\n  trusted_proxies: [203.0.113.0/24]"))
    run(ask(hardened, BODY, **asked))
    change(hardened, path, HIDE.replace("accounts:", "accounts:\n  identify: [client]"))
    run(ask(hardened, BODY, **asked))
    kinds = [receipt.account.partition("_")[0] for receipt in hardened.receipts]
    assert kinds == ["key", "acct", "ip"]


def test_a_policy_that_cannot_tell_its_callers_is_rejected(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Catches a swap to a policy whose callers nobody could tell apart."""
    hardened = started(path)
    change(hardened, path, SHOW.replace("accounts:", 'accounts:\n  identify: ["header:authorization"]'))
    assert not shows(run(ask(hardened, BODY)))
    assert "found `header:authorization`" in caplog.text
    assert metric(hardened, "hardening_policy_stale", reason="rejected") == 1


def test_a_policy_that_lets_nothing_be_guessed_is_rejected_without_a_tokenizer(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Catches a change to `strict` that would not have started."""

    def missing(name: str = "") -> Any:
        raise StartError("rank file o200k_base cannot be read")

    monkeypatch.setattr("hardening.scoring.tokens.load", missing)
    hardened = started(path)
    hardened._warm()
    change(hardened, path, HIDE + "doors: {unknown: block}\n")
    assert hardened.service.in_force.policy.doors.unknown == "report"
    assert metric(hardened, "hardening_policy_stale", reason="rejected") == 1


def test_after_a_change_to_shadow_the_receipt_says_what_would_have_been(path: Path) -> None:
    hardened = started(path)
    change(hardened, path, HIDE + "mode: shadow\n")
    assert shows(run(ask(hardened, BODY)))
    change(hardened, path, HIDE)
    assert not shows(run(ask(hardened, BODY)))
    before, shadow, after = hardened.receipts
    assert [one.mode for one in hardened.receipts] == ["enforce", "shadow", "enforce"]
    assert (before.would, after.would) == (None, None)
    assert shadow.would is not None
    assert shadow.would.reasoning.show == "none"
    assert shadow.changed == ()


def test_shadow_of_one_rule_comes_and_goes_with_the_policy(path: Path) -> None:
    rule = "rules: [{name: closed, refuse: {status: 403}, mode: %s}]\n"
    hardened = started(path)
    for mode, status in (("shadow", 200), ("enforce", 403), ("shadow", 200)):
        change(hardened, path, HIDE + rule % mode)
        assert run(ask(hardened, BODY)).status == status
    shadow, enforced, again = hardened.receipts[1:]
    assert enforced.would is None
    for one in (shadow, again):
        assert one.would is not None
        assert one.would.rule == "closed"
        assert one.would.refusal.status == 403


# -- what nobody may lose


def limited(amount: int) -> str:
    return HIDE.replace("calls: {requests: 1k, per: 1m}", f"calls: {{requests: {amount}, per: 100s}}")


def test_what_is_spent_stays_spent_as_a_share_of_a_limit(path: Path) -> None:
    """Catches a swap that gives everybody a whole limit, or that locks out whoever spent a part of it."""
    path.write_text(limited(4))
    clock = ManualClock()
    hardened = harden(leaking(), path, identify=lambda scope: "acct_7", clock=clock)
    for _ in range(2):
        assert run(ask(hardened, BODY)).status == 200
    change(hardened, path, limited(8))
    assert [run(ask(hardened, BODY)).status for _ in range(5)] == [200] * 4 + [429]
    change(hardened, path, limited(2))
    assert run(ask(hardened, BODY)).status == 429
    clock.advance(50)
    assert [run(ask(hardened, BODY)).status for _ in range(2)] == [200, 429]


def test_a_limit_of_another_time_is_another_limit(path: Path) -> None:
    """Catches a month's debt that is owed to a limit of a minute, and locks its account out for weeks."""
    hardened = harden(leaking(), path, identify=lambda scope: "acct_7", clock=ManualClock())
    hardened._started()
    for text in (limited(2).replace("100s", "30d"), limited(2), limited(2).replace("100s", "10s")):
        change(hardened, path, text)
        assert [run(ask(hardened, BODY)).status for _ in range(3)] == [200, 200, 429]
    change(hardened, path, limited(2))
    assert run(ask(hardened, BODY)).status == 429


def test_a_lease_that_is_open_at_a_change_is_settled_by_the_policy_that_opened_it(path: Path) -> None:
    """Catches reservations that stay held, or are settled on a limit that the new policy renamed."""
    hardened = harden(replies(stream()), path, identify=lambda scope: "acct_7")

    async def on_send(message: Message) -> None:
        if b"There " in message.get("body", b""):
            change(hardened, path, HIDE.replace("minute", "hourly").replace("per: 1m}", "per: 1h}"))

    run(ask(hardened, BODY, on_send=on_send))
    store = hardened.service.store
    assert (store.open_leases, store.late_settlements, store.expired_leases) == (0, 0, 0)
    (scope,) = [one for key, one in store._scopes.items() if key == "account:acct_7"]
    assert set(scope.buckets) == {"minute/tokens/60.0", "calls/requests/60.0"}
    assert all(bucket.held == 0 and bucket.spent.until > 0 for bucket in scope.buckets.values())
    run(ask(hardened, BODY))
    assert "hourly/tokens/3600.0" in scope.buckets


def test_a_caller_that_is_proven_stays_so(path: Path) -> None:
    hardened = started(path)
    change(hardened, path, SHOW)
    run(ask(hardened, BODY))
    assert [receipt.proven for receipt in hardened.receipts] == [False, True]
    assert len({receipt.account for receipt in hardened.receipts}) == 1


def test_learned_ratios_stay(path: Path) -> None:
    hardened = harden(replies(stream()), path, identify=lambda scope: "acct_7")
    run(ask(hardened, BODY))
    ratio = hardened.service.ratio.of("account:acct_7")
    change(hardened, path, SHOW)
    assert hardened.service.ratio.of("account:acct_7") == ratio != 4.0


def test_a_lifespan_that_comes_late_or_twice_counts_one_policy(path: Path) -> None:
    """Catches a gauge that says two where one middleware has started anew."""
    hardened = started(path)
    first = hardened.watch
    hardened._open()
    assert hardened.watch is not first
    digest = hardened.service.in_force.policy.digest
    assert metric(hardened, "hardening_policy_info", name="hide", digest=digest, mode="enforce") == 1
    run(hardened._close())
    assert metric(hardened, "hardening_policy_info", name="hide", digest=digest, mode="enforce") == 0
    assert hardened.service is None
