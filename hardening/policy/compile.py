"""The typed file -> the prepared `Policy`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from types import MappingProxyType

import orjson

from hardening.errors import PolicyFault
from hardening.facts import Limit, Mode, Prior
from hardening.policy.compiled import (
    Compiled,
    DoorTerms,
    FailureTerms,
    Groups,
    KeyPlace,
    Layer,
    Policy,
    RiskTerms,
    Runtime,
    Trial,
)
from hardening.policy.families import Families
from hardening.policy.matching import PatternTable
from hardening.policy.model import LimitSpec, PolicyFile
from hardening.policy.mounting import Accounts, AuditFile, KeySource, RuntimeSpec
from hardening.policy.priors import Priors
from hardening.policy.rulebook import Rulebook
from hardening.policy.settings import Enforcement
from hardening.policy.standing import Band, RiskSpec
from hardening.policy.terms import UNSAID, overlay
from hardening.policy.unbuilt import every_settings, notes


@dataclass(frozen=True, slots=True)
class Origin:
    """What a policy is called where it does not say so itself, and whether it is one of our presets."""

    name: str = "policy"
    preset: bool = False


def compile_policy(
    file: PolicyFile, *, mode: Mode | None, origin: Origin, old_names: tuple[PolicyFault, ...] = ()
) -> Policy:
    """The prepared policy of a file that is without faults; `mode` overrides the file's own.

    `old_names` are the places at which the file uses the former name of a key.
    """
    new = file.risk.new
    defaults = overlay(UNSAID, file.defaults.terms())
    unproven = file.accounts.unproven.limits
    rulebook = Rulebook(file.rules, defaults)
    parts = Compiled(
        name=file.name or origin.name,
        digest=digest_of(file),
        mode=mode or file.mode,
        disclose=file.disclose,
        preset=origin.preset,
        identify=file.accounts.identify,
        trusted_proxies=file.accounts.trusted_proxies,
        doors=DoorTerms(MappingProxyType(dict(file.doors.own)), file.doors.unknown, file.doors.kept),
        limits=MappingProxyType({name: _limit(name, spec) for name, spec in file.limits.items()}),
        on_failure=FailureTerms(**file.on_failure.model_dump()),
        runtime=_runtime(file.runtime),
        groups=_groups(file.accounts),
        families=Families.declared(file.families),
        rulebook=rulebook,
        layers=_layers(file.risk),
        prior=Prior(new.until.requests, new.until.age or 0.0) if new is not None else None,
        risk=RiskTerms(
            file.risk.max_flagged,
            file.risk.above_max,
            file.risk.retention,
            Priors(file.risk.priors) if file.risk.priors else None,
        ),
        enforced_rules=_enforced([rule.mode for rule in file.rules]) | rulebook.in_doubt,
        enforced_layers=_enforced([*(band.mode for _, band in _bands(file.risk)), None]),
        trials=tuple(_trials(file)),
        unproven_limits=unproven if unproven is not None else defaults.limits or (),
        limits_path=file.accounts.limits_path,
        notes=tuple(map(str, notes(file))),
        hides_lengths=any(part.usage not in (None, "keep") for _, part in every_settings(file)),
        rotates=any(part.terms().embedding_rotate for _, part in every_settings(file)),
        old_names=old_names,
    )
    return Policy.of(parts)


def digest_of(file: PolicyFile) -> str:
    """The first 12 hex digits of the SHA-256 of what the file says, without `runtime` and `extends`.

    Only what is written counts, so a key that a later release adds changes no digest.
    """
    said = file.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude={"runtime", "extends"})
    return sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()[:12]


def _limit(name: str, spec: LimitSpec) -> Limit:
    burst = spec.burst or spec.amount
    return Limit(
        name,
        spec.unit,
        spec.amount,
        spec.per or 0.0,
        burst,
        window=spec.window,
        by=spec.by,
        max_debt=spec.max_debt or burst,
    )


def _groups(accounts: Accounts) -> Groups:
    rows = [(entry, 1 << index) for index, ids in enumerate(accounts.groups.values()) for entry in ids]
    return Groups(tuple(accounts.groups), PatternTable(rows))


def _bands(risk: RiskSpec) -> list[tuple[str, Band]]:
    """The bands, the least risk first."""
    return sorted(risk.bands.items(), key=lambda item: (item[1].enter, item[0]))


def _layers(risk: RiskSpec) -> tuple[Layer, ...]:
    """The bands, and after them the prior for new accounts where there is one."""
    bands = [Layer(name, band.terms(), band.enter, band.leave) for name, band in _bands(risk)]
    return (*bands, *([Layer(None, risk.new.terms())] if risk.new is not None else []))


def _enforced(modes: list[Mode | None]) -> int:
    """The parts that are not in shadow, as bits."""
    return sum(1 << index for index, mode in enumerate(modes) if mode != "shadow")


def _trials(file: PolicyFile) -> Iterator[Trial]:
    """Every rule and band that acts for a share of the accounts."""

    def share_of(part: Enforcement) -> float:
        return 1.0 if part.enforce is None else part.enforce

    for index, rule in enumerate(file.rules):
        if share_of(rule) < 1:
            yield Trial(f"rule/{rule.name}", share_of(rule), rule_bit=1 << index)
    for index, (name, band) in enumerate(_bands(file.risk)):
        if share_of(band) < 1:
            yield Trial(f"band/{name}", share_of(band), layer_bit=1 << index)


def _runtime(spec: RuntimeSpec) -> Runtime:
    return Runtime(
        state=spec.state,
        key=_place(spec.keys.current) if spec.keys.current else None,
        previous_keys=tuple(_place(source) for source in spec.keys.previous),
        audit=f"file:{spec.audit.file}" if isinstance(spec.audit, AuditFile) else spec.audit,
        max_body=spec.max_body,
        calibration=spec.calibration,
    )


def _place(source: KeySource) -> KeyPlace:
    return KeyPlace("file", source.file) if source.file is not None else KeyPlace("env", source.env or "")
