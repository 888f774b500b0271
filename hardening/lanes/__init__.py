"""Frames of a known shape, taken without reading them: the path that nearly every chunk goes."""

from hardening.lanes.choice import Lanes
from hardening.lanes.element import ElementLane
from hardening.lanes.lane import NO_LANE, Lane, NoLane

__all__ = ["NO_LANE", "ElementLane", "Lane", "Lanes", "NoLane"]
