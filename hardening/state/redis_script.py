"""The script of the Redis store, put together from its parts (`lua/`)."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

PARTS = ("layout", "buckets", "standing", "scopes", "leases", "act")
"""In this order, for each part uses what stands in those before."""


@cache
def script() -> bytes:
    """The whole script."""
    folder = files("hardening.state").joinpath("lua")
    return b"\n".join([folder.joinpath(f"{part}.lua").read_bytes() for part in PARTS])
