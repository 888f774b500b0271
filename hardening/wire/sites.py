"""Governed values of a frame: where they stand, whose they are, and what the object around them makes of them."""

from __future__ import annotations

from collections.abc import Sequence

from hardening.wire.roles import Retelling, Role

_TRACES = frozenset({Role.REASONING, Role.REASONING_WHOLE})


class Owner:
    """The object that a value belongs to: a choice, a content block, or the frame itself."""

    __slots__ = ("index",)

    def __init__(self, index: int) -> None:
        self.index = index


class Site:
    """A governed value: its role and the bytes `start:end` where it stands."""

    __slots__ = ("end", "owner", "role", "start")

    def __init__(self, role: Role, start: int, end: int, owner: Owner) -> None:
        self.role = role
        self.start = start
        self.end = end
        self.owner = owner


def retold(
    sites: Sequence[Site], retellings: Sequence[Retelling], kinds: Sequence[bytes]
) -> list[Site] | None:
    """The sites of an object that calls itself `kinds`, with the roles that follow from it; None where none do."""
    for retelling in retellings:
        if not any(map(retelling.match, kinds)):
            continue
        found = [site for site in sites if site.role in retelling.roles]
        for site in found:
            site.role = retelling.roles[site.role]
        return [*sites] if found or any(site.role in _TRACES for site in sites) else None
    return None
