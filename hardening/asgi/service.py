"""What one process needs to answer requests, and which policy it answers them by."""

from __future__ import annotations

import asyncio
import logging
import secrets
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from prometheus_client import CollectorRegistry
from starlette.types import Scope

from hardening import __version__
from hardening.asgi.admission import Deferred
from hardening.asgi.estimate import PromptRatio, UsualLength
from hardening.asgi.inforce import InForce, runtime_changes
from hardening.asgi.judge import AppSignal, Judge
from hardening.asgi.notices import Notices
from hardening.asgi.oversight import Oversight
from hardening.asgi.secret import forbid_without_key, read_keys, worker_count
from hardening.asgi.tools import Toolbox
from hardening.clock import Clock
from hardening.errors import HardeningError, PolicyError, PolicyFault, StartError, StateError, StoreAway
from hardening.facts import Account, Mode, PolicyId, Receipt, Standing
from hardening.identity import Keys, ProvenLedger
from hardening.observe import LOG, AuditWriter, Metrics, Stale, StartReport, metrics_in, start_line
from hardening.policy import Policy
from hardening.policy.environment import mode_of
from hardening.state import (
    FOREIGN_DEADLINE_S,
    GuardedStore,
    HeldStore,
    LocalShare,
    MemoryStore,
    StateStore,
    open_store,
)
from hardening.transform.seal import Sealer

Named = Account | str | None
Identify = Callable[[Scope], Named | Awaitable[Named]]
OnReceipt = Callable[[Receipt], None]

_CLOSING_S = 2.0
_CLOSING_LOOKS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the middleware was given, and the clock, environment and registry that it stands in."""

    policy: str | Path | Policy | None
    identify: Identify | Deferred | None
    state: StateStore | None
    signals: tuple[AppSignal, ...]
    on_receipt: OnReceipt | None
    environment: Mapping[str, str]
    argv: tuple[str, ...]
    clock: Clock
    registry: CollectorRegistry


class Service:
    """What outlasts a policy: the store, proofs, learned ratios, metrics and audit; and the one in force.

    A request takes `in_force` once, at its beginning. `take` and `reject` may be called from any
    thread. `now` gives monotonic seconds. Making one opens nothing and starts no thread.

    Raises:
        PolicyError, StartError, StateError: what `Options` and the environment say cannot be used.
    """

    def __init__(self, options: Options, policy: Policy) -> None:
        self._mode = _mode(options)
        self._keys = read_keys(policy.runtime, options.environment)
        self._workers = worker_count(options.environment, options.argv)
        if not self._keys.durable:
            forbid_without_key(policy.runtime.state if options.state is None else None, self._workers)
        self.clock = options.clock
        self.now = options.clock.monotonic
        self.identify = options.identify
        store = open_store(policy.runtime.state) if options.state is None else options.state
        self._own_store = options.state is not None
        self._store_name = f"{type(store).__name__}://" if self._own_store else policy.runtime.state
        self.store: StateStore = store
        self.local: MemoryStore | LocalShare = MemoryStore()
        if not isinstance(store, MemoryStore):
            deadline_s = FOREIGN_DEADLINE_S if self._own_store else None
            self.store = guarded = GuardedStore(store, self.now, self._store_changed, deadline_s)
            self.local = guarded.local
        self.ratio = PromptRatio()
        self.lengths = UsualLength()
        self.metrics: Metrics = metrics_in(options.registry)
        self.notices = Notices(self.metrics)
        self.audit = _audit(policy.runtime.audit, self.notices.receipts_lost)
        self._runtime = policy.runtime
        self._ledger = ProvenLedger()
        self._toolbox = Toolbox(_sealer(self._keys, options.clock), self._keys.sketch)
        self.counted = self._toolbox.counted
        self._oversight = Oversight(
            key=self._keys.sketch,
            calibration=policy.runtime.calibration,
            signals=options.signals,
            notices=self.notices,
            where=where,
        )
        self._on_receipt = options.on_receipt
        self._prefix = secrets.token_hex(6)
        self._numbers = count(1)
        self._answering = 0
        self._away = 0
        self._kernels_s: float | None = None
        self._is_warm = False
        self._guessing: StartError | None = None
        self._stale: Stale | None = None
        self._whole = self.in_force = self._made(policy)
        self.metrics.policy_in_force(*_shown(self.in_force.policy))

    # -- the policy

    def take(self, policy: Policy) -> None:
        """Let `policy` decide from the next request on; what its `runtime` says has to wait for a restart.

        Raises:
            StartError: it cannot be used here; the log says so, and the one in force stays.
        """
        changed = runtime_changes(self._runtime, policy.runtime)
        before = self.in_force.policy
        try:
            in_force = self._made(policy.but(runtime=self._runtime))
            if self._is_warm:
                self._oversight.judge_by(in_force.policy)
        except StartError as fault:
            self.reject(fault)
            raise
        self._whole, self.in_force = in_force, self._oversight.over(in_force)
        self.metrics.policy_in_force(*_shown(in_force.policy))
        self.metrics.policy_left(*_shown(before))
        self._show_stale("restart" if changed else None)
        self._announce("policy changed; ", [f"{name} waits for a restart" for name in changed])
        self.metrics.policy_reloaded("applied")

    def reject(self, fault: HardeningError) -> None:
        """Log, count and show that the policy on disk is not the one in force."""
        policy = self.in_force.policy
        self._show_stale("rejected")
        LOG.error("policy rejected, %s (%s) stays in force: %s", policy.name, policy.digest, fault)
        self.metrics.policy_reloaded("rejected")

    def _made(self, policy: Policy) -> InForce:
        self._check_guessing(policy)
        if policy.rotates and not self._keys.durable:
            raise StartError(
                "found `embeddings.rotate` and no key: vectors of two starts would not compare; set HARDENING_KEY or"
                " HARDENING_KEY_FILE"
            )
        if self._mode == "shadow":
            policy = policy.but(mode="shadow")
        return InForce.of(policy, self._keys, self._ledger, self._toolbox.tools(policy))

    def _check_guessing(self, policy: Policy) -> None:
        """A policy that blocks unknown doors, as `strict` does, lets nothing be guessed, tokens neither."""
        if self._guessing is not None and policy.doors.unknown == "block":
            raise self._guessing

    def _show_stale(self, stale: Stale | None) -> None:
        self.metrics.policy_stale(stale, before=self._stale)
        self._stale = stale

    # -- standing

    @property
    def judge(self) -> Judge | None:
        """What judges accounts; None before `warm`, and where no policy has had bands."""
        return self._oversight.judge

    def saw(self, account: Account, standing: Standing) -> None:
        """Take a request of a proven account by whether it is in a band; too many in one are told."""
        if self._oversight.saw(account, standing, self._whole.policy):
            self.in_force = self._oversight.over(self._whole)

    # -- requests

    def next_id(self) -> str:
        """A new request id, unlike any of another process."""
        return f"req_{self._prefix}{next(self._numbers):08x}"

    def observe(self, receipt: Receipt) -> None:
        """Count, audit and hand over a receipt; what the app's callback raises is only logged."""
        self.metrics.take(receipt)
        if self.audit is not None:
            self.audit.put(receipt)
        if self._on_receipt is not None:
            try:
                self._on_receipt(receipt)
            except Exception as fault:  # noqa: BLE001  the app's callback must not end the app's answer
                LOG.error("on_receipt failed: %s", where(fault))

    def store_failed(self, act: str, fault: Exception) -> None:
        """Count and log a call that the store did not answer; a text that is not ours may hold its address."""
        if isinstance(fault, StoreAway):
            return  # told when it went away
        self.metrics.store_failed()
        LOG.warning(
            "the state store failed to %s: %s", act, fault if isinstance(fault, StateError) else where(fault)
        )

    def without_store(self, terms: str) -> None:
        """Count a request that was decided without the store, and by which terms of the policy."""
        self.metrics.store_bypassed(terms)

    def _store_changed(self, away: int) -> None:
        """Show and log whether the store answers; of a cluster, how many of its servers do not."""
        self.metrics.store_away(away - self._away)
        self._away = away
        if away:
            LOG.warning(
                "the state store does not answer (servers: %d); it is asked again from time to time", away
            )
        else:
            LOG.warning("the state store answers again; what it missed is told")

    def faulted(self, fault: Exception) -> None:
        """Log a fault of our own: its kind and place, never its text, which may hold a trace."""
        self.metrics.alarm("internal_fault")
        LOG.error("internal fault: %s", where(fault))

    def entered(self, *, stream: bool) -> None:
        """A request went to the app."""
        self._answering += 1
        if stream:
            self.metrics.stream_started()

    def left(self, *, stream: bool) -> None:
        """A request that had entered is settled."""
        self._answering -= 1
        if stream:
            self.metrics.stream_ended()

    # -- start and stop

    def warm(self) -> None:
        """Open the store, make the tools fast and exact, and write the one line that says what started.

        Raises:
            StartError: there is no tokenizer, and the policy lets nothing be guessed; or receipts have no place.
            StateError: the store cannot be opened.
        """
        if isinstance(self.store, HeldStore) and not self._own_store:
            self.store.open()
        self._check_audit()
        try:
            self._kernels_s = self._toolbox.warm()
        except StartError as fault:
            self._guessing = fault
            self._check_guessing(self.in_force.policy)
        self._is_warm = True
        self._oversight.judge_by(self.in_force.policy)
        self._announce()

    def _check_audit(self) -> None:
        if self.audit is None:
            return
        try:
            self.audit.check()
        except OSError as fault:
            place = self._runtime.audit.removeprefix("file:")
            raise StartError(
                f"audit: {place} cannot be written: {fault.strerror}; make its folder, or name stdout, none or"
                " another file in `runtime.audit` or HARDENING_AUDIT"
            ) from fault

    def _announce(self, news: str = "", warnings: Sequence[str] = ()) -> None:
        """Say in one line what is in force; at the level of a warning where there is a new one."""
        in_force = self.in_force
        policy = in_force.policy
        standing = (
            []
            if self._keys.durable
            else [
                "no key: names of callers and noise last as long as the process, no trace is sealed; set HARDENING_KEY or HARDENING_KEY_FILE"
            ]
        )
        if self._workers > 1 and isinstance(self.store, MemoryStore):
            standing.append(
                f"each of {self._workers} workers counts for itself: limits hold {self._workers} times"
            )
        if self._guessing is not None:
            standing.append(f"tokens are estimated: {self._guessing}")
        report = StartReport(
            version=__version__,
            policy=PolicyId(policy.name, policy.digest),
            mode=policy.mode,
            store=self._store_name,
            has_key=self._keys.durable,
            kernels_s=self._kernels_s,
            doors=len(in_force.entrance.names),
            not_enforced=policy.unenforced(),
            warnings=(*standing, *map(str, policy.old_names), *warnings),
        )
        LOG.log(logging.WARNING if warnings else logging.INFO, "%s%s", news, start_line(report))

    async def close(self) -> None:
        """Wait a little for requests that the server is ending, then write what is pending."""
        # Servers cancel what is open and stop us in the same breath, some with a signal right after.
        for _ in range(_CLOSING_LOOKS):
            if not self._answering:
                break
            await asyncio.sleep(_CLOSING_S / _CLOSING_LOOKS)
        if isinstance(self.store, HeldStore) and not self._own_store:
            closing = await asyncio.to_thread(self.store.close)
            if closing is not None:
                await closing
        if self.audit is not None:
            self.audit.close()

    def retire(self) -> None:
        """Hear of no later policy, and show that the one in force decides nothing any more."""
        policy = self.in_force.policy
        self._oversight.stop()
        if policy.editions is not None:
            policy.editions.leave(self)
        self.metrics.policy_left(*_shown(policy))
        self._show_stale(None)


def where(fault: BaseException) -> str:
    """The kind of an error and the line that raised it; never its text."""
    frames = traceback.extract_tb(fault.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return type(fault).__name__ + place


def service_of(policy: Policy, options: Options) -> Service:
    """The service of a policy that the app has made, which from now on hears of its `reload`.

    Raises:
        PolicyError, StartError, StateError: as `Service`.
    """
    editions = policy.editions
    if editions is None:
        return Service(options, policy)
    policy = editions.latest()
    service = Service(options, policy)
    latest = editions.join(service)
    if latest is not policy:
        service.take(latest)
    return service


def _sealer(keys: Keys, clock: Clock) -> Sealer | None:
    """What seals traces; None without a key that outlives the process."""
    if not keys.durable:
        return None
    return Sealer(keys.seal, keys.previous_seals, random=secrets.token_bytes, wall=clock.wall)


def _mode(options: Options) -> Mode | None:
    """`shadow` where the environment says so, for policies that the app has made without looking there."""
    faults: list[PolicyFault] = []
    mode = mode_of(options.environment, faults)
    if faults:
        raise PolicyError(tuple(faults))
    return mode


def _shown(policy: Policy) -> tuple[PolicyId, Mode]:
    return PolicyId(policy.name, policy.digest), policy.mode


def _audit(target: str, on_drop: Callable[[int], None]) -> AuditWriter | None:
    if target == "none":
        return None
    place = Path(target.removeprefix("file:"))
    return AuditWriter("stdout" if target == "stdout" else place, on_drop=on_drop)
