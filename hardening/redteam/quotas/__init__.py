"""What an answer costs whoever collects answers, and what the same limits cost everybody else: a simulation of days."""

from __future__ import annotations

from hardening.redteam.quotas.attack import attack

__all__ = ["attack"]
