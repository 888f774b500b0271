"""The library names one logger and leaves it alone."""

from __future__ import annotations

from dataclasses import replace

from hardening.facts import PolicyId
from hardening.observe import LOG, StartReport, start_line

REPORT = StartReport(
    version="0.1.0",
    policy=PolicyId("acme-prod", "sha256:1234"),
    mode="enforce",
    store="memory://",
    has_key=True,
    kernels_s=0.4567,
    doors=41,
)


def test_the_logger_is_not_configured():
    assert (LOG.name, LOG.handlers, LOG.level, LOG.propagate) == ("hardening", [], 0, True)


def test_the_start_line_says_what_runs():
    assert start_line(REPORT) == (
        "hardening 0.1.0: policy=acme-prod (sha256:1234); mode=enforce; store=memory; key=yes; "
        "kernels=warm in 0.46 s; doors=41 (hardening routes lists them)"
    )


def test_what_is_missing_is_said():
    report = replace(
        REPORT, has_key=False, kernels_s=None, doors=0, not_enforced=("seal",), warnings=("no key",)
    )
    line = start_line(report)
    assert "key=no; kernels=not warm; doors=none; not enforced=seal; warnings=no key" in line


def test_the_start_line_is_one_line_and_shows_no_password():
    line = start_line(replace(REPORT, store="redis://anne:secret@db/0", policy=PolicyId("a\nb", "d")))
    assert "store=redis;" in line
    assert "secret" not in line
    assert "\n" not in line
    assert "\r" not in line
