"""Law 1 against new releases: a trace under a name that no table knows is told to the operator, or kept back."""

from __future__ import annotations

import json
import logging

import pytest
from prometheus_client import generate_latest

from hardening.testing import Hardened, find_leaks, harden
from tests.asgi.driver import Answer, ask, replies, run
from tests.exchanges import ANSWER, TRACE, chunk, deltas, said, words
from tests.laws.formats import CHAT, COMPLETIONS, FORMATS, GEMINI, MESSAGES, RESPONSES, Format

# What a new release might call it: the names of fields, of events and of parts, none of which speaks of reasoning.
RENAMED: dict[str, list[tuple[bytes, bytes]]] = {
    CHAT.name: [(b'"reasoning_content"', b'"inner_voice"')],
    COMPLETIONS.name: [],
    MESSAGES.name: [(b'"thinking_delta", "thinking"', b'"voice_delta", "voice"'), (b'"thinking"', b'"voice"')],
    RESPONSES.name: [(b"reasoning_text", b"inner_voice"), (b'"type": "reasoning"', b'"type": "voice"'), (b'"summary": []', b'"x": []')],
    GEMINI.name: [(b'"text": ', b'"voice": ')],
}  # fmt: skip
PATHS = {
    CHAT.name: "choices[].delta.inner_voice",
    COMPLETIONS.name: "choices[].voice",
    MESSAGES.name: "delta.voice",
    RESPONSES.name: "delta",
    GEMINI.name: "candidates[].content.parts[].voice",
    "ollama_chat": "message.voice",
    "ollama_generate": "voice",
}


def renamed(format: Format, trace: str = TRACE) -> list[bytes]:
    """The format's stream with its trace under another name."""
    pairs = RENAMED.get(format.name, [(b'"thinking"', b'"voice"')])
    if format is COMPLETIONS:
        told = [
            b"data: "
            + json.dumps({"id": "c", "choices": [{"index": 0, "text": "", "voice": word}]}).encode()
            + b"\n\n"
            for word in words(trace)
        ]
        return [format.stream[0], *told, *format.stream[format.hidden.stop :]]
    out = []
    for at, piece in enumerate(format.stream):
        if at in format.hidden or format is RESPONSES:
            if format is GEMINI:
                piece = piece.replace(b',"thought": true', b"")
            for old, new in pairs:
                piece = piece.replace(old, new)
        out.append(piece)
    return out


def answer(hardened: Hardened, format: Format) -> Answer:
    return run(ask(hardened, format.asked, path=format.path))


@pytest.mark.parametrize("format", FORMATS, ids=lambda format: format.name)
@pytest.mark.parametrize("size", [0, 1, 13])
def test_a_trace_under_a_new_name_is_kept_back(format: Format, size: int) -> None:
    """Catches a renamed trace that leaves, and an answer that is kept back with it."""
    pieces = renamed(format)
    whole = b"".join(pieces)
    if size:
        pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
    hardened = harden(replies(pieces, kind=format.kind), "strict")
    left = answer(hardened, format)
    assert find_leaks(whole, TRACE)
    assert find_leaks(left.body, TRACE) == []
    assert find_leaks(left.body, ANSWER)
    (receipt,) = hardened.receipts
    assert "unknown_text" in receipt.reasons
    assert "reasoning" in receipt.changed


@pytest.mark.parametrize("policy", ["baseline", "observe"])
@pytest.mark.parametrize("format", FORMATS, ids=lambda format: format.name)
def test_it_is_reported_once_by_the_name_of_its_field(
    format: Format, policy: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Catches a report that tells the text, comes with every answer, or changes a byte."""
    pieces = renamed(format)
    hardened = harden(replies(pieces, kind=format.kind), policy)
    with caplog.at_level(logging.WARNING, "hardening"):
        bodies = [answer(hardened, format).body for _ in range(3)]
    assert all("unknown_text" in receipt.reasons for receipt in hardened.receipts)
    assert all(find_leaks(body, TRACE) for body in bodies)
    if policy == "observe":
        assert bodies == [b"".join(pieces)] * 3
    lines = [record.getMessage() for record in caplog.records if "does not know" in record.getMessage()]
    assert len(lines) == len(set(lines))
    assert any(f"text in {PATHS[format.name]} of {format.name}," in line for line in lines)
    assert not any(word in line for line in lines for word in ("apples", "gives", "check"))
    metrics = generate_latest(hardened.options.registry).decode()
    assert 'hardening_alarms_total{kind="unknown_text"} 3.0' in metrics


def test_a_policy_that_shows_reasoning_shows_it_under_any_name() -> None:
    text = "version: 1\nname: open\ndefaults: {reasoning: {show: full}}\non_failure: {unknown_text: hide}\n"
    hardened = harden(replies(renamed(CHAT), kind=CHAT.kind), text)
    assert find_leaks(answer(hardened, CHAT).body, TRACE)
    assert hardened.receipts[0].reasons == ()


def test_their_number_does_not_tell_how_long_the_trace_was() -> None:
    """Catches a chunk that leaves empty for each piece that was kept back."""
    lengths = set()
    for times in (2, 9):
        told = [chunk({"inner_voice": word}) for _ in range(times) for word in words(TRACE)]
        stream = [
            chunk({"role": "assistant", "content": ""}),
            *told,
            chunk({"content": ANSWER}),
            chunk({}, finish="stop"),
        ]
        left = answer(harden(replies(stream, kind=CHAT.kind), "strict"), CHAT)
        lengths.add(len(deltas(left.body)))
    assert len(lengths) == 1


def test_no_shape_that_was_learnt_lets_it_through() -> None:
    """Catches a chunk that is only compared, and so is not looked at for a field that came later."""

    def rows(word: str, **more: str) -> dict[str, object]:
        return {**more, "content": [{"token": word, "logprob": -0.5, "bytes": None, "top_logprobs": []}]}

    answered, told = words(ANSWER), words(TRACE)
    pieces = [
        chunk({"role": "assistant", "content": ""}),
        *(chunk({"content": word}) for word in answered * 6),
        *(chunk({"content": "so ", "inner_voice": word}) for word in told),
        *(chunk({"content": word}, logprobs=rows(word)) for word in answered * 6),
        *(chunk({"content": word}, logprobs=rows(word, voice=word)) for word in told),
        *(chunk({"content": word}) for word in answered),
    ]
    text = "version: 1\nextends: baseline\nname: hiding\non_failure: {unknown_text: hide}\n"
    left = answer(harden(replies(pieces, kind=CHAT.kind), text), CHAT).body
    held = [choice.get("logprobs") or {} for value in deltas(left) for choice in value["choices"]]  # type: ignore[attr-defined]
    assert said(left, "inner_voice") == "Tom has 5 apples. "
    assert "".join(row.get("voice", "") for row in held) == "Tom has 5 apples. "
    assert said(left, "content") == ANSWER * 6 + "so " * len(told) + ANSWER * 6 + TRACE + ANSWER


@pytest.mark.parametrize("status", [400, 429, 500])
def test_the_words_of_an_error_stay(status: int) -> None:
    told = json.dumps(
        {"detail": "The model is loaded and does not answer before it has been warmed up for a while."}
    )
    hardened = harden(replies([told.encode()], kind=b"application/json", status=status), "strict")
    assert answer(hardened, CHAT).body == told.encode()
    assert "unknown_text" not in hardened.receipts[0].reasons


WHY = "Chose the first server that may answer, as the caller asked; two others stand ready behind it. "
ROUTING = {"routing": {"internalReasoning": WHY, "planningReasoning": WHY * 3, "attempts": [{"error": WHY}]}}
ROWS = [{"token": f" token {n}", "tokenId": n, "logProbability": -0.5} for n in range(64)]
OTHERS: dict[str, tuple[Format, dict[str, object]]] = {
    "why a gateway chose a server": (CHAT, {"id": "c", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"provider_metadata": {"gateway": ROUTING}}, "finish_reason": "stop"}]}),
    "rows of Gemini": (GEMINI, {"candidates": [{"index": 0, "content": {"role": "model", "parts": [{"text": "a"}]}, "logprobsResult": {"chosenCandidates": ROWS, "topCandidates": [{"candidates": ROWS}]}}]}),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_words_of_a_gateway_and_tokens_of_rows_raise_no_alarm(name: str) -> None:
    """Catches an honest field that is told as a trace because of its name or its length."""
    format, value = OTHERS[name]
    stream = [b"data: " + json.dumps(value).encode() + b"\r\n\r\n"] * 3
    hardened = harden(replies(stream, kind=format.kind), "observe")
    assert answer(hardened, format).body == b"".join(stream)
    assert hardened.receipts[0].reasons == ()
    if format is CHAT:
        assert (
            answer(harden(replies(stream, kind=format.kind), "strict"), format).body.count(WHY.encode()) >= 3
        )


@pytest.mark.parametrize(
    "path", ["provider_metadata.gateway", "provider_metadata", "providerMetadata.gateway"]
)
def test_a_trace_beside_the_words_of_a_gateway_is_one(path: str) -> None:
    """Catches metadata that were opened so far that a trace leaves in them."""
    stream = []
    for word in words(TRACE):
        value: object = {"reasoning_content": word}
        for key in reversed(path.split(".")):
            value = {key: value}
        stream.append(chunk(value))  # type: ignore[arg-type]
    assert find_leaks(answer(harden(replies(stream, kind=CHAT.kind), "baseline"), CHAT).body, TRACE) == []
