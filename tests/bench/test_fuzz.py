"""The fuzzer itself: its properties hold for a few bodies, and it finds what somebody breaks."""

from __future__ import annotations

import random

import pytest

from bench.fuzz.__main__ import main
from bench.fuzz.bodies import HIDDEN, VALUES, Author
from bench.fuzz.properties import PROPERTIES
from hardening.exchange import Exchange
from hardening.testing import find_leaks
from hardening.transform.embeddings import BoundedVectors
from hardening.transform.reasoning import HeldReasoning
from hardening.wire.codec import CODECS
from hardening.wire.sse import SSE


@pytest.mark.parametrize("name", PROPERTIES)
@pytest.mark.parametrize("format", CODECS)
def test_a_few_bodies_of_each_kind(name: str, format: str) -> None:
    for seed in range(12):
        PROPERTIES[name](CODECS[format], random.Random(seed))


@pytest.mark.parametrize("format", CODECS)
def test_the_bodies_hold_what_must_not_leave(format: str) -> None:
    """Catches an author who writes nothing that could leak, so that all properties hold for nothing."""
    bodies = [
        Author(CODECS[format], random.Random(seed)).stream(SSE, "text/event-stream").data
        for seed in range(30)
    ]
    embeds = CODECS[format].response.embeds
    told = [
        str(VALUES[1]).encode() in body if embeds else any(find_leaks(body, trace) for trace in HIDDEN)
        for body in bodies
    ]
    assert sum(told) >= 10


def test_a_leak_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HeldReasoning, "feed", lambda self, event: iter((event,)))
    with pytest.raises(AssertionError, match="left in"):
        for seed in range(50):
            PROPERTIES["nothing_hidden_leaves"](CODECS["openai_chat"], random.Random(seed))


def test_a_vector_that_leaves_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedVectors, "feed", lambda self, event: iter((event,)))
    with pytest.raises(AssertionError, match="left"):
        for seed in range(50):
            PROPERTIES["no_value_leaves_off_the_grid"](CODECS["ollama_embed"], random.Random(seed))


def test_an_error_that_is_no_wire_error_ends_the_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(self: Exchange, now: float) -> bytes:
        raise KeyError("x")

    monkeypatch.setattr(Exchange, "end", broken)
    which = ["--format", "openai_chat", "--property", "shadow_changes_nothing"]
    assert main(["--seconds", "1", "--seed", "5", *which]) == 1
    assert "--seed 5 --format openai_chat --property shadow_changes_nothing" in capsys.readouterr().out
