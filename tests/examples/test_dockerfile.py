"""The image: at most 15 lines, kernels compiled before it leaves root, everything that it copies is let through."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
LINES = (ROOT / "examples" / "Dockerfile").read_text(encoding="utf-8").splitlines()
IGNORE = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()


def place(start: str) -> int:
    """The line on which an instruction stands."""
    return next(number for number, line in enumerate(LINES) if line.startswith(start))


def test_it_is_short_and_warms_before_it_drops_root() -> None:
    assert len(LINES) <= 15
    assert place("RUN hardening warm") < place("USER app") < place("CMD")


def test_kernels_are_made_for_any_processor_and_copied_to_where_the_cache_is_read() -> None:
    text = "\n".join(LINES)
    made, read = re.findall(r"NUMBA_CACHE_DIR=(\S+)", text)
    assert "NUMBA_CPU_NAME=generic" in text
    assert f"cp -r {made} {Path(read).parent}" in text
    assert Path(read).name == Path(made).name


def test_what_the_image_uses_exists_and_is_not_ignored() -> None:
    text = "\n".join(LINES)
    for name in (
        "requirements/serve.txt",
        "examples/starlette_app.py",
        "pyproject.toml",
        "policies",
        "hardening",
    ):
        assert (ROOT / name).exists()
        assert f"!{name.split('/')[0]}" in IGNORE
    assert "/src/requirements/serve.txt" in text
    assert "starlette_app:app" in text
