"""Bodies through the official clients, with a transport that answers from memory."""

from __future__ import annotations

from collections.abc import Callable

import httpx2

from bench.corpus.dialects import DIALECTS
from bench.corpus.dialects.dialect import LENIENT, STRICT, Ways
from bench.corpus.recordings import Recording

_PARSED = "parsed"


class Clients:
    """The official clients of each format, each once as it is and, where it can, with strict validation."""

    def __init__(self) -> None:
        self._answer = httpx2.Response(200)
        self._control: tuple[str, dict[str, str]] = ("", {})
        transport = httpx2.MockTransport(lambda _: self._answer)
        self._by_format = {
            (name, stream): dialect.ways(transport, stream)
            for name, dialect in DIALECTS.items()
            for stream in (False, True)
        }

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
            if way != LENIENT or STRICT not in ends:
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

    def _ways(self, recording: Recording) -> Ways:
        return self._by_format[recording.format, recording.stream]
