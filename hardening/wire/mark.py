"""What tells a seal that was made here from any other text."""

from __future__ import annotations

MARK = "aGFyZGVu"
"""What every seal of ours begins with, in either alphabet of base64."""


def is_sealed(value: object) -> bool:
    """Whether a value says that it is a seal made here; only to open it tells whether it is one."""
    return isinstance(value, str) and value.startswith(MARK)
