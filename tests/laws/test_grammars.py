"""A grammar that leaves no room for a tag, where thinking is off: no trace moves into the answer by it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

import pytest

from hardening import Account
from hardening.testing import Hardened, harden
from hardening.wire.codec import CODECS
from hardening.wire.constraints import with_room
from hardening.wire.pins import Half
from hardening.wire.roles import Node
from tests.asgi.driver import Answer
from tests.exchanges import ANSWER
from tests.laws.obeying import SECRET, asking, obeying
from tests.laws.test_pins import POLICY, sent

FREE = "[^<]*"
_SCHEMA = {"type": "object", "properties": {"a": {"type": "string", "pattern": FREE}}}
SHAPES: Mapping[str, object] = {
    "guided_regex": FREE,
    "regex": "(.{100}){9}",
    "guided_grammar": 'root ::= [^<] root | ""',
    "grammar": {"type": "regex", "value": FREE},
    "ebnf": 'root ::= [^<] root | ""',
    "structural_tag": {"type": "structural_tag", "format": {"type": "any_text", "excludes": ["<think>"]}},
    "nvext.guided_regex": FREE,
    "nvext.guided_grammar": 'root ::= [^<] root | ""',
    "nvext.guided_json": json.dumps(_SCHEMA),
    "guided_json": json.dumps(_SCHEMA),
    "json_schema": _SCHEMA,
    "structured_outputs": {"regex": FREE},
    "response_format": {"type": "json_schema", "json_schema": {"schema": _SCHEMA}},
    "format": {"patternProperties": {FREE: {}}},
    "text": {"format": {"type": "json_schema", "schema": _SCHEMA}},
    "output_config": {"format": {"type": "json_schema", "schema": _SCHEMA}},
    "output_format": {"type": "json_schema", "schema": _SCHEMA},
    "tools": [{"type": "function", "function": {"name": "f", "parameters": _SCHEMA}}],
    "functions": [{"name": "f", "parameters": _SCHEMA}],
}
QUIETS: Mapping[str, object] = {
    "reasoning_effort": "none",
    "reasoning.effort": " None",
    "reasoning.max_tokens": 1,
    "thinking": {"type": "disabled"},
    "think": False,
    "thinking_budget": 0,
    "thinking_token_budget": 3,
    "reasoning_budget": 0,
    "max_thinking_tokens": 0.0,
}
_CONFIG = ("generationConfig", "generation_config")
GEMINI_SHAPES = {
    f"{config}.{name}": _SCHEMA
    for config in _CONFIG
    for name in ("responseSchema", "responseJsonSchema", "response_schema", "response_json_schema")
}
GEMINI_QUIETS = {
    f"{config}.{name}": {key: 0}
    for config in _CONFIG
    for name, key in (("thinkingConfig", "thinkingBudget"), ("thinking_config", "thinking_budget"))
}
_NO_JSON = ("regex", "grammar", "ebnf", "structural_tag", "structured_outputs")
BARS: Mapping[str, object] = {
    **{name: value for name, value in SHAPES.items() if name.endswith(_NO_JSON)},
    "response_format": {"type": "grammar", "grammar": 'root ::= "a" | "a" root'},
    "format": {"type": "structural_tag", "format": {"type": "regex", "pattern": "a+"}},
    "text": {"format": {"type": "regex", "pattern": FREE}},
    "json_schema": {"ebnf": 'root ::= ["a"]*'},
}
"""Grammars that are no JSON, in each place that may hold one."""
_PLACES = [("openai_chat", path) for path in (*BARS, "extra_body.regex")]
_PLACES += [("openai_completions", path) for path in ("guided_grammar", "structured_outputs", "grammar")]
_PLACES += [
    ("ollama_generate", "options.grammar"),
    ("openai_responses", "text"),
    ("anthropic_messages", "regex"),
]
PAIRS = [("openai_chat", shape, "reasoning_effort") for shape in SHAPES]
PAIRS += [("openai_chat", "structured_outputs", quiet) for quiet in QUIETS]
PAIRS += [
    ("anthropic_messages", "output_format", "thinking"),
    ("openai_responses", "text", "reasoning.effort"),
    ("ollama_chat", "format", "think"),
    ("ollama_generate", "format", "think"),
]
PAIRS += [("gemini_generate", shape, quiet) for shape in GEMINI_SHAPES for quiet in GEMINI_QUIETS]
PAIRS += [("openai_chat", f"extra_body.{shape}", "reasoning_effort") for shape in ("regex", "tools")]
ALL: Mapping[str, object] = {**SHAPES, **QUIETS, **GEMINI_SHAPES, **GEMINI_QUIETS}
TOGETHER = pytest.mark.parametrize(
    ("format", "shape", "quiet"), PAIRS, ids=[":".join(pair) for pair in PAIRS]
)


def answered(
    format: str, switches: Mapping[str, object], pins: str, *, stream: bool = False
) -> tuple[Answer, Hardened, list[bytes]]:
    seen: list[bytes] = []
    inner = obeying(format, switches, seen, together=True)
    app = harden(inner, POLICY.format(pins=pins), identify=lambda scope: Account("a"))
    return sent(app, format, switches, stream=stream), app, seen


def halves(node: Node, half: Half) -> Iterator[str]:
    if node.pin is not None and node.pin.half is half:
        yield node.pin.name
    for child in (*node.names.values(), *([node.items] if node.items else ())):
        yield from halves(child, half)


@pytest.mark.parametrize("format", [name for name in CODECS if "embed" not in name and name != "scores"])
def test_every_half_is_attacked_here(format: str) -> None:
    for half, shared, more in (
        (Half.SHAPE, SHAPES, GEMINI_SHAPES),
        (Half.QUIET, QUIETS, GEMINI_QUIETS),
    ):
        there = {name for name in halves(CODECS[format].request, half) if name[0] != "."}
        own = {*more} if format == "gemini_generate" else set()
        assert there == {*shared, *own}


@TOGETHER
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_the_grammar_goes_where_thinking_is_off(format: str, shape: str, quiet: str, stream: bool) -> None:
    both = {shape: ALL[shape.removeprefix("extra_body.")], quiet: ALL[quiet]}
    allowed, _, _ = answered(format, both, "allow", stream=stream)
    assert SECRET.encode() in allowed.body
    left, app, seen = answered(format, both, "force", stream=stream)
    assert SECRET.encode() not in left.body
    assert ANSWER.split()[-1].encode() in left.body
    assert (left.status, app.receipts[0].changed) == (200, ("pins",))
    # What is left out is the grammar: thinking stays as it was asked for.
    assert json.loads(json.dumps(ALL[quiet])) in _values(json.loads(seen[0]))


def _values(value: object) -> Iterator[object]:
    yield value
    if isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _values(one)


@TOGETHER
def test_the_pair_is_refused_by_the_name_of_the_grammar(format: str, shape: str, quiet: str) -> None:
    both = {shape: ALL[shape.removeprefix("extra_body.")], quiet: ALL[quiet]}
    left, _, seen = answered(format, both, "refuse")
    assert (left.status, seen) == (400, [])
    assert f"`{shape}` may leave no room for a tag" in left.body.decode()


@pytest.mark.parametrize(("format", "path"), _PLACES)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_grammar_that_is_no_json_goes_as_a_ban_does(format: str, path: str, stream: bool) -> None:
    """Catches servers that hold all that a model writes to it, so that its trace comes without a tag."""
    one = {path: BARS[path.split(".")[-1] if path not in BARS else path]}
    allowed, _, _ = answered(format, one, "allow", stream=stream)
    assert SECRET.encode() in allowed.body
    left, app, seen = answered(format, one, "force", stream=stream)
    assert SECRET.encode() not in left.body
    assert (left.status, app.receipts[0].changed) == (200, ("pins",))
    assert json.loads(json.dumps(one[path])) not in _values(json.loads(seen[0]))
    refused, _, seen = answered(format, one, "refuse", stream=stream)
    assert (refused.status, seen) == (400, [])
    assert f"`{path}` may leave no room for a tag" in refused.body.decode()


@TOGETHER
@pytest.mark.parametrize("pins", ["force", "refuse"])
def test_each_half_alone_stays_as_it_was_sent(format: str, shape: str, quiet: str, pins: str) -> None:
    """Catches honest callers who lose their structured outputs, or may not turn thinking off."""
    for path in (shape, quiet):
        if ALL[path.removeprefix("extra_body.")] in BARS.values():
            continue
        one = {path: ALL[path.removeprefix("extra_body.")]}
        left, app, seen = answered(format, one, pins)
        assert (left.status, seen) == (200, [asking(format, one, stream=False)])
        assert "pins" not in (*app.receipts[0].reasons, *app.receipts[0].changed)


_OPEN = {"type": "object", "properties": {"name": {"type": "string"}, "pattern": {"type": "string"}}}


@pytest.mark.parametrize(
    ("shape", "value"),
    [
        ("response_format", {"type": "json_object"}),
        ("response_format", {"type": "json_schema", "json_schema": {"name": "n", "schema": _OPEN}}),
        ("response_format", {"schema": {"pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}}),
        ("structured_outputs", {"choice": ["yes", "no"]}),
        ("guided_regex", "(yes|no|perhaps)"),
        ("grammar", 'root ::= "yes" | "no" | "root"'),
        ("guided_grammar", 'start: "yes" | "no"'),
        ("response_format", {"type": "structural_tag", "structures": [], "triggers": ["<f="]}),
        ("format", "json"),
        ("text", {"verbosity": "low"}),
        ("tools", [{"type": "function", "function": {"description": "a pattern", "parameters": _OPEN}}]),
    ],
)
def test_what_leaves_room_or_lets_through_a_few_words_stays_where_thinking_is_off(
    shape: str, value: object
) -> None:
    both = {shape: value, "reasoning_effort": "none"}
    for pins in ("force", "refuse"):
        left, _, seen = answered("openai_chat", both, pins)
        assert (left.status, seen) == (200, [asking("openai_chat", both, stream=False)])


def test_a_schema_loses_its_patterns_and_nothing_else() -> None:
    both = {"response_format": SHAPES["response_format"], "reasoning_effort": "none", "seed": 7}
    _, _, seen = answered("openai_chat", both, "force")
    told = json.loads(seen[0])
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    assert told["response_format"] == {"type": "json_schema", "json_schema": {"schema": schema}}
    assert (told["reasoning_effort"], told["seed"]) == ("none", 7)


@pytest.mark.parametrize(
    ("value", "left"),
    [
        ({"regex": "a{200}"}, None),
        ({"regex": "(ab){50,99}"}, None),
        ({"regex": "a{3,}"}, None),
        ({"regex": "a{9}(b|c){3}"}, {"regex": "a{9}(b|c){3}"}),
        ({"value": "a+", "type": "json"}, {"value": "a+", "type": "json"}),
        ({"structural_tag": {"structures": []}}, {"structural_tag": {"structures": []}}),
        ({"structural_tag": {"format": {}}}, None),
        ({"structural_tag": '{"structures": []}'}, None),
        ({"type": "structural_tag", "format": {"type": "any_text"}}, None),
        ({"type": "regex", "pattern": "a+"}, None),
        ({"grammar": 'root ::= "a" root | "b"'}, None),
        ({"grammar": 'root ::= "a" x\nx ::= "b" x | "c"'}, None),
        ({"grammar": "root ::= [^<]{9}"}, None),
        ({"grammar": "%llguidance {}\nstart: /.*/"}, None),
        ({"grammar": f'root ::= "{"a" * 201}"'}, None),
        ({"grammar": 'root ::= "\\"root" | "b"'}, {"grammar": 'root ::= "\\"root" | "b"'}),
        ({"grammar": 'root ::= "\\"" root "a"'}, None),
        ({"guided_json": '{"a": {}}'}, {"guided_json": '{"a": {}}'}),
        ({"json": {"pattern": {"type": "string"}}}, {"json": {"pattern": {"type": "string"}}}),
        (
            {"json": [{"patternProperties": {"^a$": 1, "a*": 2}}]},
            {"json": [{"patternProperties": {"^a$": 1}}]},
        ),
    ],
)
def test_which_grammars_leave_room(value: Mapping[str, object], left: object) -> None:
    assert with_room(value) == left


def test_a_schema_too_deep_to_follow_is_taken_for_one_without_room() -> None:
    deep: object = {}
    for _ in range(5000):
        deep = [deep]
    assert with_room({"json": deep}) is None
