"""How a request wants the values of its embeddings packed."""

from __future__ import annotations

from hardening.facts import Packing

_FROM_LEAST: tuple[Packing, ...] = ("floats", "bytes", "packed_bytes", "other")
_FLOATS = frozenset({"float", "base64", "float32", "native", "little"})
_BYTES = frozenset({"int8", "uint8"})
_PACKED_BYTES = frozenset({"base64_int8"})  # Perplexity's


def packing_of(value: object) -> Packing:
    """The most packed of the forms that a value names; one that is not known may be any."""
    return more_packed("floats", *map(_of_name, value if isinstance(value, list) else [value]))


def _of_name(name: object) -> Packing:
    if name is None:
        return "floats"
    word = name.lower() if isinstance(name, str) else ""
    if word in _FLOATS:
        return "floats"
    if word in _PACKED_BYTES:
        return "packed_bytes"
    return "bytes" if word in _BYTES else "other"


def more_packed(*packings: Packing) -> Packing:
    """The one of several that is packed the most."""
    return max(packings, key=_FROM_LEAST.index)
