"""The one logger of this library, which the app configures, and the line that says what started."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from hardening.facts import Mode, PolicyId

LOG = logging.getLogger("hardening")
"""Every message of this library; it has no handler and no level of its own."""


@dataclass(frozen=True, slots=True)
class StartReport:
    """What an operator wants to know of a process that just started.

    `kernels_s` is None while the kernels are not warm; `not_enforced` names settings whose
    mechanism is not built, `warnings` whatever else he should read.
    """

    version: str
    policy: PolicyId
    mode: Mode
    store: str
    has_key: bool
    kernels_s: float | None
    doors: int
    not_enforced: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def start_line(report: StartReport) -> str:
    """The report as one line of `name=value` pairs; holds no key and no address of a store."""
    kernels = "not warm" if report.kernels_s is None else f"warm in {report.kernels_s:.2f} s"
    pairs = [
        ("policy", f"{report.policy.name} ({report.policy.digest})"),
        ("mode", report.mode),
        ("store", report.store.partition("://")[0]),
        ("key", "yes" if report.has_key else "no"),
        ("kernels", kernels),
        ("doors", f"{report.doors} (hardening routes lists them)" if report.doors else "none"),
    ]
    if report.not_enforced:
        pairs.append(("not enforced", ", ".join(report.not_enforced)))
    if report.warnings:
        pairs.append(("warnings", ", ".join(report.warnings)))
    text = "; ".join(f"{name}={value}" for name, value in pairs)
    return " ".join(f"hardening {report.version}: {text}".split())
