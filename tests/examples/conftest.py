"""The examples are programs, not a package: their folder is put on the path as `python examples/x.py` does."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))
