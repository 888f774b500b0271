"""A JUnit report, as the servers that run tests read it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

# What XML 1.0 cannot say, not even in escapes (section 2.2).
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Case:
    """One case and where it stands; it failed, could not be run (`error`), or passed."""

    name: str
    file: str
    line: int
    failure: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Suite:
    """The cases of one policy."""

    name: str
    cases: tuple[Case, ...]


def as_junit(suites: Sequence[Suite]) -> bytes:
    """The report as XML."""
    root = ET.Element("testsuites", _counts([case for suite in suites for case in suite.cases]))
    for suite in suites:
        element = ET.SubElement(root, "testsuite", {"name": _legal(suite.name), **_counts(suite.cases)})
        for case in suite.cases:
            _add(element, suite, case)
    ET.indent(root)
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _add(element: ET.Element, suite: Suite, case: Case) -> None:
    about = {"classname": suite.name, "name": case.name, "file": case.file, "line": str(case.line)}
    child = ET.SubElement(element, "testcase", {key: _legal(value) for key, value in about.items()})
    for kind, text in (("failure", case.failure), ("error", case.error)):
        if text:
            told = ET.SubElement(child, kind, {"message": _legal(text.partition("\n")[0])})
            told.text = _legal(text)


def _counts(cases: Sequence[Case]) -> dict[str, str]:
    return {
        "tests": str(len(cases)),
        "failures": str(sum(bool(case.failure) for case in cases)),
        "errors": str(sum(bool(case.error) for case in cases)),
    }


def _legal(text: str) -> str:
    """The text with everything that XML cannot say spelt out."""
    return _ILLEGAL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
