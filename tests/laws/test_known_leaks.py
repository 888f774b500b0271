"""Law 1, place by place: each field in which a server is known to tell a trace, its tokens or their values again.

The trace stands in each row beside an honest answer; what must not leave is `TRACE`, and the numbers `VALUE` and `ID`.
"""

from __future__ import annotations

import json

import pytest

from hardening.testing import find_leaks, harden
from tests.asgi.driver import Answer, ask, replies, run
from tests.exchanges import ANSWER, NDJSON, TRACE, event, message_item, reasoning_item, response
from tests.exchanges import words as in_words

VALUE, ID = -0.5714285, 8675309
SSE, JSON = b"text/event-stream", b"application/json"
CHAT, COMPLETIONS, RESPONSES = "/v1/chat/completions", "/v1/completions", "/v1/responses"


def row(token: str, **more: object) -> dict[str, object]:
    return {"token": token, "logprob": VALUE, "bytes": list(token.encode()), "top_logprobs": [], **more}


TRACE_ROWS = [row(word) for word in in_words(TRACE)]
PROMPT_ROWS = [None, {str(ID): {"logprob": VALUE, "rank": 1, "decoded_token": TRACE}}]


def chat(
    message: dict[str, object] | None = None, *, choice: dict[str, object] | None = None, **more: object
) -> bytes:
    said = {"role": "assistant", "content": ANSWER, **(message or {})}
    choices = [{"index": 0, "message": said, "finish_reason": "stop", **(choice or {})}]
    return json.dumps({"id": "c", "object": "chat.completion", "choices": choices, **more}).encode()


def stream(*deltas: dict[str, object], **more: object) -> bytes:
    """Chunks of choice 0, or of the one that a delta names, then the answer."""
    chunks = []
    for delta in ({"role": "assistant", "content": ""}, *deltas, {"content": ANSWER}):
        index = delta.pop("index", 0)
        choice = {"index": index, "finish_reason": None, **delta.pop("choice", {}), "delta": delta}  # type: ignore[dict-item]
        chunks.append({"id": "c", "object": "chat.completion.chunk", "choices": [choice], **more})
    return (
        b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks) + b"data: [DONE]\n\n"
    )


def pieces(**fields: object) -> list[dict[str, object]]:
    """A delta for each word of the trace; `...` in a field stands for the word."""

    def filled(value: object, word: str) -> object:
        if value is ...:
            return word
        if isinstance(value, dict):
            return {key: filled(element, word) for key, element in value.items()}
        return [filled(element, word) for element in value] if isinstance(value, list) else value

    return [{name: filled(value, word) for name, value in fields.items()} for word in in_words(TRACE)]


def told(kind: str, **more: object) -> bytes:
    return event(f"response.{kind}", **more)


ITEM = reasoning_item(TRACE, TRACE, encrypted_content=TRACE)
ENDED = response([ITEM, message_item()])
COPIES = {
    "reasoning": ...,
    "reasoning_content": ...,
    "reasoning_details": [{"type": "reasoning.text", "text": ..., "index": 0}],
    "thinking_blocks": [{"type": "thinking", "thinking": ..., "signature": ""}],
    "provider_specific_fields": {
        "reasoning": ...,
        "reasoning_content": ...,
        "thinking_blocks": [{"thinking": ...}],
    },
}
WHOLE_COPIES = json.loads(json.dumps({**COPIES, "content": ANSWER}, default=lambda _: TRACE))

CALLED = {"name": "f", "arguments": "{}"}
TAGGED = f"<think>{TRACE}</think>{ANSWER}"


def answered(case: tuple[str, bytes, bytes], policy: str) -> Answer:
    """What leaves under a policy for an answer of this kind at this path; streamed where it is no JSON text."""
    path, kind, upstream = case
    asked = b'{"model":"m","stream":%s}' % (b"false" if kind is JSON else b"true")
    return run(ask(harden(replies([upstream], kind=kind), policy), asked, path=path))


def refused(text: str) -> dict[str, object]:
    return message_item() | {"content": [{"type": "refusal", "refusal": text}]}


LOOSE = {
    "a tag with blanks": ("< think >", "</ think >"),
    "a tag with attributes": ('<think redacted="false">', "</think>"),
    "details of a trace": ('<details type="reasoning" done="true" duration="9">', "</details>"),
    "a thought to a tool": ("<|start|>assistant<|channel|>analysis to=python code<|message|>", "<|end|>"),
    "a thought in JSON": ("<|channel|>analysis <|constrain|>json<|message|>", "<|channel|>final<|message|>"),
    "a tag of Solar": ("<|think|>", "<|end|><|begin|>assistant<|content|>"),
    "a tag escaped for HTML": ("&lt;think&gt;", "&lt;/think&gt;"),
    "a thought whose tags were left out": ("analysisWe look: ", "assistantfinal"),
}
SAID_IN_ERRORS = {
    "tags": f"Failed to parse: <think>{TRACE}</think>{{",
    "a tag that nothing closes": f"Failed to parse: <think>{TRACE}",
    "the error of another server": json.dumps({"error": {"failed_generation": TRACE}}),
    "that of a server behind two": json.dumps({"raw": json.dumps({"message": {"reasoning_content": TRACE}})}),
}
TOLD_IN_ERRORS = {
    "of a choice": (CHAT, JSON, chat(choice={"error": {"message": ANSWER, "metadata": {"raw": SAID_IN_ERRORS["the error of another server"]}, "failed_generation": TRACE}})),
    "of Ollama": ("/api/chat", NDJSON, json.dumps({"message": {"role": "assistant", "content": ANSWER}, "done": False}).encode() + b"\n" + json.dumps({"error": f"<think>{TRACE}"}).encode() + b"\n"),
    "of Messages": ("/v1/messages", JSON, json.dumps({"type": "error", "error": {"type": ANSWER, "message": TAGGED}}).encode()),
    "of Gemini": ("/v1beta/models/m:generateContent", JSON, json.dumps({"error": {"status": ANSWER, "message": TAGGED}}).encode()),
    "of Responses": (RESPONSES, JSON, json.dumps({**response([message_item()]), "error": {"code": "server_error", "message": TAGGED}}).encode()),
}  # fmt: skip

BESIDE: dict[str, object] = {
    "a string": TAGGED,
    "a list": ["fine", TAGGED],
    "a list of objects": [{"code": 1, "message": TAGGED}],
    "HTML": f"<p>&lt;think&gt;{TRACE}&lt;/think&gt;</p>",
    "HTML by numbers": [f"&#60;Think&#x3e;{TRACE}"],
    "lists of lists": [[f"{TRACE}</think>"]],
}
FAILED_TOOLS: dict[str, dict[str, object]] = {
    f"{kind} with an error that is {name}": {"type": kind, "id": "m", "name": "t", "server_label": "s", "error": error}
    for kind in ("mcp_call", "mcp_list_tools")
    for name, error in (("a string", TAGGED), ("an object", {"type": "mcp_tool_execution_error", "content": [{"type": "text", "text": TAGGED}]}))
}  # fmt: skip
FRAMEWORKS: dict[str, dict[str, object]] = {
    "detail": {"detail": TAGGED},
    "detail.error": {"detail": {"error": {"message": TAGGED, "code": ANSWER}}},
    "detail[]": {"detail": [{"msg": f"<think>{TRACE}", "type": ANSWER}]},
    "message": {"object": "error", "message": TAGGED},
    "Message": {"Message": TAGGED},
    "errors": {"errors": [SAID_IN_ERRORS["the error of another server"]]},
}

LEAKS: dict[str, tuple[str, bytes, bytes]] = {
    "1 a trace told five times": (RESPONSES, SSE, b"".join([
        told("output_item.added", output_index=0, item=reasoning_item()),
        *(told("reasoning_text.delta", output_index=0, delta=word) for word in in_words(TRACE)),
        told("reasoning_text.done", output_index=0, text=TRACE),
        told("content_part.done", output_index=0, part={"type": "reasoning_text", "text": TRACE}),
        told("output_item.done", output_index=0, item=ITEM),
        told("output_text.delta", output_index=1, delta=ANSWER),
        told("completed", response=ENDED),
    ])),
    **{f"2 an end that is {kind}": (RESPONSES, SSE, told("output_text.delta", output_index=1, delta=ANSWER) + told(kind, response=ENDED)) for kind in ("incomplete", "failed", "cancelled")},
    "2 kept items": (f"{RESPONSES}/resp_1/input_items", JSON, json.dumps({"object": "list", "data": [ITEM, message_item()]}).encode()),
    "3 a summary and a sealed text that are none": (RESPONSES, JSON, json.dumps(ENDED).encode()),
    "5 copies in one chunk": (CHAT, SSE, stream(*pieces(**COPIES))),
    "5 copies in one body": (CHAT, JSON, chat(WHOLE_COPIES)),
    "5 a message beside a delta": (CHAT, SSE, stream(*pieces(reasoning=..., choice={"message": {"content": "", "reasoning": ...}}))),
    "6 tags beside the field": (CHAT, JSON, chat({"content": f"<think>{TRACE}</think>{ANSWER}", "reasoning_content": TRACE})),
    "6 tags beside the field, in pieces": (CHAT, SSE, stream(*pieces(reasoning_content=..., content=""), *({"content": word} for word in in_words(f"<think>{TRACE}</think>")))),
    "7 two blocks": (CHAT, JSON, chat({"content": f"<think>{TRACE}</think>{ANSWER}<think>{TRACE}</think>"})),
    "7 no opening tag": (CHAT, JSON, chat({"content": f"{TRACE}</think>{ANSWER}"})),
    "8 never closed": (CHAT, SSE, stream({"content": f"{ANSWER}<think>{TRACE}"})),
    "8 never closed, by length": (CHAT, JSON, chat({"content": f"{ANSWER}<think>{TRACE}"}, choice={"finish_reason": "length"})),
    "9 rows of the trace among those of the answer": (CHAT, JSON, chat({"reasoning": TRACE}, choice={"logprobs": {"content": TRACE_ROWS}})),
    "9 rows of the trace by its field": (CHAT, JSON, chat({"reasoning_content": TRACE}, choice={"logprobs": {"content": None, "reasoning_content": TRACE_ROWS}})),
    "9 rows of the trace, in pieces": (CHAT, SSE, stream(*({"reasoning": word, "choice": {"logprobs": {"content": [row(word)]}}} for word in in_words(TRACE)))),
    "10 bytes": (CHAT, JSON, chat(choice={"logprobs": {"content": [row("There", bytes=list(TRACE.encode()))]}})),
    "10 alternatives": (CHAT, JSON, chat({"reasoning": TRACE}, choice={"logprobs": {"content": [row("x", top_logprobs=TRACE_ROWS)]}})),
    "10 ranks and decoded tokens": (CHAT, JSON, chat({"reasoning": TRACE}, choice={"logprobs": {"content": [row(TRACE, rank=ID, decoded_token=TRACE)]}})),
    "10 offsets": (COMPLETIONS, JSON, json.dumps({"choices": [{"index": 0, "text": f"<think>{TRACE}</think>{ANSWER}", "logprobs": {"tokens": in_words(TRACE), "token_logprobs": [VALUE], "top_logprobs": [{TRACE: VALUE}], "text_offset": [ID]}}]}).encode()),
    "12 rows of the prompt": (CHAT, JSON, chat(prompt_logprobs=PROMPT_ROWS)),
    "12 rows of the prompt, by choice": (COMPLETIONS, JSON, json.dumps({"choices": [{"index": 0, "text": ANSWER, "prompt_logprobs": PROMPT_ROWS}]}).encode()),
    "12 rows of the input": (CHAT, JSON, chat(choice={"meta_info": {"input_token_logprobs": [[VALUE, ID, TRACE]], "output_token_logprobs": [[VALUE, ID, TRACE]]}})),
    **{f"13 {name}": (CHAT, JSON, chat(choice={name: [ID]}, **{name: [ID]})) for name in ("token_ids", "prompt_token_ids", "output_ids", "response_token_ids", "input_ids")},
    "13 tokens by their number": (CHAT, JSON, chat({"reasoning": TRACE}, choice={"logprobs": {"content": [row(f"token_id:{ID}")]}})),
    "13 a context": ("/api/generate", NDJSON, json.dumps({"model": "m", "response": ANSWER, "thinking": TRACE, "done": True, "context": [ID]}).encode() + b"\n"),
    **{f"14 {name}": (CHAT, JSON, chat(choice={name: [[VALUE]]}, **{name: [[VALUE]]})) for name in ("hidden_states", "pooled_hidden_states", "routed_experts", "indexer_topk")},
    **{f"16 {name}": (CHAT, JSON, chat(choice={name: VALUE})) for name in ("cumulative_logprob", "avg_logprobs")},
    "16 sums of Gemini": ("/v1beta/models/m:generateContent", JSON, json.dumps({"candidates": [{"content": {"role": "model", "parts": [{"text": TRACE, "thought": True}, {"text": ANSWER}]}, "avgLogprobs": VALUE, "logprobsResult": {"logProbabilitySum": VALUE, "chosenCandidates": [{"token": TRACE, "tokenId": ID, "logProbability": VALUE}]}}]}).encode()),
    "18 a plan": (CHAT, JSON, chat({"tool_plan": TRACE})),
    "18 tools that ran": (CHAT, JSON, chat({"executed_tools": [{"arguments": TRACE, "output": TRACE}]})),
    "19 a generation that failed": (CHAT, JSON, json.dumps({"error": {"message": ANSWER, "failed_generation": TRACE, "debug": {"output_token_ids": [ID]}}}).encode()),
    "19 an error in mid-stream": (CHAT, SSE, stream(*pieces(reasoning=...)) + b"data: " + json.dumps({"error": {"message": ANSWER, "failed_generation": TRACE}}).encode() + b"\n\n"),
    **{f"20 {name}": (CHAT, JSON, chat(**{name: {"prompt": TRACE, "tokens": [ID]}})) for name in ("__verbose", "_debug_info", "prompt_text", "output_messages", "trace")},
    "20 a debugging envelope": (CHAT, JSON, chat(x_groq={"id": "r", "debug": {"output": TRACE, "output_token_ids": [ID]}})),
    "20 messages of a response": (RESPONSES, JSON, json.dumps({**response([message_item()]), "output_messages": [{"message": TRACE, "tokens": [ID]}]}).encode()),
    "22 choices that take turns": (CHAT, SSE, stream(*(delta for word in in_words(TRACE) for delta in ({"index": 1, "reasoning": word}, {"index": 0, "content": f"<think>{word}</think>"})))),
    **{f"a block of a trace in what {kind} gave back": ("/v1/messages", JSON, json.dumps({"type": "message", "role": "assistant", "content": [{"type": kind, "tool_use_id": "t", "content": result}, {"type": "text", "text": ANSWER}]}).encode()) for kind in ("web_search_tool_result", "mcp_tool_result") for result in ([{"type": "thinking", "thinking": TRACE, "signature": "s"}], {"type": "result", "content": [{"type": "thinking", "text": TRACE}]})},
    **{f"a block of a trace whose {what} is spelt out": ("/v1/messages", JSON, json.dumps({"type": "message", "content": [{"type": "web_search_tool_result", "tool_use_id": "t", "content": [{"a": "\u00e9"}, {"type": "thinking", "thinking": TRACE}, ["b"]]}, {"type": "text", "text": ANSWER}]}).encode().replace(*spelt)) for what, spelt in {"key": (b'{"type": "thinking"', rb'{"t\u0079pe": "thinking"'), "kind": (b'{"type": "thinking"', rb'{"type": "\u0074hin\u006bing"')}.items()},
    **{f"{kind} in the answer": (CHAT, JSON, chat({"content": f"{opening}{TRACE}{closing}{ANSWER}"})) for kind, (opening, closing) in LOOSE.items()},
    **{f"{kind} in the answer, in pieces": (CHAT, SSE, stream(*({"content": word} for word in in_words(f"{opening}{TRACE}{closing}")))) for kind, (opening, closing) in LOOSE.items()},
    "a block of a trace in a citation": ("/v1/messages", JSON, json.dumps({"type": "message", "content": [{"type": "text", "text": ANSWER, "citations": [{"type": "thinking", "cited_text": TRACE}]}]}).encode()),
    "a block of a trace in an annotation": (CHAT, JSON, chat({"annotations": [{"type": "reasoning", "text": TRACE}]})),
    "an item of a trace in what a call gave back": (RESPONSES, JSON, json.dumps(response([{"type": "mcp_call", "id": "m", "output": [{"type": "reasoning", "text": TRACE}]}, message_item()])).encode()),
    **{f"a thought in {place}": ("/v1beta/models/m:generateContent", JSON, json.dumps({"candidates": [{"content": {"role": "model", "parts": [{"functionResponse": {"parts": [thought]}}, {"text": ANSWER}] if place == "a result" else [{"text": ANSWER}]}, place: {"chunks": [thought]}}]}).encode()) for place in ("citationMetadata", "groundingMetadata", "a result") for thought in [{"text": TRACE, "thought": True}]},
    "a sentence in a label of the trace": (CHAT, JSON, chat({"reasoning_details": [{"type": "reasoning.text", "text": "a", "id": TRACE, "format": TRACE}]})),
    "tags in a refusal": (CHAT, JSON, chat({"content": None, "refusal": TAGGED})),
    "tags in a refusal, in pieces": (CHAT, SSE, stream(*({"refusal": word} for word in in_words(TAGGED)))),
    "tags in a refusal of a response": (RESPONSES, SSE, b"".join([
        *(told("refusal.delta", output_index=0, delta=word) for word in in_words(TAGGED)),
        told("refusal.done", output_index=0, refusal=TAGGED),
        told("content_part.done", output_index=0, part={"type": "refusal", "refusal": TAGGED}),
        told("completed", response=response([refused(TAGGED)])),
    ])),
    **{f"{name} beside what {place} hands over": (CHAT, JSON, chat({place: call})) for name in ("thinking", "reasoning", "reasoning_content", "thought") for place, call in {"tool_calls": [{"id": "t", "type": "function", "function": CALLED, name: TRACE}], "function_call": {**CALLED, name: TRACE}, "images": [{"image_url": {"url": "u"}, name: [TRACE]}]}.items()},
    "a trace in a function": (CHAT, JSON, chat({"tool_calls": [{"id": "t", "type": "function", "function": {**CALLED, "thinking": {"text": TRACE}}}]})),
    "a trace beside what is handed over, its name spelt out": (CHAT, JSON, chat({"tool_calls": [{"id": "t", "type": "function", "function": CALLED, "thinking": TRACE}]}).replace(b'"thinking"', rb'"\u0074hinking"')),
    "a trace beside what is handed over, in pieces": (CHAT, SSE, stream(*pieces(tool_calls=[{"index": 0, "thinking": ...}]))),
    "a trace that a picture calls so": (CHAT, JSON, chat({"images": [{"type": "reasoning", "text": TRACE}]})),
    **{f"{name} in a call of Ollama": ("/api/chat", NDJSON, json.dumps({"model": "m", "message": {"role": "assistant", "content": ANSWER, "tool_calls": [{name: TRACE, "function": {"name": "f", "arguments": {name: "3 apples"}}}]}, "done": True}).encode()) for name in ("thinking", "reasoning", "thought")},
    "a thought in a call of Gemini": ("/v1beta/models/m:generateContent", JSON, json.dumps({"candidates": [{"content": {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}, "thoughts": [TRACE]}}, {"text": ANSWER}]}}]}).encode()),
    **{f"{name} in an error": (CHAT, JSON, json.dumps({"error": {"message": ANSWER, name: TRACE}}).encode()) for name in ("thinking", "reasoning", "thought")},
    **{f"an error that says {name}": (CHAT, JSON, json.dumps({"error": {"message": said, "code": ANSWER}}).encode()) for name, said in SAID_IN_ERRORS.items()},
    **{f"an error {where} that tells a trace": (path, kind, body) for where, (path, kind, body) in TOLD_IN_ERRORS.items()},
    "a trace in an error of Ollama": ("/api/chat", NDJSON, json.dumps({"error": {"message": ANSWER, "reasoning": TRACE}}).encode()),
    **{f"{name} in why it stopped": ("/v1/messages", JSON, json.dumps({"type": "message", "content": [{"type": "text", "text": ANSWER}], "stop_details": {"type": "refusal", name: TRACE}}).encode()) for name in ("thinking", "reasoning", "thought")},
    "tags in why it stopped": ("/v1/messages", JSON, json.dumps({"type": "message", "content": [{"type": "text", "text": ANSWER}], "stop_details": {"type": "refusal", "explanation": f"<think>{TRACE}"}}).encode()),
    "a trace in what is incomplete": (RESPONSES, JSON, json.dumps({**response([message_item()]), "incomplete_details": {"reason": "max_output_tokens", "reasoning": TRACE}}).encode()),
    **{f"a trace in a message of the end, {kind}": ("/v1beta/models/m:generateContent", JSON, json.dumps({"candidates": [{"content": {"role": "model", "parts": [{"text": ANSWER}]}, "finishMessage": said}]}).encode()) for kind, said in {"in tags": f"<think>{TRACE}</think>", "by its name": {"thinking": TRACE}}.items()},
    "tags in what audio says": (CHAT, JSON, chat({"content": None, "audio": {"id": "a", "data": "AAAA", "transcript": TAGGED}})),
    "tags in what audio says, in pieces": (CHAT, SSE, stream(*({"audio": {"transcript": word}} for word in in_words(TAGGED)))),
}  # fmt: skip

SENTENCE = "First I weigh every option, then the rest."
LABELLED: dict[str, tuple[str, bytes, bytes]] = {
    "keys of a trace": (CHAT, JSON, chat({"reasoning": {TRACE: 1, "step": {TRACE: {}}}})),
    "keys of a part": (CHAT, JSON, chat({"reasoning_details": [{"type": "reasoning.text", TRACE: "x", "text": "a"}]})),
    "a key beside a trace": (CHAT, JSON, chat({"reasoning": TRACE, TRACE: 1}, **{TRACE: {}})),
    "an escaped key beside a trace": (CHAT, JSON, chat({"reasoning": TRACE, "@": 1}).replace(b'"@"', b'"' + TRACE.encode().replace(b" ", b"\\u0020") + b'"')),
    "a message that is a string": (CHAT, JSON, json.dumps({"choices": [{"index": 0, "message": TAGGED}]}).encode()),
    "pieces that are strings": (CHAT, SSE, b"".join(b"data: " + json.dumps({"choices": [{"index": 0, "delta": word}]}).encode() + b"\n\n" for word in in_words(TAGGED))),
    "a comment between tags": (CHAT, SSE, f": {TAGGED}\n\n".encode() + stream({"content": ANSWER})),
    **{f"a block of {kind}": ("/v1/messages", JSON, json.dumps({"type": "message", "role": "assistant", "content": [{"type": kind, "text": TRACE}, {"type": "text", "text": ANSWER}]}).encode()) for kind in ("thought", "scratchpad", "analysis")},
    "another name": (CHAT, JSON, chat({"scratch_pad": TRACE, "self_talk": TRACE})),
}  # fmt: skip


@pytest.mark.parametrize("policy", ["strict", "baseline"])
@pytest.mark.parametrize("name", LABELLED)
def test_no_name_and_no_string_in_a_strange_place_tells_a_trace(name: str, policy: str) -> None:
    _, kind, upstream = LABELLED[name]
    left = answered(LABELLED[name], policy)
    assert find_leaks(upstream, TRACE)
    assert (left.status, find_leaks(left.body, TRACE)) == (200, [])
    if kind is JSON:
        json.loads(left.body)


@pytest.mark.parametrize("kind", ["plan", "compaction", "memory"])
def test_an_item_of_a_kind_that_nobody_knows_says_nothing_as_the_answer(kind: str) -> None:
    """Catches text of a new kind of item under a key of the answer, which a policy that hides unknown text let leave."""
    upstream = json.dumps(response([{"type": kind, "id": "x", "text": TRACE}, message_item()])).encode()
    left = run(ask(harden(replies([upstream], kind=JSON), "strict"), b'{"model":"m"}', path=RESPONSES))
    assert (find_leaks(left.body, TRACE), ANSWER.encode() in left.body) == ([], True)


def test_a_long_key_of_an_apps_own_stays() -> None:
    upstream = chat(
        extra={"a_name_that_is_rather_long_but_is_one": 1}, metadata={"what the caller called it so": 1}
    )
    asked = b'{"model":"m","messages":[]}'
    assert run(ask(harden(replies([upstream], kind=JSON), "strict"), asked, path=CHAT)).body == upstream


@pytest.mark.parametrize("status", [302, 400, 404, 429])
@pytest.mark.parametrize("words", [TAGGED, f"<p>&lt;think&gt;{TRACE}</p>"])
def test_words_that_are_no_json_tell_no_trace(status: int, words: str) -> None:
    left = run(ask(harden(replies([words.encode()], kind=b"text/html", status=status), "baseline"), b'{"messages":[]}', path=CHAT))  # fmt: skip
    assert find_leaks(left.body, TRACE) == []
    plain = run(ask(harden(replies([b"Not <b>Found</b>"], kind=b"text/html", status=status), "strict"), b'{"messages":[]}', path=CHAT))  # fmt: skip
    assert plain.body == b"Not <b>Found</b>"


@pytest.mark.parametrize(
    ("name", "value", "stays"),
    [
        ("x-reasoning", TRACE, False),
        ("X-Thinking-Text", TRACE, False),
        ("x-anything", f"<think>{TRACE}", False),
        ("x-reasoning-effort", "a very high one indeed", True),
        ("x-reasoning", "summary", True),
        ("link", "<https://example.org/think>; rel=help", True),
    ],
)
def test_no_header_tells_a_trace(name: str, value: str, stays: bool) -> None:
    for policy in ("strict", "baseline"):
        app = harden(replies([chat()], kind=JSON, headers=[(name.encode(), value.encode())]), policy)
        assert (name.lower() in run(ask(app, b'{"messages":[]}', path=CHAT)).headers) is stays


PLACES = {
    "text.value": [{"type": "text", "text": {"value": TAGGED}}],
    "text.content": {"text": {"content": TAGGED}},
    "output_text": [{"type": "output_text", "output_text": TAGGED}],
    "content": {"content": TAGGED},
    "parts": {"parts": [{"text": TAGGED}]},
    "parts that are texts": {"parts": [TAGGED]},
    "a trace beside a text": {"parts": [{"text": {"value": ANSWER, "thinking": TRACE}}]},
}
READ: dict[str, tuple[str, bytes, bytes]] = {
    **{f"chat {name}": (CHAT, JSON, chat({"content": said})) for name, said in PLACES.items()},
    **{f"chat {name}, in a stream": (CHAT, SSE, stream({"content": said})) for name, said in PLACES.items()},
    **{f"messages {name}": ("/v1/messages", JSON, json.dumps({"type": "message", "content": [{"type": "text", "text": {name: TAGGED}}]}).encode()) for name in ("value", "content", "text")},
    **{f"a {name} beside the answer": (CHAT, JSON, chat({name: TRACE})) for name in ("plan", "planning")},
    "a whole answer that nobody knows, its keys spelt out": (CHAT, JSON, chat(wrapped={"a": json.loads(chat({"content": TAGGED}))}).replace(b'"wrapped": {"a": {"id": "c", "object"', rb'"wrapped": {"a": {"id": "c", "o\u0062ject"').replace(b'"choices": [{"index": 0, "message": {"role": "assistant", "content": "<', rb'"ch\u006fices": [{"index": 0, "message": {"r\u006fle": "assistant", "content": "<').replace(b'"finish_reason": "stop"}]}}', rb'"f\u0069nish_reason": "stop"}]}}')),
    "an error among the events of a response": (RESPONSES, SSE, told("output_text.delta", output_index=0, delta=ANSWER) + event("error", code="server_error", message=TAGGED)),
    **{f"an error of a framework in {name}": (CHAT, JSON, json.dumps({"status": ANSWER, **said}).encode()) for name, said in FRAMEWORKS.items()},
    **{f"tags in {name} of {place} that is {what}": (CHAT, JSON, chat(**({"choice": {name: told}} if place == "a choice" else {name: told}))) for name in ("warnings", "log", "metadata", "system") for place in ("a choice", "an answer") for what, told in BESIDE.items()},
    "tags in warnings of a response": (RESPONSES, JSON, json.dumps({**response([message_item()]), "warnings": [TAGGED], "metadata": {"note": TAGGED}}).encode()),
    **{f"tags in {name}": (RESPONSES, JSON, json.dumps(response([call, message_item()])).encode()) for name, call in FAILED_TOOLS.items()},
    **{f"tags in {name}, in a stream": (RESPONSES, SSE, told("output_item.done", output_index=0, item=call) + told("output_text.delta", output_index=1, delta=ANSWER)) for name, call in FAILED_TOOLS.items()},
    **{f"tags in a failed tool's {what}": ("/v1/messages", JSON, json.dumps({"type": "message", "role": "assistant", "content": [{"type": "mcp_tool_result", "tool_use_id": "t", "content": said, "is_error": True}, {"type": "text", "text": ANSWER}]}).encode()) for what, said in (("words", TAGGED), ("blocks", [{"type": "text", "text": TAGGED}]))},
    "rows of a refusal": (CHAT, JSON, chat({"refusal": TAGGED}, choice={"logprobs": {"content": None, "refusal": TRACE_ROWS}})),
    "messages of one block": ("/v1/messages", JSON, json.dumps({"type": "message", "content": {"type": "text", "text": TAGGED}}).encode()),
    "messages of one trace": ("/v1/messages", JSON, json.dumps({"type": "message", "content": {"type": "thinking", "thinking": TRACE, "content": ANSWER}}).encode()),
    **{f"Ollama {name}": ("/api/generate", NDJSON, json.dumps({"model": "m", "response": {name: TAGGED}, "done": True}).encode()) for name in ("text", "content", "output_text")},
}  # fmt: skip


@pytest.mark.parametrize("policy", ["strict", "baseline"])
@pytest.mark.parametrize("name", READ)
def test_the_answer_is_read_in_places_of_imitators(name: str, policy: str) -> None:
    """Catches text that is hidden as unknown where a policy hides that, and leaves with its tags where not."""
    left = answered(READ[name], policy)
    assert find_leaks(READ[name][2], TRACE)
    assert left.status == 200
    assert find_leaks(left.body, TRACE) == []
    assert ANSWER.encode() in left.body


HANDED_OVER: dict[str, tuple[str, bytes, bytes]] = {
    "chat": (CHAT, JSON, chat({"tool_calls": [{"id": "t", "type": "function", "function": {"name": "f", "arguments": json.dumps({"thinking": TRACE})}}]})),
    "Ollama": ("/api/chat", NDJSON, json.dumps({"model": "m", "message": {"role": "assistant", "content": ANSWER, "tool_calls": [{"function": {"name": "f", "arguments": {"thinking": TRACE, "type": "reasoning"}}}]}, "done": True}).encode() + b"\n"),
    "Gemini": ("/v1beta/models/m:generateContent", JSON, json.dumps({"candidates": [{"content": {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {"thought": [TRACE]}}}]}, "finishMessage": "Stopped to think."}]}).encode()),
    "messages": ("/v1/messages", JSON, json.dumps({"type": "message", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {"thinking": TRACE}}], "stop_details": {"type": "refusal", "explanation": "No reasoning."}}).encode()),
    "a setting in an error": (CHAT, JSON, json.dumps({"error": {"message": "thinking may not be on", "param": "thinking", "input": {"thinking": {"type": "enabled"}}}}).encode()),
}  # fmt: skip


@pytest.mark.parametrize("name", HANDED_OVER)
def test_what_a_call_hands_over_stays_whatever_it_is_called(name: str) -> None:
    """Catches arguments that are taken for a trace by their names: they are the answer."""
    assert answered(HANDED_OVER[name], "strict").body == HANDED_OVER[name][2]


@pytest.mark.parametrize(
    "value",
    [
        chat(warnings=["The tag '<think>' stands in \"</think>\".", "a < b & c", "1 &lt; 2"]),
        chat(metadata={"note": "caf\u00e9 \u25c1 [this]"}),
        chat({"annotations": [{"type": "url_citation", "title": "How a <think> block is parsed"}]}),
    ],
)
def test_what_only_speaks_of_a_tag_stays(value: bytes) -> None:
    """Catches honest notes, and words of others, that are emptied."""
    asked = b'{"model":"m","messages":[]}'
    assert run(ask(harden(replies([value], kind=JSON), "strict"), asked, path=CHAT)).body == value


@pytest.mark.parametrize("content", [TAGGED, [{"type": "text", "text": TAGGED}]])
def test_what_a_tool_gave_back_is_the_tools(content: object) -> None:
    block = {"type": "mcp_tool_result", "tool_use_id": "t", "content": content, "is_error": False}
    upstream = json.dumps({"type": "message", "role": "assistant", "content": [block]}).encode()
    asked = b'{"model":"m","messages":[]}'
    left = run(ask(harden(replies([upstream], kind=JSON), "strict"), asked, path="/v1/messages"))
    assert left.body == upstream


@pytest.mark.parametrize(
    "words",
    ["Unexpected token '<think>'.", 'Stop may not be "</think>".', 'Found {"thinking": {"type": "enabled"}}', "x <br> y"],
)  # fmt: skip
def test_an_error_that_speaks_of_a_trace_stays(words: str) -> None:
    """Catches an error whose words go although they tell nothing."""
    upstream = json.dumps({"error": {"message": words, "code": "invalid"}}).encode()
    assert (
        run(ask(harden(replies([upstream], kind=JSON), "strict"), b'{"model":"m"}', path=CHAT)).body
        == upstream
    )


@pytest.mark.parametrize("path", ["/api/chat", CHAT])
def test_an_error_that_is_all_trace_is_still_one(path: str) -> None:
    """Catches an error without a word: clients take `""` for none, and the answer for whole."""
    upstream = json.dumps({"error": f"<think>{TRACE}"}).encode() + b"\n"
    left = run(ask(harden(replies([upstream], kind=JSON), "strict"), b'{"model":"m"}', path=path)).body
    assert find_leaks(left, TRACE) == []
    assert "withheld" in json.loads(left)["error"]


@pytest.mark.parametrize("name", LEAKS)
def test_no_place_tells_it(name: str) -> None:
    path, kind, upstream = LEAKS[name]
    plain = json.dumps([VALUE, ID])[1:-1].encode().split(b", ")
    assert find_leaks(upstream, TRACE) or any(number in upstream for number in plain)
    for size in (len(upstream), 17):
        cut = [upstream[at : at + size] for at in range(0, len(upstream), size)]
        asked = b'{"model":"m","stream":%s}' % (b"false" if kind is JSON else b"true")
        method = "GET" if "input_items" in path else "POST"
        left = run(ask(harden(replies(cut, kind=kind), "strict"), asked, path=path, method=method))
        assert left.status == 200
        assert find_leaks(left.body, TRACE) == []
        assert not [number for number in plain if number in left.body]
        assert ANSWER.encode() in left.body
