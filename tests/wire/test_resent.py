"""Reasoning that a client sends back: summaries of ours are taken out, what the model's own API needs stays."""

from __future__ import annotations

import json

import pytest

from hardening.facts import Decision, ReasoningTerms, Show
from hardening.wire.codec import CODECS
from hardening.wire.mark import MARK
from hardening.wire.requests import Edits
from tests.exchanges import HIDDEN, SHADOW, SIGNED, SUMMARISED, SUMMARY, TRACE, exchange

CALL = f"call_x__thought__{SIGNED}"  # so a gateway hides a signature: an id, and nobody's to edit
ASKED = {"role": "user", "content": "thinking about reasoning"}


def messages(*content: object, **said: object) -> dict[str, object]:
    return {"model": "m", "messages": [ASKED, {"role": "assistant", "content": list(content), **said}, ASKED]}


def contents(*parts: object) -> dict[str, object]:
    return {"contents": [{"role": "user", "parts": [{"text": "q"}]}, {"role": "model", "parts": list(parts)}]}


TEXT = {"type": "text", "text": "thinking"}
OURS = {"type": "thinking", "thinking": SUMMARY, "signature": ""}
SIGNED_BLOCK = {"type": "thinking", "thinking": TRACE, "signature": SIGNED}
REDACTED = {"type": "redacted_thinking", "data": SIGNED}
DETAIL = {
    "type": "reasoning.text",
    "text": SUMMARY,
    "signature": "",
    "format": "anthropic-claude-v1",
    "index": 0,
}
ENCRYPTED = {"type": "reasoning.encrypted", "data": SIGNED, "index": 2}
PART = {"type": "thinking", "thinking": [{"type": "text", "text": SUMMARY}]}
TOOLS = {"tool_calls": [{"id": CALL, "type": "function", "function": {"name": "f", "arguments": "{}"}}]}
CALLED = {"functionCall": {"name": "f", "id": CALL}, "thoughtSignature": SIGNED}
ITEM = {"type": "reasoning", "id": "rs_1"}
SEALED = {**ITEM, "summary": [], "encrypted_content": SIGNED}

# By format: what a client sends back, and what goes on to the server.
RESENT: dict[str, tuple[str, object, object]] = {
    "unsigned blocks": ("anthropic_messages", messages(OURS, TEXT), messages(TEXT)),
    "signed blocks": ("anthropic_messages", messages(SIGNED_BLOCK, TEXT), messages(SIGNED_BLOCK, TEXT)),
    "redacted blocks": ("anthropic_messages", messages(REDACTED, TEXT), messages(REDACTED, TEXT)),
    "parts": ("openai_chat", messages(PART, TEXT), messages(TEXT)),
    "signed parts": ("openai_chat", messages({**PART, "signature": SIGNED}, TEXT), messages({**PART, "signature": SIGNED}, TEXT)),
    "calls whose id holds a signature": ("openai_chat", messages(PART, TEXT, **TOOLS), messages(TEXT, **TOOLS)),
    "details, and what DeepSeek wants back": (
        "openai_chat",
        messages(TEXT, reasoning_content=SUMMARY, reasoning_details=[{"type": "reasoning.encrypted", "data": SIGNED}]),
        messages(TEXT, reasoning_content=SUMMARY, reasoning_details=[{"type": "reasoning.encrypted", "data": SIGNED}]),
    ),
    "details of text": (
        "openai_chat",
        messages(TEXT, reasoning_details=[DETAIL, {**DETAIL, "text": TRACE, "signature": SIGNED, "index": 1}, ENCRYPTED], **TOOLS),
        messages(TEXT, reasoning_details=[{**DETAIL, "text": TRACE, "signature": SIGNED, "index": 1}, ENCRYPTED], **TOOLS),
    ),
    "details of text alone": ("openai_chat", messages(TEXT, reasoning=SUMMARY, reasoning_details=[DETAIL]), messages(TEXT, reasoning=SUMMARY, reasoning_details=[])),
    "blocks beside the text": (
        "openai_chat",
        messages(TEXT, thinking_blocks=[REDACTED, OURS, SIGNED_BLOCK], **TOOLS),
        messages(TEXT, thinking_blocks=[REDACTED, SIGNED_BLOCK], **TOOLS),
    ),
    "blocks beside the text alone": (
        "openai_chat",
        {"model": "m", "messages": [{"thinking_blocks": [{**OURS, "signature": None}], "role": "assistant", "content": "thinking"}, ASKED]},
        {"model": "m", "messages": [{"thinking_blocks": [], "role": "assistant", "content": "thinking"}, ASKED]},
    ),
    "signed and sealed blocks beside the text": (
        "openai_chat",
        messages(TEXT, thinking_blocks=[SIGNED_BLOCK, REDACTED], reasoning_details=[ENCRYPTED]),
        messages(TEXT, thinking_blocks=[SIGNED_BLOCK, REDACTED], reasoning_details=[ENCRYPTED]),
    ),
    "items with content": ("openai_responses", {"input": [ASKED, {**ITEM, "content": [{"type": "reasoning_text", "text": SUMMARY}]}]}, {"input": [ASKED]}),
    "items with a summary": ("openai_responses", {"input": [ASKED, {**ITEM, "summary": [{"type": "summary_text", "text": SUMMARY}]}]}, {"input": [ASKED, {**ITEM, "summary": []}]}),
    "sealed items": ("openai_responses", {"input": [ASKED, SEALED]}, {"input": [ASKED, SEALED]}),
    "thoughts": ("gemini_generate", contents({"text": SUMMARY, "thought": True}, {"text": "a"}), contents({"text": "a"})),
    "signed thoughts and calls": (
        "gemini_generate",
        contents({"text": SUMMARY, "thought": True, "thoughtSignature": SIGNED}, CALLED),
        contents({"text": SUMMARY, "thought": True, "thoughtSignature": SIGNED}, CALLED),
    ),
    "a message's thinking": (
        "ollama_chat",
        {"model": "m", "messages": [{"role": "assistant", "content": "a", "thinking": SUMMARY, **TOOLS}, ASKED]},
        {"model": "m", "messages": [{"role": "assistant", "content": "a", "thinking": "", **TOOLS}, ASKED]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("decision", [SUMMARISED, HIDDEN])
@pytest.mark.parametrize("name", RESENT)
def test_only_our_own_summaries_do_not_go_on(name: str, decision: Decision) -> None:
    """Catches a format whose clients are not known to send reasoning back, and a seal or an id that was edited."""
    format, sent, left = RESENT[name]
    body = json.dumps(sent).encode()
    made = exchange(format, Decision(reasoning=decision.reasoning))
    assert json.loads(made.request(body)) == left
    assert (made.request(body) == body) is (sent == left)


@pytest.mark.parametrize("decision", [SHADOW, Decision(reasoning=ReasoningTerms(show="full"))])
@pytest.mark.parametrize("name", RESENT)
def test_where_nothing_is_hidden_all_of_it_goes_on(name: str, decision: Decision) -> None:
    format, sent, _ = RESENT[name]
    body = json.dumps(sent).encode()
    assert exchange(format, decision).request(body) == body


def test_a_format_whose_clients_send_nothing_back_is_not_looked_through() -> None:
    assert {name for name, codec in CODECS.items() if not codec.resends} == {
        "openai_completions",
        "openai_embeddings",
        "gemini_embed",
        "ollama_embed",
        "cohere_embed",
        "scores",
    }


SEAL = MARK + "A" * 500
# What stays of the bodies above where only what was sealed here may come back; None for all of it.
SEALED_ONLY: dict[str, object] = {
    "unsigned blocks": messages(TEXT),
    "signed blocks": messages(TEXT),
    "redacted blocks": messages(TEXT),
    "parts": messages(TEXT),
    "signed parts": messages(TEXT),
    "calls whose id holds a signature": messages(TEXT, **TOOLS),
    "details, and what DeepSeek wants back": messages(TEXT, reasoning_content="", reasoning_details=[]),
    "details of text": messages(TEXT, reasoning_details=[], **TOOLS),
    "details of text alone": messages(TEXT, reasoning="", reasoning_details=[]),
    "blocks beside the text": messages(TEXT, thinking_blocks=[], **TOOLS),
    "signed and sealed blocks beside the text": messages(TEXT, thinking_blocks=[], reasoning_details=[]),
    "items with content": {"input": [ASKED]},
    "items with a summary": {"input": [ASKED, {**ITEM, "summary": []}]},
    "sealed items": {"input": [ASKED]},
    "thoughts": contents({"text": "a"}),
    "signed thoughts and calls": contents(CALLED),
    "a message's thinking": RESENT["a message's thinking"][2],
}


@pytest.mark.parametrize("show", ["full", "none"])
@pytest.mark.parametrize("name", SEALED_ONLY)
def test_where_only_seals_may_come_back_all_else_goes(name: str, show: Show) -> None:
    """Catches a signature of somebody else that is taken for ours, and a plain field that no block tells of."""
    format, sent, _ = RESENT[name]
    made = exchange(format, Decision(reasoning=ReasoningTerms(show=show, resent="sealed")))
    assert json.loads(made.request(json.dumps(sent).encode())) == SEALED_ONLY[name]


@pytest.mark.parametrize("name", [name for name in SEALED_ONLY if SIGNED in json.dumps(RESENT[name][1])])
def test_what_was_sealed_here_is_left_for_who_opens_it(name: str) -> None:
    format, sent, _ = RESENT[name]
    ours = json.dumps(sent).replace(f'"{SIGNED}"', f'"{SEAL}"')
    edits = Edits(drop_resent=True, drop_unsealed=True)
    left = CODECS[format].edit_request(ours.encode(), edits).decode()
    assert left.count(SEAL) == ours.count(SEAL)
