"""Who is copying: honest accounts and campaigns, told apart by the signals that ship, window by window."""

from __future__ import annotations

from hardening.redteam.detection.attack import attack

__all__ = ["attack"]
