"""Figures of a run as claims: a value, the goal it is held to, and the same without us."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from bench.corpus.checks import Result
from hardening.redteam.claims import Claim, Measured, goals, judge

REPORT = "corpus"


def claims_of(results: Iterable[Result], *, seed: int, partial: bool) -> list[Claim]:
    """The claims that `docs/claims.json` names for this report, with what the run measured.

    A `partial` run leaves out those that it had nothing for; in a whole run they fail.
    """
    sums: Counter[str] = Counter()
    for result in results:
        sums += result.figures
    claims = judge(goals(REPORT), _measured(sums), seed=seed)
    return [claim for claim in claims if claim.n or not partial]


def _measured(sums: Counter[str]) -> dict[str, Measured]:
    usage = sums["usage_found"] / sums["usage_expected"] if sums["usage_expected"] else 0.0
    return {
        "corpus_leaks": Measured(sums["hidden"], sums["traced"], sums["hidden_without"]),
        "corpus_logprobs_beyond": Measured(sums["rows_beyond"], sums["rowed"], sums["rows_without"]),
        "corpus_vectors_beyond": Measured(sums["vectors_beyond"], sums["vectored"], sums["vectors_without"]),
        "corpus_counts_left": Measured(sums["counts_left"], sums["counted"], sums["counted"]),
        "corpus_answers_changed": Measured(sums["answers_changed"], sums["answers"]),
        "corpus_sdk_failures": Measured(sums["sdk_failures"], sums["sdk_checked"]),
        "corpus_usage_found": Measured(usage, sums["usage_expected"]),
        "corpus_usage_differs": Measured(sums["usage_differs"], sums["usage_found"]),
        "corpus_splits_differ": Measured(sums["splits_differ"], sums["resplit"]),
        "corpus_planted_unreviewed": Measured(
            sums["planted_unreviewed"], sums["planted"], sums["planted_without"]
        ),
        "corpus_unknown_text": Measured(
            sums["unknown_text"] / sums["unknown_looked"] if sums["unknown_looked"] else 0.0,
            sums["unknown_looked"],
        ),
        "corpus_identity": Measured(sums["identity_changed"], sums["shadowed"]),
    }
