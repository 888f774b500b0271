"""docs/policy.md is what the model says, and every policy in it loads."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from hardening.policy import Policy
from hardening.policy.load import Source, load_text, read_parent

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "policy.md"
BLOCKS = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def load(block: str) -> Policy:
    """A whole policy, or some of its keys."""
    text = block if "version: 1" in block else "version: 1\n" + block
    return load_text(Source("page.yaml", "page", text.encode()), environment={}, parents=read_parent)


def test_page_and_schema_are_current() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "docs.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("block", BLOCKS, ids=[block.split("\n")[0] for block in BLOCKS])
def test_each_policy_of_the_page_loads(block: str) -> None:
    assert load(block).digest


def test_the_first_policy_of_the_page_does_what_it_says() -> None:
    policy = load(BLOCKS[0])
    assert policy.name == "acme-prod"
    assert {"minute", "month", "network"} <= policy.limits.keys()  # of its own, and of its parent
    assert policy.doors.own == {"/api/chat": "openai_chat", "/internal/*": "pass"}


def test_the_page_shows_messages_as_they_are() -> None:
    shown = re.findall(r"^policy.yaml:\d+:\d+: (.*?)(?:, \.\.\.\))?$", PAGE.read_text("utf-8"), re.MULTILINE)
    found = []
    for text in ("mode: shaddow\n", "limits: {a: {burts: 5, requests: 5, per: 1m}}\n"):
        with pytest.raises(Exception, match="did you mean") as caught:
            load(text)
        found += [fault.message for fault in caught.value.faults]
    assert len(shown) == len(found) == 2
    for message, real in zip(shown, found, strict=True):
        assert real.startswith(message)
