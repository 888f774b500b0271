"""What happened is countable in the app's own registry, by labels that cannot grow without bound."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from hardening.facts import AddedTime, Decision, PolicyId, Refusal
from hardening.observe import metrics_in

DOOR = "/v1/chat/completions"


@pytest.fixture
def registry():
    return CollectorRegistry()


def value(registry, series: str, /, **labels: str) -> float | None:
    return registry.get_sample_value(series, labels)


def test_two_middlewares_share_the_series_of_a_registry(registry):
    assert metrics_in(registry) is metrics_in(registry)
    assert metrics_in(CollectorRegistry()) is not metrics_in(registry)


def test_a_receipt_is_counted(registry, receipt):
    metrics = metrics_in(registry)
    metrics.take(receipt())
    metrics.take(receipt(outcome="cut"))
    assert value(registry, "hardening_requests_total", door=DOOR, outcome="complete") == 1
    assert value(registry, "hardening_requests_total", door=DOOR, outcome="cut") == 1
    assert value(registry, "hardening_changes_total", door=DOOR, mechanism="reasoning") == 2
    assert value(registry, "hardening_changes_total", door=DOOR, mechanism="logprobs") == 2
    tokens = [
        value(registry, "hardening_tokens_total", kind=k) for k in ("prompt", "completion", "reasoning")
    ]
    assert tokens == [24, 680, 600]


def test_added_time_is_in_seconds(registry, receipt):
    metrics_in(registry).take(receipt(added_us=AddedTime(18.0, 120.0, 0.0)))
    assert value(registry, "hardening_added_seconds_sum", phase="before") == pytest.approx(18e-6)
    assert value(registry, "hardening_added_seconds_bucket", phase="body", le="0.0001") == 0
    assert value(registry, "hardening_added_seconds_bucket", phase="body", le="0.0002") == 1
    assert value(registry, "hardening_added_seconds_count", phase="after") == 0


def test_a_refusal_is_counted_by_kind_and_only_where_it_was_given(registry, receipt):
    refused = Decision(refusal=Refusal(429, "rate_limit", "later"))
    metrics = metrics_in(registry)
    metrics.take(receipt(decision=refused, outcome="refused"))
    metrics.take(receipt(decision=replace(refused, enforced=False), outcome="complete"))
    assert value(registry, "hardening_refusals_total", door=DOOR, kind="rate_limit") == 1


def test_every_other_series(registry):
    metrics = metrics_in(registry)
    metrics.stream_started()
    metrics.stream_started()
    metrics.stream_ended()
    metrics.store_failed()
    metrics.body_unread(DOOR)
    metrics.output_unclaimed()
    metrics.request_closed("unknown")
    metrics.receipts_dropped(3)
    metrics.alarm("bare_close_tag")
    metrics.policy_reloaded("rejected")
    assert value(registry, "hardening_streams_in_flight") == 1
    assert value(registry, "hardening_store_errors_total") == 1
    assert value(registry, "hardening_unread_bodies_total", door=DOOR) == 1
    assert value(registry, "hardening_unclaimed_output_total") == 1
    assert value(registry, "hardening_closed_total", door="unknown") == 1
    assert value(registry, "hardening_receipts_dropped_total") == 3
    assert value(registry, "hardening_alarms_total", kind="bare_close_tag") == 1
    assert value(registry, "hardening_policy_reloads_total", outcome="rejected") == 1


def test_each_policy_shows_how_many_decide_by_it(registry):
    """Catches a second middleware, or a swap, that hides the policy of the first."""
    metrics = metrics_in(registry)
    for digest in ("1", "1", "2"):
        metrics.policy_in_force(PolicyId("a", digest), "enforce")
    metrics.policy_left(PolicyId("a", "1"), "enforce")
    assert value(registry, "hardening_policy_info", name="a", digest="1", mode="enforce") == 1
    assert value(registry, "hardening_policy_info", name="a", digest="2", mode="enforce") == 1


def test_a_policy_on_disk_that_is_not_in_force_shows_until_it_is(registry):
    metrics = metrics_in(registry)
    assert value(registry, "hardening_policy_stale", reason="rejected") == 0
    metrics.policy_stale("rejected", before=None)
    metrics.policy_stale("rejected", before=None)  # another middleware
    metrics.policy_stale("restart", before="rejected")
    assert value(registry, "hardening_policy_stale", reason="rejected") == 1
    assert value(registry, "hardening_policy_stale", reason="restart") == 1
    metrics.policy_stale(None, before="restart")
    assert value(registry, "hardening_policy_stale", reason="restart") == 0


def test_labels_are_bounded_whatever_comes(registry, receipt):
    metrics = metrics_in(registry)
    for number in range(2000):
        metrics.take(receipt(door=f"/made/up/{number}", changed=()))
    series = [
        line
        for line in generate_latest(registry).splitlines()
        if line.startswith(b"hardening_requests_total{")
    ]
    assert len(series) <= 257
    assert value(registry, "hardening_requests_total", door="other", outcome="other") == 2000 - 256


def test_no_label_tells_an_account_a_model_or_a_rule(registry, receipt):
    metrics_in(registry).take(receipt(account="acct_secret", model="model-secret", rule="rule-secret"))
    assert b"secret" not in generate_latest(registry)


PROCESS = """
import os, sys
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from hardening.observe import metrics_in
metrics = metrics_in()
metrics.alarm("x")
child = os.fork()
if child == 0:
    metrics.alarm("x")
    metrics.stream_started()
    os._exit(0)
os.waitpid(child, 0)
registry = CollectorRegistry()
MultiProcessCollector(registry)
print(generate_latest(registry).decode())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_several_processes_add_up(tmp_path: Path):
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, "-c", PROCESS],
        env=environment,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert 'hardening_alarms_total{kind="x"} 2.0' in done.stdout
