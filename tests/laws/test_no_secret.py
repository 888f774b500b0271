"""Law 9: keys, prompts, traces and answers are in no log, metric, audit line, error, traceback or store."""

from __future__ import annotations

import io
import json
import logging
import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest
from starlette.types import ASGIApp, Receive, Scope, Send

from hardening import HardeningError, PolicyError, Receipt, load_policy
from hardening.exchange import Exchange
from hardening.state import MemoryStore
from hardening.testing import Hardened, harden
from hardening.wire.codec import CODECS
from tests.asgi.driver import Answer, ask, run
from tests.exchanges import ANSWER, TRACE, chunk
from tests.exchanges import run as exchanged
from tests.laws.formats import CHAT, FORMATS, GEMINI, Format
from tests.laws.held import texts_held_by

MARKS = {
    "key": "sk-mark-of-a-key-4711",
    "prompt": "prompt-mark-of-a-caller",
    "trace": "trace-mark-of-a-model, long enough to count",
    "answer": "answer-mark-of-a-model",
    "query": "query-mark-of-a-caller",
    "fault": "fault-mark-of-an-app",
    "secret": "secret-mark-of-the-operator, 32 bytes and more",
}
POLICY = """\
version: 1
name: silent
limits:
  calls: {{requests: 4, per: 30d}}
  minute: {{tokens: 100k, per: 30d}}
  trial: {{requests: 5, per: 30d}}
accounts: {{unproven: {{limits: [trial]}}}}
defaults: {{limits: [calls, minute], reasoning: {{show: none}}, logprobs: {{top: 2}}}}
rules:
  - {{name: closed, match: {{model: closed}}, refuse: {{status: 403, message: not open}}}}
on_failure: {{internal: {internal}, unreadable: {internal}}}
runtime: {{audit: {{file: "{audit}"}}, max_body: 4k}}
"""


def spoken(format: Format, streamed: bool) -> list[bytes]:
    """The format's answer with our marks in trace and answer."""
    trace, answer = MARKS["trace"].encode(), MARKS["answer"].encode()
    if not streamed:
        return [format.whole.replace(TRACE.encode(), trace).replace(ANSWER.encode(), answer)]
    return [
        piece.replace(b"Tom ", trace if at in format.hidden else answer)
        for at, piece in enumerate(format.stream)
    ]


def app_of(way: str, format: Format) -> ASGIApp:
    """An app that answers, breaks, or says what nobody can read, always with marks."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        streamed = way.startswith("stream")
        kind = format.kind if streamed else b"application/json"
        headers = [(b"content-type", kind), (b"x-note", MARKS["answer"].encode())]
        if way == "raise first":
            raise RuntimeError(MARKS["fault"], MARKS["trace"])
        pieces = {
            "unreadable": [b'{"choices": [' + MARKS["trace"].encode()],
            "html": [b"<html>" + MARKS["trace"].encode()],
            "packed": [b"\x1f\x8b" + MARKS["trace"].encode()],
            "stream odd": [chunk({"role": "assistant"}), b"data: {" + MARKS["trace"].encode() + b"\n\n"],
        }.get(way, spoken(format, streamed))
        if way == "packed":
            headers.append((b"content-encoding", b"gzip"))
        await send(
            {"type": "http.response.start", "status": 401 if way == "401" else 200, "headers": headers}
        )
        for at, piece in enumerate(pieces):
            if way == "stream raise" and at == 9:
                raise RuntimeError(MARKS["fault"], MARKS["trace"])
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        if way != "no end":
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    return app


WAYS = [
    "whole",
    "stream",
    "stream raise",
    "stream odd",
    "raise first",
    "unreadable",
    "html",
    "packed",
    "401",
    "no end",
]
BODIES = {
    "good": json.dumps({"model": "m", "messages": [{"role": "user", "content": MARKS["prompt"]}]}).encode(),
    "closed": json.dumps(
        {"model": "closed", "messages": [{"role": "user", "content": MARKS["prompt"]}]}
    ).encode(),
    "broken": b'{"model": "m", "messages": ' + MARKS["prompt"].encode(),
    "list": json.dumps([MARKS["prompt"]]).encode(),
    "large": MARKS["prompt"].encode() * 400,
}


def asked(hardened: Hardened, format: Format, body: bytes) -> Answer:
    key = MARKS["key"].encode()
    name = {CHAT: (b"authorization", b"Bearer " + key), GEMINI: (b"x-goog-api-key", key)}
    query = b"key=" + key + b"&alt=sse&q=" + MARKS["query"].encode()
    return run(
        ask(
            hardened,
            body,
            path=format.path,
            headers=[name.get(format, (b"x-api-key", key))],
            query_string=query,
        )
    )


@pytest.fixture
def records(caplog: pytest.LogCaptureFixture) -> Iterator[io.StringIO]:
    """All that any logger says at any level, with its tracebacks."""
    said = io.StringIO()
    handler = logging.StreamHandler(said)
    handler.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s %(args)s"))
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield said
    root.removeHandler(handler)
    root.setLevel(level)


def marks_in(text: str | bytes) -> set[str]:
    text = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return {name for name, mark in MARKS.items() if mark in text or mark[4:24] in text}


def mounted(way: str, format: Format, audit: Path, internal: str = "block") -> Hardened:
    policy = POLICY.format(audit=audit, internal=internal)
    return harden(app_of(way, format), policy, environment={"HARDENING_KEY": MARKS["secret"]})


@pytest.mark.parametrize("internal", ["block", "pass"])
@pytest.mark.parametrize("format", FORMATS, ids=lambda one: one.name)
def test_whatever_happens_nothing_is_told(
    format: Format, internal: str, records: io.StringIO, tmp_path: Path
) -> None:
    """Catches a text of an exception, a repr, a body or a query string in what an operator reads."""
    seen: list[Receipt] = []

    def fails(receipt: Receipt) -> None:
        seen.append(receipt)
        raise ValueError(MARKS["prompt"])

    for way in WAYS:
        audit = tmp_path / f"{way}.jsonl"
        hardened = mounted(way, format, audit, internal)
        hardened.options = replace(hardened.options, on_receipt=fails)
        for body in BODIES.values():
            answer = asked(hardened, format, body)
            if answer.messages and answer.status >= 400 and way != "401":
                assert marks_in(answer.body) == set()
            assert internal == "pass" or marks_in(answer.body) <= {"answer"}
        assert hardened.service is not None
        hardened.service._announce()
        run(hardened.service.close())
        assert len(audit.read_text().splitlines()) == len(seen) >= 4
        assert marks_in(audit.read_text()) == set()
        assert marks_in(generate_latest(hardened.options.registry)) == set()
        assert marks_in(repr(seen)) == set()
        seen.clear()
    assert "on_receipt failed: ValueError" in records.getvalue()
    assert "policy=silent" in records.getvalue()
    assert marks_in(records.getvalue()) == set()


@pytest.mark.parametrize("way", ["whole", "stream", "stream raise", "401"])
def test_nothing_is_kept_once_the_answer_is_given(way: str, tmp_path: Path) -> None:
    """Catches a cache, a store or a table that remembers a raw key, a prompt or a trace."""
    hardened = mounted(way, CHAT, tmp_path / "audit")
    for _ in range(3):
        asked(hardened, CHAT, BODIES["good"])
    assert marks_in(texts_held_by(hardened.service, hardened.receipts)) == set()
    assert isinstance(hardened.service.store, MemoryStore)
    assert "account:" in texts_held_by(hardened.service.store) or "network:" in texts_held_by(
        hardened.service.store
    )


@pytest.mark.parametrize("step", ["request", "start", "receive", "end", "fail"])
def test_our_own_faults_are_told_by_kind_and_place(
    step: str, records: io.StringIO, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Catches a log that prints the text of an internal error, which may be a piece of a trace."""

    def broken(*arguments: Any) -> Any:
        raise KeyError(MARKS["trace"], MARKS["prompt"])

    monkeypatch.setattr(Exchange, step, broken)
    for way in ("stream", "whole", "stream raise"):
        asked(mounted(way, CHAT, tmp_path / "audit"), CHAT, BODIES["good"])
    assert "KeyError at" in records.getvalue()
    assert marks_in(records.getvalue()) <= set()


def raised(act: Any) -> str:
    """The full traceback of the error of ours that `act` raises, causes and notes included."""
    with pytest.raises(HardeningError) as caught:
        act()
    lines = traceback.TracebackException.from_exception(caught.value, lookup_lines=False).format()
    return "".join(line for line in lines if not line.lstrip().startswith("File")) + repr(caught.value)


def test_the_words_of_our_errors_hold_no_secret(tmp_path: Path) -> None:
    """Catches an error that quotes the body, the key or the address of a store that it could not take."""
    bodies = [b'{"a": ' + MARKS["trace"].encode(), b'{"choices":[]} ' + MARKS["trace"].encode()]
    told = [raised(lambda body=body: exchanged([body], sse=False)) for body in bodies]
    codec_faults = [body for name, body in BODIES.items() if name in ("broken", "list")]
    told += [raised(lambda b=b: CODECS["openai_chat"].read_request(b, door="/")) for b in codec_faults]
    policy = tmp_path / "policy.yaml"
    for line in (
        f"runtime: {{keys: {{current: {MARKS['key']}}}}}",
        f"runtime: {{state: 'redis://:{MARKS['key']}@host'}}",
        f"accounts: {{groups: {{beta: [{MARKS['key']}]}}}}",
    ):
        policy.write_text(f"version: 1\nname: faulty\n{line}\n")
        try:
            load_policy(policy)
        except PolicyError as fault:
            told.append(str(fault) + repr(fault))
    assert len(told) >= 5
    assert marks_in("\n".join(told)) == set()
