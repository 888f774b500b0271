"""Law 4: what may leave does so in the very send in which it came; nothing waits for what comes later."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from hardening.testing import find_leaks, harden
from tests.asgi.driver import ask, run
from tests.exchanges import ANSWER, DONE, TRACE, chunk, event, gemini_array, messages_stream, said, words
from tests.laws.formats import CHAT, FORMATS, GEMINI, MESSAGES, ROWS, Format

STARTS_OPEN = """\
version: 1
name: open
extends: baseline
defaults: {reasoning: {show: none, inline: starts_open}}
"""


def uncounted(frames: bytes) -> bytes:
    """Frames without their numbers, which are others where some went."""
    return re.sub(rb'"sequence_number": \d+', b"", frames)


EXACT = "version: 1\nname: exact\nextends: strict\ndefaults: {usage: keep}\n"
"""`strict`, with counts that leave as they came."""


def sent_within(
    pieces: Sequence[bytes],
    policy: str = "baseline",
    format: Format = CHAT,
    kind: bytes = b"",
) -> list[bytes | None]:
    """What the client got while the app was in its send of each piece; first, of the head (None: nothing)."""
    told: list[Message] = []
    shares: list[bytes | None] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def say(message: Message) -> None:
            before = len(told)
            await send(message)
            new = told[before:]
            shares.append(b"".join(one.get("body", b"") for one in new) if new else None)

        await receive()
        head = [(b"content-type", kind or format.kind)]
        await say({"type": "http.response.start", "status": 200, "headers": head})
        for piece in pieces:
            await say({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def on_send(message: Message) -> None:
        told.append(message)

    answer = run(ask(harden(app, policy), format.asked, path=format.path, on_send=on_send))
    assert answer.raised is None
    assert answer.ended
    return shares


@pytest.mark.parametrize("format", FORMATS, ids=lambda one: one.name)
@pytest.mark.parametrize("preset", ["baseline", EXACT, "observe"], ids=["baseline", "strict", "observe"])
def test_head_role_and_answer_leave_at_once(format: Format, preset: str) -> None:
    """Catches a head that waits for a body, a role that waits for the trace, an answer held for a summary."""
    shares = sent_within(format.stream, preset, format)
    assert shares[0] == b""  # the head, and it alone
    for at, (piece, share) in enumerate(zip(format.stream, shares[1:], strict=True)):
        if at not in format.hidden or preset == "observe":
            assert share is not None, piece
            if TRACE.encode() not in piece:  # as the whole has it once more
                assert uncounted(share).endswith(uncounted(piece))


@pytest.mark.parametrize("format", FORMATS, ids=lambda one: one.name)
def test_a_trace_holds_nothing_but_itself(format: Format) -> None:
    """Catches frames of a hidden trace that leave empty, and so tell how long it was."""
    shares = sent_within(format.stream, "strict", format)[1:]
    held = [piece for piece, share in zip(format.stream, shares, strict=True) if share is None]
    assert len(held) >= len(words(TRACE)) - 1  # the first frame says who speaks
    assert find_leaks(b"".join(share or b"" for share in shares), TRACE) == []


@pytest.mark.parametrize("kind", ["rows", "tools", "refusal", "two choices"])
def test_every_kind_of_answer_leaves_at_once(kind: str) -> None:
    """Catches rows, tool calls, refusals or a second choice that wait for more of their kind."""
    frames = {
        "rows": [chunk({"content": row["token"]}, logprobs={"content": [row]}) for row in ROWS],
        "tools": [
            chunk({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
            for piece in ('{"ci', 'ty":', ' "Rome"}')
        ],
        "refusal": [chunk({"refusal": word}) for word in ("I ", "will ", "not.")],
        "two choices": [chunk({"content": word}, index=at % 2) for at, word in enumerate(words(ANSWER))],
    }[kind]
    head = [chunk({"role": "assistant", "content": ""}, index=index) for index in (0, 1)]
    trace = [chunk({"reasoning": word}) for word in words(TRACE)]
    shares = sent_within([*head, *trace, *frames, DONE])[1 + len(head) + len(trace) :]
    for frame, share in zip(frames, shares, strict=False):
        assert share is not None, frame
        mine = json.loads(frame[6:])["choices"][0]["delta"]
        assert mine == json.loads(share.strip().split(b"\n\n")[-1][6:])["choices"][0]["delta"]


def test_pieces_leave_with_the_byte_that_completes_them() -> None:
    """Catches a frame that is kept until the next one begins, or several that wait for the last."""
    role, words_ = CHAT.stream[0], [chunk({"content": word}) for word in words(ANSWER)]
    halves = [half for word in words_ for half in (word[:30], word[30:])]
    shares = sent_within([role, *halves, DONE])[2:]
    assert [share for share in shares[1::2] if share][: len(words_)] == words_
    joined = sent_within([role + words_[0], words_[1] + words_[2] + words_[3][:9], words_[3][9:], DONE])
    assert joined[1:4] == [role + words_[0], words_[1] + words_[2], words_[3]]


@pytest.mark.parametrize("preset", ["baseline", EXACT, "observe"], ids=["baseline", "strict", "observe"])
def test_an_array_begins_with_its_first_byte_and_each_element_leaves_with_its_last(preset: str) -> None:
    """Catches an array that is gathered like a body, or an element that waits for the comma behind it."""
    first, *rest = gemini_array()
    pieces = [b"[", first[1:], *rest]
    shares = sent_within(pieces, preset, GEMINI, kind=b"application/json; charset=UTF-8")
    assert shares[0] == (b"" if preset == "observe" else None)  # what follows may be one body
    assert shares[1] == b"["
    for piece, share in zip(pieces[1:], shares[2:], strict=True):
        # The comma that came may stand before a seal of ours.
        whole = piece.lstrip() if preset == "observe" else piece.lstrip(b" ,\r\n")
        assert (share is not None and share.endswith(whole)) or (
            b'"thought"' in piece and preset != "observe"
        )


def test_only_a_model_that_starts_open_waits_and_only_for_its_tag() -> None:
    """Catches a declared open trace that leaks, and text after its tag that still waits."""
    pieces = [CHAT.stream[0], *(chunk({"content": word}) for word in words(TRACE))]
    tag, after = chunk({"content": "</think>"}), [chunk({"content": word}) for word in words(ANSWER)]
    tagged = sent_within(pieces)[2:]
    assert tagged == pieces[1:]  # nothing says that this is a trace
    shares = sent_within([*pieces, tag, *after, DONE], STARTS_OPEN)
    assert shares[1] == pieces[0]
    assert not any(shares[2 : len(pieces) + 1])
    assert shares[-len(after) - 1 : -1] == after
    assert said(b"".join(share or b"" for share in shares), "content") == ANSWER


def test_a_block_of_text_is_not_held_by_one_of_thinking_beside_it() -> None:
    """Catches messages whose text waits until an interleaved thinking block stops."""
    start, thinking = messages_stream()[0], messages_stream()[1]

    def delta(index: int, **more: Any) -> bytes:
        return event("content_block_delta", index=index, delta=more)

    text = event("content_block_start", index=1, content_block={"type": "text", "text": ""})
    said_ = [delta(1, type="text_delta", text=word) for word in words(ANSWER)]
    thought = delta(0, type="thinking_delta", thinking=TRACE)
    shares = sent_within([start, thinking, thought, text, *said_], "strict", MESSAGES)
    assert shares[-len(said_) :] == said_
