"""What a response says, in one vocabulary for all formats.

A codec turns frames into events; transforms take and give events; no transform knows a
vendor. `index` is the choice (OpenAI) or the content block (Anthropic) that an event is of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from hardening.facts import Usage


@dataclass(frozen=True, slots=True)
class Text:
    """Visible answer text: a delta of a stream, or with `whole` all of what stands in one place."""

    index: int
    text: str
    whole: bool = False


@dataclass(frozen=True, slots=True)
class TextCopy:
    """The visible text once more: the same piece beside `Text`, or with `whole` all of it after its pieces."""

    index: int
    text: str
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Reasoning:
    """A piece of the reasoning trace, or with `whole` all of it.

    `tags` are the marks around it where it stood in the visible text.
    """

    index: int
    text: str
    tags: tuple[str, str] | None = None
    whole: bool = False


@dataclass(frozen=True, slots=True)
class ReasoningCopy:
    """A trace once more, after its pieces; with `tags` the one of that `number` in the visible text."""

    index: int
    tags: tuple[str, str] | None = None
    number: int = 0


@dataclass(frozen=True, slots=True)
class ReasoningEnd:
    """The trace of this index is over."""

    index: int


@dataclass(frozen=True, slots=True)
class Summary:
    """What takes the place of a trace; it belongs between `tags` where the trace stood there."""

    index: int
    text: str
    tags: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Seal:
    """An opaque blob that stands for reasoning: a signature, encrypted content, a redacted block.

    One that stands `apart` says nothing of the text beside it, and is valid whatever becomes of that.
    """

    index: int
    data: str
    apart: bool = False


THE_TRACE = "\0"
"""In values that are sealed, a string in place of the trace itself."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A trace, ready to be sealed: `finish` makes the blob, of the JSON values in which it stood, by name.

    THE_TRACE in them stands for its text; in place of a blob None stands for a trace that no seal holds.
    """

    index: int
    finish: Callable[[Mapping[str, object]], str | None]


@dataclass(frozen=True, slots=True)
class Logprobs:
    """Rows of log-probabilities as the raw JSON array that stands in the frame.

    `of` names the text that the rows belong to. Schema: a list of objects with `token`,
    `logprob` (nats), `bytes`, `top_logprobs` (a list of the same without `top_logprobs`).
    """

    index: int
    raw: bytes
    of: Literal["text", "reasoning", "refusal"] = "text"


@dataclass(frozen=True, slots=True)
class Vector:
    """Values of an embedding as the raw JSON that stands in the frame.

    A flat list of numbers, or a string that is the base64 of little-endian binary32 values.
    """

    index: int
    raw: bytes


@dataclass(frozen=True, slots=True)
class Score:
    """A score of a reranker or a classifier: the raw JSON number that stands in the frame."""

    index: int
    raw: bytes


@dataclass(frozen=True, slots=True)
class Withheld:
    """A value that no policy that acts lets out: token ids, prompt rows, hidden states, tool traces.

    Of `vectors` those that no grid can be laid over, such as one bit a dimension. Lengths, which are counts,
    times and prices, go only where the policy says so of the usage.
    """

    index: int
    kind: Literal["ids", "rows", "states", "trace", "vectors", "lengths"]


@dataclass(frozen=True, slots=True)
class Tool:
    """Arguments of a tool call, in characters: a piece, or with `whole` all; they are part of the answer."""

    index: int
    chars: int
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Finish:
    """The upstream ended this index with its own reason."""

    index: int
    reason: str


@dataclass(frozen=True, slots=True)
class UsageSeen:
    """The upstream's own count so far; the last one counts.

    `prompt` and `completion` say whether it names that count; where not, it stands as 0 in `usage`. `apart`
    says that the server counts the trace beside the completion, and may leave out what it told before. With
    `guessed` its prompt is none of the server's counts, and none of these is told.
    """

    usage: Usage
    prompt: bool = True
    completion: bool = True
    apart: bool = False
    guessed: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """The upstream reported an error inside the response."""


Event = (
    Text
    | TextCopy
    | Reasoning
    | ReasoningCopy
    | ReasoningEnd
    | Summary
    | Seal
    | Sealed
    | Logprobs
    | Vector
    | Score
    | Withheld
    | Tool
    | Finish
    | UsageSeen
    | Failed
)
