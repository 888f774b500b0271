"""The parts of `examples/demo.py`: serve, ask, check, measure, print, write the page."""

from __future__ import annotations


class ServingError(Exception):
    """The app's start failed, or the port is taken; the text says which."""
