"""The bench: its streams, its arithmetic and its claims; never how long anything takes."""

from __future__ import annotations

import asyncio
import json

import pytest
from rich.console import Console

from bench import latency, streams
from bench.apps import EmptyAsgi, Playback, Player
from bench.formats import FORMATS
from bench.latency import SEED, added, column, interleave, ratio
from bench.report import Row, Spread, as_json, measured, show
from hardening.events import Logprobs, Reasoning, Text
from hardening.redteam.claims import Goal, goals, judge
from hardening.wire.codec import CODECS
from hardening.wire.doors import Doors

CHAT = CODECS["openai_chat"]


@pytest.mark.parametrize("name", streams.STREAMS)
def test_a_stream_is_the_same_for_its_seed_and_new_for_another(name: str) -> None:
    made = streams.STREAMS[name](1)
    assert made == streams.STREAMS[name](1)
    assert not set(made) & set(streams.STREAMS[name](2))
    assert len(made) in (streams.CHUNKS, streams.TRACE_CHUNKS + 1)


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("content", [Text]),
        ("content_ids", [Text]),
        ("content_new_shape", [Text]),
        ("logprobs", [Text, Logprobs]),
        ("reasoning", [Reasoning]),
    ],
)
def test_chunks_say_what_they_are_measured_as(name: str, kinds: list[type]) -> None:
    for text in streams.texts(streams.STREAMS[name](1))[: streams.CHUNKS]:
        assert [type(event) for event, _ in CHAT.frame(text).events] == kinds


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_tells_the_text_and_the_trace(name: str) -> None:
    """Catches a stream that a codec reads as something else than what is measured."""
    format = FORMATS[name]
    door = Doors().match(format.path)
    assert door is not None
    assert door.codec is not None
    door.codec.read_request(json.dumps(format.request).encode(), door="x")
    for trace in (False, True):
        events = format.events(1, trace=trace)
        assert events == format.events(1, trace=trace)
        seen = [event for raw in events for event, _ in door.codec.frame(raw).events]
        told = Text if name == "completions" or not trace else Reasoning
        said = "".join(event.text for event in seen if type(event) is told and not event.whole)
        assert (streams.TRACE if trace else streams.ANSWER)[:200] in said
        assert len(format.chunks(events)) == len(events)


def test_content_is_of_the_size_and_variety_of_real_chunks() -> None:
    made = streams.content(1)
    assert 270 < sum(map(len, made)) / len(made) < 310
    assert len(set(made)) > 100
    assert any(b"\\n" in chunk for chunk in made)
    assert any(b'\\"' in chunk for chunk in made)


def test_every_chunk_of_a_new_shape_has_a_field_of_its_own() -> None:
    keys = [frozenset(json.loads(text)) for text in streams.texts(streams.content_new_shape(1))]
    assert len(set(keys)) == len(keys)


def test_rows_have_twenty_alternatives() -> None:
    chunk = json.loads(streams.texts(streams.logprobs(1))[0])
    (row,) = chunk["choices"][0]["logprobs"]["content"]
    assert len(row["top_logprobs"]) == 20
    assert all(one["logprob"] <= 0 for one in row["top_logprobs"])


@pytest.mark.parametrize("size", [2_000, 200_000])
def test_requests_have_the_size_that_is_said(size: int) -> None:
    body = streams.request(size)
    assert len(body) == size
    assert CHAT.read_request(body, door="x").stream


def test_ways_take_turns_and_warm_up_rounds_are_not_kept() -> None:
    played: list[tuple[str, int]] = []

    def way(name: str) -> latency.Way:
        async def play(number: int) -> tuple[float, float]:
            played.append((name, number))
            return float(number), float(-number)

        return play

    samples = asyncio.run(interleave({"a": way("a"), "b": way("b")}, 2))
    assert [name for name, _ in played] == ["a", "b", "b", "a", "a", "b", "b", "a"]
    assert column(samples, "a") == [0.0, 1.0]
    assert column(samples, "b", 1) == [0.0, -1.0]


def test_costs_are_compared_round_by_round() -> None:
    samples = {"empty": [(1.0, 9.0), (2.0, 9.0)], "ours": [(3.0, 9.0), (8.0, 9.0)]}
    assert added(samples, "ours", over="empty") == [2.0, 6.0]
    # A machine at half its speed in one round changes no quotient.
    assert ratio([2.0, 4.0], [1.0, 2.0]) == Spread(2.0, 2.0, 2.0, 2)


def test_a_spread_is_the_median_and_its_quartiles() -> None:
    assert Spread.of([5.0, 1.0, 3.0, 2.0, 4.0]) == Spread(3.0, 2.0, 4.0, 5)
    assert Spread.of([7.0]) == Spread(7.0, 7.0, 7.0, 1)


def row(claim: str, value: float, *, of: float | None = None) -> Row:
    figure = Spread.of([value])
    return (
        Row("a", "b", figure)
        if not claim
        else Row("a", "b", figure, claim=claim, ratio=of and Spread.of([of]))
    )


def test_a_claim_is_about_the_ratio_where_there_is_one() -> None:
    wanted = {"x": Goal("x", 1.0, "<="), "y": Goal("y", 20.0, "<=")}
    one, two = judge(wanted, measured([row("", 99.0), row("x", 50.0, of=1.0), row("y", 20.5)]), seed=3)
    assert (one.value, one.holds, one.control, one.seed) == (1.0, True, None, 3)
    assert (two.value, two.holds) == (20.5, False)


def test_what_is_measured_is_what_the_document_promises() -> None:
    made = {claim for _, claim in latency._CHUNKS.values()} | {
        size.claim for size in latency._SIZES if size.claim
    }
    made |= {f"{kind}_{name}_vs_parse" for name in FORMATS for kind in ("content", "reasoning")}
    made |= {
        f"embeddings_{noised}{form}_vs_parse" for noised in ("", "noised_") for form in ("json", "base64")
    }
    alone = {
        "logprobs_vs_basehttp",
        "logprobs_noised_vs_parse",
        "no_door_vs_empty_asgi",
        "before_app_sqlite_us",
        "judged_us",
        "scoring_stall_ms",
    }
    assert made | alone == goals("bench").keys()


def test_the_report_is_one_json_object_and_one_table() -> None:
    rows = [row("x", 50.0, of=0.5)]
    claims = judge({"x": Goal("x", 1.0, "<="), "gone": Goal("gone", 1.0, "<=")}, measured(rows), seed=SEED)
    report = json.loads(as_json(rows, claims, quick=True))
    assert report["claims"][0] == {
        "name": "x", "value": 0.5, "goal": 1.0, "op": "<=", "holds": True, "control": None, "n": 1, "seed": SEED
    }  # fmt: skip
    assert {"date", "machine", "rows", "quick"} <= report.keys()
    console = Console(record=True, width=150, file=None, quiet=False)
    with console.capture() as shown:
        show(rows, claims, console)
    assert "holds <= 1" in shown.get()
    assert "gone: not measured" in shown.get()


def test_the_player_plays_one_whole_request() -> None:
    app = Playback(streams.content(1)[:3])
    player = Player("sk-a", b"{}")
    assert asyncio.run(player.play(EmptyAsgi(app))) > 0
    assert player.received == sum(map(len, app.chunks))
    assert len(app.sent_at) == 4
    assert app.called_at >= player.began
