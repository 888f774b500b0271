"""The request of one exchange, without I/O: what the app is asked, and what is known from it when the app answers."""

from __future__ import annotations

from hardening.errors import WireError
from hardening.facts import Decision, Refusal, RequestFacts
from hardening.policy.families import Families
from hardening.restoring import Restoring
from hardening.sealed import Seals
from hardening.transform.overlap import Overlap
from hardening.transform.question import Question, near_ends
from hardening.transform.restored import Restored
from hardening.transform.seal import Sealer
from hardening.wire.codec import Codec
from hardening.wire.pins import Switch, Touch
from hardening.wire.requests import Edits
from hardening.wire.resent import may_resend
from hardening.wire.seals import without_seals
from hardening.wire.unseal import Steps, Unsealed, carries_seals

_BESIDE = Touch.IDS | Touch.STATES | Touch.PROMPT  # each tells of the trace and of the rows

_NEEDED = Refusal(
    400, "unreadable", "the sealed reasoning of an open tool turn cannot be used here; begin that turn anew"
)

Asked = bytes | Refusal
"""What the app is asked, or why it is not."""


class Asking:
    """The way of a request to the app, through one Decision.

    Known when it is over: `asked`, the body as the policy read it, None where it was not to be read; `question`,
    the values that it names; `restored`, the traces that were put back into it, and `overlap`, which hears them
    repeated; the first switch that was `forced`; the `reasons` for a receipt. `hides` says from the beginning that the
    policy withholds the trace of the answer, whole or in part.
    """

    # Of the class until it is known better, as nearly always to the end.
    asked: bytes | None = None
    restored: Restored | None = None
    overlap: Overlap | None = None
    forced: Switch | None = None

    def __init__(
        self,
        codec: Codec,
        facts: RequestFacts,
        decision: Decision,
        *,
        bound: int | None,
        sealer: Sealer | None,
        families: Families,
        owner: str,
    ) -> None:
        """`bound` is the longest answer to ask for, where that is less than the decision says."""
        self._codec = codec
        self._facts = facts
        self._decision = decision
        self._bound = bound
        self._sealer = sealer
        self._acts = decision.acts
        self.hides = decision.acts and decision.reasoning.show != "full"
        self._restoring = Restoring(facts, owner, families)
        self.question = Question()
        self.reasons: set[str] = set()

    def request(self, body: bytes) -> Asked | Steps[Asked]:
        """The body for the app: the same object, one that asks for no more than is allowed, or why there is none.

        Where seals are to be opened in it, the steps that lead to it. `forced` is then the first switch that was set to something else.
        """
        if carries_seals(body):
            return self._in_steps(body)
        switches = self._switches(body, Touch(0)) if self._facts.switches else ()
        refused = self._refused(switches, carries=False)
        if refused is not None or not self._acts:
            return refused or body
        return self._less(body, switches, told=body)

    def _in_steps(self, body: bytes) -> Steps[Asked]:
        """What `request` comes to where seals stand in the body; each walk over it is a step."""
        # What a parser lost of a key that stands twice is not asked here: each is looked at.
        switches = self._switches(body, Touch.GIVEN)
        yield
        refused = self._refused(switches, carries=True)
        if refused is not None:
            return refused
        if not self._acts:
            return body if any(map(_shows, switches)) else (yield from self._opened(body))
        less = self._less(body, switches, told=without_seals(near_ends(body)))
        yield
        return (yield from self._opened(less))

    def _refused(self, switches: tuple[Switch, ...], *, carries: bool) -> Refusal | None:
        """Why these switches are not allowed, where the policy acts and they are not."""
        if switches:
            self.reasons.add("pins")
        for switch in switches if self._acts else ():
            if switch.new is None or self._decision.pins == "refuse" or (carries and _shows(switch)):
                return not_allowed(switch)
            if self.forced is None and not switch.kept:
                self.forced = switch
        return None

    def _less(self, body: bytes, switches: tuple[Switch, ...], *, told: bytes) -> bytes:
        """The body asking for no more than is allowed; `told` is what its question is read from."""
        self.question.take(told)
        self.asked = body
        sealed_only = self._decision.reasoning.resent == "sealed"
        hides = self._codec.resends and (self.hides or sealed_only)
        drop_resent = hides and may_resend(body, sealed_only=sealed_only)
        max_tokens = self._decision.max_tokens if self._bound is None else self._bound
        top_logprobs = self._decision.logprobs.top if self._facts.top_logprobs is not None else None
        if max_tokens is None and top_logprobs is None and not drop_resent and self.forced is None:
            return body
        edits = Edits(max_tokens, top_logprobs, drop_resent, drop_resent and sealed_only)
        return self._codec.edit_request(body, edits, switches)

    def counted(self, body: bytes) -> Asked | Steps[Asked]:
        """The body for a server that only counts it: as the model would get it, and with no other change.

        In steps, as `request`, where seals stand in it.
        Where the lengths of traces are not told they are left out: a difference of two counts would be one.
        """
        if not carries_seals(body):
            return body
        for switch in self._switches(body, Touch.GIVEN):
            if _shows(switch):
                return not_allowed(switch) if self._acts else body
        tells = not self.hides or self._decision.usage == "keep"
        closed = self.hides and not self._decision.reasoning.seal
        return self._unsealed_body(body, self._sealer if tells and not closed else None)

    def _unsealed_body(self, body: bytes, sealer: Sealer | None) -> Steps[Asked]:
        return (yield from self._unsealed(body, sealer)).body

    def _opened(self, body: bytes) -> Steps[Asked]:
        """The body with its seals opened, where the policy lets traces be sealed.

        Where one lacks that its API wants, who hides a trace refuses; else the API says so itself.
        """
        closed = self.hides and not self._decision.reasoning.seal
        found = yield from self._unsealed(body, None if closed else self._sealer)
        if found.needed:
            self.reasons.add("seal")
        return _NEEDED if found.needed and self.hides else found.body

    def _unsealed(self, body: bytes, sealer: Sealer | None) -> Steps[Unsealed]:
        """The body with its seals opened, or without them; what was in them is known from here on."""
        found = yield from self._restoring.request(body, sealer)
        if self._restoring.traces:
            if self.hides and self._decision.reasoning.overlap != "ignore":
                self.overlap = Overlap()
            learn = None if self.overlap is None else self.overlap.learn
            self.restored = Restored(self._restoring.traces, learn)
        return found

    def _switches(self, body: bytes, touches: Touch) -> tuple[Switch, ...]:
        """The switches of the request that touch what is withheld, or one of `touches`."""
        decision = self._decision
        if decision.pins != "allow" and not decision.exempt:
            touches |= Touch.MODEL
            if decision.reasoning.show != "full":
                touches |= Touch.TRACE | _BESIDE
            if decision.logprobs.bounded:
                touches |= Touch.ROWS | _BESIDE
        if not touches:
            return ()
        try:
            return self._codec.switches(body, touches)
        except WireError:
            if self._acts:
                raise
            return ()

    def sealing(self, asked: bytes | None) -> Seals | None:
        """What seals the traces of the answer, where the policy says so, there is a key and the request was read."""
        if asked is None or self._sealer is None or not (self.hides and self._decision.reasoning.seal):
            return None
        return self._restoring.response(asked, self._sealer)


def _shows(switch: Switch) -> bool:
    """Whether a switch asks to see what the model was given, or to send it elsewhere."""
    return bool(switch.pin.touches & Touch.GIVEN)


def not_allowed(switch: Switch) -> Refusal:
    """The refusal of a request in which this switch stands; never with its value."""
    return Refusal(400, "pinned", f"`{switch.pin.name}` {switch.pin.words}")
