"""The parts of `examples/demo.py`: serve, ask, check, measure, print, write the page."""
