"""What `LogprobCutter` lets out: at most `top` tokens a row, on the grid, of visible text only."""

from __future__ import annotations

import json

import orjson
import pytest

from hardening import kernels
from hardening.kernels import plain
from hardening.transform.logprobs import LogprobCutter


@pytest.fixture(params=["plain", "compiled"], autouse=True)
def twins(request, monkeypatch):
    """Each test runs on both implementations."""
    if request.param == "compiled":
        kernels.warm()
    else:
        monkeypatch.setattr(kernels, "_twins", plain)


def entry(token: str, logprob: float, **more: object) -> dict[str, object]:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode()), **more}


def row(token: str, logprob: float, *alternatives: tuple[str, float]) -> dict[str, object]:
    return entry(token, logprob, top_logprobs=[entry(*pair) for pair in alternatives])


def cut(rows: object, visible: str | bytes | None = None, *, top: int | None = 2, step: float = 0.25):
    return orjson.loads(LogprobCutter(top, step).cut(orjson.dumps(rows), visible))


def spelled(rows) -> str:
    return "".join(item["token"] for item in rows)


def test_the_highest_alternatives_stay_in_their_order():
    (found,) = cut([row("a", -1.0, ("c", -3.0), ("a", -1.0), ("b", -2.0), ("d", -2.0))])
    assert [(item["token"], item["logprob"]) for item in found["top_logprobs"]] == [("a", -1.0), ("b", -2.0)]


def test_of_ties_the_first_given_stay_in_the_order_of_their_bytes():
    (found,) = cut([row("a", -1.0, ("x", -2.0), ("a", -1.0), ("y", -2.0))])
    assert spelled(found["top_logprobs"]) == "ax"
    (found,) = cut([row("b", -1.0, ("b", -1.0), ("z", -2.1), ("a", -2.2), ("é", -2.2))], top=4)
    assert spelled(found["top_logprobs"]) == "bazé"


def test_the_likeliest_token_comes_first_whatever_its_step_hides():
    (found,) = cut([row("b", -1.1, ("a", -1.2), ("b", -1.1))], step=1.0)
    assert spelled(found["top_logprobs"]) == "ba"


def test_a_drawn_token_outside_the_kept_has_no_value():
    (found,) = cut([row("z", -5.5, ("a", -1.0), ("b", -2.0), ("z", -5.5))])
    assert found["logprob"] == -9999.0
    assert len(found["top_logprobs"]) == 2


def test_without_a_lone_value_a_drawn_token_has_one_only_as_an_alternative():
    rows = orjson.dumps([row("z", -5.5), row("y", -1.0, ("a", -1.0)), row("a", -1.0, ("a", -1.0))])
    told = orjson.loads(LogprobCutter(3, 0.25).cut(rows, None, lone=False))
    assert [one["logprob"] for one in told] == [-9999.0, -9999.0, -1.0]


def test_a_drawn_token_counts_as_one_where_fewer_are_listed():
    assert cut([row("z", -5.5, ("a", -1.0))])[0]["logprob"] == -5.5
    assert cut([row("z", -5.5)])[0]["logprob"] == -5.5


def test_equal_strings_of_other_bytes_are_another_token():
    half = {"token": "�", "logprob": -4.0, "bytes": [226], "top_logprobs": []}
    half["top_logprobs"] = [{"token": "�", "logprob": -1.0, "bytes": [227]}]
    assert cut([half], top=1)[0]["logprob"] == -9999.0


def test_values_are_floored_and_the_mark_stays():
    (found,) = cut([row("a", -0.1, ("a", -0.1), ("b", -9999.0))], step=0.7)
    assert [found["logprob"], *(item["logprob"] for item in found["top_logprobs"])] == [-0.7, -0.7, -9999.0]


def test_no_step_leaves_the_numbers_as_spelled():
    raw = b'[{"token":"a","logprob":-1.50e-01,"top_logprobs":[{"token":"a","logprob":-1.50e-01}]}]'
    assert LogprobCutter(2, 0.0).cut(raw, None) == raw


def test_members_that_tell_more_do_not_leave():
    raw = b'[{"token":"a","id":7,"logprob":-1,"rank":3,"cumulative_logprob":-9.1,"top_logprobs":[]}]'
    assert LogprobCutter(2, 0.25).cut(raw, None) == b'[{"token":"a","logprob":-1.0,"top_logprobs":[]}]'


def test_of_a_name_given_twice_no_first_value_leaves():
    raw = b'[{"token":"a","logprob":-1,"top_logprobs":[{"token":"s","logprob":-3}],"top_logprobs":[]}]'
    assert b'"s"' not in LogprobCutter(2, 0.25).cut(raw, None)


def test_none_keeps_all_and_zero_keeps_nothing():
    rows = [row("a", -1.0, ("a", -1.0), ("b", -2.0), ("c", -3.0))]
    assert len(cut(rows, top=None)[0]["top_logprobs"]) == 3
    assert cut(rows, top=0) == []


@pytest.mark.parametrize("values", [b"NaN", b"-Infinity", b"null", b'"-1"', b"{}"])
def test_a_value_that_is_no_number_is_hidden(values):
    raw = b'[{"token":"a","logprob":' + values + b',"top_logprobs":[]}]'
    assert orjson.loads(LogprobCutter(2, 0.25).cut(raw, None))[0]["logprob"] == -9999.0


@pytest.mark.parametrize(
    "raw", [b"", b"null", b"{}", b"[1,[],null]", b"[" * 100_000, b'[{"token":1,"logprob":2}]']
)
def test_what_holds_no_rows_gives_none(raw):
    assert LogprobCutter(2, 0.25).cut(raw, None) == b"[]"


def test_half_a_surrogate_pair_survives_escaped():
    raw = b'[{"token":"\\ud83d","logprob":-1,"bytes":null,"top_logprobs":[]}]'
    assert json.loads(LogprobCutter(2, 0.25).cut(raw, None))[0]["token"] == "\ud83d"


class TestVisible:
    def test_rows_of_the_visible_text_stay(self):
        rows = [row("Hel", -1.0), row("lö\n", -1.0)]
        assert cut(rows, "Hellö\n") == cut(rows)
        assert cut(rows, b"Hell\\u00f6\\n") == cut(rows)

    def test_only_the_rows_of_the_answer_stay_of_a_whole_trace(self):
        rows = [row(token, -1.0) for token in ("think", "</think>", "", "Ans", "wer", "<|im_end|>")]
        assert spelled(cut(rows, "Answer")) == "Answer<|im_end|>"

    @pytest.mark.parametrize("visible", ["answer", "x", "er", "Answer and more", "nAnswer"])
    def test_rows_that_do_not_spell_it_go(self, visible):
        assert cut([row("think", -1.0), row("Answer", -1.0)], visible) == []

    def test_without_visible_text_no_row_stays(self):
        assert cut([row("secret", -1.0)], "") == []
        assert cut([row("", -1.0)], b"") == []

    def test_bytes_count_where_a_token_is_no_text(self):
        rows = [
            {"token": "bytes:\\xe2\\x82", "logprob": -1.0, "bytes": [0xE2, 0x82], "top_logprobs": []},
            {"token": "bytes:\\xac", "logprob": -1.0, "bytes": [0xAC], "top_logprobs": []},
        ]
        assert len(cut(rows, "€")) == 2
        assert cut(rows, "bytes:\\xe2\\x82bytes:\\xac") == []

    def test_a_text_that_is_no_string_content_is_spelled_by_nothing(self):
        assert cut([row("a", -1.0)], b"\\x") == []


def test_impossible_terms_are_refused():
    with pytest.raises(ValueError, match="top"):
        LogprobCutter(-1, 0.25)
