"""A policy with all that is made from it; a request takes it once, at its beginning."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hardening.asgi.entrance import Entrance
from hardening.exchange import Tools
from hardening.facts import Account, Decision, RequestFacts
from hardening.identity import Identifier, Keys, ProvenLedger
from hardening.noise_key import NoiseKey
from hardening.policy import Policy, Runtime
from hardening.transform.coverage import Covering

# Paths that are known to be no door, for each method; an app has some dozens, a scanner any number.
_QUIET_PATHS = 1024


class QuietPaths:
    """Paths that are no door under one policy and below one mount, by method; bounded."""

    __slots__ = ("paths", "root")

    def __init__(self) -> None:
        self.root = ""
        # A method that is missing costs an exception, and nearly every request of a model server is a POST.
        self.paths: dict[str, set[str]] = {"POST": set()}

    def add(self, method: str, path: str, root: str) -> None:
        """Remember a path; under another mount than the last one all others are forgotten."""
        if root != self.root:
            self.paths, self.root = {"POST": set()}, root
        paths = self.paths.setdefault(method, set())
        if len(paths) >= _QUIET_PATHS:
            paths.clear()
        paths.add(path)


@dataclass(frozen=True, slots=True, eq=False)
class InForce:
    """A policy that decides, where its doors are, who its callers are, and the tools of its exchanges.

    Replaced as a whole when the policy changes: what a request began with it ends with.
    """

    policy: Policy
    entrance: Entrance
    identifier: Identifier
    keys: Keys
    tools: Tools
    judges: bool
    """Whether it has bands, and so what requests say is heard."""
    quiet: QuietPaths = field(default_factory=QuietPaths)

    @classmethod
    def of(cls, policy: Policy, keys: Keys, ledger: ProvenLedger, tools: Tools) -> InForce:
        """What is made from a policy.

        Raises:
            StartError: its callers cannot be told by what `accounts` says.
        """
        return cls(
            policy=policy,
            entrance=Entrance(policy.doors, enforced=policy.mode == "enforce"),
            identifier=Identifier(
                keys,
                order=policy.identify,
                trusted_proxies=policy.trusted_proxies,
                ledger=ledger,
                by_key=any(limit.by == "key" for limit in policy.limits.values()),
            ),
            keys=keys,
            tools=tools,
            judges=bool(policy.bands),
        )

    def noise_key(self, decision: Decision, facts: RequestFacts, account: Account) -> NoiseKey | None:
        """What the answer of this request is changed by, by noise or a rotation; None where the decision asks for neither."""
        if not (decision.embeddings.moves if facts.embeds else decision.logprobs.noise):
            return None
        # Who gets an answer is vouched for by it: the first one is of the same group as those that follow.
        group = self.policy.key_group(account if account.proven else replace(account, proven=True))
        # Where another model may answer, the name beside it is anybody's choice, and each would be a draw.
        model = "" if facts.others else facts.model
        return NoiseKey(self.keys.embedding if facts.embeds else self.keys.noise, group, model)

    def covering(self, decision: Decision, facts: RequestFacts, account: Account) -> Covering | None:
        """What counts how much of the space of embeddings the account sees; None where the decision does not ask."""
        terms = decision.embeddings
        if not (facts.embeds and terms.adaptive) or self.tools.coverages is None:
            return None
        return Covering(self.tools.coverages, account.scope, terms.benign)


def runtime_changes(before: Runtime, after: Runtime) -> list[str]:
    """The settings of `runtime` that differ, by their names in the file; never a value."""
    return [
        f"runtime.{name}"
        for name, differs in (
            ("state", before.state != after.state),
            ("keys", (before.key, before.previous_keys) != (after.key, after.previous_keys)),
            ("audit", before.audit != after.audit),
            ("max_body", before.max_body != after.max_body),
            ("calibration", before.calibration != after.calibration),
        )
        if differs
    ]
