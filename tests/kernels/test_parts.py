"""A changed part reaches the kernels that are compiled with it, also where an older build is cached."""

from __future__ import annotations

import hashlib
from pathlib import Path

import hardening.kernels
from hardening.kernels import copying, logprobs, prompting, ranking, sketching, tagging, turning, vectors

FOLDER = Path(hardening.kernels.__file__).parent


def digest(*names: str) -> str:
    text = "".join((FOLDER / f"{name}.py").read_text("utf-8") for name in names)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def test_each_kernel_file_names_the_parts_that_it_was_written_for():
    """After a change of a part, write the digest that this test finds into the kernel's file."""
    assert digest("codes", "jit", "atoms", "rows", "draws", "keyed", "levels") == logprobs.PARTS
    assert digest("codes", "jit") == ranking.PARTS
    assert digest("features", "jit") == tagging.PARTS
    assert digest("copies", "jit", "tagging") == copying.PARTS
    assert digest("prompts", "jit", "tagging") == prompting.PARTS
    assert digest("prompts", "sketches", "jit") == sketching.PARTS
    assert digest("jit") == turning.PARTS
    assert digest("codes", "jit", "atoms") == vectors.PARTS
