"""Whole exchanges that give scores: on the grid wherever they stand, the rest as it came."""

from __future__ import annotations

import json
import re

import pytest

from hardening.errors import WireError
from hardening.exchange import Exchange, Settlement
from hardening.facts import Decision, EmbeddingTerms, RequestFacts, ScoreTerms
from hardening.wire.codec import CODECS
from tests.exchanges import TOOLS

STEPPED = Decision(scores=ScoreTerms(step=0.01))
COHERE = {
    "id": "7-a1.25b",
    "results": [
        {"index": 2, "relevance_score": 0.98005307, "document": {"text": "costs 3.14159 in 0.12345 s"}},
        {"index": 0, "relevance_score": 1.4e-07},
    ],
    "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 1.5}},
}
SHAPES = {
    "cohere": (COHERE, [0.98, 0.0]),
    "voyage": ({"object": "list", "data": [{"relevance_score": 0.4375, "index": 0}], "usage": {"total_tokens": 26}}, [0.44]),
    "openrouter": ({"results": [{"relevance_score": 0.306640625}], "usage": {"total_tokens": 17, "cost": 3.4e-7}}, [0.31]),
    "text-embeddings-inference": ([{"index": 1, "score": -7.46875}, {"index": 0, "score": 0.9976}], [-7.47, 1.0]),
    "a bare list": ([0.123456, [1, 0.999]], [0.12, 1.0]),
    "vllm, score": ({"data": [{"index": 0, "object": "score", "score": 0.6274}]}, [0.63]),
    "vllm, classify": ({"data": [{"label": "spam", "probs": [0.24563, 0.75437], "num_classes": 2}]}, [0.25, 0.75]),
    "openai, moderations": ({"results": [{"flagged": True, "category_scores": {"violence": 0.99871, "self-harm": 2.1e-6}}]}, [1.0, 0.0]),
    "cohere, classify": ({"classifications": [{"prediction": "a", "labels": {"a": {"confidence": 0.8123}}}]}, [0.81]),
    "an envelope": ({"output": {"results": [{"relevance_score": 0.7349}]}, "usage": {"total_tokens": 79}}, [0.73]),
    "names that nobody knows": ({"zz": {"ww": [{"vv": 0.55555}]}, "0.123": "0.456789"}, [0.56]),
}  # fmt: skip


def scored(
    body: bytes, decision: Decision = STEPPED, split: int = 1 << 20
) -> tuple[bytes, Settlement, Exchange]:
    facts = RequestFacts(door="/t", format="scores", prompt_bytes=40)
    made = Exchange(CODECS["scores"], facts, decision, TOOLS)
    made.start(200, [(b"content-type", b"application/json")])
    out = [made.receive(body[at : at + split], 0.0) for at in range(0, len(body), split)]
    return b"".join([*out, made.end(0.0)]), made.settlement(), made


def fractions(text: bytes) -> list[float]:
    return [float(one) for one in re.findall(rb"[\[:, ](-?\d+(?:\.\d+(?:[eE]-?\d+)?|[eE]-?\d+))", text)]


@pytest.mark.parametrize("name", SHAPES)
def test_each_score_leaves_on_the_grid_and_nothing_else_changes(name: str) -> None:
    value, stepped = SHAPES[name]
    raw = json.dumps(value).encode()
    out, settlement, _ = scored(raw)
    assert settlement.changed == ("scores",)
    known = iter(stepped)

    def follows(before: object, after: object, key: str = "") -> None:
        if isinstance(before, dict):
            assert [*before] == [*after]  # type: ignore[misc]
            for name in before:
                follows(before[name], after[name], name)  # type: ignore[index]
        elif isinstance(before, list):
            assert len(before) == len(after)  # type: ignore[arg-type]
            for one, other in zip(before, after, strict=True):  # type: ignore[call-overload]
                follows(one, other, key)
        elif isinstance(before, float) and key not in ("cost", "search_units"):
            assert after == next(known)
        else:
            assert (type(before), before) == (type(after), after)

    follows(value, json.loads(out))
    assert next(known, None) is None
    assert scored(raw, split=1)[0] == out


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize(
    "decision", [Decision(), Decision(scores=ScoreTerms(0.01), enforced=False), Decision(exempt=True)]
)
def test_without_a_grid_every_byte_stays(name: str, decision: Decision) -> None:
    raw = json.dumps(SHAPES[name][0], indent=1).encode()
    assert scored(raw, decision)[0] == raw


def test_spellings_of_a_number_are_one_score() -> None:
    """Catches a fine value behind an exponent, a sign or many digits."""
    raw = b'{"a":-0.0001,"b":9800.5307e-4,"c":0.98005307000000000000000000000000000000000000001,"d":980053E-6, "e":1E0}'
    assert scored(raw)[0] == b'{"a":0.0,"b":0.98,"c":0.98,"d":0.98, "e":1.0}'


def test_large_numbers_stay_what_they_are_to_the_step() -> None:
    raw = b'{"at":1732639000.12345,"n":12345678901234567890}'
    assert scored(raw)[0] == b'{"at":1732639000.12,"n":12345678901234567890}'


@pytest.mark.parametrize("number", [b"1e16", b"-1e300", b"1e999", b"1e99999999999999"])
def test_what_no_grid_fits_is_not_given(number: bytes) -> None:
    """Catches a number that spells out to a gigabyte, and one that passes because no grid fits it."""
    with pytest.raises(WireError, match="below 1e15"):
        scored(b'{"score":%b}' % number)


def test_a_vector_at_a_door_of_scores_is_withheld_where_a_policy_bounds_vectors() -> None:
    """Catches SGLang's `/classify`, which gives the vector of an embedding model."""
    raw = json.dumps({"data": [{"index": 0, "embedding": [0.1234567, 0.2345678]}]}).encode()
    decision = Decision(scores=ScoreTerms(0.01), embeddings=EmbeddingTerms(step=0.001))
    assert json.loads(scored(raw, decision)[0])["data"][0]["embedding"] == []


def test_prompts_are_counted_and_answers_are_not() -> None:
    _, settlement, made = scored(json.dumps(SHAPES["voyage"][0]).encode())
    assert (settlement.usage.prompt, settlement.usage.completion, settlement.source) == (26, 0, "usage")
    assert made.treatment["scores"] == 0.01


def test_a_body_that_is_no_json_is_not_given() -> None:
    with pytest.raises(WireError):
        scored(b'{"score":0.98005307')
