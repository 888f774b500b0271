"""Text completions: rows as parallel lists, several prompts, and llama.cpp's own shape at the same doors."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hardening.facts import Decision, LogprobTerms, ReasoningTerms, Usage
from hardening.wire.codec import CODECS
from hardening.wire.requests import Edits
from tests.exchanges import (
    ANSWER,
    DONE,
    HIDDEN,
    SHADOW,
    SUMMARISED,
    TRACE,
    completion,
    completions_stream,
    deltas,
    exchange,
    run,
    words,
)

FORMAT = "openai_completions"
CODEC = CODECS[FORMAT]


def text_of(out: bytes, index: int = 0) -> str:
    choices = [choice for value in deltas(out) for choice in value.get("choices", [])]  # type: ignore[attr-defined]
    return "".join(choice["text"] for choice in choices if choice["index"] == index)


def columns(*tokens: str, **more: object) -> dict[str, object]:
    return {
        "tokens": list(tokens),
        "token_logprobs": [-0.3] * len(tokens),
        "top_logprobs": [{token: -0.3, "x": -1.3, "y": -2.3} for token in tokens],
        "text_offset": list(range(100, 100 + len(tokens))),
        **more,
    }


def body(text: str, rows: object, **more: object) -> bytes:
    choice = {"text": text, "index": 0, "logprobs": rows, "finish_reason": "stop", **more}
    return json.dumps({"id": "cmpl-1", "object": "text_completion", "choices": [choice]}).encode()


def rows_left(out: bytes) -> Any:
    return json.loads(out)["choices"][0]["logprobs"]


def test_the_trace_of_a_base_model_goes_and_a_summary_stands_between_its_tags() -> None:
    out, settled = run(completions_stream(), FORMAT)
    assert text_of(out).endswith(f"</think>\n{ANSWER}")
    assert TRACE[:20] not in text_of(out)
    assert settled.usage == Usage(9, 40)
    assert text_of(run(completions_stream(), FORMAT, HIDDEN)[0]) == ANSWER


@pytest.mark.parametrize("streamed", [True, False])
def test_rows_are_cut_to_the_policy_in_the_shape_they_have(streamed: bool) -> None:
    if streamed:
        out, settled = run([completion("Yes no", logprobs=columns("Yes", " no")), DONE], FORMAT)
        left: Any = deltas(out)[0]["choices"][0]["logprobs"]  # type: ignore[index]
    else:
        out, settled = run([body("Yes no", columns("Yes", " no"))], FORMAT, sse=False)
        left = rows_left(out)
    assert left == {
        "tokens": ["Yes", " no"],
        "token_logprobs": [-0.5, -0.5],
        "top_logprobs": [{"Yes": -0.5, "x": -1.5}, {" no": -0.5, "x": -1.5}],
        "text_offset": [],  # which would tell how long a hidden trace before it was
    }
    assert settled.changed == ("logprobs", "reasoning")


def test_a_token_outside_of_the_rows_has_no_value() -> None:
    rows = columns(
        "Yes", token_logprobs=[-7.7], top_logprobs=[{"a": -0.3, "b": -1.3, "c": -2.0, "Yes": -7.7}]
    )
    left = rows_left(run([body("Yes", rows)], FORMAT, sse=False)[0])
    assert (left["token_logprobs"], left["top_logprobs"]) == ([-9999.0], [{"a": -0.5, "b": -1.5}])


@pytest.mark.parametrize(
    "rows",
    [
        columns("Yes", token_logprobs=[None]),  # an echoed prompt: the caller chose the token
        columns("Yes", token_logprobs=[-0.5714, -0.5714]),
        columns("Yes", top_logprobs=[[-0.5714]]),
        columns("Yes", top_logprobs=[{"a": "-0.5714"}]),
        columns("Yes", top_logprobs=[]) | {"tokens": [7]},
        columns("Yes") | {"tokens": {"0": "Yes"}},
        columns(" of", " the", " trace"),
        {"tokens": ["Yes"]},
        {"token_logprobs": [-0.5714]},
    ],
)
def test_rows_that_are_none_or_spell_something_else_go(rows: dict[str, object]) -> None:
    out, _ = run([body("Yes", rows)], FORMAT, sse=False)
    assert json.loads(out)["choices"][0]["text"] == "Yes"
    assert rows_left(out) is None
    assert rows_left(run([body("Yes", columns("Yes"))], FORMAT, HIDDEN, sse=False)[0]) is None


def test_rows_of_a_trace_go_and_offsets_with_it_whatever_the_rows_may_tell() -> None:
    whole = body("<think>Hm</think>Yes", columns("<think>", "Hm", "</think>", "Yes"))
    assert rows_left(run([whole], FORMAT, sse=False)[0])["tokens"] in (["Yes"], None)
    hidden = Decision(reasoning=ReasoningTerms(show="none"))
    left = rows_left(run([body("Yes", columns("Yes"))], FORMAT, hidden, sse=False)[0])
    assert left == {**columns("Yes"), "text_offset": []}
    shown = Decision(reasoning=ReasoningTerms(show="full"), logprobs=LogprobTerms(top=2))
    left = rows_left(run([body("Yes", columns("Yes"))], FORMAT, shown, sse=False)[0])
    assert (left["text_offset"], len(left["top_logprobs"][0])) == ([100], 2)


@pytest.mark.parametrize(("asked", "kept"), [(0, -0.5), (None, -9999.0)])
def test_rows_without_alternatives_keep_what_was_drawn_where_rows_were_asked_for(
    asked: int | None, kept: float
) -> None:
    for tops in (None, []):
        made = exchange(FORMAT, sse=False, top_logprobs=asked)
        out = made.receive(body("Yes", columns("Yes", top_logprobs=tops)), 0.0) + made.end(0.0)
        left = rows_left(out)
        assert (left["token_logprobs"], left["top_logprobs"]) == ([kept], tops)


def test_what_spells_the_trace_by_other_means_goes() -> None:
    more = {
        "token_ids": [31, 41],
        "prompt_token_ids": [59],
        "prompt_logprobs": [None, {"31": {"logprob": -1}}],
    }
    out, _ = run([body("Yes", None, **more)], FORMAT, sse=False)
    choice = json.loads(out)["choices"][0]
    assert {name: choice[name] for name in more} == {
        "token_ids": [],
        "prompt_token_ids": [],
        "prompt_logprobs": [],
    }


def test_choices_of_several_prompts_have_their_own_trace() -> None:
    pieces = [
        completion(text, index=index) for text in ("<think>", TRACE, "</think>", ANSWER) for index in (1, 0)
    ]
    out, _ = run([*pieces, DONE], FORMAT, HIDDEN)
    assert (text_of(out, 0), text_of(out, 1)) == (ANSWER, ANSWER)


def test_chat_chunks_at_this_door_are_read_too() -> None:
    told = json.dumps(
        {"choices": [{"index": 0, "delta": {"content": "Yes", "reasoning_content": TRACE}}]}
    ).encode()
    out, _ = run([b"data: " + told + b"\n\n", DONE], FORMAT, HIDDEN)
    assert b'"Yes"' in out
    assert TRACE[:20].encode() not in out


def native(text: str, **more: object) -> bytes:
    """A chunk as llama.cpp writes it at its own door."""
    return (
        b"data: "
        + json.dumps({"index": 0, "content": text, "tokens": [7], "stop": False, **more}).encode()
        + b"\n\n"
    )


def test_llama_cpp_at_its_own_door() -> None:
    end = {
        "stop": True,
        "stop_type": "eos",
        "tokens_evaluated": 9,
        "tokens_predicted": 40,
        "timings": {"predicted_n": 40},
    }
    pieces = [*map(native, [*words(f"<think>{TRACE}"), "</think>", *words(ANSWER)]), native("", **end)]
    out, settled = run(pieces, FORMAT, HIDDEN)
    assert "".join(str(value["content"]) for value in deltas(out)) == ANSWER
    assert {str(value["tokens"]) for value in deltas(out)} == {"[]"}
    assert settled.usage == Usage(9, 40)


def test_llama_cpps_rows_and_its_lists_of_answers() -> None:
    top = [
        {"id": 1, "token": "Yes", "logprob": -0.3},
        {"id": 2, "token": "b", "logprob": -1.3},
        {"id": 3, "token": "c", "logprob": -2.3},
    ]
    row = {"id": 1, "token": "Yes", "bytes": [89, 101, 115], "logprob": -0.3, "top_logprobs": top}
    answers = [
        {"index": index, "content": text, "stop": True, "completion_probabilities": [row]}
        for index, text in ((0, "Yes"), (1, "<think>Hm</think>Yes"))
    ]
    first, second = json.loads(run([json.dumps(answers).encode()], FORMAT, sse=False)[0])
    assert (first["content"], second["content"][-3:]) == ("Yes", "Yes")
    assert [len(one["top_logprobs"]) for one in first["completion_probabilities"]] == [2]
    assert "Hm" not in second["content"]
    old = [{"content": "Yes", "probs": [{"tok_str": "Yes", "prob": 0.57143}]}]
    drawn = [{"token": "Yes", "prob": 0.57143, "top_probs": [{"token": "Yes", "prob": 0.57143}]}]
    for rows in ({"completion_probabilities": old}, {"completion_probabilities": drawn}, {"probs": drawn}):
        odd = json.dumps({"content": "Yes", "stop": True, **rows}).encode()
        assert b"57143" not in run([odd], FORMAT, sse=False)[0]


@pytest.mark.parametrize(
    ("asked", "rows", "edited"),
    [
        ({"logprobs": 9}, 9, {"logprobs": 2}),
        ({"logprobs": 0, "echo": True}, 0, {"logprobs": 2, "echo": None}),
        ({"logprobs": None, "echo": True}, None, {"logprobs": None, "echo": True}),
        ({"logprobs": 2, "prompt_logprobs": 1}, 2, {"logprobs": 2, "prompt_logprobs": None}),
    ],
)
def test_a_count_of_rows_is_one_even_where_it_is_none(
    asked: dict[str, object], rows: int | None, edited: object
) -> None:
    request = json.dumps(asked).encode()
    facts = CODEC.read_request(request, door="d")
    assert facts.top_logprobs == rows
    edits = Edits(top_logprobs=2 if rows is not None else None)
    assert json.loads(CODEC.edit_request(request, edits)) == edited


def test_no_rows_at_all_and_bounds_in_both_spellings() -> None:
    assert json.loads(CODEC.edit_request(b'{"logprobs":5}', Edits(top_logprobs=0))) == {"logprobs": None}
    request = b'{"prompt":["a","b"],"n":2,"best_of":3,"n_predict":-1}'
    facts = CODEC.read_request(request, door="d")
    assert (facts.choices, facts.max_tokens) == (6, None)
    assert json.loads(CODEC.edit_request(request, Edits(max_tokens=8)))["n_predict"] == 8
    assert json.loads(CODEC.edit_request(b"{}", Edits(max_tokens=8))) == {"max_tokens": 8}


@pytest.mark.parametrize(
    ("prompt", "choices"),
    [
        ("a", 2),
        (["a", "b", "c"], 6),
        ([[1, 2], [3]], 4),
        ([1, 2, 3], 2),
        ([1, "a", 2], 2),
        ([], 2),
        (None, 2),
    ],
)
def test_each_prompt_has_its_answers(prompt: object, choices: int) -> None:
    request = json.dumps({"prompt": prompt, "n": 2}).encode()
    assert CODEC.read_request(request, door="d").choices == choices


def test_beats_and_ends_are_chunks_of_a_completion() -> None:
    made = exchange(FORMAT, SUMMARISED)
    for piece in completions_stream()[:4]:
        made.receive(piece, 0.0)
    (beat,) = deltas(made.wake(10.0))
    choice = {"index": 0, "text": "", "logprobs": None, "finish_reason": None}
    assert (beat["object"], beat["choices"]) == ("text_completion", [choice])
    *_, end, usage = deltas(made.cut(0.0))
    assert end["choices"] == [{**choice, "finish_reason": "length"}]
    assert usage["usage"]


def test_in_shadow_nothing_moves() -> None:
    for piece in (body("Yes", columns("Yes")), completion("Yes", logprobs=columns("Yes")), native("a")):
        assert run([piece], FORMAT, SHADOW, sse=piece.startswith(b"data"))[0] == piece
