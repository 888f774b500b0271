"""What whoever asks said last: the one text of a request that is scored, and whether the model has spoken before it.

Not tool results, not the history, not what the app says as system. Of a long message both ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import NamedTuple

MOST_CHARS = 8192
"""Characters of each end of a message."""
_KEPT_BYTES = 1 << 14
"""Of a body that may be kept, as it was parsed, until somebody asks what it says."""
_TURNS = 256  # looked at from the end, for the last that a person wrote; and from the beginning, for one of the model
_PARTS = 64
_KEYS = 64

_LISTS: Mapping[str, tuple[str, str]] = {
    "openai_chat": ("messages", "content"),
    "anthropic_messages": ("messages", "content"),
    "ollama_chat": ("messages", "content"),
    "openai_responses": ("input", "content"),
    "gemini_generate": ("contents", "parts"),
}
"""By format, the key of its turns and that of what one says."""
_PROMPTS = frozenset({"openai_completions", "ollama_generate"})
_MODEL = frozenset({"assistant", "model"})
_OTHERS = frozenset({"system", "developer", "tool", "function"})
_ITEMS = frozenset({"reasoning", "function_call"})
_STATEFUL = ("previous_response_id", "conversation", "context")
"""Keys that go on with a conversation which the server keeps."""


class Spoken(NamedTuple):
    """The newest message of a person, empty where none can be read; `begins` says that the model has not spoken."""

    text: str = ""
    begins: bool = False


Hear = Callable[[], Spoken]
"""Tells what a request says when it is asked: it costs as much as a parse, and is wanted beside the way of the request."""


def silent() -> Spoken:
    """Nothing."""
    return Spoken()


def hearing(value: Mapping[str, object], format: str, size: int) -> Hear:
    """What tells it of a body of this size; a long one is read now, for nobody keeps it."""
    if size <= _KEPT_BYTES:
        return partial(spoken, value, format)
    known = spoken(value, format)
    return lambda: known


def spoken(value: Mapping[str, object], format: str) -> Spoken:
    """What a request says by itself, in its format; nothing of one that asks for embeddings."""
    if format in _PROMPTS:
        prompt = _under(value, "prompt")
        last = prompt[-1] if isinstance(prompt, list) and prompt else prompt
        return Spoken(_cut(last) if isinstance(last, str) else "", not _goes_on(value))
    keys = _LISTS.get(format)
    if keys is None:
        return Spoken()
    turns = _under(value, keys[0])
    if isinstance(turns, str):
        return Spoken(_cut(turns), not _goes_on(value))
    if not isinstance(turns, list):
        return Spoken()
    return Spoken(_newest(turns, keys[1]), not (_goes_on(value) or any(map(_is_own, turns[:_TURNS]))))


def _newest(turns: Sequence[object], key: str) -> str:
    """The text of the last turn that a person wrote."""
    for turn in reversed(turns[-_TURNS:]):
        if isinstance(turn, dict) and not _is_other(turn) and not _is_own(turn):
            said = turn.get(key)
            text = said if isinstance(said, str) else "\n".join(_texts(said))
            if text:
                return _cut(text)
    return ""


def _texts(parts: object) -> Iterator[str]:
    """The texts among the parts of a message; results of tools have none of their own."""
    for part in parts[:_PARTS] if isinstance(parts, list) else ():
        text = part.get("text") if isinstance(part, dict) else part
        if isinstance(text, str):
            yield _cut(text)


def _is_own(turn: object) -> bool:
    """Whether the model wrote a turn."""
    if not isinstance(turn, dict):
        return False
    role, kind = turn.get("role"), turn.get("type")
    return (isinstance(role, str) and role in _MODEL) or (isinstance(kind, str) and kind in _ITEMS)


def _is_other(turn: Mapping[str, object]) -> bool:
    """Whether a turn is neither a person's nor the model's."""
    role = turn.get("role")
    return isinstance(role, str) and role in _OTHERS


def _goes_on(value: Mapping[str, object]) -> bool:
    return any(map(value.get, _STATEFUL))


def _under(value: Mapping[str, object], key: str) -> object:
    """What stands under a key; servers in Go read it in any case, so where there is none the first keys are looked at."""
    found = value.get(key)
    if found is None:
        found = next((one for name, one in islice(value.items(), _KEYS) if name.casefold() == key), None)
    return found


def _cut(text: str) -> str:
    return text if len(text) <= 2 * MOST_CHARS else text[:MOST_CHARS] + text[-MOST_CHARS:]
