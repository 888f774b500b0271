"""A policy with all that is made from it; a request takes it once, at its beginning."""

from __future__ import annotations

from dataclasses import dataclass, field

from hardening.exchange import Tools
from hardening.identity import Identifier, Keys, ProvenLedger
from hardening.policy import Policy, Runtime
from hardening.wire.doors import PASS, Door, Doors

# Paths that are known to be no door, for each method; an app has some dozens, a scanner any number.
_QUIET_PATHS = 1024


class QuietPaths:
    """Paths that are no door under one policy and below one mount, by method; bounded."""

    __slots__ = ("paths", "root")

    def __init__(self) -> None:
        self.root = ""
        self.paths: dict[str, set[str]] = {}

    def add(self, method: str, path: str, root: str) -> None:
        """Remember a path; under another mount than the last one all others are forgotten."""
        if root != self.root:
            self.paths, self.root = {}, root
        paths = self.paths.setdefault(method, set())
        if len(paths) >= _QUIET_PATHS:
            paths.clear()
        paths.add(path)


@dataclass(frozen=True, slots=True, eq=False)
class InForce:
    """A policy that decides, its doors, who its callers are, and the tools of its exchanges.

    Replaced as a whole when the policy changes: what a request began with it ends with.
    """

    policy: Policy
    doors: Doors
    left_alone: Doors
    identifier: Identifier
    tools: Tools
    quiet: QuietPaths = field(default_factory=QuietPaths)

    @classmethod
    def of(cls, policy: Policy, keys: Keys, ledger: ProvenLedger, tools: Tools) -> InForce:
        """What is made from a policy.

        Raises:
            StartError: its callers cannot be told by what `accounts` says.
        """
        own = policy.doors.own
        left_alone = {path: "openai_chat" for path, format in own.items() if format == PASS}
        return cls(
            policy=policy,
            doors=Doors(own),
            left_alone=Doors(left_alone, known=False),
            identifier=Identifier(
                keys, order=policy.identify, trusted_proxies=policy.trusted_proxies, ledger=ledger
            ),
            tools=tools,
        )

    def door(self, path: str, root: str, method: str) -> Door | None:
        """The door of a path below its mount, else of the whole path: a mount may be part of a door's name."""
        door = self.doors.match(path)
        if door is not None or self.leaves_alone(path):
            return door
        door = self.doors.match(root + path) if root else None
        # Where other paths are closed it is better that these are than that they are read.
        kept = self.policy.doors.unknown == "report" or method in ("GET", "HEAD")
        return self.doors.stored(path) if door is None and kept else door

    def leaves_alone(self, path: str) -> bool:
        """Whether the policy says that this path is not ours."""
        return self.left_alone.match(path) is not None


def runtime_changes(before: Runtime, after: Runtime) -> list[str]:
    """The settings of `runtime` that differ, by their names in the file; never a value."""
    return [
        f"runtime.{name}"
        for name, differs in (
            ("state", before.state != after.state),
            ("keys", (before.key, before.previous_keys) != (after.key, after.previous_keys)),
            ("audit", before.audit != after.audit),
            ("max_body", before.max_body != after.max_body),
        )
        if differs
    ]
