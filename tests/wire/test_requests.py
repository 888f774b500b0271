"""Requests: read as the most generous server would, edited at every occurrence."""

from __future__ import annotations

import codecs
import json

import pytest

from hardening.errors import WireError
from hardening.facts import RequestFacts
from hardening.wire import requests
from hardening.wire.asked import read_request
from hardening.wire.codec import CODECS
from hardening.wire.packings import packing_of
from hardening.wire.questions import Questions, compile_questions
from hardening.wire.requests import Edits, edit_request
from hardening.wire.roles import Role
from hardening.wire.scan import read_json
from hardening.wire.switches import NESTED as PLACES

CHAT = CODECS["openai_chat"]
MESSAGES = CODECS["anthropic_messages"]


def facts(body: bytes) -> tuple[str, bool, int, int | None, int | None]:
    read = CHAT.read_request(body, door="/chat/completions")
    return read.model, read.stream, read.choices, read.max_tokens, read.top_logprobs


def test_plain_facts() -> None:
    body = b'{"model":"m","stream":true,"n":3,"max_tokens":5,"max_completion_tokens":9,"logprobs":true,"top_logprobs":20}'
    assert facts(body) == ("m", True, 3, 9, 20)
    assert facts(b'{"model":"m"}') == ("m", False, 1, None, None)
    assert facts(b'{"logprobs":true}')[4] == 0
    assert facts(b'{"logprobs":false}')[4] is None


@pytest.mark.parametrize(
    ("more", "others"),
    [
        ('"models":["a","b"]', ("a", "b")),  # OpenRouter
        ('"fallbacks":["a"," m "]', ("a",)),  # LiteLLM
        ('"fallbacks":[{"model":"a","api_key":"k"}],"context_window_fallbacks":[{"m":["b"]}]', ("a", "b")),
        ('"extra_body":{"Models":["a"]},"content_policy_fallbacks":null', ("a",)),
        ('"models":[]', ()),
        ('"router_settings_override":{"model_group_alias":{"m":"a"},"fallbacks":[{"m":["b"]}]}', ("a", "b")),
        ('"models":[' + ",".join(f'"m{number}"' for number in range(17)) + "]", ("",)),
    ],
)
def test_which_other_models_may_answer(more: str, others: tuple[str, ...]) -> None:
    """Catches a policy by models that is asked about one name while another one answers."""
    body = f'{{"model":"m",{more}}}'.encode()
    assert CHAT.read_request(body, door="/chat/completions").others == others


@pytest.mark.parametrize(("model", "others"), [("", ("",)), ("a,b", ("a", "b")), ("a", ())])
def test_a_name_of_none_and_of_several(model: str, others: tuple[str, ...]) -> None:
    body = json.dumps({"model": model, "messages": []}).encode()
    assert CHAT.read_request(body, door="/chat/completions").others == others
    assert CHAT.read_request(b"{}", door="/chat/completions").others == ("",)


def test_numbers_in_quotes_count_as_the_servers_count_them_that_read_them() -> None:
    """Catches limits that are charged for one answer where a lenient server gives five, or 20 rows a token."""
    assert facts(b'{"n":"5","max_tokens":" 7 ","logprobs":"20"}') == ("", False, 5, 7, 20)
    assert facts(b'{"n":"five","max_tokens":"1e999"}')[2:4] == (1, None)
    completions = CODECS["openai_completions"]
    asked = b'{"prompt_embeds":["a","b","c"],"n":2}'
    assert completions.read_request(asked, door="/v1/completions").choices == 6


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_every_encoding_that_json_servers_detect(encoding: str) -> None:
    assert facts('{"model":"é","stream":true}'.encode(encoding))[:2] == ("é", True)


def test_keys_in_another_case_nan_and_surrogates_are_read() -> None:
    assert facts(b'{"Model":"m","STREAM":1,"Top_LogProbs":7,"temperature":NaN,"x":"\\ud800"}') == (
        "m",
        True,
        1,
        None,
        7,
    )
    assert facts(b'{"top_logprobs":-1}')[4] > 1000  # type: ignore[operator]


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'{"a":', b"model=m", codecs.BOM_UTF16_LE + b"{"])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(WireError):
        facts(body)


def test_every_occurrence_is_clamped_and_nothing_else_moves() -> None:
    body = b'{ "top_logprobs": 20, "x": {"top_logprobs": 20}, "Top_Logprobs":-1 ,"top_logprobs":3,"seed":123456789012345678901234567890}'
    edited = CHAT.edit_request(body, Edits(top_logprobs=5))
    assert edited == body.replace(b"20, ", b"5, ", 1).replace(b":-1", b":5")


def test_nothing_to_change_gives_the_same_object() -> None:
    body = b'{"top_logprobs": 5, "logprobs": true, "max_tokens": 3}'
    assert CHAT.edit_request(body, Edits(max_tokens=3, top_logprobs=5)) is body


def test_no_rows_at_all() -> None:
    edited = json.loads(
        CHAT.edit_request(
            b'{"logprobs":true,"top_logprobs":5,"prompt_logprobs":3,"logprob_token_ids":[1]}',
            Edits(top_logprobs=0),
        )
    )
    assert edited == {
        "logprobs": False,
        "top_logprobs": None,
        "prompt_logprobs": None,
        "logprob_token_ids": None,
    }


def test_a_bound_is_set_where_the_caller_names_none() -> None:
    assert json.loads(CHAT.edit_request(b'{"model":"m"}', Edits(max_tokens=7))) == {
        "max_completion_tokens": 7,
        "model": "m",
    }
    assert json.loads(CHAT.edit_request(b" { }", Edits(max_tokens=7))) == {"max_completion_tokens": 7}
    assert (
        CHAT.edit_request(b'{"max_tokens":99,"MAX_COMPLETION_TOKENS":1e9}', Edits(max_tokens=7))
        == b'{"max_tokens":7,"MAX_COMPLETION_TOKENS":7}'
    )


def test_utf16_is_edited_in_utf8() -> None:
    edited = CHAT.edit_request('{"top_logprobs": 20}'.encode("utf-16"), Edits(top_logprobs=1))
    assert edited == b'{"top_logprobs": 1}'


def test_our_own_summaries_are_not_sent_upstream_and_real_blocks_are() -> None:
    own = '{"type":"thinking","thinking":"S","signature":""}'
    real = '{"type":"thinking","thinking":"T","signature":"Eq=="}'
    text = '{"type":"text","text":"thinking"}'
    body = f'{{"messages":[{{"role":"user","content":"q"}},{{"content":[{own}, {real} ,{text}]}},{{"content":[{own}]}}]}}'.encode()
    edited = MESSAGES.edit_request(body, Edits(drop_resent=True))
    assert edited == body.replace(f"{own}, ".encode(), b"", 1)


def test_what_the_path_says_is_what_the_server_reads() -> None:
    read = CHAT.read_request(b'{"model":"cheap","n":2}', door="d", model="dear", stream=True)
    assert (read.model, read.stream, read.choices) == ("dear", True, 2)


NESTED = compile_questions(
    {"config": Role.ASK_TOKENS_IN, "config.maxTokens": Role.ASK_TOKENS, "config.topLogprobs": Role.ASK_TOP}
)


def test_what_stands_deeper_is_read_in_any_case() -> None:
    asked = RequestFacts("d", "test")
    read = read_request(
        b'{"CONFIG":{"maxTOKENS":7,"toplogprobs":3},"config":{"maxTokens":5},"maxTokens":9}',
        asked,
        table=NESTED,
    )
    assert (read.max_tokens, read.top_logprobs) == (7, 3)
    assert read_request(b'{"config":null}', asked, table=NESTED).max_tokens is None


@pytest.mark.parametrize(
    ("body", "bounded"),
    [
        (b'{"a":1}', b'{"config":{"maxTokens":5},"a":1}'),
        (b"{}", b'{"config":{"maxTokens":5}}'),
        (b'{"config": {}}', b'{"config": {"maxTokens":5}}'),
        (b'{"config":{"x":1}}', b'{"config":{"maxTokens":5,"x":1}}'),
        (b'{"config":{"maxTokens":9,"MAXTOKENS":9}}', b'{"config":{"maxTokens":5,"MAXTOKENS":5}}'),
        (b'{"config":{"maxtokens":3}}', b'{"config":{"maxTokens":5,"maxtokens":3}}'),
        (b'{"Config":{}}', b'{"config":{"maxTokens":5},"Config":{"maxTokens":5}}'),
        (
            b'{"config":{"maxTokens":3},"conf\\u0069g":{}}',
            b'{"config":{"maxTokens":5,"maxTokens":3},"conf\\u0069g":{"maxTokens":5}}',
        ),
        (b'{"config":null}', b'{"config":{"maxTokens":5}}'),
        (b'{"config":{"maxTokens":4}}', b'{"config":{"maxTokens":4}}'),
    ],
)
def test_a_bound_is_put_where_the_server_looks_for_it(body: bytes, bounded: bytes) -> None:
    found = edit_request(
        body, Edits(max_tokens=5), table=NESTED, format="test", bound=("config", "maxTokens")
    )
    assert found == bounded


@pytest.mark.parametrize(
    ("value", "packing"),
    [
        (None, "floats"),
        ("Float", "floats"),
        ([], "floats"),
        (["float", "int8"], "bytes"),
        (["int8", "ubinary"], "other"),
        ("fp8_e4m3", "other"),
        (5, "other"),
        ({"a": 1}, "other"),
        ([["binary"]], "other"),
    ],
)
def test_how_a_request_wants_embeddings_packed(value: object, packing: str) -> None:
    assert packing_of(value) == packing


SPOKEN = [name for name in CODECS if "embed" not in name and name != "scores"]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("format", SPOKEN)
def test_what_is_asked_where_gateways_take_it_from_is_read_and_bounded(format: str, place: str) -> None:
    """Catches a limit that is charged for one short answer while a gateway passes on a request for ten long ones."""
    codec = CODECS[format]
    asked = {"n": 7, "Max_Tokens": 900, "num_predict": -1, "logprobs": 20, "top_logprobs": 20}
    body = json.dumps({place: asked}).encode()
    read = codec.read_request(body, door="d")
    assert (read.choices, read.max_tokens, read.top_logprobs) == (7, None, 20)
    edited = json.loads(codec.edit_request(body, Edits(max_tokens=9, top_logprobs=2)))
    there = edited[place]
    assert {key: there[key] for key in asked} == {
        "n": 7,
        "Max_Tokens": 9,
        "num_predict": 9,
        "logprobs": 2,
        "top_logprobs": 2,
    }
    at = edited
    for name in codec.format.BOUND or ():
        at = at[name]
    assert at == 9, "the format's own bound stands as well"
    assert codec.edit_request(body, Edits(top_logprobs=0)) != body


@pytest.mark.parametrize("format", SPOKEN)
def test_a_bound_that_no_server_of_the_format_reads_bounds_nothing(format: str) -> None:
    codec = CODECS[format]
    own = codec.format.BOUND or ()
    foreign = {"extra_body": {own[-1]: 5}, "max_new_tokens": 5, own[-1].upper(): 5}
    body = json.dumps(foreign).encode()
    assert codec.read_request(body, door="d").max_tokens is None
    edited = codec.edit_request(body, Edits(max_tokens=9))
    assert json.loads(edited) != foreign, "an own bound is put in"
    assert codec.read_request(edited, door="d").max_tokens == 9


def test_alternatives_are_asked_for_where_the_rows_are() -> None:
    body = b'{"logprobs":false,"extra_body":{"logprobs":true,"TOP_LOGPROBS":1}}'
    edited = CHAT.edit_request(body, Edits(top_logprobs=5))
    assert edited == body.replace(
        b'{"logprobs":true,"TOP_LOGPROBS":1', b'{"top_logprobs":5,"logprobs":true,"TOP_LOGPROBS":5'
    )
    both = b'{"logprobs":true,"extra_body":{"logprobs":true}}'
    told = json.loads(CHAT.edit_request(both, Edits(top_logprobs=5)))
    assert (told["top_logprobs"], told["extra_body"]["top_logprobs"]) == (5, 5)


def test_a_packing_is_read_where_gateways_take_it_from() -> None:
    body = b'{"input":"a","extra_body":{"embed_dtype":"float16"}}'
    assert CODECS["openai_embeddings"].read_request(body, door="d").packing == "other"


def test_no_string_of_a_request_is_noted_to_be_looked_into() -> None:
    """Catches a search for traces in what a caller says himself: of 10 MB it took 70 ms in each walk."""
    body = json.dumps({"messages": [{"role": "user", "content": "<think>x" * 9}], "user": "</think>" * 9})
    for format in ("openai_chat", "openai_responses", "anthropic_messages", "gemini_generate"):
        found = Questions(body.encode(), CODECS[format].request, format=format)
        assert found.unknown == []
        assert all(site.role is not Role.TRACE for site in found.sites)


def test_a_body_that_names_no_length_is_not_parsed_to_find_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """The walk has seen all that a parser sees; what it saw is held against what the format's own servers read."""
    parsed: list[bytes] = []

    def reading(raw: bytes, *, format: str) -> object:
        parsed.append(raw)
        return read_json(raw, format=format)

    monkeypatch.setattr(requests, "read_json", reading)
    assert CHAT.edit_request(b'{"n":1}', Edits(max_tokens=5), ()) == b'{"max_completion_tokens":5,"n":1}'
    assert parsed == []
    for name in (b"MAX_TOKENS", b"maxOutputTokens", rb"max\u005ftokens"):
        body = b'{"%b":4}' % name
        edited = CHAT.edit_request(body, Edits(max_tokens=5), ())
        assert (edited == body) == (name == rb"max\u005ftokens")
    assert len(parsed) == 3
