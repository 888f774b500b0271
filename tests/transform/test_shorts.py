"""A trace that comes as many short strings under a name that no table knows does not leave; other short strings do."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.exchanges import ANSWER, DONE, TRACE, chunk, exchange, run, said, words

TOKENS = words(TRACE)
PLACES: dict[str, Any] = {
    "tokens": TOKENS,
    "bare": TRACE.split(),
    "named": [{"token": token, "state": "ok", "type": "text"} for token in TOKENS],
    "letters": [*TRACE],
}


@pytest.mark.parametrize("place", PLACES)
def test_a_list_of_its_tokens_tells_no_trace(place: str) -> None:
    told = chunk({"content": ANSWER}, dbg={"of": PLACES[place], "unit": "ms"})
    out, settled = run([chunk({"reasoning": TRACE}), told, DONE])
    assert said(out, "content") == ANSWER
    left = json.loads(out.split(b"data: ")[2])["dbg"]
    assert left["unit"] == "ms"
    assert "".join(_strings(left["of"])) == ("ok" + "text") * len(TOKENS) * (place == "named")
    assert "copies" in settled.changed


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [one for each in (value.values() if isinstance(value, dict) else value) for one in _strings(each)]


def test_a_token_with_each_frame_tells_no_more_than_a_piece_begins_with() -> None:
    frames = [chunk({"reasoning": token}, tok=token) for token in TOKENS]
    late = [chunk({"content": "x"}, late=token) for token in TOKENS]
    out, _ = run([*frames, *late, chunk({}, finish="stop"), DONE])
    for name in ("tok", "late"):
        assert len("".join(value.get(name, "") for value in _values(out))) < 20
    assert said(out, "content") == "x" * len(TOKENS)


def _values(out: bytes) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in out.split(b"\n") if line.startswith(b"data: {")]


def test_a_whole_answer_tells_none_either() -> None:
    message = {"role": "assistant", "content": ANSWER, "reasoning_content": TRACE}
    body = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "toks": TOKENS}
    made = exchange(sse=False)
    out = made.receive(json.dumps(body).encode(), 0.0) + made.end(0.0)
    assert json.loads(out)["toks"] == [""] * len(TOKENS)


def test_short_strings_that_say_something_else_stay() -> None:
    more = {"state": "ok", "tags": ANSWER.split(), "path": ["body", "messages", "0", "content"]}
    frames = [chunk({"reasoning": token}, state="ok") for token in TOKENS]
    frames += [chunk({"content": ANSWER}, n=str(n % 2), **more) for n in range(40)]
    out, settled = run([*frames, DONE])
    values = [value for value in _values(out) if "tags" in value]
    assert len(values) == 40
    assert all({**value, **more} == value for value in values)
    assert "copies" not in settled.changed


def test_as_many_as_a_body_holds_are_looked_at() -> None:
    many = ["no", "thing"] * 60_000
    told = chunk({"content": ANSWER}, of=[*many, *TOKENS, *many])
    out, _ = run([chunk({"reasoning": TRACE}), told, DONE])
    left = json.loads(out.split(b"data: ")[2])["of"]
    assert not {*TOKENS} & {*left}
    assert left.count("no") > 59_000
