"""The presets say what the design promises, and are found wherever the package lies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hardening.cli.cases import judge, told
from hardening.cli.pairs import find_pairs
from hardening.facts import Account, RequestFacts, Standing
from hardening.policy import charges, decide, find_preset, load_policy, preset_names
from hardening.policy import presets as presets_module

PRESETS = ("baseline", "embeddings", "observe", "strict")


@pytest.mark.parametrize("name", PRESETS)
def test_every_row_of_a_preset_holds_and_the_rows_reach_all_of_it(name: str) -> None:
    verdict = judge(find_pairs([name])[0])
    assert [line for row in verdict.report.rows for line in told(row)] == []
    assert (verdict.faults, verdict.warnings) == ((), ())
    assert len(verdict.report.rows) >= 3


def test_the_presets_are_these() -> None:
    assert preset_names() == PRESETS


def test_a_thousand_requests_a_minute_stay_under_the_limits_of_baseline() -> None:
    facts = RequestFacts(door="/v1/chat/completions", format="openai_chat", max_tokens=4096)
    claims = charges(load_policy("baseline"), facts, Account("a"), prompt_tokens=8000, now=0).charges
    assert {claim.limit.name for claim in claims} == {"requests", "tokens"}
    assert all(claim.amount * 1000 < claim.limit.amount for claim in claims)


def test_baseline_keeps_nothing_on_disk_and_reports_unknown_doors() -> None:
    policy = load_policy("baseline")
    assert (policy.runtime.state, policy.runtime.audit) == ("memory://", "none")
    assert (policy.doors.unknown, policy.on_failure.internal, policy.on_failure.store) == (
        "report",
        "block",
        "local",
    )
    assert policy.prior is None
    assert policy.preset


def test_strict_blocks_what_it_cannot_read() -> None:
    policy = load_policy("strict")
    assert (policy.doors.unknown, policy.on_failure.unreadable) == ("block", "block")


def test_observe_is_baseline_in_shadow() -> None:
    observe, baseline = load_policy("observe"), load_policy("baseline")
    assert observe.mode == "shadow"
    assert observe.limits == baseline.limits
    assert observe.layers == baseline.layers
    assert observe.digest != baseline.digest


def test_a_preset_is_found_in_the_wheel_before_the_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel, checkout = tmp_path / "hardening/_policies", tmp_path / "policies"
    for place in (wheel, checkout):
        (place / "baseline").mkdir(parents=True)
        (place / "baseline/policy.yaml").write_text("version: 1\n")
    monkeypatch.setattr(presets_module, "_PLACES", (wheel, checkout))
    assert find_preset("baseline") == wheel / "baseline/policy.yaml"
    (wheel / "baseline/policy.yaml").unlink()
    assert find_preset("baseline") == checkout / "baseline/policy.yaml"


def test_embeddings_changes_no_other_door_and_refuses_what_it_cannot_soften() -> None:
    embeddings, baseline = load_policy("embeddings"), load_policy("baseline")
    assert embeddings.doors.own == baseline.doors.own == {}
    assert embeddings.doors.unknown == baseline.doors.unknown
    facts = RequestFacts(door="/chat/completions", format="openai_chat")
    ours, theirs = (
        decide(policy, facts, Account("a"), Standing(), now=0) for policy in (embeddings, baseline)
    )
    assert replace(ours, limits=()) == replace(theirs, limits=())
    vectors = RequestFacts(door="/v1/embeddings", format="openai_embeddings")
    noise = [
        decide(embeddings, vectors, Account("a"), Standing(band=band), now=0).embeddings.noise
        for band in (None, "watch", "harden")
    ]
    assert noise[0] == 0 < noise[1] < noise[2]
    assert not [note for note in embeddings.unenforced() if "embeddings" in note]


@pytest.mark.parametrize("name", ["", "..", "../policies/baseline", "nope", "baseline/", "cookbook"])
def test_what_is_no_preset_is_refused_by_name(name: str) -> None:
    with pytest.raises(KeyError, match="baseline, embeddings, observe, strict"):
        find_preset(name)
