"""What the heads of requests and responses may still say once bytes change."""

from __future__ import annotations

import pytest

from hardening.asgi import headers as head
from hardening.asgi.sent import MOST_BYTES, MOST_LISTS, REMEMBERED, Names, names_of

SENT = head.lowered(
    [
        (b"content-type", b"application/json; charset=utf-16"),
        (b"Accept-Encoding", b"gzip, br"),
        (b"content-length", b"9"),
        (b"content-encoding", b"gzip"),
        (b"range", b"bytes=0-9"),
        (b"X-Hardening", b"reasoning=full"),
        (b"authorization", b"Bearer k"),
    ]
)


def test_the_app_is_asked_for_a_plain_whole_answer_and_its_other_headers_stay() -> None:
    assert head.for_app(SENT, names_of(SENT).kept) == [
        (b"content-type", b"application/json; charset=utf-16"),
        (b"content-length", b"9"),
        (b"content-encoding", b"gzip"),
        (b"authorization", b"Bearer k"),
        (b"accept-encoding", b"identity"),
    ]


def test_an_edited_body_has_its_own_length_no_coding_and_no_other_charset() -> None:
    assert head.for_edited(SENT, b"{}") == [
        (b"content-type", b"application/json"),
        (b"authorization", b"Bearer k"),
        (b"content-length", b"2"),
        (b"accept-encoding", b"identity"),
    ]


def test_a_changed_response_loses_what_was_true_of_its_bytes() -> None:
    upstream = [
        (b"Content-Length", b"100"),
        (b"ETag", b'"a"'),
        (b"content-md5", b"x"),
        (b"repr-digest", b"x"),
        (b"cache-control", b"public"),
        (b"x-hardening", b"forged"),
        (b"content-type", b"application/json"),
        (b"x-generated-tokens", b"812"),
    ]
    changed = head.for_client(upstream, length=7, told=head.disclosure({"reasoning": "none"}))
    assert changed == [
        (b"content-type", b"application/json"),
        (b"x-generated-tokens", b"812"),
        (b"content-length", b"7"),
        (b"cache-control", b"private, no-store"),
        (b"x-hardening", b"reasoning=none"),
    ]
    hidden = head.for_client(upstream, length=None, told=[], hide_lengths=True)
    assert hidden == [(b"content-type", b"application/json"), (b"cache-control", b"private, no-store")]


def test_what_a_gateway_repeats_of_the_server_behind_it_goes_as_well() -> None:
    upstream = [
        (b"llm_provider-content-length", b"1433"),
        (b"LLM_Provider-ETag", b"x"),
        (b"llm_provider-x-request-id", b"r"),
        (b"x-litellm-response-cost-output", b"0.01"),
        (b"llm_provider-x-generated-tokens", b"812"),
    ]
    left = {name for name, _ in head.for_client(upstream, length=None, told=[])}
    assert left - {b"cache-control"} == {name for name, _ in upstream[2:]}
    hidden = {name for name, _ in head.for_client(upstream, length=None, told=[], hide_lengths=True)}
    assert hidden - {b"cache-control"} == {b"llm_provider-x-request-id"}


@pytest.mark.parametrize(
    ("members", "text"),
    [
        (
            {"reasoning": "summary", "logprobs": 5, "sealed": True},
            b"reasoning=summary, logprobs=5, sealed=?1",
        ),
        ({"step": 0.25, "whole": 2.0, "sealed": False}, b"step=0.25, whole=2.0, sealed=?0"),
        ({"policy": "base line"}, b'policy="base line"'),
        ({"policy": 'a"\\'}, b'policy="a\\"\\\\"'),
    ],
)
def test_the_disclosure_is_an_rfc_9651_dictionary(members: head.Treatment, text: bytes) -> None:
    assert head.dictionary(members) == text


def test_names_are_told_in_any_case_and_a_list_that_is_known_is_told_as_at_first() -> None:
    plain = [(b"host", b"a"), (b"range", b"b"), (b"x-litellm-model", b"c")]
    for _ in range(2):
        assert names_of(plain) == Names(lower=True, chooses=True, kept=(True, False, True))
        assert names_of([(b"Host", b"a")]) == Names(lower=False, chooses=False, kept=(True,))
    assert names_of([]) == Names(lower=True, chooses=False, kept=())


def test_names_without_end_are_not_remembered_without_end() -> None:
    for number in range(3 * MOST_LISTS):
        names_of([(b"x-%d" % number, b"")])
        names_of([(b"x-%d" % number * MOST_BYTES, b"")])
    assert len(REMEMBERED) <= MOST_LISTS
    assert max(sum(map(len, names)) for names in REMEMBERED) <= MOST_BYTES
