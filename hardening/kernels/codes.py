"""Numbers that a kernel and its plain twin agree on."""

from __future__ import annotations

NOT_UNDERSTOOD = -1
"""The kernel cannot read the input for certain; the plain twin must."""
MISALIGNED = -2
"""The rows do not spell exactly the visible text."""
NO_ROOM = -3
"""The output buffer is too small for the input."""
WHOLE = -4
"""The list holds nothing but whole numbers, some of them beyond one."""

LOWEST = -9999
"""The value that stands for "not among the alternatives" (OpenAI) and for -inf (vLLM)."""
LOW_LEVEL = -(1 << 62)
"""The level that stands for LOWEST."""
SNAP = 1e-12
"""Relative error up to which a value counts as lying on the grid, so that stepping twice changes nothing."""
MAX_ALTERNATIVES = 64
"""More alternatives in one row than this are left to the plain twin."""
EXACT_POWERS = 22
"""Powers of ten up to this one are exact in binary64."""
SHARED_SCALE = 1_000_000
"""Likeness of two equal sentences; whole numbers, so that kernel and twin agree to the last digit."""
LARGEST = float(1 << 20)
"""No embedding has a larger value: what reads as one is something else."""
SMALLEST = 1 / LARGEST
"""Nor so small in more than one of TINY_SHARE of its values that are not zero."""

TINY_SHARE = 16
PAIRED = 16
"""From so many values on it is looked at whether they hold two values of two bytes, or half of one of eight."""
BFLOAT_LEAST, BFLOAT_MOST = 112, 133
"""Exponents of a bfloat16 as embeddings have them, 2**-15 to 2**7; bits that mean nothing look so one time in twelve."""
MOST_STEPS = float(1 << 52)
"""Up to this many steps a count is exact in binary64."""
