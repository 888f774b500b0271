"""Which path is which door: trailing segments, matched from the end of the path.

Mount prefixes, doubled and trailing slashes do not change the door; neither does a case that
some servers ignore, nor what a proxy behind us would resolve or cut off: dot segments, a
backslash for a slash, a query or parameters that came encoded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import NamedTuple
from unicodedata import normalize
from urllib.parse import unquote

from hardening.wire.codec import CODECS, Codec
from hardening.wire.gateways import handed_on
from hardening.wire.side_doors import POSTED, SIDE_DOORS, TALKED, SideDoors


class _Known(NamedTuple):
    """The last segments of a door's path, the format that it speaks, whether it always streams, or asks the body.

    With a leading slash they are the whole path below the mount: for words that any app may end a path with.
    """

    pattern: str
    format: str
    streams: bool = False
    by_body: bool = False


# `{model}` is a segment that names the model; a last segment `{model}:verb` may hold slashes before the verb.
_KNOWN = (
    _Known("chat/completions", "openai_chat"),
    _Known("deployments/{model}/chat/completions", "openai_chat"),
    _Known("engines/{model}/chat/completions", "openai_chat"),
    _Known("fim/completions", "openai_chat"),
    _Known("agents/completions", "openai_chat"),
    _Known("text/chatcompletion_v2", "openai_chat"),  # MiniMax'
    _Known("/completions", "openai_completions"),
    _Known("v1/completions", "openai_completions"),
    _Known("api/v0/completions", "openai_completions"),
    _Known("beta/completions", "openai_completions"),
    _Known("deployments/{model}/completions", "openai_completions"),
    _Known("engines/{model}/completions", "openai_completions"),
    _Known("/completion", "openai_completions"),
    _Known("/invocations", "openai_completions", by_body=True),  # whose table knows chat as well
    _Known("endpoints/{model}/invocations", "openai_completions", by_body=True),  # SageMaker's
    _Known("serving-endpoints/{model}/invocations", "openai_completions", by_body=True),  # Databricks'
    _Known("v1/messages", "anthropic_messages"),
    _Known("/responses", "openai_responses"),
    _Known("v1/responses", "openai_responses"),
    _Known("openai/responses", "openai_responses"),
    _Known("/responses/compact", "openai_responses"),
    _Known("v1/responses/compact", "openai_responses"),
    _Known("codex/responses", "openai_responses"),  # of ChatGPT's backend, which LiteLLM hands on
    _Known("codex/responses/compact", "openai_responses"),
    _Known("api/chat", "ollama_chat"),
    _Known("api/generate", "ollama_generate"),
    _Known("/embeddings", "openai_embeddings"),
    _Known("v1/embeddings", "openai_embeddings"),
    _Known("openai/embeddings", "openai_embeddings"),
    _Known("api/v0/embeddings", "openai_embeddings"),
    _Known("deployments/{model}/embeddings", "openai_embeddings"),
    _Known("engines/{model}/embeddings", "openai_embeddings"),
    _Known("/embedding", "openai_embeddings"),
    _Known("api/embed", "ollama_embed"),
    _Known("api/embeddings", "ollama_embed"),
    _Known("v1/embed", "cohere_embed"),
    _Known("v2/embed", "cohere_embed"),
    _Known("v1/rerank", "scores"),
    _Known("v2/rerank", "scores"),
    _Known("v1/reranking", "scores"),
    _Known("text-rerank/text-rerank", "scores"),  # DashScope
    _Known("rankingConfigs/{model}:rank", "scores"),  # Google's ranking API
    _Known("v1/score", "scores", by_body=True),  # SGLang's tells how likely tokens are that a caller chooses
    _Known("v1/classify", "scores"),
    _Known("v1/classifications", "scores"),
    _Known("v1/chat/classifications", "scores"),
    _Known("v1/moderations", "scores"),
    _Known("v1/chat/moderations", "scores"),
    _Known("models/{model}:embedContent", "gemini_embed"),
    _Known("models/{model}:batchEmbedContents", "gemini_embed"),
    _Known("models/{model}:generateContent", "gemini_generate"),
    _Known("models/{model}:streamGenerateContent", "gemini_generate", streams=True),
    _Known("tunedModels/{model}:generateContent", "gemini_generate"),
    _Known("tunedModels/{model}:streamGenerateContent", "gemini_generate", streams=True),
    _Known("endpoints/{model}:generateContent", "gemini_generate"),
    _Known("endpoints/{model}:streamGenerateContent", "gemini_generate", streams=True),
)
_MODEL = "{model}"

# The same for what is sent to words that an app of any kind has pages at; `wire.side_doors` has those that are not read.
_POSTED = (
    _Known("/rerank", "scores"),
    _Known("/reranking", "scores"),  # llama.cpp
    _Known("/score", "scores", by_body=True),
    _Known("/classify", "scores"),
)

# Doors at which a server counts a request that it does not answer.
_COUNTS = (
    _Known("v1/messages/count_tokens", "anthropic_messages"),
    _Known("responses/input_tokens", "openai_responses"),
    _Known("/utils/token_counter", "openai_chat"),  # LiteLLM's
    _Known("models/{model}:countTokens", "gemini_generate"),
    _Known("tunedModels/{model}:countTokens", "gemini_generate"),
    _Known("endpoints/{model}:countTokens", "gemini_generate"),
)

# Answers that are kept and can be asked for again; `*` is an id, or the rest of one. None: no answer.
# A leading slash as in `_Known`: some servers take an id without its `resp_`.
_STORED: dict[str, str | None] = {
    "responses/input_tokens": None,
    "chat/completions/*": "openai_chat",
    "chat/deferred-completion/*": "openai_chat",
    "chat/completions/*/messages": "openai_chat",
    "paas/v4/async-result/*": "openai_chat",  # Zhipu's
    "v1/responses/*": "openai_responses",
    "/responses/*": "openai_responses",
    "responses/resp_*": "openai_responses",  # below another prefix a page of any site may have such a path
    "responses/*/cancel": "openai_responses",
    "responses/*/input_items": "openai_responses",
}
_SIDE = SideDoors(SIDE_DOORS)

PASS = "pass"

_SEEN_PATHS = 1024  # paths remembered, so that a path that is no door costs one look-up
_SEEN_BYTES = 256  # of at most this length


@dataclass(frozen=True, slots=True)
class Door:
    """A claimed path: `name` is the table's own spelling, bounded, fit for a metric's label.

    `codec` is None where this release does not read what leaves there: blocked. `model` and
    `streams` are what the path says of the request. With `by_body` the body says which codec is its own, see
    `wire.by_body`; `codec` is then for what cannot be told. `counts`: a request is counted there, and not answered; `kept`: an answer
    that was made before is given.
    """

    name: str
    codec: Codec | None
    model: str = ""
    streams: bool = False
    by_body: bool = False
    counts: bool = False
    kept: bool = False


class Doors:
    """The doors of one app: the known ones and those that the policy names.

    `own` maps a path to a format's name, or to `pass` for a path that is left alone; a trailing
    `*` names everything below. An app's own row wins over a known door.
    """

    __slots__ = ("_counts", "_exact", "_known", "_posted", "_prefixes", "_seen")

    def __init__(self, own: Mapping[str, str] | None = None, *, known: bool = True) -> None:
        """`known` False leaves the built-in doors out: then only own rows are found."""
        self._known = _Patterns(_KNOWN if known else ())
        self._counts = _Patterns(_COUNTS if known else ())
        self._posted = _Patterns(_POSTED if known else ())
        self._exact: dict[str, Door | None] = {}
        self._prefixes: list[tuple[str, Door | None]] = []
        self._seen: dict[str, Door | None] = {}
        for path, format in (own or {}).items():
            door = None if format == PASS else Door(path, CODECS.get(format))
            if path.endswith("*"):
                self._prefixes.append(
                    ("/" + "".join(part + "/" for part in _segments(path[:-1].lower())), door)
                )
            else:
                self._exact["/" + "/".join(_segments(path.lower()))] = door

    def match(self, path: str) -> Door | None:
        """The door of a path, without its query; None where the path is none or is left alone."""
        try:
            return self._seen[path]
        except KeyError:
            door = self._find(path)
            if len(path) <= _SEEN_BYTES:
                if len(self._seen) >= _SEEN_PATHS:
                    self._seen.clear()
                self._seen[path] = door
            return door

    def _find(self, path: str) -> Door | None:
        segments = _segments(path)
        whole = "/" + "/".join(segments).lower()
        if whole in self._exact:
            return self._exact[whole]
        for prefix, door in self._prefixes:
            if whole.startswith(prefix) or whole + "/" == prefix:
                return door
        ways = (segments, *handed_on(segments))
        # A server may also take the path as it stands, with a `?` or an empty parameter for a model's name.
        for way in (segments, [part for part in path.split("/") if part], *ways[1:]):
            if known := self._known.find(way):
                return known
        for way in ways if self._known.doors else ():
            if side := _SIDE.find(_lower(way)):
                return Door(side if side.startswith("/") else f"/{side}", None)
        return None

    def stored(self, path: str) -> Door | None:
        """The door of an answer that was kept, for requests that only ask; None as in `match`."""
        segments = _lower(_segments(path))
        ways = (segments, *handed_on(segments))
        for pattern, format in _STORED.items() if self._known.doors else ():
            parts = pattern.strip("/").split("/")
            ends = ways if pattern.startswith("/") else [way[-len(parts) :] for way in ways]
            if any(len(end) == len(parts) and all(map(fnmatchcase, end, parts)) for end in ends):
                name = "/" + pattern.removeprefix("/")
                return None if format is None else Door(name, CODECS[format], kept=True)
        return None

    def counted(self, path: str) -> Door | None:
        """The door at which a request is counted; None as in `match`."""
        segments = _segments(path)
        for way in (segments, *handed_on(segments)):
            if door := self._counts.find(way):
                return replace(door, counts=True)
        return None

    def posted(self, path: str) -> Door | None:
        """The door of a request that sends something to a path which apps have pages at; None as in `match`."""
        segments = _segments(path)
        for way in (segments, *handed_on(segments)):
            if door := self._posted.find(way):
                return door
        return self._of_whole(path, POSTED)

    def talked(self, path: str) -> Door | None:
        """The door of a websocket at a path which apps have pages at; None as in `match`."""
        return self._of_whole(path, TALKED)

    def _of_whole(self, path: str, known: tuple[str, ...]) -> Door | None:
        segments = _lower(_segments(path))
        for way in (segments, *handed_on(segments)):
            whole = "/" + "/".join(way)
            if self._known.doors and whole in known:
                return Door(whole, None)
        return None

    @property
    def names(self) -> tuple[str, ...]:
        """Every door, for the start-up line."""
        own = [path for path, door in [*self._exact.items(), *self._prefixes] if door]
        return (*self._known.doors, *self._posted.doors, *own)


class _Patterns:
    """The known doors by the end of their last segment, those that say more of a path first."""

    __slots__ = ("_by_end", "doors")

    def __init__(self, known: tuple[_Known, ...]) -> None:
        self._by_end: dict[str, list[tuple[list[str], bool, Door]]] = {}
        self.doors: tuple[str, ...] = tuple("/" + row.pattern.removeprefix("/") for row in known)
        for row in sorted(known, key=_told, reverse=True):
            pattern = row.pattern.removeprefix("/")
            *parts, last = pattern.lower().split("/")
            door = Door(f"/{pattern}", CODECS[row.format], streams=row.streams, by_body=row.by_body)
            entry = (parts, pattern != row.pattern, door)
            self._by_end.setdefault(last.removeprefix(_MODEL), []).append(entry)

    def find(self, segments: list[str]) -> Door | None:
        """The door whose pattern the path ends with, with the model that it names."""
        if not segments:
            return None
        *above, last = segments
        head, colon, verb = last.rpartition(":")
        for parts, whole, door in self._by_end.get(last.lower(), ()):
            ends = above if whole else above[max(0, len(above) - len(parts)) :]
            if len(ends) == len(parts) and all(map(_fits, parts, ends)):
                model = next((end for part, end in zip(parts, ends, strict=True) if part == _MODEL), "")
                return replace(door, model=model) if model else door
        # Some servers take slashes in a model's name, or none at all: what follows the word before it is the name.
        path = [segment.lower() for segment in above]
        for parts, _, door in self._by_end.get(last.lower(), ()):
            if parts[-1:] == [_MODEL] and (at := _after(parts[-2], path)):
                return replace(door, model="/".join(above[at:]))
        for parts, _, door in self._by_end.get(colon + verb.lower(), ()) if colon else ():
            if at := _after(parts[0], path):
                return replace(door, model="/".join([*above[at:], head]))
        return None


def _told(row: _Known) -> tuple[int, int]:
    """How many segments a pattern names; of two that name as many, the one that leaves fewer open says more."""
    open_ = row.pattern.count(_MODEL)
    return row.pattern.strip("/").count("/") + 1 - open_, -open_


def _after(word: str, path: list[str]) -> int:
    """The position after the last `word` of a path; 0 where there is none."""
    return len(path) - path[::-1].index(word) if word in path else 0


def _lower(segments: list[str]) -> list[str]:
    return [segment.lower() for segment in segments]


def _fits(part: str, segment: str) -> bool:
    return part in (_MODEL, segment.lower())


_cut_off = re.compile(r"[?#\0].*", re.DOTALL)  # a server in C ends it at a zero
_dropped = str.maketrans("\\", "/", "\t\r\n")


def _segments(path: str) -> list[str]:
    if "%" in path:
        path = unquote(path)
    if not path.isascii():  # who ignores case takes a long s for one, and some a wide letter for a narrow one
        path = normalize("NFKC", path).casefold()
    segments: list[str] = []
    for part in _cut_off.sub("", path.translate(_dropped)).split("/"):
        segment = part.partition(";")[0].strip()
        if segment == "..":
            del segments[-1:]
        elif segment and segment != ".":
            segments.append(segment)
    return segments
