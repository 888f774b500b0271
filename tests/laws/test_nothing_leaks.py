"""Law 1: whatever an upstream answers and wherever a client knocks, no piece of a hidden trace leaves.

Each row is a way that once led a trace past a policy, or nearly did.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable

import pytest

from hardening.testing import find_leaks, harden
from hardening.wire.tags import TAGS
from tests.asgi.driver import Answer, ask, replies, run
from tests.exchanges import message_item, reasoning_item, response

TRACE = (
    "First I weigh every option on the table, then seventeen apples are put beside twenty-five pears, "
    "and from these the total is worked out slowly."
)
ANSWER = "There are 42 pieces of fruit."
CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
JSON, SSE = b"application/json", b"text/event-stream"
ASKED = b'{"model":"m","stream":true,"messages":[]}'


def words(text: str, size: int = 7) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def chunk(delta: object, finish: str | None = None, **more: object) -> dict[str, object]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish, **more.pop("choice", {})}  # type: ignore[dict-item]
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [choice], **more}


def body(message: object, **more: object) -> bytes:
    choice = {"index": 0, "message": message, "finish_reason": "stop", **more.pop("choice", {})}  # type: ignore[dict-item]
    return json.dumps({"id": "chatcmpl-1", "object": "chat.completion", "choices": [choice], **more}).encode()


def sse(*frames: object) -> bytes:
    said = [frame if isinstance(frame, bytes) else json.dumps(frame).encode() for frame in frames]
    return b"".join(b"data: " + frame + b"\n\n" for frame in said) + b"data: [DONE]\n\n"


REASONED = body({"content": ANSWER, "reasoning_content": TRACE})
THOUGHT = json.dumps(
    {
        "type": "message",
        "content": [{"type": "thinking", "thinking": TRACE}, {"type": "text", "text": ANSWER}],
    }
).encode()

RESPONDED = json.dumps(response([reasoning_item(TRACE, TRACE), message_item(ANSWER)])).encode()
SAID_AT = {"messages": THOUGHT, "responses": RESPONDED}


def said_at(path: str) -> bytes:
    """An answer that reasons, in the format that is spoken there."""
    return next((said for name, said in SAID_AT.items() if name in path), REASONED)


def answer(
    upstream: bytes,
    *,
    kind: bytes = JSON,
    policy: str = "strict",
    status: int = 200,
    path: str = CHAT,
    **scope: object,
) -> Answer:
    app = harden(replies([upstream], kind=kind, status=status), policy)
    return run(ask(app, ASKED, path=path, **scope))  # type: ignore[arg-type]


@pytest.mark.parametrize("policy", ["strict", "baseline"])
@pytest.mark.parametrize(
    ("path", "root"),
    [
        ("/v1/messages", "/v1"),
        ("/messages", "/v1"),
        ("/v1/messages", "/v1/messages"),
        ("/v1/chat/completions", "/v1/chat"),
        ("/v1/chat/x/../completions", ""),
        ("/v1/chat/completions?x", ""),
        ("/v1/chat/completions#x", ""),
        ("/api/v1/x/%2e%2e/messages", "/api"),
        ("/v1/responses", "/v1"),
        ("/openai/v1/responses", "/openai"),
        ("/responses", ""),
        ("/v1/Responses/", ""),
    ],
)
def test_no_spelling_of_a_path_leads_around(policy: str, path: str, root: str) -> None:
    left = answer(said_at(path), policy=policy, path=path, root_path=root)
    assert left.status == 200
    assert ANSWER.encode() in left.body
    assert not find_leaks(left.body, TRACE)


@pytest.mark.parametrize("policy", ["strict", "baseline"])
@pytest.mark.parametrize(
    "path",
    [
        "/v1/chat/completions/chatcmpl-1",
        "/v1/chat/completions/chatcmpl-1/messages",
        "/v1/messages/batches/b/results",
        "/v1/responses/resp_1",
        "/responses/resp_1/input_items",
        "/v1/responses/resp_1/cancel",
    ],
)
def test_an_answer_that_was_kept_is_cut_as_well(policy: str, path: str) -> None:
    for method in ("GET", "HEAD", "POST", "PUT"):
        upstream = REASONED if "batches" in path else said_at(path)
        assert not find_leaks(answer(upstream, policy=policy, path=path, method=method).body, TRACE)


ENVELOPES: dict[str, Callable[[object], object]] = {
    "asked in the background": lambda said: {"id": "1", "status": "COMPLETED", "response": said},
    "batches": lambda said: {
        "object": "list",
        "data": [{"custom_id": "1", "response": {"status_code": 200, "body": said}}],
    },
    "results of a list": lambda said: [{"results": [said, said]}],
    "lists of lists": lambda said: [[[said]], [said]],
    "names that nobody has seen": lambda said: {"glorp": {"zz": [[{"frob": said}]], "status": "done"}},
    "deeper than envelopes go": lambda said: {"data": {"data": {"data": {"data": {"data": said}}}}},
    "an object in place of the answer": lambda said: {"choices": {"0": said}, "model": "m"},
    "a choice without its list": lambda said: {"glorp": {"model": "m", **said["choices"][0]}},  # type: ignore[index]
    "a message without its choice": lambda said: {"turns": [said["choices"][0]["message"]]},  # type: ignore[index]
}


@pytest.mark.parametrize("envelope", ENVELOPES)
@pytest.mark.parametrize("kind", [JSON, SSE])
@pytest.mark.parametrize("policy", ["strict", "baseline"])
def test_an_answer_in_envelopes_is_read_to_its_tags_and_rows(policy: str, kind: bytes, envelope: str) -> None:
    """Catches text and numbers at a place that no table knows, which a policy may only report."""
    row = {"token": "a", "logprob": -0.12345, "bytes": [97], "top_logprobs": []}
    says = {"role": "assistant", "content": f"<think>{TRACE}</think>{ANSWER}"}
    said = json.loads(body(says, choice={"logprobs": {"content": [row]}}))
    told = json.dumps(ENVELOPES[envelope](said)).encode()
    left = answer(told if kind == JSON else sse(told), kind=kind, policy=policy)
    assert left.status == 200
    assert ANSWER.encode() in left.body
    assert not find_leaks(left.body, TRACE)
    assert b"0.12345" not in left.body


ANY_FORMAT: dict[str, object] = {
    "chat": {"choices": [{"message": {"content": f"<think>{TRACE}</think>{ANSWER}"}}]},
    "Anthropic": {"role": "assistant", "content": [{"type": "text", "text": f"<think>{TRACE}</think>{ANSWER}"}]},
    "Anthropic's blocks": {"type": "message", "content": [{"type": "thinking", "text": TRACE}, {"type": "text", "text": ANSWER}]},
    "Gemini": {"candidates": [{"content": {"parts": [{"text": TRACE, "thought": True}, {"text": ANSWER}]}}]},
    "Ollama": {"message": {"role": "assistant", "content": f"<think>{TRACE}</think>{ANSWER}"}, "done": True},
    "parts of no format": {"parts": [{"type": "reasoning", "text": TRACE}, {"type": "text", "text": ANSWER}]},
    "harmony": [{"role": "assistant", "channel": "analysis", "content": TRACE}, {"role": "assistant", "content": ANSWER}],
}  # fmt: skip
DOORS = (
    CHAT,
    "/v1/completions",
    "/v1/messages",
    "/v1/responses",
    "/api/chat",
    "/v1beta/models/m:generateContent",
)


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("format", ANY_FORMAT)
@pytest.mark.parametrize("path", DOORS)
def test_an_answer_of_any_format_is_read_at_any_door(path: str, format: str, wrapped: bool) -> None:
    """Catches a gateway that answers in another format than that of its path, or hands on what a batch holds."""
    said = ANY_FORMAT[format]
    told = json.dumps({"inlinedResponses": {"inlinedResponses": [{"reply": said}]}} if wrapped else said)
    left = answer(told.encode(), policy="baseline", path=path)
    assert left.status == 200
    assert ANSWER.encode() in left.body
    assert not find_leaks(left.body, TRACE)


PLAIN: dict[str, object] = {
    **{f"a text under {name}": {name: f"<think>{TRACE}</think>{ANSWER}"} for name in ("text", "generated_text", "output_text", "response", "output", "result")},
    "a list of texts": [{"generated_text": f"<think>{TRACE}</think>{ANSWER}"}],
    "a text in a result": {"result": {"response": f"<think>{TRACE}</think>{ANSWER}"}},
}  # fmt: skip


@pytest.mark.parametrize("said", PLAIN)
@pytest.mark.parametrize("path", [path for path in DOORS if path != "/v1/responses"])
def test_a_text_in_place_of_an_answer_is_read_to_its_tags(path: str, said: str) -> None:
    """Catches gateways that answer with a text under a name of their own, which a policy may only report."""
    left = answer(json.dumps(PLAIN[said]).encode(), policy="baseline", path=path)
    assert left.status == 200
    assert ANSWER.encode() in left.body
    assert not find_leaks(left.body, TRACE)


def streamed(*frames: object) -> bytes:
    """A stream in which these frames stand between the first chunk and the answer."""
    return sse(
        chunk({"role": "assistant", "content": ""}), *frames, chunk({"content": ANSWER}), chunk({}, "stop")
    )


def pieces(field: str) -> list[object]:
    return [chunk({field: word}) for word in words(TRACE)]


def inline(opening: str, closing: str, finish: str | None = None) -> list[object]:
    return [chunk({"content": word}, finish) for word in words(f"{opening}{TRACE}{closing}{ANSWER}", 3)]


def beside(line: str) -> bytes:
    """The trace in a line of an event whose data is a piece of the answer."""
    told = json.dumps(chunk({"content": "x"})).encode()
    return (
        streamed(*pieces("reasoning")).removesuffix(b"data: [DONE]\n\n")
        + line.encode()
        + b"\ndata: "
        + told
        + b"\n\n"
    )


TOLD = {"choices": [{"index": 0, "message": {"content": ANSWER, "reasoning_content": TRACE}}]}
SPELT = base64.b64encode(TRACE.encode()).decode()

STREAMS: dict[str, bytes] = {
    **{f"field {name}": streamed(*pieces(name)) for name in ("reasoning", "reasoning_tokens", "reasoning_status_text", "encrypted_reasoning", "cot")},
    "fields of the provider, on the choice": streamed(*[chunk({}, choice={"provider_specific_fields": {"reasoning_content": word}}) for word in words(TRACE)]),
    "fields of the provider, on the chunk": streamed(*[chunk({}, provider_specific_fields={"reasoning_content": word}) for word in words(TRACE)]),
    "a chunk in a list": streamed([chunk({"reasoning_content": TRACE})]),
    "a chunk under a key": streamed({"data": chunk({"reasoning": TRACE})}),
    "a byte order mark before the chunk": streamed(b"\xef\xbb\xbf" + json.dumps(chunk({"reasoning": TRACE})).encode()),
    "a comment beside the data": beside(": " + TRACE),
    "the name of an event": beside("event: " + TRACE),
    "the number of an event": beside("id: " + TRACE),
    "a line that is no field": beside("foo: " + TRACE),
    "a comment beside the end": streamed(*pieces("reasoning")).replace(b"data: [DONE]", b": " + TRACE.encode() + b"\ndata: [DONE]"),
    "tags in a copy that has no original": streamed(*[chunk({"content": ""}, choice={"text": word}) for word in words(f"<think>{TRACE}</think>", 3)]),
    "tags, and a finish that is none": sse(*inline("<think>", "</think>", "null")),
    **{f"tag {opening}": sse(*inline(opening, closing)) for opening, closing in TAGS},
    "an error that is a string": streamed(*pieces("reasoning"), {"error": TRACE}),
    "a string in the usage": streamed(*pieces("reasoning"), {"choices": [], "usage": {"completion_tokens": 1, "note": TRACE}}),
    "a reason to finish": streamed(*pieces("reasoning"), chunk({}, TRACE)),
    "short copies beside a long identifier": streamed(*[chunk({"reasoning": word}, trail="x" * 30, extra=word) for word in words(TRACE)]),
    "short copies beside a tool": streamed(*[chunk({"reasoning": word, "annotations": [{}]}, extra=word) for word in words(TRACE)]),
    "another API's chunks": sse(*[{"message": {"content": "", "thinking": word}} for word in words(TRACE)]),
}  # fmt: skip

BODIES: dict[str, bytes] = {
    "a body in a list": b"[" + REASONED + b"]",
    "a list of kept answers": json.dumps({"object": "list", "data": [TOLD]}).encode(),
    "a body under a key that nobody knows": json.dumps({"result": {"again": TOLD}}).encode(),
    "a body under a key that nobody knows, its names escaped": json.dumps({"result": {"again": TOLD}}).replace("reasoning", "reas\\u006fning").encode(),
    "choices that are an object": json.dumps({"choices": TOLD["choices"][0]}).encode(),
    "a message that is a list": json.dumps({"choices": [{"message": [TOLD["choices"][0]["message"]]}]}).encode(),
    "content that is an object": body({"content": {"type": "thinking", "thinking": TRACE}}),
    "content that is a list of strings": body({"content": [f"<think>{TRACE}</think>", ANSWER]}),
    "a part that has its text elsewhere": body({"content": [{"type": "thinking", "thinking": "", "text": TRACE}]}),
    "a part whose type is escaped": body({"content": [{"type": "thinking", "text": TRACE}]}).replace(b'"thinking"', b'"thin\\u006bing"'),
    "a copy of the text that is the trace": body({"content": ANSWER, "reasoning": TRACE}, choice={"text": f"{TRACE}{ANSWER}"}),
    "the raw output": body({"content": ANSWER}, choice={"raw_output": {"completion": f"<think>{TRACE}</think>"}}),
    "a seal of words without spaces": body({"content": ANSWER, "encrypted_content": TRACE.replace(" ", "\u3000")}),
    "bytes": body({"content": ANSWER, "reasoning_bytes": list(TRACE.encode())}),
    "bytes in a part": body({"content": ANSWER, "reasoning_details": [{"text": "a", "bytes": list(TRACE.encode())}]}),
}  # fmt: skip


def split(upstream: bytes, size: int) -> list[bytes]:
    return [upstream[at : at + size] for at in range(0, len(upstream), size)]


@pytest.mark.parametrize("policy", ["strict", "baseline"])
@pytest.mark.parametrize("name", STREAMS)
def test_no_stream_carries_a_trace(policy: str, name: str) -> None:
    for size in (len(STREAMS[name]), 13):
        app = harden(replies(split(STREAMS[name], size), kind=SSE), policy)
        assert find_leaks(run(ask(app, ASKED)).body, TRACE) == []


@pytest.mark.parametrize("policy", ["strict", "baseline"])
@pytest.mark.parametrize("name", BODIES)
def test_no_body_carries_a_trace(policy: str, name: str) -> None:
    for trace in (TRACE, TRACE.replace(" ", "\u3000")):
        assert find_leaks(answer(BODIES[name], policy=policy).body, trace) == []


@pytest.mark.parametrize("seal", [TRACE, TRACE.encode().hex(), SPELT, f"v1:{SPELT}", f"a.v2|{SPELT}"])
def test_a_seal_that_anybody_can_open_is_none(seal: str) -> None:
    left = answer(body({"content": ANSWER, "encrypted_content": seal})).body
    assert seal[-20:].encode() not in left
    assert ANSWER.encode() in left


ROW = {"token": "There", "logprob": -0.5714285, "bytes": None}
ROW_LIST = [{**ROW, "top_logprobs": [{**ROW, "token": f"t{at}"} for at in range(20)]}]
ROWS: dict[str, bytes] = {
    "instead of their object": body({"content": "There"}, choice={"logprobs": ROW_LIST}),
    "under another name": body({"content": "There"}, choice={"logprobs": {"chosen": ROW_LIST}}),
    "on the message": body({"content": "There", "logprobs": {"content": ROW_LIST}}),
    "on the whole": body({"content": "There"}, logprobs={"content": ROW_LIST}),
    "in another case": body({"content": "There"}, choice={"LogProbs": ROW_LIST}),
    "as another server's": body({"content": "There"}, choice={"completion_probabilities": ROW_LIST}),
    "as sums": body({"content": "There"}, choice={"cumulative_logprob": -0.5714285}),
    "of the prompt": body({"content": "There"}, prompt=[{"text": "x", "logprobs": {"token_logprobs": [-0.5714285]}}]),
    "in a wrapper": json.dumps({"result": {"choices": [{"logprobs": {"content": ROW_LIST}}]}}).encode(),
    "as numbers of tokens": body({"content": "There"}, choice={"output_ids": [5714285]}),
    "as numbers among the provider's": body({"content": "There"}, choice={"provider_specific_fields": {"token_ids": [5714285]}}),
    "as numbers of the trace": body({"content": "There", "reasoning_token_ids": [5714285]}),
    "as numbers in a part": body({"content": "There", "reasoning_details": [{"text": "abc", "token_ids": [5714285]}]}),
}  # fmt: skip


@pytest.mark.parametrize("policy", ["strict", "baseline"])
@pytest.mark.parametrize("name", ROWS)
def test_no_value_of_a_token_leaves_by_another_way(policy: str, name: str) -> None:
    left = answer(ROWS[name], policy=policy).body
    assert b"5714285" not in left
    assert b"There" in left or name == "in a wrapper"


MESSAGE_BODIES: dict[str, object] = {
    "content that is a string": {"type": "message", "content": f"<think>{TRACE}</think>{ANSWER}"},
    "content that is a list of strings": {"type": "message", "content": [f"<think>{TRACE}</think>{ANSWER}"]},
    "an old completion": {"type": "completion", "completion": f"<think>{TRACE}</think>{ANSWER}"},
    "another API's body": TOLD,
    "a name that nobody knows": {"type": "message", "content": [], "reasoning_text": TRACE},
}


@pytest.mark.parametrize("name", MESSAGE_BODIES)
def test_no_message_carries_a_trace(name: str) -> None:
    left = answer(json.dumps(MESSAGE_BODIES[name]).encode(), path=MESSAGES)
    assert left.status == 200
    assert find_leaks(left.body, TRACE) == []


BOM = b"\xef\xbb\xbf"


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("size", [1, 3, 5, 10_000])
@pytest.mark.parametrize("kind", [JSON, b"text/plain", SSE])
@pytest.mark.parametrize("upstream", [streamed(*pieces("reasoning")), REASONED])
@pytest.mark.parametrize("before", [b"", BOM, b"\n\n", BOM + b"\n"])
def test_what_a_body_is_does_not_hang_on_where_it_was_cut(
    status: int, size: int, kind: bytes, upstream: bytes, before: bytes
) -> None:
    app = harden(replies(split(before + upstream, size), kind=kind, status=status), "strict")
    left = run(ask(app, ASKED))
    assert left.status == status
    assert ANSWER.encode() in left.body
    assert find_leaks(left.body, TRACE) == []


@pytest.mark.parametrize(
    "upstream",
    [REASONED.decode().encode("utf-16"), gzip.compress(REASONED), REASONED.decode().encode("utf-32")],
)
def test_only_words_pass_for_the_words_of_an_error(upstream: bytes) -> None:
    assert answer(upstream, status=400).status == 502
    assert answer(b"no such model", kind=b"text/plain", status=404).body == b"no such model"


def test_a_server_that_is_down_is_down_for_its_clients() -> None:
    left = answer(f"Traceback: {TRACE}".encode(), kind=b"text/plain", status=503)
    assert left.status == 503
    assert find_leaks(left.body, TRACE) == []
    assert answer(b"<html>moved</html>", kind=b"text/html", status=307).status == 307


def test_a_coding_that_is_said_twice_is_not_read_once() -> None:
    packed = gzip.compress(gzip.compress(REASONED))
    twice = [(b"content-encoding", b"identity"), (b"content-encoding", b"gzip")]
    app = harden(replies([packed], kind=JSON, status=400, headers=twice), "strict")
    assert run(ask(app, ASKED)).status == 502


def lines(*values: dict[str, object]) -> bytes:
    return b"".join(json.dumps({"model": "m", **value}).encode() + b"\n" for value in values)


def message(**said: object) -> dict[str, object]:
    return {"message": {"role": "assistant", "content": "", **said}, "done": False}


SAID = message(content=ANSWER)
LINES: dict[str, bytes] = {
    **{f"field {name}": lines(*(message(**{name: word}) for word in words(TRACE)), SAID) for name in ("thinking", "reasoning", "thoughts")},
    **{f"root field {name}": lines(*({**message(), name: word} for word in words(TRACE)), SAID) for name in ("thinking", "reasoning_content", "cot")},
    "tags": lines(*(message(content=word) for word in words(f"<think>{TRACE}</think>", 3)), SAID),
    "tags in the other endpoint's field": lines(*({"response": word} for word in words(f"<think>{TRACE}</think>", 3)), SAID),
    "tags that nothing closes": lines(SAID, *(message(content=word) for word in words(f"<think>{TRACE}", 3))),
    "the rendered prompt": lines(message(thinking=TRACE), {**SAID, "_debug_info": {"rendered_template": TRACE}}),
    "an error": lines(*(message(thinking=word) for word in words(TRACE)), SAID, {"error": f"died at {TRACE}"}),
    "a line that is none": lines(message(thinking=TRACE)) + b'{"message": "' + TRACE.encode() + b"\n" + lines(SAID),
    "words between lines": lines(message(thinking=TRACE)) + TRACE.encode() + b"\n" + lines(SAID),
    "the last line cut off": lines(SAID) + lines(message(thinking=TRACE))[:-9],
    "a list of lines": lines(SAID) + b"[" + lines(message(thinking=TRACE)).rstrip() + b"]\n",
    "events of another framing": b"".join(b"data: " + line + b"\n\n" for line in lines(*(message(thinking=word) for word in words(TRACE))).splitlines()) + lines(SAID),
    "a trace in a call": lines(message(thinking=TRACE), message(tool_calls=[{"function": {"name": "f", "arguments": {}}}], note=TRACE), SAID),
    "another API's chunks": lines(*({"choices": [{"delta": {"reasoning_content": word}}]} for word in words(TRACE)), SAID),
}  # fmt: skip


@pytest.mark.parametrize("policy", ["strict", "baseline"])
@pytest.mark.parametrize("name", LINES)
def test_no_line_carries_a_trace(policy: str, name: str) -> None:
    for size in (len(LINES[name]), 13, 1):
        app = harden(replies(split(LINES[name], size), kind=b"application/x-ndjson"), policy)
        left = run(ask(app, ASKED, path="/api/chat"))
        assert find_leaks(left.body, TRACE) == []
        assert ANSWER.encode() in left.body


@pytest.mark.parametrize("policy", ["strict", "baseline"])
@pytest.mark.parametrize("path", ["/v1/completions", "/completion", "/openai/deployments/m/completions"])
def test_no_text_completion_carries_a_trace(policy: str, path: str) -> None:
    spelt = {"tokens": words(TRACE), "token_logprobs": [-0.5] * len(words(TRACE)), "top_logprobs": None}
    choice = {
        "index": 0,
        "text": f"<think>{TRACE}</think>{ANSWER}",
        "finish_reason": "stop",
        "logprobs": spelt,
    }
    told = {"object": "text_completion", "choices": [{**choice, "raw_output": TRACE, "reasoning": TRACE}]}
    native = {"content": f"<think>{TRACE}</think>{ANSWER}", "stop": True, "__verbose": {"content": TRACE}}
    for value in (told, native, [native, native], {"data": [told]}):
        left = answer(json.dumps(value).encode(), policy=policy, path=path)
        assert (left.status, ANSWER in left.body.decode()) == (200, True)
        assert find_leaks(left.body, TRACE) == []
    pieces = [
        {**told, "choices": [{**choice, "text": word, "finish_reason": None}]}
        for word in words(choice["text"], 3)
    ]  # type: ignore[arg-type]
    assert find_leaks(answer(sse(*pieces), kind=SSE, policy=policy, path=path).body, TRACE) == []
    assert find_leaks(answer(sse(*({"content": word} for word in words(native["content"], 3))), kind=SSE, policy=policy, path=path).body, TRACE) == []  # type: ignore[arg-type]  # fmt: skip


def gemini(*parts: object, **more: object) -> dict[str, object]:
    return {"candidates": [{"content": {"parts": list(parts), "role": "model"}, "index": 0, **more}]}


def thinks(text: str = TRACE, **more: object) -> dict[str, object]:
    return {"text": text, "thought": True, **more}


SAYS = {"text": ANSWER}
GEMINI_STREAMS: dict[str, list[object]] = {
    "thoughts": [gemini(thinks(word)) for word in words(TRACE)],
    "thoughts and text in one": [gemini(thinks(word), SAYS, thinks(word)) for word in words(TRACE)],
    "a switch behind the text": [gemini({"text": word, "thought": "true"}) for word in words(TRACE)],
    "text in place of a switch": [gemini({"text": "", "thought": word}) for word in words(TRACE)],
    "another member of a thought": [gemini(thinks("", note=word)) for word in words(TRACE)],
    "short copies beside a thought": [gemini(thinks(word), finishMessage=word) for word in words(TRACE)],
    "a long copy later": [gemini(thinks()), gemini(SAYS, groundingMetadata={"webSearchQueries": [TRACE]})],
    "a signature that is none": [gemini({"text": "", "thoughtSignature": word}) for word in [TRACE, SPELT]],
    "a signature of a call that is none": [gemini({"functionCall": {"name": "f"}, "thought_signature": SPELT})],
    "code in a thought": [gemini({"thought": True, "executableCode": {"code": TRACE}})],
    "a picture in a thought": [gemini({"thought": True, "inlineData": {"data": SPELT}})],
    "tags": [gemini({"text": word}) for word in words(f"<think>{TRACE}</think>{ANSWER}", 3)],
    "two candidates": [{"candidates": [gemini(thinks(word))["candidates"][0], {**gemini(thinks(word))["candidates"][0], "index": 1}]} for word in words(TRACE)],  # type: ignore[index]
    "wrapped": [{"response": gemini(thinks(word))} for word in words(TRACE)],
    "rows of the trace": [gemini(thinks(word), logprobsResult={"chosenCandidates": [{"token": word, "logProbability": -1}]}) for word in words(TRACE)],
    "ids of the trace": [gemini(thinks(word), tokenIds=[ord(one) for one in word]) for word in words(TRACE)],
    "an error that tells": [gemini(thinks()), {"error": {"code": 500, "message": TRACE, "details": [{"detail": TRACE}]}}],
    "no end": [*[gemini(thinks(word)) for word in words(TRACE)], gemini(thinks())],
}  # fmt: skip


@pytest.mark.parametrize("policy", ["strict", "baseline"])
@pytest.mark.parametrize("name", GEMINI_STREAMS)
def test_no_answer_of_gemini_carries_a_trace(policy: str, name: str) -> None:
    values = [*GEMINI_STREAMS[name], *([] if name == "no end" else [gemini(SAYS, finishReason="STOP")])]
    texts = [json.dumps(value).encode() for value in values]
    array = b"[" + b"\n,\r\n".join(texts) + b"]"
    ways = [(b"".join(b"data: " + text + b"\r\n\r\n" for text in texts), SSE), (array, JSON)]
    for upstream, kind in [*ways, (texts[0], JSON), (BOM + array, JSON)]:
        for size in (len(upstream), 13, 1):
            app = harden(replies(split(upstream, size), kind=kind), policy)
            left = run(ask(app, b"{}", path="/v1beta/models/m:streamGenerateContent"))
            assert left.status == 200
            assert find_leaks(left.body, TRACE) == []
            assert SPELT[:24].encode() not in left.body
            if kind is JSON:
                json.loads(left.body.decode("utf-8-sig"))


@pytest.mark.parametrize("odd", ["\ufeff", "x", "}", "]", '"abc', "[", "{", "1 ", "null", "\\"])
@pytest.mark.parametrize("said", [True, False])
def test_no_array_that_lost_its_elements_carries_a_trace(odd: str, said: bool) -> None:
    """Catches a reader that takes the inside of an element for elements, in which no table knows a part."""
    thought, answer = json.dumps(gemini(thinks(TRACE))), json.dumps(gemini(SAYS))
    array = f"[{answer if said else ''}{odd}{',' if said else ''}{thought},{answer}]".encode()
    for size in (len(array), 13, 1):
        app = harden(replies(split(array, size), kind=JSON), "baseline")
        left = run(ask(app, b"{}", path="/v1beta/models/m:streamGenerateContent"))
        assert find_leaks(left.body, TRACE) == []
        assert left.raised is None
