"""What a client reads out of a body, told without the codecs: a second opinion on their work."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_line_end = re.compile(r"\r\n|\n|\r")
_NAMES = r"think|thinking|thought|reasoning"
_OPEN = rf"<\s*({_NAMES})(?:\s+[\w:-]+=[^<>]*)?\s*>"
_CLOSE = rf"<\s*/\s*({_NAMES})\s*>"
_DETAILS = r"<details\s[^<>]*type=[\"']?reasoning\b[^<>]*>"
_tagged = re.compile(rf"{_OPEN}.*?(?:<\s*/\s*\1\s*>|\Z)|{_DETAILS}.*?(?:</details>|\Z)", re.I | re.S)
_tag = re.compile(rf"{_OPEN}|{_CLOSE}|{_DETAILS}", re.I)
_until_bare_close = re.compile(rf"\A.*{_CLOSE}", re.I | re.S)
_blank = re.compile(r"\s+")


@dataclass(slots=True)
class Call:
    """A tool call: its name and its arguments as they came, joined over deltas."""

    name: str = ""
    arguments: str = ""


@dataclass(slots=True)
class Answer:
    """Visible texts by choice or block, tool calls by place, and why each choice ended."""

    texts: dict[int, str] = field(default_factory=dict)
    calls: dict[tuple[int, object], Call] = field(default_factory=dict)
    ends: dict[int, str] = field(default_factory=dict)
    results: list[str] = field(default_factory=list)  # what tools of the server gave back, as JSON

    def say(self, index: int, text: object) -> None:
        """Add a piece of visible text."""
        if isinstance(text, str) and text:
            self.texts[index] = self.texts.get(index, "") + text

    def call(self, index: int, place: object, name: object, arguments: object) -> None:
        """Add a piece of a tool call."""
        call = self.calls.setdefault((index, place), Call())
        if isinstance(name, str):
            call.name += name
        if isinstance(arguments, str):
            call.arguments += arguments
        elif arguments:
            call.arguments += json.dumps(arguments, sort_keys=True)

    def called(self) -> str:
        """What the model says to tools and they to it."""
        calls = [
            f"{call.name}\n{call.arguments}\n{_strings_of(call.arguments)}" for call in self.calls.values()
        ]
        return "\n".join([*calls, *map(_strings_of, self.results)])


def documents(body: bytes) -> list[object]:
    """The JSON values of a body: of a stream one per event, line or element; others are left out."""
    text = body.decode("utf-8-sig", "replace")
    try:
        value = json.loads(text)
        return value if isinstance(value, list) else [value]
    except ValueError:
        return [value for block in _blocks(text) for value in _values(block)]


def _blocks(text: str) -> Iterator[list[str]]:
    """The data of each event: of server-sent events, or of lines that are JSON each."""
    lines = _line_end.split(text)
    if not any(line.startswith("data:") for line in lines):
        yield from ([line] for line in lines if line)
        return
    block: list[str] = []
    for line in [*lines, ""]:
        if line.startswith("data:"):
            block.append(line[5:].removeprefix(" "))
        elif not line and block:
            yield block
            block = []


def _values(block: list[str]) -> Iterator[object]:
    """The value of an event; where its blank lines were lost, those of its lines."""
    for piece in ["\n".join(block)] if _is_json("\n".join(block)) else block:
        if _is_json(piece):
            yield json.loads(piece)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def objects(value: dict, key: str) -> list[dict]:
    """The objects in the list under a key; none where there is no list."""
    found = value.get(key)
    return [element for element in found if isinstance(element, dict)] if isinstance(found, list) else []


def _strings_of(text: str) -> str:
    """The strings inside a JSON text; the text itself where it is none."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return "\n".join(strings(value))


def strings(value: object) -> Iterator[str]:
    """Every string in a JSON value, keys left out."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for element in value.values() if isinstance(value, dict) else value:
            yield from strings(element)


def without_trace(text: str) -> str:
    """Text with the traces between tags cut out, and what stands before a closing tag that none opened."""
    return _until_bare_close.sub(" ", _tagged.sub(" ", text))


def is_tagged(text: str) -> bool:
    """Whether a tag stands in a text."""
    return _tag.search(text) is not None


def on_one_line(text: str) -> str:
    """Text in which every white space is one blank; a cut may leave some at its edges."""
    return _blank.sub(" ", text).strip()


def usage_of(raw: dict[str, object]) -> tuple[int | None, int]:
    """Prompt and completion tokens by the vendors' own rules (cached input counts, so does reasoning).

    The prompt is None where the answer leaves it out, so that only its length can be told.
    """
    if "input_tokens" in raw or "output_tokens" in raw:
        cached = _int(raw.get("cache_creation_input_tokens")) + _int(raw.get("cache_read_input_tokens"))
        told = (
            _int(raw["input_tokens"]) + cached if "input_tokens" in raw else None
        )  # of a stream's end alone
        return told, _int(raw.get("output_tokens"))
    if "eval_count" in raw:  # Ollama leaves the prompt out where it had it in memory
        prompt = _int(raw["prompt_eval_count"]) if "prompt_eval_count" in raw else None
        return prompt, _int(raw["eval_count"])
    if counts := _gemini_counts(raw):
        return counts
    prompt, completion = _int(raw.get("prompt_tokens")), _int(raw.get("completion_tokens"))
    details = raw.get("completion_tokens_details")
    reasoning = _int((details if isinstance(details, dict) else raw).get("reasoning_tokens"))
    if _int(raw.get("total_tokens")) == prompt + completion + reasoning:  # xAI counts it apart
        completion += reasoning
    return prompt, completion


def names_tokens(raw: dict[str, object]) -> bool:
    """Whether a recorder's reading of the usage holds a count of tokens, not of pictures or prices alone."""
    return any("token" in key.lower() or key.endswith("eval_count") for key in raw)


def reasoning_of(raw: dict[str, object]) -> int:
    """The tokens of the trace, where the answer tells them; else 0."""
    details = (raw.get("completion_tokens_details"), raw.get("output_tokens_details"), raw)
    names = ("reasoning_tokens", "thinking_tokens", "thoughtsTokenCount", "thoughts_token_count")
    return max(_int(one.get(name)) for one in details if isinstance(one, dict) for name in names)


def _gemini_counts(raw: dict[str, object]) -> tuple[int, int] | None:
    """As `usage_of`: thoughts are counted apart, and what its own tools read where the total holds it."""
    counts = {key.replace("_", "").lower(): _int(value) for key, value in raw.items()}
    if not any(key.endswith("tokencount") for key in counts):
        return None
    if counts.keys().isdisjoint(("prompttokencount", "candidatestokencount", "thoughtstokencount")):
        return counts.get("totaltokencount", 0), 0
    completion = counts.get("candidatestokencount", 0) + counts.get("thoughtstokencount", 0)
    prompt, tools = counts.get("prompttokencount", 0), counts.get("tooluseprompttokencount", 0)
    whole = prompt + tools + completion == counts.get("totaltokencount")
    return prompt + tools * whole, completion


def _int(value: object) -> int:
    return value if isinstance(value, int) else 0


def rows_beyond(body: bytes, top: int | None, step: float) -> int:
    """Rows of log-probabilities that tell more than `top` alternatives or finer values than `step`."""
    return sum(_is_beyond(row, top, step) for value in documents(body) for row in _rows(value))


def _rows(value: object) -> Iterator[dict]:
    if isinstance(value, dict):
        if "logprob" in value and "top_logprobs" in value:
            yield value
            return
        yield from _columns(value)
        if "chosenCandidates" in value:
            yield from _gemini_rows(value)
        for element in value.values():
            yield from _rows(element)
    elif isinstance(value, list):
        for element in value:
            yield from _rows(element)


def _columns(value: dict) -> Iterator[dict]:
    """The rows of a text completion, which it has as parallel lists."""
    values, tops = value.get("token_logprobs"), value.get("top_logprobs")
    if isinstance(values, list) and isinstance(tops, list):
        for logprob, top in zip(values, tops, strict=False):  # an odd body may have more of one
            others = top.values() if isinstance(top, dict) else ()
            yield {"logprob": logprob, "top_logprobs": [{"logprob": one} for one in others]}


def _gemini_rows(value: dict) -> Iterator[dict]:
    """Rows in two lists as rows with their alternatives."""
    tops = objects(value, "topCandidates")
    for place, drawn in enumerate(objects(value, "chosenCandidates")):
        others = objects(tops[place], "candidates") if place < len(tops) else []
        alternatives = [{"logprob": other.get("logProbability")} for other in others]
        yield {"logprob": drawn.get("logProbability"), "top_logprobs": alternatives}


def _is_beyond(row: dict, top: int | None, step: float) -> bool:
    if top is None:
        return False
    alternatives = objects(row, "top_logprobs")
    if top == 0 or len(alternatives) > top:
        return True
    values = [one["logprob"] for one in [row, *alternatives] if isinstance(one.get("logprob"), float)]
    return step > 0 and any(abs(value / step - round(value / step)) > 1e-6 for value in values)
