"""Bodies through the official clients, with a transport that answers from memory."""

from __future__ import annotations

from collections.abc import Callable

import anthropic
import httpx2
import openai

from bench.corpus.recordings import Recording

_STRICT = "with strict validation"
_LENIENT = "as it is"
_PARSED = "parsed"
_MESSAGES = [{"role": "user", "content": "?"}]


class Clients:
    """The official clients of both vendors, each once as it is and once with strict validation."""

    def __init__(self) -> None:
        self._answer = httpx2.Response(200)
        self._control: tuple[str, dict[str, str]] = ("", {})
        transport = httpx2.Client(transport=httpx2.MockTransport(lambda _: self._answer))
        common = {"api_key": "none", "http_client": transport, "max_retries": 0}
        self._openai, self._anthropic = (
            {
                strict: client(base_url="http://model", _strict_response_validation=strict, **common)
                for strict in (False, True)
            }
            for client in (openai.OpenAI, anthropic.Anthropic)
        )

    def failures(self, recording: Recording, body: bytes) -> list[str]:
        """The ways of calling that end for `body` otherwise than for the recording, where that one parses.

        Of a refusal the client raises the same error for both.
        """
        if body == recording.body:
            return []
        if self._control[0] != recording.id:
            self._control = recording.id, self._expected(recording)
        ways = self._ways(recording)
        found = {way: self._end(ways[way], recording, body) for way in self._control[1]}
        return [
            f"{way}: {expected} became {found[way]}"
            for way, expected in self._control[1].items()
            if found[way] != expected
        ]

    def _expected(self, recording: Recording) -> dict[str, str]:
        """How the ways that a recording allows end for it; what parses strictly need not be read leniently."""
        refused = recording.status >= 400
        ends = {}
        for way, call in self._ways(recording).items():
            if way != _LENIENT or _STRICT not in ends:
                end = self._end(call, recording, recording.body)
                if refused or end == _PARSED:
                    ends[way] = end
        return ends

    def _end(self, call: Callable[[], None], recording: Recording, body: bytes) -> str:
        headers = {"content-type": recording.content_type}
        self._answer = httpx2.Response(recording.status, headers=headers, content=body)
        try:
            call()
        except Exception as error:  # noqa: BLE001  whatever a client raises is its answer
            return type(error).__name__
        return _PARSED

    def _ways(self, recording: Recording) -> dict[str, Callable[[], None]]:
        if recording.format == "openai_chat":
            return self._openai_ways(recording.stream)
        return self._anthropic_ways(recording.stream)

    def _openai_ways(self, stream: bool) -> dict[str, Callable[[], None]]:
        def plain(strict: bool) -> None:
            self._openai[strict].chat.completions.create(model="m", messages=_MESSAGES)

        def chunks(strict: bool) -> None:
            for _ in self._openai[strict].chat.completions.create(model="m", messages=_MESSAGES, stream=True):
                pass

        def helper() -> None:
            with self._openai[False].chat.completions.stream(model="m", messages=_MESSAGES) as events:
                events.until_done().get_final_completion()

        return _ways(plain, chunks, helper, stream=stream)

    def _anthropic_ways(self, stream: bool) -> dict[str, Callable[[], None]]:
        common = {"model": "m", "max_tokens": 64, "messages": _MESSAGES}

        def plain(strict: bool) -> None:
            self._anthropic[strict].messages.create(**common)

        def events(strict: bool) -> None:
            for _ in self._anthropic[strict].messages.create(**common, stream=True):
                pass

        def helper() -> None:
            with self._anthropic[False].messages.stream(**common) as events:
                events.get_final_message()

        return _ways(plain, events, helper, stream=stream)


def _ways(
    plain: Callable[[bool], None],
    chunks: Callable[[bool], None],
    helper: Callable[[], None],
    *,
    stream: bool,
) -> dict[str, Callable[[], None]]:
    read = chunks if stream else plain
    ways: dict[str, Callable[[], None]] = {
        _STRICT: lambda: read(True),
        _LENIENT: lambda: read(False),
    }
    if stream:
        ways["with the stream helper"] = helper
    return ways
