"""Answers that a server kept, and requests that do not say which model shall answer: nobody knows which it is."""

from __future__ import annotations

import json

import pytest

from hardening.testing import find_leaks, harden
from tests.asgi.driver import Answer, ask, replies, run
from tests.laws.test_nothing_leaks import ANSWER, TRACE, said_at

BY_MODEL = """version: 1
defaults: {reasoning: {show: full}}
rules: [{name: secret, match: {model: "glass-*"}, reasoning: {show: none}}]
"""
REFUSED = (
    "version: 1\nrules: [{name: gone, match: {model: 'glass-*'}, refuse: {status: 403, message: not open}}]\n"
)
KEPT = ["/v1/responses/resp_1", "/v1/responses/resp_1/input_items", "/v1/chat/completions/chatcmpl-1"]


def got(policy: str, path: str, body: bytes = b"", method: str = "GET") -> Answer:
    app = harden(replies([said_at(path)], kind=b"application/json"), policy)
    return run(ask(app, body, path=path, method=method))


@pytest.mark.parametrize("path", KEPT)
def test_a_kept_answer_may_be_of_the_strictest_model(path: str) -> None:
    """Catches a trace that is asked for a second time, where nothing names its model."""
    for body in (b"", b'{"model": "clear"}'):
        left = got(BY_MODEL, path, body)
        assert ANSWER.encode() in left.body
        assert find_leaks(left.body, TRACE) == []
    assert find_leaks(got("version: 1\n", path).body, TRACE)


@pytest.mark.parametrize("path", KEPT)
def test_a_kept_answer_is_refused_to_nobody(path: str) -> None:
    assert got(REFUSED, path).status == 200


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"model": ""},
        {"model": None},
        {"model": "clear", "models": ["glass-1"]},
        {"model": "clear,glass-1"},
    ],
)
def test_a_request_that_leaves_the_model_open_gets_no_more_than_any_would(more: dict[str, object]) -> None:
    """Catches vLLM's own model, which answers where none is named, and the fallbacks of gateways."""
    body = json.dumps({"messages": [], **more}).encode()
    path = "/v1/chat/completions"
    assert find_leaks(got(BY_MODEL, path, body, "POST").body, TRACE) == []
    assert got(REFUSED, path, body, "POST").status == 403
    named = json.dumps({"messages": [], "model": "clear", "models": ["other"]}).encode()
    assert find_leaks(got(BY_MODEL, path, named, "POST").body, TRACE)


@pytest.mark.parametrize("query", [b"model=glass-1", b"x=1&mod%65l=glass-1", b"&".join([b"%"] * 200)])
def test_a_model_in_the_address_is_asked_about_too(query: bytes) -> None:
    """Catches LiteLLM, which takes it for that of the body."""
    path, body = "/v1/chat/completions", b'{"model": "clear", "messages": []}'
    app = harden(replies([said_at(path)], kind=b"application/json"), BY_MODEL)
    assert find_leaks(run(ask(app, body, path=path, query_string=b"alt=sse")).body, TRACE)
    assert find_leaks(run(ask(app, body, path=path, query_string=query)).body, TRACE) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("azureml-model-deployment", "glass-1"),
        ("Helicone-Model-Override", " glass-1 "),
        ("helicone-fallbacks", '[{"bodyKeyOverride": {"model": "x"}}]'),
        ("x-portkey-config", "pc-1"),
        ("X-Portkey-Config", '{"override_params": {"model": "x"}}'),
        ("x-amzn-sagemaker-target-model", "glass-1"),
        ("x-amzn-sagemaker-inference-component", "glass-1"),
        ("x-some-gateway-model", "clear, glass-1"),
        ("model", "glass-1"),
        ("x-model", "x" * 2000),
    ],
)
def test_a_model_in_a_header_is_asked_about_too(name: str, value: str) -> None:
    """Catches gateways that let a header choose the model, with a model in the body that no rule withholds."""
    path, body = "/v1/chat/completions", b'{"model": "clear", "messages": []}'
    app = harden(replies([said_at(path)], kind=b"application/json"), BY_MODEL)
    head = [(b"content-type", b"application/json"), (name.encode(), value.encode())]
    assert find_leaks(run(ask(app, body, path=path, headers=head)).body, TRACE) == []
    for harmless in ((name, "clear"), ("x-remodeled", "glass-1"), (name, "")):
        left = run(ask(app, body, path=path, headers=[(harmless[0].encode(), harmless[1].encode())]))
        assert bool(find_leaks(left.body, TRACE)) is not harmless[0].lower().endswith("-config")


def test_a_kept_answer_can_be_cancelled() -> None:
    """Catches a client's own call, which has no body, taken for one that cannot be read."""
    left = got("baseline", "/v1/responses/resp_1/cancel", method="POST")
    assert left.status == 200
    assert find_leaks(left.body, TRACE) == []
