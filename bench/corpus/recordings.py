"""Recordings as they lie in a folder: one `<format>.jsonl` per wire format, one exchange a line."""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path


class CorpusError(Exception):
    """The folder cannot be used; the text is one sentence for the person who named it."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One answer of a model server, and what the recorder's own reading found in it.

    `traces` are the reasoning texts of 20 characters and more; `answer` is the visible text, with what
    stands between tags in it; `usage` holds the raw fields, None where there is none.
    """

    id: str
    format: str
    path: str
    status: int
    content_type: str
    stream: bool
    body: bytes
    request: bytes = b""
    method: str = "POST"
    traces: tuple[str, ...] = ()
    answer: str = ""
    usage: dict[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Corpus:
    """What a folder holds: the recordings that can be read, and those of formats that no codec knows."""

    recordings: tuple[Recording, ...]
    others: tuple[Recording, ...]


def read_corpus(folder: Path, formats: tuple[str, ...], known: Collection[str] = ()) -> Corpus:
    """The recordings of `formats` under `folder`; those in `known` are no others.

    Raises CorpusError where there are none.
    """
    if not folder.is_dir():
        raise CorpusError(f"found no folder {folder}; --corpus takes one with <format>.jsonl files")
    recordings: list[Recording] = []
    others: list[Recording] = []
    for path in sorted(folder.glob("*.jsonl")):
        for row in _rows(path):
            format = str(row["meta"]["format"])
            if format in formats:
                recordings.append(_recording(row))
            elif format not in known:
                others.append(_recording(row))
    if not recordings:
        raise CorpusError(f"found no recording of {' or '.join(formats)} in {folder}")
    return Corpus(tuple(recordings), tuple(others))


def _rows(path: Path) -> Iterator[dict]:
    with path.open("rb") as lines:  # bytes: only a line feed ends a line
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
                row["meta"]["format"]
            except (ValueError, KeyError, TypeError) as error:
                raise CorpusError(f"{path}, line {number}: expected a recording ({error!r})") from None
            yield row


def _recording(row: dict) -> Recording:
    meta = row["meta"]
    body = base64.b64decode(row["body_b64"]) if "body_b64" in row else row["body"].encode()
    request = row.get("request")
    return Recording(
        id=meta["id"],
        format=meta["format"],
        path=meta.get("path") or "",
        method=meta.get("method") or "POST",
        status=meta["status"],
        content_type=meta["content_type"] or "",
        stream=meta["stream"],
        body=body,
        request=json.dumps(request).encode() if isinstance(request, dict) else b"",
        traces=tuple(meta["reasoning_text"]),
        answer=meta["answer_text"] or "",
        usage=meta["usage"] or None,
    )
