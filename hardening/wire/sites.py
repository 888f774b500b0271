"""Governed values of a frame: where they stand, whose they are, and what the object around them makes of them."""

from __future__ import annotations

from collections.abc import Sequence

from hardening.wire.roles import Retelling, Role

_TRACES = frozenset({Role.REASONING, Role.REASONING_WHOLE})

# What a value is in an object that is reasoning; what is opaque, and a call, mean the same there.
_IN_REASONING = {
    Role.TEXT: Role.REASONING,
    Role.TEXT_WHOLE: Role.REASONING,
    Role.TEXT_COPY: Role.REASONING,
    Role.ATTACHED: Role.TRACE,
}
_OFF = frozenset({b"false", b"null", b"0", b'""', b"{}", b"[]", b'"false"', b'"no"', b'"none"', b'"0"'})
_ON = frozenset({b'"true"', b'"yes"', b'"on"', b'"1"', b'"thought"', b'"thinking"', b'"reasoning"'})
_HOLDS_TEXT = (b'"', b"{", b"[")


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


def is_on(value: bytes) -> bool:
    """Whether the value of a switch says yes; what is neither yes nor no does."""
    return value.lower() not in _OFF


def is_no_switch(value: bytes) -> bool:
    """Whether text stands where a switch should: an imitator's trace."""
    return value.startswith(_HOLDS_TEXT) and value.lower() not in _OFF | _ON


def make_reasoning(
    sites: list[Site], known: int, span: tuple[int, int], *, owner: Owner, known_only: bool | None
) -> None:
    """The object at `span` is reasoning: so are its sites, which begin at `known`, or else all of it.

    `known_only` says whether nothing stands there but what the table knows; with None a site that holds
    the trace anyhow says so.
    """
    if known_only is None:
        known_only = any(site.role is Role.REASONING for site in sites[known:])
    if known_only:
        for site in sites[known:]:
            site.role = _IN_REASONING.get(site.role, site.role)
    else:
        sites[known:] = [
            *(site for site in sites[known:] if site.role is Role.KIND),
            Site(Role.REASONING, *span, owner),
        ]
