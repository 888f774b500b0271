"""Switches of a request: found however they are spelt, set to what is harmless, and told by their names."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardening.errors import WireError
from hardening.exchange import Exchange
from hardening.facts import Decision, LogprobTerms, ReasoningTerms
from hardening.wire.codec import CODECS
from hardening.wire.pins import Pin, Touch
from hardening.wire.requests import Edits
from hardening.wire.roles import Node
from hardening.wire.switches import NESTED
from hardening.wire.tags import TAGS, cuts_tag, holds_tag, leaves_open
from tests.exchanges import TOOLS

CHAT = CODECS["openai_chat"]
OLLAMA = CODECS["ollama_chat"]
ALL = Touch.TRACE | Touch.ROWS | Touch.IDS | Touch.STATES | Touch.PROMPT | Touch.MODEL
PAGE = (Path(__file__).parents[2] / "docs" / "policy.md").read_text("utf-8")


def forced(body: bytes, touches: Touch = ALL, codec: object = CHAT) -> bytes:
    assert codec.read_request(body, door="d").switches  # type: ignore[attr-defined]
    return codec.edit_request(body, Edits(), codec.switches(body, touches))  # type: ignore[attr-defined,no-any-return]


@pytest.mark.parametrize(
    ("body", "left"),
    [
        (b'{"echo": true , "x":1}', b'{"echo": false , "x":1}'),
        (b'{"ECHO":true}', b'{"ECHO":false}'),
        (b'{"ech\\u006f":true}', b'{"ech\\u006f":false}'),
        (b'{"echo":true,"echo":false}', b'{"echo":false,"echo":false}'),
        (b'{"echo":true,"Echo":1,"echo":false}', b'{"echo":false,"Echo":false,"echo":false}'),
        ('{"\u017ftop":"</think>"}'.encode(), '{"\u017ftop":null}'.encode()),
        ('{"\u017f\u212aip_special_tokens":0}'.encode(), '{"\u017f\u212aip_special_tokens":true}'.encode()),
        (b'{"echo":"false"}', b'{"echo":false}'),
        (b'{"echo":[{"x":[]}],"a":NaN}', b'{"echo":false,"a":NaN}'),
        (
            b'{"Extra_Body":{"a":1,"ECHO":true},"extra_body":{}}',
            b'{"Extra_Body":{"a":1,"ECHO":false},"extra_body":{}}',
        ),
        (b'{"extra_body":{"echo":true},"extra_body":{}}', b'{"extra_body":{"echo":false},"extra_body":{}}'),
        (b'{"stop":["a","\\u003c/think>","</th"]}', b'{"stop":["a"]}'),
        (b'{"stop":"</THINK>"}', b'{"stop":null}'),
        (b'{"chat_template_kwargs":{"thinking":true,"x":1}}', b'{"chat_template_kwargs":null}'),
        (
            b'{"messages":[{"prefix":true},{"role":"assistant"}]}',
            b'{"messages":[{"prefix":false},{"role":"assistant"}]}',
        ),
    ],
)
def test_every_occurrence_is_forced_and_nothing_else_moves(body: bytes, left: bytes) -> None:
    assert forced(body) == left
    assert CHAT.switches(left, ALL) == () or b"messages" in left


def test_another_model_in_an_object_for_gateways_is_a_switch() -> None:
    """Catches a rule for a model that is passed by asking for it where a gateway looks last."""
    body = b'{"model":"cheap","extra_body":{"model":"glass","top_k":1}}'
    assert forced(body) == body.replace(b'"glass"', b"null")
    assert not CHAT.read_request(b'{"model":"cheap"}', door="d").switches


def test_two_of_one_object_are_read_as_one_by_some_servers() -> None:
    body = b'{"options":{"Stop":["</think>"]},"options":{"seed":1}}'
    assert forced(body, codec=OLLAMA) == body.replace(b'["</think>"]', b"[]")


def test_another_charset_is_forced_in_utf8() -> None:
    assert forced('{"echo": true}'.encode("utf-16")) == b'{"echo": false}'


def test_only_what_touches_what_is_withheld_is_a_switch() -> None:
    body = b'{"echo":true,"return_token_ids":true,"reasoning_format":"raw"}'
    assert [one.pin.name for one in CHAT.switches(body, Touch.ROWS)] == ["echo"]
    assert [one.pin.name for one in CHAT.switches(body, Touch.TRACE)] == ["reasoning_format"]
    assert CHAT.switches(body, Touch(0)) == ()


def test_a_value_that_cannot_be_read_is_a_wire_error() -> None:
    deep = b'{"messages":[{"role":"assistant","content":%b}]}' % (b"[" * 3000 + b"]" * 3000)
    with pytest.raises(WireError):
        CHAT.switches(deep, ALL)


@pytest.mark.parametrize("tag", [tag for pair in TAGS for tag in pair])
def test_every_tag_and_its_pieces_cut_a_trace(tag: str) -> None:
    ordinary = tag in ("<|end|>", "<|content|>", "<|channel|>final<|message|>", "</details>")
    assert cuts_tag(f"a {tag.upper()}") is not ordinary or "<|channel|>" in tag
    if not ordinary:
        assert cuts_tag(tag[:-1])
        assert cuts_tag(tag[1:])


@pytest.mark.parametrize(
    "stop", ["/think", "/thi", "</", "</t", "k>", "NK>", "[/", "[/THINK", "/THINK]", "<|"]
)
def test_a_piece_of_a_closing_tag_with_a_sign_of_it_cuts(stop: str) -> None:
    """Catches a stop in mid-tag, behind which no trace closes."""
    assert cuts_tag(stop)


@pytest.mark.parametrize(
    "stop",
    ["", "<", ">", "/", "think", "</s>", "</answer>", "<|im_end|>", "<|end|>", "<|eot_id|>", "\n\n", "]"],
)
def test_what_honest_clients_stop_at_cuts_none(stop: str) -> None:
    assert not cuts_tag(stop)


@pytest.mark.parametrize("opening", sorted({opening for opening, _ in TAGS}))
def test_a_text_that_begins_or_ends_a_trace(opening: str) -> None:
    close = next(close for own, close in TAGS if own == opening)
    assert holds_tag(f"a {opening} b")
    assert holds_tag("a " + opening[:2])
    assert leaves_open(f"a {opening.upper()} b")
    assert leaves_open(f"{opening}a{close} {opening}b")
    assert leaves_open("a" + opening[:-1])
    assert not leaves_open("a" + opening[:3])
    assert not leaves_open(f"a {opening} b {close} c")
    assert leaves_open(opening + "x" * 8000)


@pytest.mark.parametrize("text", ["", "a", "<", "a < b", "x[", "<table>", "</s>", "1 <= 2"])
def test_a_text_without_a_tag(text: str) -> None:
    assert not holds_tag(text)
    assert not leaves_open(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=9,
)
KEPT = ("model", "temperature", "tools", "response_format", "metadata", "user", "stream", "seed", "n", "stop")


@given(
    st.dictionaries(st.sampled_from(KEPT) | st.text(max_size=3), JSON, max_size=8),
    st.sampled_from(sorted(CODECS)),
)
def test_a_body_without_a_switch_is_the_same_object(value: dict[str, object], format: str) -> None:
    codec = CODECS[format]
    stop = value.get("stop")
    if any(isinstance(one, str) and cuts_tag(one) for one in (stop if isinstance(stop, list) else [stop])):
        del value["stop"]
    asked = {
        **value,
        "messages": [{"role": "assistant", "content": "<think>"}, {"role": "user", "content": "q"}],
    }
    body = json.dumps(asked).encode()
    decision = Decision(reasoning=ReasoningTerms(show="none"), logprobs=LogprobTerms(top=0), pins="refuse")
    if {"raw", "n_probs"} & {*map(str.casefold, asked)}:
        return
    made = Exchange(codec, codec.read_request(body, door="d"), decision, TOOLS)
    assert made.request(body) is body
    assert made.forced is None


# -- the page


def pins(node: Node) -> dict[str, Pin]:
    found = {node.pin.name: node.pin} if node.pin is not None else {}
    for child in (*node.names.values(), *([node.items] if node.items else ())):
        found |= pins(child)
    return found


def told(pin: Pin) -> tuple[str, str]:
    touches = ", ".join(touch.name.lower() for touch in Touch if touch in pin.touches and touch.name)
    if pin.common:
        words = {"prompt": "refused where it is token ids"}.get(pin.name, "refused where it holds a tag")
        return touches, "the tags taken out" if "tag" in pin.words else words
    return touches, f"`{(pin.forced(object(), b'') or b'').decode()}`"


def test_the_page_has_every_switch_with_what_it_touches_and_what_is_written() -> None:
    there = {
        name: told(pin)
        for codec in CODECS.values()
        for name, pin in pins(codec.request).items()
        if name[0] != "." and pin.half is None
    }
    table = PAGE.partition("| switch | touches | `force` writes |")[2].partition("\n\n")[0]
    rows = [row.strip("| ").split(" | ") for row in table.split("\n")[2:]]
    page = {
        name: (touches, writes) for names, touches, writes in rows for name in re.findall(r"`([^`]+)`", names)
    }
    assert page == there
    for place in NESTED:
        assert f"`{place}`" in PAGE
    halves = {pin.name for codec in CODECS.values() for pin in pins(codec.request).values() if pin.half}
    for name in halves:
        told_by = name.removeprefix("generationConfig.").removeprefix("generation_config.")
        assert name[0] == "." or f"`{told_by}`" in PAGE, name


@pytest.mark.parametrize("key", ["prefix", "PREFIX", "Partial", "pre\\u0066ix"])
def test_a_switch_in_a_message_is_found_however_it_is_spelt(key: str) -> None:
    """Catches a look for such keys that passes over messages in which one stands."""
    begun = f'[{{"role": "assistant", "{key}": true}}, {{"role": "user", "content": "a prefix"}}]'
    for body in (f'{{"messages": {begun}}}', f'{{"extra_body": {{"messages": {begun}}}}}'):
        names = [one.pin.name.rpartition(".")[2] for one in CHAT.switches(body.encode(), ALL)]
        assert names in (["prefix"], ["partial"])


@given(JSON)
def test_a_switch_is_found_behind_whatever_stands_before_it(value: object) -> None:
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False)):
        body = f'{{"messages":[{text}],"x":{text},"echo":true,"metadata":{text}}}'.encode("utf-8", "replace")
        (found,) = [one for one in CHAT.switches(body, ALL) if one.pin.name == "echo"]
        assert body[found.start - 7 : found.end] == b'"echo":true'


@pytest.mark.parametrize(
    "value",
    [
        b"[" * 20_000 + b"]" * 20_000,
        b'["' + b"\x00\xff" * 9 + b'"]',
        b"[%s]" % (b"1" * 9_000),
        b"[NaN, 1e999]",
    ],
)
def test_a_value_that_one_parser_does_not_read_hides_no_switch_behind_it(value: bytes) -> None:
    (found,) = CHAT.switches(b'{"x":%s,"echo":true}' % value, ALL)
    assert found.pin.name == "echo"
