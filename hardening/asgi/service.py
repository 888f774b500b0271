"""What one process needs to answer requests, made at its start and shared by all of them."""

from __future__ import annotations

import asyncio
import secrets
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from prometheus_client import CollectorRegistry
from starlette.types import Scope

from hardening import __version__
from hardening.asgi.admission import Deferred
from hardening.asgi.estimate import PromptRatio
from hardening.asgi.secret import read_keys, worker_count
from hardening.asgi.tools import Toolbox
from hardening.clock import Clock
from hardening.errors import StartError, StateError
from hardening.facts import Account, PolicyId, Receipt
from hardening.identity import Identifier, Keys
from hardening.observe import LOG, AuditWriter, Metrics, StartReport, metrics_in, start_line
from hardening.policy import Policy, load_policy
from hardening.state import MemoryStore, StateStore, open_store
from hardening.wire.doors import PASS, Door, Doors

Named = Account | str | None
Identify = Callable[[Scope], Named | Awaitable[Named]]
OnReceipt = Callable[[Receipt], None]

_CLOSING_S = 2.0
_CLOSING_LOOKS = 100
_MOST_SAID = 64  # warnings that are written once: more of them tell nobody anything
_ROUTE_CHARS = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the middleware was given, and the clock, environment and registry that it stands in."""

    policy: str | Path | Policy | None
    identify: Identify | Deferred | None
    state: StateStore | None
    signals: tuple[object, ...]
    on_receipt: OnReceipt | None
    environment: Mapping[str, str]
    argv: tuple[str, ...]
    clock: Clock
    registry: CollectorRegistry


class Service:
    """The policy with everything that serves it.

    `now` gives monotonic seconds. Making one opens nothing and starts no thread.

    Raises:
        PolicyError, StartError, StateError: what `Options` and the environment say cannot be used.
    """

    def __init__(self, options: Options) -> None:
        policy = self.policy = policy_of(options)
        keys = read_keys(policy.runtime, options.environment)
        _check_key(policy, options, keys)
        self.clock = options.clock
        self.now = options.clock.monotonic
        self.identify = options.identify
        self.doors = Doors(policy.doors.own)
        self._left_alone = Doors(_passing(policy.doors.own), known=False)
        self.store = open_store(policy.runtime.state) if options.state is None else options.state
        self.local = MemoryStore()
        self.identifier = Identifier(keys, order=policy.identify, trusted_proxies=policy.trusted_proxies)
        self.ratio = PromptRatio()
        self.metrics: Metrics = metrics_in(options.registry)
        self.metrics.policy_in_force(PolicyId(policy.name, policy.digest), policy.mode)
        self.audit = _audit(policy.runtime.audit, self.metrics)
        self._toolbox = Toolbox(policy)
        self.tools = self._toolbox.tools
        self._on_receipt = options.on_receipt
        self._keys = keys
        self._own_store = options.state is not None
        self._prefix = secrets.token_hex(6)
        self._numbers = count(1)
        self._answering = 0
        self._said: set[str] = set()

    def next_id(self) -> str:
        """A new request id, unlike any of another process."""
        return f"req_{self._prefix}{next(self._numbers):08x}"

    def door(self, path: str) -> Door | None:
        """The door of a path below the app's own root."""
        return self.doors.match(path)

    def leaves_alone(self, path: str) -> bool:
        """Whether the policy says that this path is not ours."""
        return self._left_alone.match(path) is not None

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

    def unread(self, door: str) -> None:
        """Count a body that could not be read."""
        self.metrics.body_unread(door)

    def closed(self, door: str) -> None:
        """Say once that a door was asked for that is closed, and how to open it."""
        self._say_once(
            f"closed {door}: what leaves there is not read by this version; "
            f"to open it unread, let the policy say doors: {{{door}: pass}} with the app's own path"
        )

    def unclaimed(self, route: str) -> None:
        """Count what looks like a model's answer on a path that is no door, and name each route once."""
        self.metrics.output_unclaimed()
        self._say_once(
            f"model output on {route[:_ROUTE_CHARS]}, which is no door: declare its format or `pass` under the "
            f"policy's doors, or close such paths with doors: {{unknown: block}}"
        )

    def _say_once(self, warning: str) -> None:
        if warning not in self._said and len(self._said) < _MOST_SAID:
            self._said.add(warning)
            LOG.warning("%s", warning)

    def store_failed(self, act: str, fault: Exception) -> None:
        """Count and log a call that the store did not answer; a text that is not ours may hold its address."""
        self.metrics.store_failed()
        LOG.warning(
            "the state store failed to %s: %s", act, fault if isinstance(fault, StateError) else where(fault)
        )

    def faulted(self, fault: Exception) -> None:
        """Log a fault of our own: its kind and place, never its text, which may hold a trace."""
        self.metrics.alarm("internal_fault")
        LOG.error("internal fault: %s", where(fault))

    def warm(self) -> None:
        """Make the tools fast and exact, and write the one line that says what started.

        Raises:
            StartError: there is no tokenizer, and the policy lets nothing be guessed: it blocks
                unknown doors, as `strict` does.
        """
        warnings = [] if self._keys.durable else ["no key: no seals, and ids last as long as the process"]
        kernels_s: float | None = None
        try:
            kernels_s = self._toolbox.warm()
        except StartError as fault:
            if self.policy.doors.unknown == "block":
                raise
            warnings.append(f"tokens are estimated: {fault}")
        self._announce(kernels_s, tuple(warnings))

    def _announce(self, kernels_s: float | None, warnings: tuple[str, ...]) -> None:
        policy = self.policy
        report = StartReport(
            version=__version__,
            policy=PolicyId(policy.name, policy.digest),
            mode=policy.mode,
            store=f"{type(self.store).__name__}://" if self._own_store else policy.runtime.state,
            has_key=self._keys.durable,
            kernels_s=kernels_s,
            doors=self.doors.names,
            not_enforced=policy.unenforced(),
            warnings=(*warnings, *map(str, policy.old_names)),
        )
        LOG.info("%s", start_line(report))

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

    async def close(self) -> None:
        """Wait a little for requests that the server is ending, then write what is pending."""
        # Servers cancel what is open and stop us in the same breath, some with a signal right after.
        for _ in range(_CLOSING_LOOKS):
            if not self._answering:
                break
            await asyncio.sleep(_CLOSING_S / _CLOSING_LOOKS)
        if self.audit is not None:
            self.audit.close()


def where(fault: BaseException) -> str:
    """The kind of an error and the line that raised it; never its text."""
    frames = traceback.extract_tb(fault.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return type(fault).__name__ + place


def policy_of(options: Options) -> Policy:
    """The policy that the code or the environment names.

    Raises:
        PolicyError, StartError: it cannot be read, or none is named.
    """
    if isinstance(options.policy, Policy):
        return options.policy
    named = options.policy or options.environment.get("HARDENING_POLICY")
    if not named:
        raise StartError("no policy: pass policy=... or set HARDENING_POLICY (a path, or a preset's name)")
    return load_policy(named, options.environment)


def _passing(own: Mapping[str, str]) -> dict[str, str]:
    """The paths that the policy leaves alone, as rows of a table that can find them."""
    return {path: "openai_chat" for path, format in own.items() if format == PASS}


def _audit(target: str, metrics: Metrics) -> AuditWriter | None:
    if target == "none":
        return None
    place = Path(target.removeprefix("file:"))
    return AuditWriter("stdout" if target == "stdout" else place, on_drop=metrics.receipts_dropped)


def _check_key(policy: Policy, options: Options, keys: Keys) -> None:
    """What only makes sense with a secret that other processes share fails without one."""
    if keys.durable:
        return
    workers = worker_count(options.environment, options.argv)
    if workers > 1:
        raise StartError(f"found {workers} workers and no key: set HARDENING_KEY or HARDENING_KEY_FILE")
    if options.state is None and not policy.runtime.state.startswith("memory://"):
        scheme = policy.runtime.state.partition("://")[0]
        raise StartError(f"found a {scheme} store and no key: set HARDENING_KEY or HARDENING_KEY_FILE")
