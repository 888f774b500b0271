"""Seen from outside: one logger, metrics in the app's registry, receipts as JSON Lines."""

from __future__ import annotations

from hardening.observe.audit import AuditWriter
from hardening.observe.log import LOG, StartReport, start_line
from hardening.observe.metrics import Metrics, Stale, metrics_in

__all__ = ["LOG", "AuditWriter", "Metrics", "Stale", "StartReport", "metrics_in", "start_line"]
