"""Seals on their way back: opened in a request for the turn that they stand in, made anew for the turn that follows.

What was opened only the model may read: headers that quote it do not leave.
"""

from __future__ import annotations

from hardening.facts import RequestFacts
from hardening.policy.families import Families
from hardening.sealed import Seals
from hardening.transform.restored import Restored
from hardening.transform.seal import Bound, Sealer
from hardening.wire.seals import PLACES, traces_in
from hardening.wire.turns import TURNS
from hardening.wire.unseal import Steps, Unsealed, answered, unsealed

# Of a header that some server made up; a packed request is longer.
_OWN_HEADER_BYTES = 200
_LONG_HEADERS = frozenset(
    {
        b"content-security-policy",
        b"link",
        b"location",
        b"nel",
        b"permissions-policy",
        b"report-to",
        b"set-cookie",
        b"www-authenticate",
    }
)


class Restoring:
    """The seals of one exchange, all bound to one `owner`, format and family of models.

    `traces` are those that were put back into the request: the model reads them, and nobody else may.
    """

    __slots__ = ("_at", "_facts", "_families", "_owner", "traces")

    def __init__(self, facts: RequestFacts, owner: str, families: Families) -> None:
        self._facts = facts
        self._families = families
        self._owner = owner
        self._at: Bound | None = None
        self.traces: tuple[str, ...] = ()

    def request(self, body: bytes, sealer: Sealer | None) -> Steps[Unsealed]:
        """The body with its seals opened, in steps; without a `sealer`, or where one does not open, without them."""
        turns = TURNS.get(self._facts.format)
        if turns is None:
            return Unsealed(body, needed=False)
        opening = None if sealer is None else sealer.opening()
        traces: list[str] = []

        def reveal(blob: str, answers: tuple[str, ...] | None) -> Steps[dict[str, object] | None]:
            members = None if opening is None else (yield from opening.open(blob, self._bound(answers)))
            traces.extend(traces_in(members or {}))
            return members

        found = yield from unsealed(body, turns, reveal, format=self._facts.format)
        self.traces = tuple(traces)
        return found

    def response(self, body: bytes, sealer: Sealer) -> Seals | None:
        """The seals of the answer to `body`; None where the format has no place for them."""
        place = PLACES.get(self._facts.format)
        if place is None:
            return None
        answers = answered(body, TURNS[self._facts.format], format=self._facts.format)
        bound = self._bound(answers)
        return Seals(place, lambda: sealer.begin(bound))

    def _bound(self, answers: tuple[str, ...] | None) -> Bound:
        if self._at is None or self._at.answers is not answers:  # many seals may stand at one place
            facts = self._facts
            self._at = Bound(self._owner, facts.format, self._families.of(facts.model), answers)
        return self._at


def without_copies(headers: list[tuple[bytes, bytes]], restored: Restored) -> list[tuple[bytes, bytes]]:
    """The headers that can tell nothing of a restored trace: no copy, and nothing long but what has a known meaning."""
    copies = restored.among([value.decode("utf-8", "replace") for _, value in headers])
    return [
        (name, value)
        for (name, value), copy in zip(headers, copies, strict=True)
        if not copy and (len(value) <= _OWN_HEADER_BYTES or name.lower() in _LONG_HEADERS)
    ]
