"""Request bodies are read once, whole and up to a limit."""

from __future__ import annotations

import pytest
from starlette.types import Message

from hardening.asgi.body import BodyTooLarge, ClientGone, read_body
from tests.asgi.driver import run


def reading(messages: list[Message], limit: int = 10, length: bytes | None = None) -> bytes:
    async def receive() -> Message:
        return messages.pop(0)

    return run(read_body(length, receive, limit))


def piece(body: bytes, more: bool) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


def test_one_message_gives_the_same_object() -> None:
    body = b"0123456789"
    assert reading([piece(body, False)]) is body


def test_pieces_are_joined_and_a_message_may_lack_its_body() -> None:
    assert (
        reading([piece(b"01", True), {"type": "http.request", "more_body": True}, piece(b"2", False)])
        == b"012"
    )


def test_an_announced_length_over_the_limit_is_refused_before_anything_is_read() -> None:
    messages = [piece(b"x", False)]
    with pytest.raises(BodyTooLarge):
        reading(messages, length=b"11")
    assert len(messages) == 1


def test_a_body_longer_than_announced_is_refused_and_what_was_taken_is_kept() -> None:
    with pytest.raises(BodyTooLarge) as caught:
        reading([piece(b"01234", True), piece(b"567890", True)], length=b"5")
    assert [message["body"] for message in caught.value.taken] == [b"01234", b"567890"]


def test_a_client_that_leaves_ends_the_reading() -> None:
    with pytest.raises(ClientGone):
        reading([piece(b"0", True), {"type": "http.disconnect"}])
