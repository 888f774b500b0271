"""What a loaded policy is: prepared tables and plain values, ready for requests.

`Policy` is immutable as far as decisions go: its tables only remember answers that they would give again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from hashlib import blake2b
from types import MappingProxyType
from typing import Any, Literal, Self, Unpack

from hardening.errors import PolicyError, PolicyFault
from hardening.facts import (
    NEW,
    Account,
    Decision,
    Limit,
    Mode,
    NewPrice,
    Prior,
    Refusal,
    RequestFacts,
    Standing,
    Unit,
)
from hardening.policy.editions import Editions
from hardening.policy.families import Families
from hardening.policy.matching import PatternTable, Texts, remember
from hardening.policy.priors import Priors
from hardening.policy.rulebook import Rulebook, Walk
from hardening.policy.terms import Terms, stricter
from hardening.policy.written import PolicyKeys

_NO_ENVIRONMENT: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class DoorTerms:
    """The app's own paths with the format each speaks (or `pass`), what unknown paths get, and kept answers."""

    own: Mapping[str, str]
    unknown: Literal["report", "block"]
    kept: Literal["now", "then", "strictest"] = "now"


@dataclass(frozen=True, slots=True)
class FailureTerms:
    """What happens when a body, the store or our own code fails, or unknown text appears."""

    unreadable: Literal["block", "pass"]
    store: Literal["local", "reject", "allow"]
    internal: Literal["block", "pass"]
    unknown_text: Literal["report", "hide"]


@dataclass(frozen=True, slots=True)
class KeyPlace:
    """Where a secret is read: the file, or the variable of the environment, of this name."""

    kind: Literal["file", "env"]
    name: str


@dataclass(frozen=True, slots=True)
class Runtime:
    """Where the software runs. `state` may hold a password, so it is not shown.

    `audit` is `stdout`, `none`, or `file:` and a path; `max_body` is in bytes.
    """

    state: str = field(repr=False)
    key: KeyPlace | None
    previous_keys: tuple[KeyPlace, ...]
    audit: str
    max_body: int
    calibration: str | None = None


@dataclass(frozen=True, slots=True)
class RiskTerms:
    """How many accounts may be in a band, what happens above that, how long a record is kept, what attributes are worth."""

    max_flagged: float = 0.05
    above_max: Literal["alarm", "shadow"] = "alarm"
    keep_s: float = 30 * 86_400.0
    priors: Priors | None = None


@dataclass(frozen=True, slots=True)
class Layer:
    """Terms that standing lays over the walk: a band of risk, or (band None) the prior for new accounts."""

    band: str | None
    terms: Terms
    enter: float = 0.0
    leave: float = 0.0


@dataclass(frozen=True, slots=True)
class Trial:
    """Something that acts for a share of the accounts: bits of `rules` or of `layers`."""

    name: str
    share: float
    rule_bit: int = 0
    layer_bit: int = 0


@dataclass(frozen=True, slots=True)
class Groups:
    """Which groups are declared, in file order, and who is in them."""

    names: Texts
    table: PatternTable
    remembered: dict[tuple[str, str | None, Texts], Texts] = field(default_factory=dict, repr=False)

    def of(self, account: Account) -> Texts:
        """The declared groups of an account, in file order; none while nobody vouched for it."""
        if not account.proven or not self.names:
            return ()
        key = (account.id, account.org, account.groups)
        known = self.remembered.get(key)
        if known is None:
            bits = self.table.bits((account.id, account.org) if account.org else (account.id,))
            known = tuple(
                name for index, name in enumerate(self.names) if bits >> index & 1 or name in account.groups
            )
            remember(self.remembered, key, known)
        return known


@dataclass(frozen=True, slots=True)
class Claim:
    """One limit that a walk charges: its pool's factor, and how much more each band, and who is new, pays."""

    limit: Limit
    factor: float
    by_band: Mapping[str, float]
    new: NewPrice | None = None

    @property
    def alone(self) -> bool:
        """Whether it is a limit of new accounts only."""
        return self.new is not None and self.new.alone


@dataclass(frozen=True, slots=True)
class Plan:
    """What a walk charges, prepared: an end, or the claims with the bounds on what may be used.

    `rooms` is what whole limits on the length of an answer hold, each in its unit. `alone` says that some of the
    claims are those of new accounts only.
    """

    refusal: Refusal | None
    exempt: bool
    claims: tuple[Claim, ...] = ()
    rooms: tuple[tuple[Unit, int], ...] = ()
    factor: float = 1.0
    max_tokens: int | None = None
    top: int | None = None
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Memory:
    """Answers that were worked out before; each table is bounded."""

    decisions: dict[tuple[int, int, bool], Decision] = field(default_factory=dict)
    plans: dict[tuple[int, int, bool], Plan] = field(default_factory=dict)
    shares: dict[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Compiled:
    """The parts of a policy: `charges` and `decide` read them, and nothing in them changes.

    `digest` is the short hash of what it says outside `runtime`. `preset` is whether it is one of ours.
    `old_names` are the places at which its file uses the former name of a key, with the new one.
    """

    name: str
    digest: str
    mode: Mode
    disclose: bool
    preset: bool
    identify: tuple[str, ...]
    trusted_proxies: tuple[str, ...]
    doors: DoorTerms
    limits: Mapping[str, Limit]
    on_failure: FailureTerms
    runtime: Runtime
    groups: Groups
    families: Families
    rulebook: Rulebook
    layers: tuple[Layer, ...]
    prior: Prior | None
    risk: RiskTerms
    enforced_rules: int
    enforced_layers: int
    trials: tuple[Trial, ...]
    unproven_limits: tuple[str, ...]
    limits_path: str | None
    notes: tuple[str, ...]
    hides_lengths: bool = False  # of answers of some account, by some part of it
    rotates: bool = False  # embeddings of some model, by some part of it
    old_names: tuple[PolicyFault, ...] = ()
    memory: Memory = field(default_factory=Memory, repr=False)
    editions: Editions | None = field(default=None, repr=False)

    def key_group(self, account: Account) -> str:
        """The group that keyed transforms use: the first declared one of the account, else `default`."""
        groups = self.groups.of(account)
        return groups[0] if groups else "default"

    def hits(self, facts: RequestFacts, account: Account, now: float) -> int:
        """The rules that hold for a request, as bits, whether they are enforced or not."""
        if not self.rulebook.all:
            return 0
        return self.rulebook.hits(facts, account, self.groups.of(account), now)

    def acting(self, facts: RequestFacts, account: Account, now: float) -> tuple[int, int]:
        """The rules that hold for a request and act on it, and the layers that act for its account, as bits."""
        if not self.trials and not self.rulebook.all:
            return 0, self.enforced_layers
        rules, layers = self.enforced_for(account)
        return self.hits(facts, account, now) & rules, layers

    def enforced_for(self, account: Account) -> tuple[int, int]:
        """The rules and layers that act for this account, as bits; the others are in shadow."""
        if not self.trials:
            return self.enforced_rules, self.enforced_layers
        # An unproven caller chooses his id, so he could draw until a share leaves him out.
        who = account.id if account.proven else account.network
        known = self.memory.shares.get(who)
        if known is None:
            known = self._drawn(who)
            remember(self.memory.shares, who, known)
        return known

    def _drawn(self, who: str) -> tuple[int, int]:
        rules, layers = self.enforced_rules, self.enforced_layers
        for trial in self.trials:
            digest = blake2b(f"{trial.name}\0{who}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
            if int.from_bytes(digest) >= trial.share * 2**64:
                rules &= ~trial.rule_bit
                layers &= ~trial.layer_bit
        return rules, layers

    def layers_of(self, standing: Standing) -> int:
        """The layers that hold for a standing, as bits: every band up to its own, and the prior.

        A band includes those below it, so that more risk never means looser terms. A band that
        this policy does not have is read as the risk says.
        """
        bits = 0
        if standing.band is not None:
            names = [layer.band for layer in self.layers]
            if standing.band in names:
                bits = (2 << names.index(standing.band)) - 1
            else:
                bits = sum(1 << i for i, layer in enumerate(self.layers) if standing.risk >= layer.leave)
        if self.prior is not None:
            prior_bit = 1 << (len(self.layers) - 1)
            bits = bits | prior_bit if self.prior.holds(standing) else bits & ~prior_bit
        return bits

    def layers_before(self, standing: Standing) -> int:
        """The layers that may have held when an answer was made that its account gets now, beside those that hold, as bits.

        With `then` those of the highest band that it was in lately; all of them where nobody knows, or this policy has no such band.
        """
        peak, every = standing.peak, (1 << len(self.layers)) - 1
        if self.doors.kept == "now" or (self.doors.kept == "then" and peak == ""):
            return 0
        if self.doors.kept == "strictest" or peak is None:
            return every
        new = every ^ every >> 1 if self.prior is not None else 0
        names = [layer.band for layer in self.layers]
        if peak == NEW:
            return new
        return new | (2 << names.index(peak)) - 1 if peak in names else every

    def prior_among(self, layers: int) -> Layer | None:
        """The layer of new accounts, which is the last, if it is one of these; None without one."""
        among = self.prior is not None and layers >> (len(self.layers) - 1) & 1
        return self.layers[-1] if among else None

    def over(self, walk: Walk, layers: int) -> tuple[Terms, str | None]:
        """The walk's terms with the layers over them, and the highest band among these."""
        terms, band = walk.terms, None
        for index, layer in enumerate(self.layers):
            if layers >> index & 1:
                terms = stricter(terms, layer.terms)
                band = layer.band or band
        return terms, band

    @property
    def bands(self) -> int:
        """The layers that are bands, as bits: all but that of new accounts, which is the last."""
        return (1 << len(self.layers) - (self.prior is not None)) - 1

    def unenforced(self) -> tuple[str, ...]:
        """Settings of this policy whose mechanism is not built yet, each with what happens instead."""
        return self.notes


class Policy(Compiled):
    """A policy, ready for requests: from `load_policy`, or written here with the keys of a file.

        Policy(name="mine", extends="baseline", defaults={"reasoning": {"show": "none"}})

    What is written here is checked as a file is, and decides as that file would; a fault names the
    path of its value, as in `policy:defaults.reasoning.show`. `extends` names a preset, or a file as
    seen from the working directory. A policy never changes.

    Args:
        environment: gives `${NAME}` under `runtime`, and HARDENING_MODE, HARDENING_STATE and the like;
            `os.environ`, where they shall count. Without it nothing is read from the environment.
        keys: `version` (1, may be left out), `extends`, `name`, `mode`, `disclose`, `accounts`,
            `doors`, `families`, `limits`, `defaults`, `rules`, `risk`, `on_failure`, `runtime`.

    Raises:
        PolicyError: something in it, or in what it extends, is not allowed; holds every fault.
    """

    __slots__ = ()

    def __init__(
        self, *, environment: Mapping[str, str] = _NO_ENVIRONMENT, **keys: Unpack[PolicyKeys]
    ) -> None:
        # Here, for what makes a policy of keys makes it by this class.
        from hardening.policy.in_code import policy_of

        _fill(self, policy_of({**keys}, environment))

    def reload(self) -> Policy:
        """The policy as its files say now, which every middleware that was given this one acts by.

        This one stays as it is, and a request keeps the policy that it began with. May be called from
        any thread; it reads files, so not on an event loop.

        Raises:
            PolicyError: the files hold no policy, or this one came from no file; nothing changes.
            StartError: a middleware cannot act by it, and keeps the one that it has.
        """
        if self.editions is None:
            message = "found a policy that was not loaded from a file (allowed: one from load_policy)"
            raise PolicyError((PolicyFault(self.name, 1, 1, message),))
        return self.editions.next()

    def without_bands(self) -> Self:
        """The same policy with every band in shadow."""
        return self.but(enforced_layers=self.enforced_layers & ~self.bands)

    @classmethod
    def of(cls, parts: Compiled) -> Self:
        """The policy of these parts."""
        policy = cls.__new__(cls)
        _fill(policy, parts)
        return policy

    def but(self, **parts: Any) -> Self:
        """The same policy with other parts, by their names; what it remembers is left behind."""
        own = {part.name: getattr(self, part.name) for part in fields(Compiled)}
        return self.of(Compiled(**{**own, "memory": Memory(), **parts}))


def _fill(policy: Policy, parts: Compiled) -> None:
    """Make a policy that has no parts yet be the one of these parts."""
    for part in fields(Compiled):
        object.__setattr__(policy, part.name, getattr(parts, part.name))
