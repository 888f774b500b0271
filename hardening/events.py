"""What a response says, in one vocabulary for all formats.

A codec turns frames into events; transforms take and give events; no transform knows a
vendor. `index` is the choice (OpenAI) or the content block (Anthropic) that an event is of.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hardening.facts import Usage


@dataclass(frozen=True, slots=True)
class Text:
    """Visible answer text: a delta of a stream, or the whole of a body."""

    index: int
    text: str


@dataclass(frozen=True, slots=True)
class TextCopy:
    """The visible text once more beside `Text`: the same piece, or all of it so far."""

    index: int
    text: str


@dataclass(frozen=True, slots=True)
class Reasoning:
    """A piece of the reasoning trace; `tags` are the marks around it where it stood in the visible text."""

    index: int
    text: str
    tags: tuple[str, str] | None = None


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

    One of the trace is void where the trace was rewritten; one of the turn is the same for any text beside it.
    """

    index: int
    data: str
    of: Literal["trace", "turn"] = "trace"


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
class Withheld:
    """A value that no policy that acts lets out: token ids, prompt rows, hidden states, tool traces."""

    index: int
    kind: Literal["ids", "rows", "states", "trace"]


@dataclass(frozen=True, slots=True)
class Tool:
    """Arguments of a tool call, in characters; they are part of the answer."""

    index: int
    chars: int


@dataclass(frozen=True, slots=True)
class Finish:
    """The upstream ended this index with its own reason."""

    index: int
    reason: str


@dataclass(frozen=True, slots=True)
class UsageSeen:
    """The upstream's own count so far; the last one counts.

    `prompt` and `completion` say whether it names that count; where not, it stands as 0 in `usage`. `apart`
    says that the server counts the trace beside the completion, and may leave out what it told before.
    """

    usage: Usage
    prompt: bool = True
    completion: bool = True
    apart: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """The upstream reported an error inside the response."""


Event = (
    Text
    | TextCopy
    | Reasoning
    | ReasoningEnd
    | Summary
    | Seal
    | Logprobs
    | Withheld
    | Tool
    | Finish
    | UsageSeen
    | Failed
)
