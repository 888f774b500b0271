"""The walk over JSON bytes: every occurrence, every spelling, no recursion into the unknown."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardening.errors import WireError
from hardening.wire.roles import Role, compile_table
from hardening.wire.scan import Walk, read_json, read_string, write_string

TABLE = compile_table(
    {"a": Role.TEXT, "c[].i": Role.INDEX, "c[].t": Role.TEXT, "h": Role.HOLDER, "h.x": Role.LOGPROBS},
    owners=("c[]",),
    guarded=("c[]",),
).root


def found(raw: bytes) -> list[tuple[Role, bytes, int]]:
    walk = Walk(raw, 0, TABLE, format="test")
    return [(site.role, raw[site.start : site.end], site.owner.index) for site in walk.sites]


def test_duplicate_and_escaped_keys_are_all_seen() -> None:
    assert found(b'{"a":"1","\\u0061":"2","a":"3"}') == [
        (Role.TEXT, b'"1"', 0),
        (Role.TEXT, b'"2"', 0),
        (Role.TEXT, b'"3"', 0),
    ]


@pytest.mark.parametrize(
    ("member", "role", "value"),
    [
        (b'"usa\\u0067e":{"completion_tokens":40}', Role.LENGTH, b'{"completion_tokens":40}'),
        (b'"eval\\u005fcount" : 40', Role.LENGTH, b"40"),
        (b'"\\u0072easoning_content":"secret"', Role.REASONING, b'"secret"'),
        (b'"x\\u005flogprobs":[1]', Role.ROWS, b"[1]"),
        (b'"\\u0074oken_ids":[7]', Role.IDS, b"[7]"),
    ],
)
def test_an_escaped_name_is_told_inside_of_what_nobody_knows(member: bytes, role: Role, value: bytes) -> None:
    assert found(b'{"new":{"a":"\\u0061\\":","b":[{%b,"c":1}]}}' % member) == [(role, value, 0)]


@pytest.mark.parametrize(
    "key", [b'"\x80\\u00e9"', b'"\xff\xfe\\u00e9"', b'"\\ud8"', b'"\\q\\u0061"', b'"\x00\\u0061"']
)
def test_a_key_that_is_no_text_hides_no_name_behind_it(key: bytes) -> None:
    raw = b'{"new":{%b:1,"\\u0072easoning_content":"secret"}}' % key
    assert found(raw) == [(Role.REASONING, b'"secret"', 0)]


def test_a_length_in_what_goes_is_not_told_again_however_it_is_spelt() -> None:
    member = b'"usa\\u0067e":{"eval_count":1,"eval\\u005fcount":1}'
    assert found(b'{"new":{%b}}' % member) == [(Role.LENGTH, member.partition(b":")[2], 0)]


def test_an_owner_has_its_own_number_wherever_it_stands_else_its_position() -> None:
    raw = b'{"c":[{"t":"x","i":7},{"t":"y"}]}'
    assert found(raw) == [(Role.TEXT, b'"x"', 7), (Role.TEXT, b'"y"', 1)]


def test_white_space_and_escapes_do_not_move_a_site() -> None:
    raw = b' {\n "z" : "\\"a\\":\\"no\\"" , "a"\t:\r"yes\\\\" } '
    assert found(raw) == [(Role.TEXT, b'"yes\\\\"', 0)]


def test_a_holder_stands_before_what_it_holds() -> None:
    assert [role for role, _, _ in found(b'{"h":{"x":[1]}}')] == [Role.HOLDER, Role.LOGPROBS]


@pytest.mark.parametrize(
    "name", ["reasoning_v2", "x_thoughts", "Thinking", "chain_of_thought", "re\\u0061soning"]
)
def test_a_renamed_trace_is_found_where_the_table_guards(name: str) -> None:
    assert found(b'{"c":[{"%b":"secret"}]}' % name.encode())[0][0] is Role.REASONING


@pytest.mark.parametrize(
    "member",
    [
        b'"reasoning_tokens":12',
        b'"reasoning_effort":"high"',
        b'"thinking_budget":"1k"',
        b'"finish_reason":"stop"',
        b'"thinking_time":"12.3s"',
        b'"reasoning_status":"done"',
    ],
)
def test_sizes_and_switches_of_a_trace_are_not_the_trace(member: bytes) -> None:
    assert {role for role, _, _ in found(b'{"c":[{%b}]}' % member)} <= {Role.LENGTH}


@pytest.mark.parametrize(
    ("member", "role"),
    [
        (b'"reasoning_tokens":["a","b"]', Role.REASONING),
        (b'"reasoning_time_line":"a"', Role.REASONING),
        (b'"reasoning_opaque":"a"', Role.SEAL),
        (b'"reasoning_token_ids":[1]', Role.IDS),
        (b'"output_ids":[1]', Role.IDS),
        (b'"Avg_LogProbs":[-1]', Role.ROWS),
        (b'"completion_probabilities":[{}]', Role.ROWS),
    ],
)
def test_a_name_tells_what_stands_there_where_the_table_guards(member: bytes, role: Role) -> None:
    assert [kind for kind, _, _ in found(b'{"c":[{%b}]}' % member)] == [role]


def test_some_names_need_no_table_at_any_depth() -> None:
    raw = (
        b'{"u":{"v":[{"reasoning_content":"a","thinking":{"thinking":"b"},"thoughts":true}]},"logprobs":[1]}'
    )
    assert [(role, value) for role, value, _ in found(raw)] == [
        (Role.REASONING, b'"a"'),
        (Role.REASONING, b'{"thinking":"b"}'),
    ]
    assert found(b'{"u":{"say":"\\"thinking\\":[1]"}}') == []


def test_lengths_of_the_unknown_are_told_once_and_hide_nothing_in_them() -> None:
    raw = b'{"u":{"tokens":{"tokens":5,"thinking":"b"},"v":[{"eval_count":6}],"w":"\\"tokens\\":[1]"}}'
    assert [(role, value) for role, value, _ in found(raw)] == [
        (Role.LENGTH, b'{"tokens":5,"thinking":"b"}'),
        (Role.REASONING, b'"b"'),
        (Role.LENGTH, b"6"),
    ]
    deep = b'{"u":' + b'{"tokens":' * 50_000 + b"1" + b"}" * 50_001
    assert [role for role, _, _ in found(deep)] == [Role.LENGTH]


def test_rows_instead_of_their_holder_are_rows() -> None:
    assert found(b'{"h":[1]}') == [(Role.LOGPROBS_OTHER, b"[1]", 0)]
    assert found(b'{"h":{"y":[1]}}')[1][:2] == (Role.LOGPROBS_OTHER, b"[1]")


@pytest.mark.parametrize("raw", [b'\xef\xbb\xbf{"a":"1"}', b'"a"', b"1", b'{"a":"1"}x', b""])
def test_a_walk_that_would_end_before_its_value_does_is_refused(raw: bytes) -> None:
    with pytest.raises(WireError):
        Walk(raw, 0, TABLE, format="test", end=len(raw))


@pytest.mark.parametrize(
    "raw",
    [
        b'[{"a":"1"}]',
        b'{"data":{"a":"1"}}',
        b'{"data":[{"a":"1"}]}',
        b'[{"a":"1"},{"b":2}]',
        b'{"data":[{"id":1,"response":{"status":200,"body":{"a":"1"}}}]}',
        b'[{"result":{"outputs":[{"results":[{"a":"1"}]}]}}]',
    ],
)
def test_a_whole_may_stand_in_lists_and_under_keys(raw: bytes) -> None:
    """Catches answers of a batch, whose tags and rows no table finds."""
    table = compile_table({"a": Role.TEXT}).root
    assert [site.role for site in Walk(raw, 0, table, format="test").sites] == [Role.TEXT]


def test_a_key_of_the_table_is_no_envelope_and_no_depth_breaks_a_walk() -> None:
    table = compile_table({"a": Role.TEXT, "data": Role.NOTE}).root
    assert [site.role for site in Walk(b'{"data":{"a":"1"}}', 0, table, format="test").sites] == [Role.NOTE]
    deep = b'{"result":' * 100_000 + b'{"a":"1"}' + b"}" * 100_000
    assert Walk(deep, 0, table, format="test").sites == []


@pytest.mark.parametrize(
    "sign",
    [
        '"choices":[]',
        '"candidates" : [{}]',
        '"role":"assistant"',
        '"role" :\n"model"',
        '"object":"chat.completion.chunk"',
        '"type":"content_block_delta"',
        '"type":"response.output_text.delta"',
    ],
)
@pytest.mark.parametrize("around", ["{%s}", "[[%s]]", '{"u":{"v":[1,[%s],"\\"choices\\":[]"]}}'])
def test_a_whole_is_told_by_what_it_says_of_itself_wherever_it_stands(sign: str, around: str) -> None:
    """Catches answers under names and in lists that no gateway had when the table was written."""
    for whole in (f'{{{sign},"a":"1"}}', f'{{"a":"1",{sign}}}', f'{{"x":{{{sign}}},"a":"1",{sign}}}'):
        raw = (around.replace("{%s}", '{"u":%s}') % whole).encode()
        walk = Walk(raw, 0, TABLE, format="test", least=2)
        assert [site.role for site in walk.sites] == [Role.TEXT]
        inside = [raw[start:end] for start, end in walk.unknown]
        assert b'"1"' not in inside
        assert len(set(walk.unknown)) == len(inside)


@pytest.mark.parametrize(
    "says",
    ['"type":"reasoning.text"', '"type" : "redacted_thinking"', '"thought":true', '"channel":"analysis"'],
)
def test_a_trace_is_told_by_its_kind_wherever_it_stands(says: str) -> None:
    for trace in (f'{{{says},"b":"1"}}', f'{{"b":{{"b":"1"}},{says},"role":"assistant"}}'):
        for raw in (f'{{"u":[{trace},{{"b":"2"}}]}}', f'{{"u":{{"a":"3","b":{trace}}}}}'):
            assert found(raw.encode()) == [(Role.REASONING, trace.encode(), 0)]


def test_answers_in_the_unknown_of_answers_are_read_so_deep_and_no_deeper() -> None:
    raw = b'{"a":"1"}'
    for _ in range(4):
        raw = b'{"u":{"choices":[],"a":"1","v":%b}}' % raw
    assert found(raw) == [(Role.TEXT, b'"1"', 0)] * 4
    with pytest.raises(WireError, match="no more than 4 answers"):
        found(b'{"u":{"choices":[],"v":%b}}' % raw)


def test_a_deep_unknown_with_a_sign_is_no_recursion() -> None:
    deep = b'{"u":' + b'{"choices":[],"v":[' * 3 + b"[" * 100_000 + b"]" * 100_000 + b"]}" * 3 + b',"a":"1"}'
    assert found(deep) == [(Role.TEXT, b'"1"', 0)]


def test_long_strings_that_no_table_knows_are_noted_at_any_depth() -> None:
    raw = b'{"u":{"v":[{"w":"%b"}]},"short":"abc"}' % (b"x" * 30)
    walk = Walk(raw, 0, TABLE, format="test")
    assert [raw[start:end] for start, end in walk.unknown] == [b'"' + b"x" * 30 + b'"']


def test_a_long_number_is_no_string() -> None:
    for raw in (b'{"u":-1.2345678901234567e-05}', b'{"a":1,"u":[-1.2345678901234567e-05]}'):
        assert Walk(raw, 0, TABLE, format="test").unknown == []


def test_depth_of_the_unknown_is_no_recursion() -> None:
    deep = b'{"u":' + b"[" * 200_000 + b"]" * 200_000 + b',"a":"1"}'
    assert found(deep) == [(Role.TEXT, b'"1"', 0)]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["a", "c", "t", "h", "x", "q"]), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(JSON, st.booleans())
def test_the_walk_agrees_with_a_parser_on_any_json(value: object, spaced: bool) -> None:
    raw = json.dumps({"a": value, "z": value}, indent=1 if spaced else None).encode()
    texts = [site for site in found(raw) if site[0] is Role.TEXT and site[2] == 0]
    assert json.loads(texts[0][1]) == value


@given(st.binary(max_size=60))
def test_any_bytes_are_walked_or_refused(raw: bytes) -> None:
    with contextlib.suppress(WireError):
        Walk(b'{"c":[{' + raw, 0, TABLE, format="test")


@pytest.mark.parametrize(
    "raw", [b"{", b'{"a"', b'{"a":}', b'{"a":1]', b'{"c":[1}', b'{"c":[{"t":"x"', b'{"u":[1,2', b'{"a":"x']
)
def test_cut_and_crossed_brackets_are_refused_with_a_place(raw: bytes) -> None:
    with pytest.raises(WireError, match="test, byte"):
        Walk(raw, 0, TABLE, format="test")


def test_what_orjson_refuses_is_read_all_the_same() -> None:
    assert read_json(b'{"a": NaN, "b": "\\ud83d"}', format="t")["b"] == "\ud83d"  # type: ignore[index]
    assert read_string(b'"\\ud83d"', format="t") == "\ud83d"
    assert json.loads(write_string("\ud83d")) == "\ud83d"
    assert read_json(b'["\xff"]', format="t") == ["\udcff"]


@pytest.mark.parametrize("raw", [b"{", b"nul", b"[" * 100_000, b""])
def test_what_is_no_json_is_refused_without_quoting_it(raw: bytes) -> None:
    with pytest.raises(WireError) as caught:
        read_json(b"secret" + raw, format="t")
    assert "secret" not in str(caught.value)
    with pytest.raises(WireError):
        read_json(raw, format="t")


SWITCHED = compile_table(
    {
        "p[]": Role.PIECE,
        "p[].text": Role.TEXT,
        "p[].hidden": Role.SWITCH,
        "p[].seal": Role.SEAL_APART,
        "p[].picture": Role.ATTACHED,
        "p[].call": Role.TOOL,
    },
    guarded=("p[]",),
).root


def switched(part: object) -> list[tuple[Role, bytes]]:
    raw = json.dumps({"p": [part]}).encode()
    sites = Walk(raw, 0, SWITCHED, format="test").sites
    return [(site.role, raw[site.start : site.end]) for site in sites if site.role is not Role.PIECE]


@pytest.mark.parametrize("on", [True, 1, "true", "Yes"])
def test_a_switch_makes_its_object_reasoning_wherever_it_stands(on: object) -> None:
    expected = [
        (Role.REASONING, b'"a"'),
        (Role.SEAL_APART, b'"b"'),
        (Role.TRACE, b"[1]"),
        (Role.TOOL, b"[2]"),
    ]
    rest = {"text": "a", "seal": "b", "picture": [1], "call": [2]}
    assert switched({**rest, "hidden": on}) == switched({"hidden": on, **rest}) == expected


@pytest.mark.parametrize("off", [False, None, 0, "", "FALSE", "no", {}, []])
def test_a_switch_that_is_off_says_nothing(off: object) -> None:
    assert switched({"text": "a", "hidden": off, "picture": [1]}) == [
        (Role.TEXT, b'"a"'),
        (Role.ATTACHED, b"[1]"),
    ]


def test_text_where_a_switch_should_be_is_the_trace() -> None:
    assert switched({"text": "a", "hidden": "b"}) == [(Role.REASONING, b'"a"'), (Role.REASONING, b'"b"')]
    assert switched({"hidden": {"x": "b"}}) == [(Role.REASONING, b'{"x": "b"}')]


@pytest.mark.parametrize("more", [{"x": "b"}, {"x": {"y": ["b"]}}, {"reasoning": "b"}, {"type": "thinking"}])
def test_with_a_member_that_no_table_knows_the_whole_object_is_reasoning(more: dict[str, object]) -> None:
    part = {"text": "a", "hidden": True, **more}
    assert switched(part) == [(Role.REASONING, json.dumps(part).encode())]


def test_a_piece_that_is_a_string_is_text() -> None:
    assert switched("a") == [(Role.TEXT, b'"a"')]
    assert switched(7) == []


def test_the_names_of_what_no_table_knows_are_no_text() -> None:
    """Catches keys that are taken for long strings: they would be emptied with a trace that names them."""
    raw = b'{"z":{"aNameOfMoreThanTwentyBytes": 1, "not a name, but a long text": 2, "x": "text of more than twenty"}}'
    walk = Walk(raw, 0, TABLE, format="test")
    assert [raw[start:end] for start, end in walk.unknown] == [
        b'"not a name, but a long text"', b'"text of more than twenty"',
    ]  # fmt: skip
