"""Each sentence of a trace gets its part, by weights that are the ones their card tells of."""

from __future__ import annotations

import hashlib
from importlib.resources import files

import pytest

from hardening import kernels
from hardening.kernels.features import BUCKET_BITS
from hardening.transform.tagger import FILE, PARTS, Tagger, shipped

TRACE = {
    "Okay, so I need to find the number of clips that Natalia has for both months.": "plan",
    "I remember that the mean of numbers is their sum over how many there are.": "knowledge",
    "So the clips in May are half of the clips in April, which is 24.": "derivation",
    "Wait, no, that's not right.": "self_talk",
    "Hmm, I'm not sure about this.": "self_talk",
    "Wait, maybe I made a mistake somewhere.": "self_talk",
}


def test_parts():
    assert [part for part, _ in Tagger(shipped()).parts(list(TRACE))] == list(TRACE.values())


def test_kernel_and_twin_tag_alike():
    tagger, sentences = Tagger(shipped()), [*TRACE, "", "Und nun?", "\ud800 half a letter", "\u7b54\u6848"]
    before = tagger.parts(sentences)
    kernels.warm()
    assert Tagger(shipped()).parts(sentences) == before


def test_what_came_before_is_remembered_over_pieces():
    at_once, one_by_one = Tagger(shipped()), Tagger(shipped())
    assert at_once.parts(list(TRACE)) == [one_by_one.parts([sentence])[0] for sentence in TRACE]


def test_the_weights_are_those_of_the_card():
    folder = files("hardening.transform")
    packed = folder.joinpath(FILE).read_bytes()
    assert hashlib.sha256(packed).hexdigest() in folder.joinpath("tagger.md").read_text("utf-8")
    assert len(packed) <= 200_000
    model = shipped()
    assert model.weights.shape == (1 << BUCKET_BITS, len(PARTS))
    assert model.weights.flags.c_contiguous
    assert model.weights.flags.writeable


@pytest.mark.parametrize(
    "sentence",
    [
        "Zuerst muss ich die Anzahl der Karten finden.",
        "Je dois trouver le nombre de cartes.",
        "Primero necesito encontrar el n\u00famero de cartas.",
        "\u9996\u5148\uff0c\u6211\u9700\u8981\u8ba1\u7b97\u6570\u91cf\u3002",
    ],
)
def test_no_other_language_is_surely_a_plan(sentence):
    assert Tagger(shipped()).parts([sentence])[0] not in {("plan", True), ("knowledge", True)}
