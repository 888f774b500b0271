"""What an operator is told of the requests of one process: counted each time, said once and not for ever."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote

from hardening.observe import LOG, Metrics

_MOST_SAID = 64  # warnings that are written once: more of them tell nobody anything
_MOST_BLOCKED = 16  # paths that callers made up, told apart so that they use up no other warning
_ROUTE_CHARS = 128
_is_name = re.compile(r"[A-Za-z_.:-]{1,32}|v\d{1,2}[a-z]*\d?").fullmatch


class Notices:
    """The counters of `metrics` for what is odd, and beside each the warning that says what to do."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._said: set[str] = set()
        self._blocked: set[str] = set()

    def unread(self, door: str) -> None:
        """Count a body that could not be read."""
        self._metrics.body_unread(door)

    def drifted(self, format: str, paths: Iterable[str]) -> None:
        """Count an answer with text in fields that no table knows, and name each of these once."""
        self._metrics.alarm("unknown_text")
        for path in paths:
            self._say_once(
                f"text in {path} of {format}, which this version does not know: it may be reasoning under a "
                f"new name; on_failure: {{unknown_text: hide}} keeps such text back, report lets it leave"
            )

    def closed(self, door: str) -> None:
        """Count a request for a door that is closed, and say once how to open it."""
        self._metrics.request_closed(door)
        self._say_once(
            f"closed {door}: what leaves there is not read by this version; "
            f"to open it unread, let the policy say doors: {{{door}: pass}} with the app's own path"
        )

    def blocked(self, path: str) -> None:
        """Count a request for a path that is no door and that the policy lets nobody ask; name the first few."""
        self._metrics.request_closed("unknown")
        place = "/".join(map(_named, path[:_ROUTE_CHARS].split("/")))
        if place in self._blocked or len(self._blocked) == _MOST_BLOCKED:
            return
        self._blocked.add(place)
        last = "; further paths are only counted" if len(self._blocked) == _MOST_BLOCKED else ""
        LOG.warning(
            "blocked %s, which is no door: the policy says doors: {unknown: block}; "
            "declare its format or `pass` there%s",
            place,
            last,
        )

    def unclaimed(self, route: str) -> None:
        """Count what looks like a model's answer on a path that is no door, and name each route once."""
        self._metrics.output_unclaimed()
        # A caller may have chosen it, and writes no line of his own; some servers leave surrogates in a path.
        place = quote(route[:_ROUTE_CHARS], safe="/{}:*", errors="replace")
        self._say_once(
            f"model output on {place}, which is no door: declare its format or `pass` under the "
            f"policy's doors, or close such paths with doors: {{unknown: block}}"
        )

    def receipts_lost(self, count: int) -> None:
        """Count receipts that the audit lost, and say so once."""
        self._metrics.receipts_dropped(count)
        self._say_once(
            "receipts are lost: the audit's file cannot be written, or not as fast as they come; "
            "hardening_receipts_dropped_total counts them"
        )

    def unscored(self, reason: str) -> None:
        """Count a request that says nothing of its account by itself."""
        self._metrics.unscored(reason)

    def scoring_failed(self, place: str) -> None:
        """Say once for each place where a request could not be scored: a fault of ours, or of a signal of the app."""
        self._say_once(f"a request was not scored: {place}; hardening_unscored_total counts them")

    def flagged(self, flagged: int, seen: int, bound: float, *, above: bool) -> None:
        """Raise an alarm where more accounts are in a band than the policy expects; say when that is over."""
        if above:
            self._metrics.alarm("flagged_above_max")
        LOG.warning(
            "%d of the %d accounts seen last are in a band, %s than risk.max_flagged (%g%%)%s",
            flagged,
            seen,
            "more" if above else "clearly fewer again",
            100 * bound,
            ": is the calibration made for this traffic, or is this a campaign?" if above else "",
        )

    def _say_once(self, warning: str) -> None:
        if warning not in self._said and len(self._said) < _MOST_SAID:
            self._said.add(warning)
            LOG.warning("%s", warning)


def _named(segment: str) -> str:
    """A segment of a path where it can only be a name: others may hold ids, or keys."""
    return segment if not segment or _is_name(segment) else "*"
