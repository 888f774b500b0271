"""What objects keep alive, found by walking their references."""

from __future__ import annotations

import gc
import types


def texts_held_by(*roots: object) -> str:
    """Every text that these objects keep alive, code and classes left out."""
    code = (types.ModuleType, types.FunctionType, types.CodeType, types.FrameType, type)
    seen: dict[int, object] = {}
    waiting = list(roots)
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, code):
            continue
        seen[id(one)] = one
        waiting += gc.get_referents(one)
    held = (one for one in seen.values() if isinstance(one, str | bytes | bytearray))
    return "\n".join(one if isinstance(one, str) else bytes(one).decode("utf-8", "replace") for one in held)
