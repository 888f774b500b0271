"""Log-probabilities in two lists side by side, as Gemini writes them, and as rows with their alternatives.

Source: Gemini API reference, LogprobsResult (read 2026-11-25). The tokens that were drawn stand in
`chosenCandidates`, the alternatives of each position in `topCandidates[].candidates`.
"""

from __future__ import annotations

import orjson

from hardening.wire.scan import read_json

_SPELLINGS = (
    ("chosenCandidates", "topCandidates", "logProbability"),
    ("chosen_candidates", "top_candidates", "log_probability"),
)


def as_rows(raw: bytes, *, format: str) -> bytes:
    """The value `raw` as a JSON array of rows with `token`, `logprob`, `top_logprobs`.

    Where it is of another shape, or the lists do not agree, what comes back is no array, and is dropped
    by whoever cuts rows.
    """
    value = read_json(raw, format=format)
    if not isinstance(value, dict):
        return b"null"
    for chosen, top, number in _SPELLINGS:
        drawn, beside = value.get(chosen), value.get(top)
        if drawn is None and beside is None:
            continue
        rows = _rows(drawn, beside, number)
        return b"null" if rows is None else orjson.dumps(rows)
    return b"null"


def _rows(drawn: object, beside: object, number: str) -> list[dict[str, object]] | None:
    beside = beside or [{} for _ in drawn] if isinstance(drawn, list) else None
    if not isinstance(drawn, list) or not isinstance(beside, list) or len(drawn) != len(beside):
        return None
    rows = []
    for one, others in zip(drawn, beside, strict=True):
        row = _row(one, number)
        listed = others.get("candidates") or [] if isinstance(others, dict) else None
        if row is None or not isinstance(listed, list):
            return None
        alternatives = [_row(other, number) for other in listed]
        if None in alternatives:
            return None
        rows.append({**row, "top_logprobs": alternatives})
    return rows


def _row(value: object, number: str) -> dict[str, object] | None:
    if not isinstance(value, dict):
        return None
    token, logprob = value.get("token", ""), value.get(number, 0.0)  # a default is left out on this wire
    if not isinstance(token, str) or isinstance(logprob, bool) or not isinstance(logprob, int | float):
        return None
    return {"token": token, "logprob": logprob, "bytes": None}


def with_rows(rows: bytes, *, format: str) -> bytes:
    """`rows` as two lists; null where there are none. Token ids do not leave."""
    value = read_json(rows, format=format)
    if not isinstance(value, list) or not value:
        return b"null"
    return orjson.dumps(
        {
            "chosenCandidates": [_candidate(row) for row in value],
            "topCandidates": [
                {"candidates": [_candidate(one) for one in row.get("top_logprobs") or []]} for row in value
            ],
        }
    )


def _candidate(row: dict[str, object]) -> dict[str, object]:
    return {"token": row["token"], "logProbability": row["logprob"]}
