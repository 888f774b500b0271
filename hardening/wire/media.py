"""Pictures, sound and film in a request: a model reads far fewer tokens of them than their base64 would be as text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

_LEAST_BYTES = 16 * 1024  # of a body that is looked through, and of a string that may be one of these
_BLOCK_BYTES = _LEAST_BYTES // 2  # wherever a string of those bytes begins, one of these lies in it
_QUOTE = 34
_PICTURE_BYTES = 16 * 1024  # 4,096 tokens of 4 bytes; servers make some 100 to 3,000 of a picture, few more
# Speech and film at their lowest rates come to a twentieth of a token a byte, others to far less.
_SOUND_SHARE = 16
# Objects and lists that are looked into, the last ones first; what lies in others counts as text.
_MOST_VALUES = 2048

_link = re.compile(r"data:(image|audio|video)/[^,\s]{1,100};base64,").match
_kind = re.compile(r"(image|audio|video)/").match
_LINKED = frozenset({"url", "image_url", "video_url", "audio_url"})
_TYPES = ("media_type", "mime_type", "mimeType")
_HOLDERS = (dict, list)
_FORMATS = frozenset({"aac", "flac", "m4a", "mp3", "ogg", "opus", "pcm16", "wav", "webm"})


def text_bytes(body: bytes, value: Mapping[str, object]) -> int:
    """How many bytes of text a body, which was read as `value`, comes to as a prompt.

    What is no text by the place where it stands, and by its form, counts as much as servers make of it at most; a
    document counts as text.
    """
    size = len(body)
    if size < _LEAST_BYTES or not _may_hold_media(body):
        return size
    return size - sum(len(data) - _worth(data, kind) for data, kind in _media(value))


def _may_hold_media(body: bytes) -> bool:
    """Whether a string of the body may be long enough: such a one fills a block, and in no block of base64 stands a quote."""
    blocks = range(0, len(body) - _BLOCK_BYTES + 1, _BLOCK_BYTES)
    return any(body.find(_QUOTE, at, at + _BLOCK_BYTES) < 0 for at in blocks)


def _worth(data: str, kind: str) -> int:
    return min(_PICTURE_BYTES, len(data)) if kind == "image" else len(data) // _SOUND_SHARE


def _media(root: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Each medium in a request, and of what kind it is."""
    left: list[object] = [root]
    for _ in range(_MOST_VALUES):
        if not left:
            return
        value = left.pop()
        if isinstance(value, list):
            if len(value) <= _MOST_VALUES:
                left += [inner for inner in value if type(inner) in _HOLDERS]
        elif isinstance(value, dict):
            for key, inner in value.items():
                if type(inner) in _HOLDERS:
                    left.append(inner)
                elif type(inner) is str and _is_packed(inner) and (kind := _kind_of(key, inner, value)):
                    yield inner, kind
            pictures = value.get("images")  # Ollama's
            for inner in pictures if isinstance(pictures, list) else ():
                if type(inner) is str and _is_packed(inner):
                    yield inner, "image"


def _is_packed(text: str) -> bool:
    """Whether a string may be base64: it is long and has neither blanks nor lines."""
    return len(text) >= _LEAST_BYTES and text.isascii() and not any(map(text.__contains__, " \n\t"))


def _kind_of(key: str, text: str, beside: Mapping[str, object]) -> str | None:
    """The kind of medium that a string is, by its key and by what stands beside it."""
    if key in _LINKED:
        link = _link(text)
        return link[1] if link else None
    if key == "result" and beside.get("type") == "image_generation_call":  # one that Responses drew before
        return "image"
    if key != "data":
        return None
    kinds = (_kind(named) for name in _TYPES if isinstance(named := beside.get(name), str))
    found = next((kind[1] for kind in kinds if kind), None)
    return found or ("audio" if beside.get("format") in _FORMATS else None)
