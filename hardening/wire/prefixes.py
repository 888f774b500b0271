"""The prompts of a request as their roles and texts alone, which is what noise on the answers is a function of.

What is left out here cannot make noise be drawn anew: identifiers, sampling, tools, the way in which a text is
cut into parts, white space. Sources (read 2026-11-26): the API references of OpenAI, Gemini and Ollama.
"""

from __future__ import annotations

from collections.abc import Iterator

from hardening.wire.requests import as_utf8
from hardening.wire.scan import read_json

MOST_BYTES = 128 * 1024
"""Of a longer prompt only the end counts, so that no prompt holds up the others."""

_DEEPEST = 8
_BEFORE = ("system", "instructions", "systemInstruction", "system_instruction")
_TURNS = ("messages", "contents", "input")
_TEXTS = ("content", "parts", "text")
_SAME_ROLE = {"developer": "system", "model": "assistant"}
_WHITE = b" \t\n\r\f\v"


def prefixes(body: bytes) -> tuple[tuple[bytes, ...], int]:
    """The canonical form of each prompt, and how many answers each has; no prompt where there is no text.

    Raises WireError where the body is no JSON object.
    """
    asked = read_json(as_utf8(body), format="request")
    if not isinstance(asked, dict):
        return (), 1
    before = [turn for name in _BEFORE for turn in _turns(asked.get(name), "system")]
    turns = [*before, *(turn for name in _TURNS for turn in _turns(asked.get(name), "user"))]
    prompt = asked.get("prompt")
    alone = (
        prompt if isinstance(prompt, list) and not any(isinstance(one, int) for one in prompt) else [prompt]
    )
    found = tuple(_canonical([*turns, *_turns(one, "user")]) for one in alone)
    each = asked.get("n")
    return (found if any(found) else ()), each if isinstance(each, int) and each > 0 else 1


def _turns(value: object, role: str) -> list[tuple[str, object]]:
    """The turns of a conversation, each with its role; a text by itself is one."""
    if isinstance(value, list) and any(isinstance(one, dict) and "role" in one for one in value):
        return [_turn(one, role) for one in value]
    return [] if value is None else [_turn(value, role)]


def _turn(value: object, role: str) -> tuple[str, object]:
    told = value.get("role") if isinstance(value, dict) else None
    name = told.casefold() if isinstance(told, str) else role
    return _SAME_ROLE.get(name, name), value


def _canonical(turns: list[tuple[str, object]]) -> bytes:
    """Roles and texts without white space, the last MOST_BYTES of them."""
    room, pieces = MOST_BYTES, list[bytes]()
    for role, value in reversed(turns):
        said = False
        for text in _texts(value, _DEEPEST):
            piece = text[-room:].encode("utf-8", "surrogatepass").translate(None, _WHITE)[-room:]
            pieces.append(piece)
            said = said or bool(piece)
            room -= len(piece)
            if room <= 0:
                return b"".join(reversed(pieces))
        if said:
            pieces.append(b"\0" + role.encode("utf-8", "surrogatepass") + b"\0")
    return b"".join(reversed(pieces))


def _texts(value: object, depth: int) -> Iterator[str]:
    """The texts in a value, from the last one on; token ids as numbers."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, int) and not isinstance(value, bool):
        yield f"{value},"
    elif isinstance(value, list) and depth:
        for one in reversed(value):
            yield from _texts(one, depth - 1)
    elif isinstance(value, dict) and depth:
        for name in _TEXTS:
            yield from _texts(value.get(name), depth - 1)
