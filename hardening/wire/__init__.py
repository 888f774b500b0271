"""Bytes to frames to events and back, per format; knows no policy."""
