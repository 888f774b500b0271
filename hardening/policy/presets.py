"""Where the presets lie, in a wheel, an sdist, a checkout and an editable install."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent
_PLACES = (_PACKAGE / "_policies", _PACKAGE.parent / "policies")
"""The wheel carries the folder inside the package; a checkout and an sdist have it beside the package."""


def find_preset(name: str) -> Path:
    """The policy file of a preset; raises KeyError with the known names for another name."""
    for place in _PLACES:
        path = place / name / "policy.yaml"
        if name in _names(place):
            return path
    raise KeyError(f"no preset {name!r}; presets are {', '.join(preset_names())}")


def preset_names() -> tuple[str, ...]:
    """The names of all presets, sorted."""
    return tuple(sorted({name for place in _PLACES for name in _names(place)}))


def _names(place: Path) -> list[str]:
    """The folders that hold a policy right below a place."""
    return [path.parent.name for path in place.glob("*/policy.yaml")]
