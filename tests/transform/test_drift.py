"""Text in places that no table knows: what is taken for text, what is not, and what is told of it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from hardening.transform.drift import Drift, is_text
from hardening.wire import unknown
from hardening.wire.codec import CODECS
from hardening.wire.frame import Frame
from tests.exchanges import TRACE, words

LONG = "First I weigh every option on the table, then seventeen apples are put beside the pears."


def frame(value: object) -> Frame:
    return CODECS["openai_chat"].frame(json.dumps(value).encode())


def delta(**said: object) -> dict[str, object]:
    return {"id": "c", "choices": [{"index": 0, "delta": {"role": "assistant", "content": "", **said}}]}


def found(*values: object) -> tuple[list[str], list[str]]:
    """What is text in frames that follow each other, and the paths that are named."""
    drift = Drift()
    texts = [one.string(*span) for one in map(frame, values) for span in drift.text(one)]
    return texts, list(drift.paths)


@pytest.mark.parametrize(
    "text",
    [
        LONG,
        TRACE + TRACE,
        "まず、りんごが何個あるかを数えます。次に、梨を加えて合計を求めます。" * 2,
        "เริ่มต้นด้วยการนับจำนวนแอปเปิลทั้งหมดแล้วบวกกับลูกแพร์เพื่อหาผลรวมทั้งหมด",
        f"{'x' * 5_000}{LONG * 30}",
        f"{LONG * 30}{'x' * 9_000}",
    ],
)
def test_words_are_text(text: str) -> None:
    assert is_text(text)


@pytest.mark.parametrize(
    "text",
    [
        LONG[:63],
        "https://example.org/a/very/long/address/that/goes/on?and=on&until=it&is=longer&than=a&label",
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
        * 40,
        "chatcmpl-0f1a2b3c4d5e6f7a8b9c0d1e2f3a4b5c6d7e8f9a0b1c2d3e5100112233445566778899",
        "0.25 0.5 0.75 1.0 1.25 1.5 1.75 2.0 2.25 2.5 2.75 3.0 3.25 3.5 3.75 4.0 4.25 4.5",
        '{"a":1,"b":[1,2,3],"configuration":{"temperature":0.5,"top_p":0.9,"penalties":[0.1,0.2]}}',
    ],
)
def test_labels_identifiers_and_packed_data_are_none(text: str) -> None:
    assert not is_text(text)


@pytest.mark.parametrize(
    "pieces",
    [
        words(LONG),
        [f" {word}" for word in LONG.split()],
        [LONG[at : at + 7] for at in range(0, len(LONG), 7)],
    ],
)
def test_pieces_are_text_once_they_join_to_words(pieces: list[str]) -> None:
    """Catches a renamed trace of which more leaves than the shortest piece that counts as a leak."""
    texts, paths = found(*[delta(inner_voice=piece) for piece in pieces])
    assert paths == ["choices[].delta.inner_voice"]
    assert len("".join(pieces)) - len("".join(texts)) < 20


def test_a_frame_is_gone_through_once_for_all_of_its_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a walk for each text: a thousand passages of an honest search then stop every caller for seconds."""
    tokens = 0
    whole = unknown._token

    def counted(*where: object) -> Iterator[object]:
        nonlocal tokens
        for token in whole(*where):
            tokens += 1
            yield token

    monkeypatch.setattr(unknown, "_token", counted)
    texts, paths = found({"retrieved": [{"body": f"{LONG} {number}"} for number in range(300)]})
    assert (len(texts), paths) == (300, ["retrieved[].body"])
    assert tokens < 300 * 10
    found({"sources": [{"body": f"{LONG} {number}"} for number in range(300)]})
    assert tokens < 2 * 300 * 10


def test_a_note_hides_what_stands_in_it_and_nothing_beside_it() -> None:
    """Catches notes that are told by their borders wrongly where several follow each other."""
    texts, _ = found(
        {"error": {"message": LONG}, "b": LONG + " b", "metadata": {"c": LONG + " c"}, "d": LONG + " d"}
    )
    assert [text[-2:] for text in texts if text[-2] == " "] == [" b", " d"]


def test_pieces_in_one_list_are_all_text() -> None:
    texts, paths = found(delta(steps=words(LONG)))
    assert (texts, paths) == (words(LONG), ["choices[].delta.steps[]"])


def test_a_script_without_blanks_needs_none() -> None:
    said = "まず、りんごが何個あるかを数えます。次に、梨を加えて合計を求めます。"
    texts, _ = found(*[delta(inner_voice=said[at : at + 3]) for at in range(0, len(said), 3)])
    assert len(said) - len("".join(texts)) < 20


@pytest.mark.parametrize(
    "values",
    [
        ["in progress"] * 50,
        ["Searching the web", "Reading results", "Writing an answer", "Checking it once more"],
        [f"node-{at}" for at in range(50)],
        ["us-east-1", "us-west-2", "eu-central-1"] * 10,
        ["Joe's Pizza", "Little Italy Pizza", "Little Italy Pizzeria and Deli", "Famous Calabria Pizza"],
    ],
)
def test_labels_that_come_and_go_are_none(values: list[str]) -> None:
    """Catches states, hosts and titles that a policy would take out of the answers of honest users."""
    assert found(*[delta(label=value) for value in values]) == ([], [])


@pytest.mark.parametrize(
    "value",
    [
        {"error": {"message": LONG, "details": [{"reason": LONG}]}},
        {"error": LONG},
        {"metadata": {"note": LONG}},
        {"web_sources": [{"content": LONG, "url": "https://example.org"}]},
        {"searchResults": [{"snippet": LONG}]},
        {"moderation": {"warnings": [{"text": LONG}]}},
        delta(tool_calls=[{"function": {"name": "f", "arguments": LONG}}]),
        delta(content=LONG, reasoning=LONG),
    ],
)
def test_words_of_others_and_places_that_are_known_are_none(value: object) -> None:
    assert found(value) == ([], [])


def test_a_path_tells_names_and_nothing_else() -> None:
    """Catches an identifier, or words of a model, that stand in a key and would be written to the log."""
    value = {"by_account": {"org_4711081512": {LONG: {"the note": [{"inner_voice2": LONG}]}}}}
    texts, paths = found(value)
    assert LONG in texts
    assert paths[-1] == "by_account.*.*.*[].inner_voice2"
    assert not any("4711" in path or "First" in path for path in paths)


def test_what_is_kept_and_told_is_bounded() -> None:
    """Catches a stream of ever new fields that takes ever more memory, or gets around being counted."""
    drift = Drift()
    for at in range(1_000):
        drift.text(frame(delta(**{f"field_{chr(97 + at % 26)}{chr(97 + at // 26)}": f"piece {at} "})))
    assert len(drift._places) <= 65
    assert 0 < len(drift.paths) <= 8


def test_an_empty_string_of_an_unknown_kind_is_none() -> None:
    """Catches a fault of our own where pieces of a new event are empty, as they are in streams."""
    raw = b'{"type": "response.new_thing.delta", "item_id": "rs_1", "output_index": 0, "delta": "%b"}'
    drift = Drift()
    for piece in (b"a", b"", b"b", b""):
        one = CODECS["openai_responses"].frame(raw % piece)
        assert piece.decode() in [one.string(*span) for span in one.strings]
        assert drift.text(one) == []
