"""What the documents say exists: links, scripts, commands, and the five lines of the README."""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")])
README = (ROOT / "README.md").read_text(encoding="utf-8")
SCRIPT = re.compile(r"(?<![\w/.])scripts/([a-z][a-z-]*[a-z])\b")

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")
_HEADING = re.compile(r"^#{1,6} (.+?)\s*$", re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """The fragment of each heading of a page, as forges make them."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in _HEADING.findall(text)}


def broken_links(page: Path) -> list[str]:
    """Each relative link of a page whose file or heading does not exist."""
    broken = []
    for link in _LINK.findall(_FENCE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, fragment = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (fragment and target.is_file() and fragment not in anchors(target)):
            broken.append(link)
    return broken


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    assert broken_links(page) == []


def test_a_broken_link_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# One two\n[a](gone.md) [b](#one-two) [c](#three) [d](https://example.org)\n```\n[e](x.md)\n```\n"
    )
    assert broken_links(page) == ["gone.md", "#three"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_scripts_that_a_page_names_exist_and_run(page: Path) -> None:
    for name in set(SCRIPT.findall(page.read_text(encoding="utf-8"))):
        script = ROOT / "scripts" / name
        assert script.is_file(), name
        assert os.access(script, os.X_OK), name


def test_the_two_commands_of_the_readme_are_there() -> None:
    consoles = [body.split("\n") for kind, body in _FENCE.findall(README) if kind == "console"]
    assert ["scripts/demo", "scripts/test", ""] in consoles


def test_the_code_of_the_readme_runs() -> None:
    blocks = [body for kind, body in _FENCE.findall(README) if kind == "python"]
    assert blocks
    for block in blocks:
        ast.parse(block)
        names: dict[str, object] = {}
        exec(compile(block, "README.md", "exec"), names)  # constructing the app only; nothing is started
        assert len([line for line in block.splitlines() if line.strip()]) <= 5
        assert names["app"]


def test_decisions_are_numbered_without_gaps_and_named_in_their_title() -> None:
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    numbers = [int(page.name[:4]) for page in pages]
    assert numbers == list(range(1, len(pages) + 1))
    for page in pages:
        assert page.read_text(encoding="utf-8").startswith(f"# {page.name[:4]}: ")
