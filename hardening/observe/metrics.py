"""Prometheus metrics in the app's own registry; no label names an account, a model or a path.

Series are those of `prometheus_client`, so several processes add up where the app set
PROMETHEUS_MULTIPROC_DIR. Receipts are counted in batches, for each series takes a lock; a scrape
counts what is pending first. Other processes cannot be asked to, so with several each receipt is
counted at once.
"""

from __future__ import annotations

import os
import threading
from collections import defaultdict, deque
from collections.abc import Iterable
from typing import Literal, get_args
from weakref import WeakKeyDictionary

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from hardening.facts import Mode, PolicyId, Receipt

_SECONDS = (5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 1e-1)
"""Upper bounds of the histogram of added time, from a parse to a stall that callers notice."""

_SERIES = 256
"""Label combinations of one metric; what comes beyond is counted as `other`."""

_OTHER = "other"

Stale = Literal["rejected", "restart"]
"""Why what is on disk is not in force: it cannot be used, or its `runtime` waits for a restart."""

_BATCH = 32
"""Receipts that are counted together: one batch takes about 150 microseconds."""


class _Series:
    """The children of one counter by their label values, looked up once and bounded in number."""

    def __init__(self, counter: Counter, labels: int) -> None:
        self._counter = counter
        self._other = (_OTHER,) * labels
        self._children: dict[tuple[str, ...], Counter] = {}

    def add(self, amount: float, values: tuple[str, ...]) -> None:
        """Add to one series; a negative amount, which only a lying upstream can report, counts as none."""
        child = self._children.get(values)
        if child is None:
            if len(self._children) >= _SERIES:
                values = self._other
            child = self._children[values] = self._counter.labels(*values)
        child.inc(max(0.0, amount))


class _Pending(Collector):
    """The receipts not counted yet; a scrape of its registry, which asks it first, counts them."""

    def __init__(self, metrics: Metrics, registry: CollectorRegistry) -> None:
        self._metrics = metrics
        registry.register(self)

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterable[Metric]:
        self._metrics.count_pending()
        return ()


class Metrics:
    """Counters of what this library did; one instance a registry, see `metrics_in`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Create every series.

        Raises:
            ValueError: the registry already has a series of one of these names.
        """
        self._pending: deque[Receipt] = deque()
        self._pending_streams: deque[int] = deque()
        self._batch = 1 if "PROMETHEUS_MULTIPROC_DIR" in os.environ else _BATCH
        _Pending(self, registry)

        def series(name: str, text: str, *labels: str) -> _Series:
            return _Series(Counter(name, text, labels, registry=registry), len(labels))

        self._requests = series("hardening_requests", "Requests to a door.", "door", "outcome")
        self._refusals = series("hardening_refusals", "Requests refused by policy or limit.", "door", "kind")
        self._changes = series("hardening_changes", "Responses changed.", "door", "mechanism")
        self._tokens = series("hardening_tokens", "Tokens settled; completion includes reasoning.", "kind")
        self._unread = series("hardening_unread_bodies", "Bodies that could not be read.", "door")
        self._closed = series("hardening_closed", "Requests for closed doors and blocked paths.", "door")
        self._reloads = series("hardening_policy_reloads", "Attempts to load a changed policy.", "outcome")
        self._alarms = series("hardening_alarms", "What an operator should look at.", "kind")
        self._store_errors = Counter("hardening_store_errors", "Failed store calls.", registry=registry)
        self._bypasses = series(
            "hardening_store_bypasses", "Requests decided without the state store.", "terms"
        )
        self._unscored = series("hardening_unscored", "Requests that were not scored in time.", "reason")
        self._banded = series(
            "hardening_banded_requests",
            "Requests of proven accounts by their band, and whether it acted or is in shadow.",
            "band",
            "acts",
        )
        self._away = Gauge(
            "hardening_store_away",
            "State servers that failed and are not asked at present, added up over the workers.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._unclaimed = Counter(
            "hardening_unclaimed_output", "Model output on paths that are no door.", registry=registry
        )
        self._dropped = Counter(
            "hardening_receipts_dropped", "Receipts that the audit lost.", registry=registry
        )
        self._in_flight = Gauge(
            "hardening_streams_in_flight",
            "Streams being answered.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._policy = Gauge(
            "hardening_policy_info",
            "How many middlewares decide by this policy: one a worker, 0 for earlier policies.",
            ("name", "digest", "mode"),
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._stale = Gauge(
            "hardening_policy_stale",
            "How many middlewares do not act by all that their policy says on disk.",
            ("reason",),
            registry=registry,
            multiprocess_mode="livesum",
        )
        for reason in get_args(Stale):
            self._stale.labels(reason)
        added = Histogram(
            "hardening_added_seconds",
            "Time added before the app, on the body, after it.",
            ("phase",),
            registry=registry,
            buckets=_SECONDS,
        )
        self._before, self._body, self._after = (added.labels(p) for p in ("before", "body", "after"))

    def take(self, receipt: Receipt) -> None:
        """Count one finished exchange, now or with a batch."""
        self._pending.append(receipt)
        if len(self._pending) >= self._batch:
            self.count_pending()

    def count_pending(self) -> None:
        """Count all receipts taken so far; may be called from any thread."""
        totals: defaultdict[tuple[_Series, tuple[str, ...]], float] = defaultdict(float)
        while self._pending:
            try:
                receipt = self._pending.popleft()
            except IndexError:
                break  # another thread counts too
            self._count(receipt, totals)
        for (series, values), amount in totals.items():
            series.add(amount, values)
        self._count_streams()

    def _count_streams(self) -> None:
        more = 0
        while self._pending_streams:
            try:
                more += self._pending_streams.popleft()
            except IndexError:
                break
        if more:
            self._in_flight.inc(more)

    def _count(self, receipt: Receipt, totals: dict[tuple[_Series, tuple[str, ...]], float]) -> None:
        door = receipt.door
        totals[self._requests, (door, receipt.outcome)] += 1
        refusal = receipt.decision.refusal
        if refusal is not None and receipt.outcome == "refused":
            totals[self._refusals, (door, refusal.kind)] += 1
        for mechanism in receipt.changed:
            totals[self._changes, (door, mechanism)] += 1
        if receipt.proven:
            totals[self._banded, _band_of(receipt)] += 1
        tokens = receipt.tokens
        totals[self._tokens, ("prompt",)] += tokens.prompt
        totals[self._tokens, ("completion",)] += tokens.completion
        totals[self._tokens, ("reasoning",)] += tokens.reasoning
        added = receipt.added_us
        self._before.observe(added.before * 1e-6)
        # A refusal has neither body nor end; a zero would only pull the quantiles down.
        if added.body > 0.0:
            self._body.observe(added.body * 1e-6)
        if added.after > 0.0:
            self._after.observe(added.after * 1e-6)

    def stream_started(self) -> None:
        """Count a stream as in flight, now or with a batch."""
        self._pending_streams.append(1)
        if self._batch == 1:
            self._count_streams()

    def stream_ended(self) -> None:
        """Take a stream out of those in flight, now or with a batch."""
        self._pending_streams.append(-1)
        if self._batch == 1:
            self._count_streams()

    def store_failed(self) -> None:
        """Count a call that the state store did not answer."""
        self._store_errors.inc()

    def store_bypassed(self, terms: str) -> None:
        """Count a request that was decided without the state store, by the policy's terms for that."""
        self._bypasses.add(1, (terms,))

    def store_away(self, more: int) -> None:
        """Show that so many more of its servers are not asked; below 0, fewer."""
        self._away.inc(more)

    def body_unread(self, door: str) -> None:
        """Count a body that could not be read as its door's format."""
        self._unread.add(1, (door,))

    def request_closed(self, door: str) -> None:
        """Count a request for a door that is closed, or for a path that is none and that nobody may ask."""
        self._closed.add(1, (door,))

    def output_unclaimed(self) -> None:
        """Count a response on a path that is no door and that looks like model output."""
        self._unclaimed.inc()

    def receipts_dropped(self, count: int = 1) -> None:
        """Count receipts that the audit lost."""
        self._dropped.inc(count)

    def alarm(self, kind: str) -> None:
        """Count something that an operator should look at; `kind` is one of a fixed few."""
        self._alarms.add(1, (kind,))

    def unscored(self, reason: str) -> None:
        """Count a request that says nothing of its account by itself, by one of a fixed few reasons."""
        self._unscored.add(1, (reason,))

    def policy_in_force(self, policy: PolicyId, mode: Mode) -> None:
        """Show that one more middleware decides by `policy`."""
        self._policy.labels(policy.name, policy.digest, mode).inc()

    def policy_left(self, policy: PolicyId, mode: Mode) -> None:
        """Show that one middleware less decides by `policy`."""
        self._policy.labels(policy.name, policy.digest, mode).dec()

    def policy_stale(self, reason: Stale | None, *, before: Stale | None) -> None:
        """Show why one middleware does not act by what its policy says on disk, in place of `before`."""
        if before is not None:
            self._stale.labels(before).dec()
        if reason is not None:
            self._stale.labels(reason).inc()

    def policy_reloaded(self, outcome: Literal["applied", "rejected"]) -> None:
        """Count an attempt to load a changed policy."""
        self._reloads.add(1, (outcome,))


def _band_of(receipt: Receipt) -> tuple[str, str]:
    """The highest band that its account is in, and whether that acted."""
    whole = receipt.decision if receipt.would is None else receipt.would
    band = whole.band or receipt.band
    if band is None:
        return "none", "none"
    return band, "enforced" if receipt.decision.acts and receipt.band == band else "shadow"


_made: WeakKeyDictionary[CollectorRegistry, Metrics] = WeakKeyDictionary()
_making = threading.Lock()


def metrics_in(registry: CollectorRegistry = REGISTRY) -> Metrics:
    """The metrics of this registry: made at the first call, the same object at every other."""
    with _making:
        metrics = _made.get(registry)
        if metrics is None:
            metrics = _made[registry] = Metrics(registry)
        return metrics
