"""Copies of restored traces are told under any escaping, and honest words are not."""

from __future__ import annotations

import html
import json
import urllib.parse
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardening.transform.folded import folded
from hardening.transform.restored import Restored

LATIN = " ".join(f'If we "add" {n} to x\\y we get <{n + 1}> & É then\n\tgo on' for n in range(9))
CHINESE = "".join(
    f"首先我们把{chr(0x4E00 + n * 7)}和{chr(0x5000 + n * 11)}加起来，得到第{n}个结果。" for n in range(14)
)
SIGNS = "\n".join(f'"{n}":\t{{x-\\n{n}}} 100% \U00020000é\U0001f600&amp;%41' for n in range(20))

Way = Callable[[str], str]
WAYS: dict[str, Way] = {
    "as it is": str,
    "json": json.dumps,
    "json three times": lambda text: json.dumps(json.dumps({"e": json.dumps(text)})),
    "json as it reads": lambda text: json.dumps(json.dumps(text, ensure_ascii=False), ensure_ascii=False),
    "python": lambda text: repr(repr({"e": text})),
    "ascii": lambda text: ascii(json.dumps(text, ensure_ascii=False)),
    "bytes": lambda text: repr(json.dumps(text, ensure_ascii=False).encode()),
    "html": lambda text: html.escape(html.escape(json.dumps(text))),
    "address": urllib.parse.quote,
    "address twice": lambda text: urllib.parse.quote_plus(urllib.parse.quote(json.dumps(text))),
    "capitals": str.upper,
    "words alone": lambda text: " ".join(text.split()),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("trace", [LATIN, CHINESE, SIGNS])
def test_no_escape_hides_a_copy(trace: str, way: str) -> None:
    known = Restored([LATIN, CHINESE, SIGNS])
    for part in (trace, trace[40:130]):
        assert known.repeats("bad value: " + WAYS[way](part))


@settings(derandomize=True)
@given(st.text("bnxu z9\\\"'<>&;%\n\tÉé中文😀"), st.lists(st.sampled_from([*WAYS.values()][:10]), max_size=2))
def test_what_was_escaped_reads_as_it_did(text: str, ways: list[Way]) -> None:
    """Not of two signs that `ascii` tells as the bytes of one: nobody can tell what these were."""
    told = text
    for way in ways:
        told = way(told)
    assert (folded(text) or "") in (folded(told) or "")


@given(st.text(st.characters(max_codepoint=127)))
def test_what_is_all_ascii_reads_as_it_does_beside_another_letter(text: str) -> None:
    """Catches a short way for most text that keeps a sign, or drops a letter, which the long way does not."""
    alone, beside = folded(text), folded(f"{text}ß")
    assert (None if alone is None else f"{alone}ss") == beside


@given(st.text(), st.data())
def test_any_twenty_one_letters_are_found_and_no_nineteen(around: str, data: st.DataObject) -> None:
    letters = "".join(chr(0x4E00 + n) for n in range(300))
    start = data.draw(st.integers(0, 279))
    known = Restored(["another", letters])
    assert known.repeats(around + letters[start : start + 21] + around)
    assert not known.repeats("a" + letters[start : start + 19] + "a")


def test_each_of_many_texts_is_told_by_itself() -> None:
    known = Restored([LATIN, LATIN, CHINESE])
    assert known.traces == (LATIN, CHINESE)
    texts = ["prompt is too long: 210000 tokens > 200000 maximum", LATIN[5:60], "", "a" * 40, CHINESE]
    assert known.among(texts) == [False, True, False, False, True]


def test_four_mebibytes_of_traces_leave_honest_words_alone() -> None:
    traces = [" ".join(str(i * j % 9973) for i in range(80_000)) for j in range(7919, 7930)]
    assert sum(map(len, traces)) > 4_000_000
    known = Restored(traces)
    assert not known.repeats("prompt is too long: 210000 tokens > 200000 maximum")
    assert known.repeats(traces[-1][-40:])


def test_what_cannot_be_searched_counts_as_a_copy() -> None:
    known = Restored([LATIN])
    assert known.repeats("no " * 400_000)
    assert known.repeats("\\" + "u005c" * 20)
    assert not known.repeats("\\" * 100_000 + "u" + "\\" * 100_000)


@pytest.mark.parametrize("between", ["", " ", "\n", "\\n", "é 中"])
def test_no_piece_is_lost_where_a_trace_is_learnt_in_slices(between: str) -> None:
    trace = between.join(f"{n * n * 7919 % 99991:05}" for n in range(2_000))
    known = Restored([trace, "of another one " + trace[:50]])
    wide = 21 * 6  # signs apart, letters for a piece
    assert all(known.repeats(trace[at : at + wide]) for at in range(0, len(trace) - wide, 3))
    assert not known.repeats(between.join(f"{n * n * 7877 % 99989:05}" for n in range(2_000))[:wide])


def test_a_long_trace_is_learnt_in_many_steps_and_words_with_it() -> None:
    heard: list[str] = []
    trace = " ".join(str(n) for n in range(40_000))
    known = Restored([trace], heard.append)
    steps = 1
    while known.learn():
        steps += 1
    assert "".join(heard) == trace
    assert max(map(len, heard)) <= 4096 < len(trace) / 50
    assert steps > len(heard) > 50
    assert all(text.endswith(" ") for text in heard[:-1])
    assert known.repeats(trace[-30:])
    assert not known.learn()
