"""Makes up bodies of a format from its own table, with what must not leave in the places where it may stand."""

from __future__ import annotations

import base64
import json
import random
import struct
from collections.abc import Callable
from dataclasses import dataclass

from hardening.wire.codec import Codec
from hardening.wire.framing import Framing
from hardening.wire.roles import Node, Role

HIDDEN = (
    "zeppelins quietly hummed over nine lakes while the cook counted 4417 forks and wept",
    "der Fuchs rechnet: 83 * 12 = 996, also bleiben 4 übrig, prüfe das noch einmal genau",
    "隠された考え 一歩目 七百二十一を十三で割る 余りは六である 次に検算を行うこと",
)
"""Traces; no visible text here holds twenty characters of one in a row."""

VALUES = tuple(0.12345678 - 0.00987654 * number for number in range(24))
"""A vector; no other number here is written with so many digits."""
PACKED = base64.b64encode(struct.pack("<24f", *VALUES)).decode()
"""The same, packed."""

_SAID = ("Yes", " so", "", "é漢", 'say "hi"', "a\nb", "\\", "<", "[", "◁", "a\u2028b", "x" * 300)
_NAMES = ("m-1", "assistant", "chatcmpl-1", "x" * 80, "")
_SCALARS: tuple[object, ...] = (None, True, 0, -1.5, 2**63, 10**25, "short", [], {}, [1, 2], {"a": None})
_STRANGE_KEYS = ("x_new", "extra", "é", 'q"q', "a.b", "")
_MOST_DEEP = 9
_MUTE_ROLES = frozenset({Role.VOLATILE, Role.NAME, Role.SPEAKER})


@dataclass(frozen=True, slots=True)
class Body:
    """A response as a list of events or as one text; `content_type` tells which."""

    data: bytes
    content_type: str


class Author:
    """Writes bodies of one format, the same for the same random numbers."""

    def __init__(self, codec: Codec, chance: random.Random) -> None:
        self._codec = codec
        self._chance = chance
        table = codec.response
        kinds = [kind.decode().strip('"') for kind in table.ends | table.deltas | table.finals]
        self._kinds = (*sorted(kinds), "message_start", "x.y", "thinking", "reasoning", "text")

    def stream(self, framing: Framing, content_type: str) -> Body:
        """Up to a dozen events, some of them not of the format at all."""
        chance = self._chance
        eol = chance.choice((b"\n", b"\r\n"))
        events = [
            framing.write(self._event(), eol=eol, name=chance.choice(("", "", "message_start")))
            for _ in range(chance.randrange(12))
        ]
        return Body(b"".join(events), content_type)

    def whole(self) -> Body:
        """One JSON text, at times inside a list or after white space."""
        data = self._event()
        return Body(self._chance.choice((b"", b"\n  ", b"\xef\xbb\xbf")) + data, "application/json")

    def _event(self) -> bytes:
        value = self._value(self._codec.response.root, 0)
        return _Spelling(self._chance).write(value if isinstance(value, dict | list) else [value])

    def _value(self, node: Node, depth: int) -> object:
        chance = self._chance
        inside = node.keys or (node.role is Role.BLOCKS and node.items is not None)
        if node.role is not None and not (inside and chance.random() < 0.5):
            return self._of_role(node.role)
        if node.items is not None and (not node.keys or chance.random() < 0.6):
            return [self._value(node.items, depth + 1) for _ in range(chance.randrange(3))]
        if not node.keys or depth > _MOST_DEEP:
            return chance.choice(_SCALARS)
        return self._object(node, depth)

    def _object(self, node: Node, depth: int) -> dict[str, object]:
        chance = self._chance
        names = [name for name in node.names if chance.random() < 0.4]
        chance.shuffle(names)
        made = {name: self._value(node.names[name], depth + 1) for name in names}
        if "type" in made:
            made["type"] = chance.choice(self._kinds)
        if chance.random() < 0.3:
            embeds = self._codec.response.embeds and chance.random() < 0.5
            made[chance.choice(_STRANGE_KEYS)] = _vector(chance) if embeds else chance.choice(_SCALARS)
        return made

    def _of_role(self, role: Role) -> object:
        made = _OF_ROLE.get(role)
        if made is not None:
            return made(self._chance)
        if role is Role.KIND:
            return self._chance.choice(self._kinds)
        return self._chance.choice(_NAMES if role in _MUTE_ROLES else _SCALARS)


def _said(chance: random.Random) -> object:
    return chance.choice(_SAID)


def _hidden(chance: random.Random) -> str:
    """A trace or a long enough piece of one."""
    trace = chance.choice(HIDDEN)
    start = chance.randrange(len(trace) - 24) if len(trace) > 24 else 0
    return trace[start : start + chance.choice((24, 40, 200))]


def _trace(chance: random.Random) -> object:
    """A trace in one of the shapes that servers give it."""
    text = _hidden(chance)
    shapes: tuple[Callable[[], object], ...] = (
        lambda: text,
        lambda: [{"type": "thinking", "thinking": text, "index": 0}],
        lambda: {"text": text, "signature": "EqQBCkYIBxgCKkDx"},
        lambda: [{"type": "reasoning.text", "text": text}, {"type": "reasoning.encrypted", "data": "aGk="}],
        lambda: [text, [text]],
        lambda: list(text.encode()),
    )
    return chance.choice(shapes)()


def _seal(chance: random.Random) -> object:
    """A seal, or what only calls itself one."""
    readable = base64.b64encode(_hidden(chance).encode()).decode()
    return chance.choice(("EqQBCkYIBxgCKkDx" * 4, readable, _hidden(chance), ""))


def _rows(text: Callable[[random.Random], object]) -> Callable[[random.Random], object]:
    """Rows of log-probabilities that spell a text."""

    def made(chance: random.Random) -> object:
        token = str(text(chance))
        row = {"token": token, "logprob": -0.25, "bytes": list(token.encode("utf-8", "replace"))}
        others = [{**row, "token": other, "logprob": -chance.random() * 9} for other in ("a", "b", "c")]
        return chance.choice(([{**row, "top_logprobs": [row, *others]}], [], None, {"tokens": [token]}))

    return made


def _vector(chance: random.Random) -> object:
    """A vector in one of the shapes that servers give it, or in one that no server should."""
    values = list(VALUES)
    shapes: tuple[object, ...] = (
        values,
        values,
        PACKED,
        [values, values],
        [[[values]]],
        {"float": [values], "base64": [PACKED], "binary": [[1, -7] * 20]},
        [*values, None, 1],
        [{"x": values}],
        [],
    )
    odd: tuple[object, ...] = (
        [str(value) for value in values],
        {str(at): value for at, value in enumerate(values)},
        [{"v": value} for value in values],
        PACKED[:-1],
        [*values, 1e300],
        [*values, "0.1"],
        [values, 0.5],
    )
    return chance.choice(shapes if chance.random() < 0.8 else odd)


def _finish(chance: random.Random) -> object:
    return chance.choice(("stop", "length", None, "", "tool_calls"))


def _usage(chance: random.Random) -> object:
    count = chance.choice((0, 7, 10**6, -1, 2.5, None, "7"))
    return chance.choice(
        ({"prompt_tokens": count, "completion_tokens": count}, {"output_tokens": count}, None)
    )


def _failed(chance: random.Random) -> object:
    return chance.choice(({"message": "it broke", "code": 500}, "it broke", None))


def _called(chance: random.Random) -> object:
    return chance.choice(('{"city": "Rome"}', [{"id": "call_1"}], {"a": 1}, None))


def _ended(chance: random.Random) -> object:
    return chance.choice(("it is long", f"<think>{_hidden(chance)}</think>", {"reason": "length"}, None))


_OF_ROLE: dict[Role, Callable[[random.Random], object]] = {
    Role.TEXT: _said,
    Role.TEXT_WHOLE: _said,
    Role.TEXT_COPY: _said,
    Role.TEXT_ALL: _said,
    Role.BLOCKS: _said,
    Role.REASONING: _trace,
    Role.REASONING_WHOLE: _trace,
    Role.SETTINGS: lambda chance: chance.choice((_trace(chance), {"effort": "high", "summary": None})),
    Role.TRACE: _trace,
    Role.SEAL: _seal,
    Role.SEAL_APART: _seal,
    Role.LOGPROBS: _rows(_said),
    Role.LOGPROBS_REFUSAL: _rows(_said),
    Role.LOGPROBS_REASONING: _rows(_hidden),
    Role.LOGPROBS_OTHER: _rows(_hidden),
    Role.IDS: lambda chance: list(_hidden(chance).encode()),
    Role.ROWS: _rows(_hidden),
    Role.STATES: lambda chance: [[chance.random()], [list(_hidden(chance).encode())]],
    Role.VECTOR: _vector,
    Role.VECTOR_BITS: lambda chance: [[1, -7, 100] * 20],
    Role.INDEX: lambda chance: chance.choice((0, 0, 1, 2, -1, None, "0", 10**9)),
    Role.SEQUENCE: lambda chance: chance.choice((0, 1, 2, 3, 17, -1, None, "3", 10**9, 2.5)),
    Role.FINISH: _finish,
    Role.USAGE: _usage,
    Role.FAILED: _failed,
    Role.TOOL: _called,
    Role.TOOL_WHOLE: _called,
    Role.CALL: _called,
    Role.RESULT: _called,
    Role.ENDED: _ended,
}


class _Spelling:
    """Writes JSON in one of the ways in which it may be written: escapes, white space, keys said twice."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._escapes = chance.random() < 0.3
        self._spaced = chance.choice((("," + " " * 0, ":"), (", ", ": "), (" ,\t", " : ")))

    def write(self, value: object) -> bytes:
        """The JSON of a value, in UTF-8, on one line."""
        return self._written(value).encode("utf-8", "replace")

    def _written(self, value: object) -> str:
        comma, colon = self._spaced
        if isinstance(value, dict):
            members = [self._string(key) + colon + self._written(item) for key, item in value.items()]
            if members and self._chance.random() < 0.1:
                members.insert(0, members[-1])
            return "{" + comma.join(members) + "}"
        if isinstance(value, list):
            return "[" + comma.join(map(self._written, value)) + "]"
        return self._string(value) if isinstance(value, str) else json.dumps(value)

    def _string(self, text: str) -> str:
        if self._escapes and self._chance.random() < 0.3:
            units = text.encode("utf-16-be", "surrogatepass")
            return (
                '"'
                + "".join(f"\\u{units[at] << 8 | units[at + 1]:04x}" for at in range(0, len(units), 2))
                + '"'
            )
        return json.dumps(text, ensure_ascii=self._escapes)
