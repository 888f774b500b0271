"""One request and its response, without I/O: bytes in, bytes out, and what it came to.

The same object serves ASGI, tests and benchmarks. What arrives is cut into frames, frames
into events; transforms act on events; what nothing touched leaves as the bytes that came.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from hardening.asking import Asked, Asking
from hardening.errors import WireError
from hardening.facts import Decision, Refusal, RequestFacts, Usage
from hardening.kernels import Noise
from hardening.lanes import NO_LANE, ElementLane, Lane, NoLane
from hardening.moulds import Moulds
from hardening.noise_key import NoiseKey
from hardening.policy.families import Families
from hardening.policy.matching import remember
from hardening.reply import Reply
from hardening.restoring import without_copies
from hardening.sealed import Seals
from hardening.transform.chain import Chain, Makers
from hardening.transform.coverage import CoverageNoise, Coverages, Covering
from hardening.transform.drift import Drift
from hardening.transform.noise import RowNoise
from hardening.transform.pace import Pace
from hardening.transform.projection import Kept
from hardening.transform.rotation import Rotated
from hardening.transform.seal import Sealer
from hardening.transform.tally import Tally
from hardening.transform.vector_noise import VectorNoise
from hardening.wire.codec import Codec
from hardening.wire.names import without_traces
from hardening.wire.pins import Switch
from hardening.wire.prefixes import prefixes
from hardening.wire.unseal import Steps

# What is told of a prompt with restored traces comes of what its caller has sent: not of what was learned from him.
_TOLD_BYTES_PER_TOKEN = 4.0

_BOUNDLESS = 1 << 62  # bytes: no answer is as long

BEAT_S = 10.0  # silence after which a stream says that it lives; some proxies cut at 15 s


@dataclass(frozen=True, slots=True)
class Tools:
    """What the exchanges of a process share; the rest as the policy's `on_failure` says."""

    makers: Makers
    sealer: Sealer | None = None
    pass_unreadable: bool = False
    hide_unknown: bool = False
    families: Families = Families()
    coverages: Coverages | None = None
    moulds: dict[tuple[str, bool], Moulds] = field(default_factory=dict)
    rowless: dict[int, tuple[Decision, Decision]] = field(default_factory=dict)

    def without_rows(self, decision: Decision) -> Decision:
        """The Decision that gives no log-probabilities; made once of each, for most clients name a temperature."""
        known = self.rowless.get(id(decision))
        if known is None or known[0] is not decision:
            known = decision, replace(decision, logprobs=replace(decision.logprobs, top=0))
            remember(self.rowless, id(decision), known)
        return known[1]


@dataclass(frozen=True, slots=True)
class Start:
    """Headers that may go out; with `hold` not before the first byte, or the end, of the body."""

    headers: list[tuple[bytes, bytes]]
    hold: bool


@dataclass(frozen=True, slots=True)
class Settlement:
    """What an exchange came to: tokens and their source, what was changed, what looked wrong.

    `unknown` names the fields that held text and that no table knows: keys only, and few.
    `coverage` is what the embeddings that left say of the account, in nats; see `transform/coverage.py`.
    """

    usage: Usage
    source: Literal["usage", "events", "none"]
    changed: tuple[str, ...]
    reasons: tuple[str, ...]
    unknown: tuple[str, ...] = ()
    coverage: float = 0.0


class Exchange:
    """The way of one request through one Decision."""

    # Of the class until the response begins, or as long as nothing else is known.
    wake_at: float | None = None
    lane: Lane | ElementLane | NoLane = NO_LANE
    """What the next piece may be compared with, in place of `receive`: asked first, it spares most calls."""
    granted_bytes = _BOUNDLESS
    """Bytes in the tally beyond which tokens are owed."""
    _started = _closed = False
    _pace: Pace | None = None
    _drift: Drift | None = None
    _seals: Seals | None = None

    def __init__(
        self,
        codec: Codec,
        facts: RequestFacts,
        decision: Decision,
        tools: Tools,
        *,
        reserved_tokens: int | None = None,
        bound: int | None = None,
        bytes_per_token: float = 4.0,
        began: float = 0.0,
        noise_key: NoiseKey | None = None,
        covering: Covering | None = None,
        owner: str = "",
    ) -> None:
        """Prepare for one response to a request that came at `began`; only `owner` can use the seals in it.

        `reserved_tokens` None means that nothing bounds its length. `bound` is the longest answer to ask
        for, where that is less than the decision says. Without `noise_key` nothing leaves that needs noise, nor
        without `covering` what needs to be told how much an account has seen.
        """
        if facts.opens and decision.acts and decision.reasoning.show != "full":
            # No server tells a trace from the answer where the prompt has begun it.
            decision = replace(decision, reasoning=replace(decision.reasoning, inline="starts_open"))
        rows = decision.logprobs
        # Of a server that scales values, each temperature moves them on the grid, and the difference of two holds no
        # noise. And some tell rows of what a grammar or a penalty left, and so any token that a caller chooses.
        scaled = facts.scaled and rows.bounded and rows.sampling == "plain"
        if scaled or (facts.steered and rows.top and decision.pins != "allow"):
            decision = tools.without_rows(decision)
        self._codec = codec
        self._facts = facts
        self._decision = decision
        self._tools = tools
        self._noise_key = noise_key
        self._covering = covering
        self._acts = self._changes = decision.acts
        self._asking = Asking(
            codec,
            facts,
            decision,
            bound=bound,
            sealer=tools.sealer,
            families=tools.families,
            owner=owner,
        )
        self._reasons = self._asking.reasons  # of the request; those of the response join them
        self.tally = Tally(prompt_bytes=facts.prompt_bytes, bytes_per_token=bytes_per_token)
        self._bytes_per_token = bytes_per_token
        self._began = began
        if self._acts and decision.pace_per_s is not None:
            self._pace = Pace(decision.pace_per_s, bytes_per_token=bytes_per_token)
        if self._acts and reserved_tokens is not None:
            self.granted_bytes = int(reserved_tokens * bytes_per_token)

    @property
    def _watches(self) -> bool:
        """Whether what no table knows is looked at, where the policy does not act too."""
        return not self._decision.exempt and self._decision.reasoning.show != "full"

    @property
    def treatment(self) -> dict[str, str | int | float | bool]:
        """What this exchange may change, for disclosure; empty where nothing."""
        told: dict[str, str | int | float | bool] = {}
        if self._asking.hides:
            told["reasoning"] = self._decision.reasoning.show
        if self._seals is not None:
            told["sealed"] = True
        if self._acts and self._decision.logprobs.top is not None:
            told["logprobs"] = self._decision.logprobs.top
        if self._acts and self._facts.speaks and self._decision.logprobs.noise:
            told["noise"] = self._decision.logprobs.noise
        if self._acts and self._facts.embeds:
            told |= self._decision.embeddings.told
        if self._acts and self._facts.scores and self._decision.scores.step:
            told["scores"] = self._decision.scores.step
        if self.forced is not None:
            told["pins"] = "force"
        if self._pace is not None:
            told["pace"] = float(self._decision.pace_per_s or 0.0)
        if self._acts and self._facts.speaks and self._decision.usage != "keep":
            told["usage"] = self._decision.usage
        return told

    @property
    def forced(self) -> Switch | None:
        """The first switch of the request that was set to something else."""
        return self._asking.forced

    def request(self, body: bytes) -> Asked | Steps[Asked]:
        """The body for the app: the same object, one that asks for no more than is allowed, or why there is none.

        Where seals are to be opened in it, the steps that lead to it.
        """
        return self._asking.request(body)

    def counted(self, body: bytes) -> Asked | Steps[Asked]:
        """As `request`, for a server that only counts the body."""
        return self._asking.counted(body)

    @property
    def restores(self) -> bool:
        """Whether traces were put back into the request, which only the model may read."""
        return self._asking.restored is not None

    def study(self) -> bool:
        """Learn a little of those traces, in no more than a millisecond; whether there is more.

        What is left is learnt when the response starts.
        """
        restored = self._asking.restored
        return restored is not None and restored.learn()

    def _noise(self, asked: bytes | None) -> RowNoise | None:
        """The noise on rows; None where there shall be none, or nobody knows the question."""
        size = self._decision.logprobs.noise
        if not size or self._noise_key is None or asked is None:
            return None
        return RowNoise(self._noise_key, size, lambda: prefixes(asked))

    def _vector_noise(self) -> Noise | None:
        """What changes embeddings by a secret; None where nothing shall, or there is no key for it."""
        terms, key = self._decision.embeddings, self._noise_key
        if key is None or not terms.moves:
            return None
        # A vector tells its model. Some servers answer under any name, and each would be a draw.
        alike = replace(key, model="")
        noise: Noise | None = VectorNoise(alike, terms.noise) if terms.noise else None
        if terms.adaptive:
            if self._covering is None:
                return None
            noise = CoverageNoise(alike, terms.noise, max(terms.noise, terms.adaptive), self._covering)
        if terms.keep < 1.0:
            noise = Kept(terms.keep, noise)
        return Rotated(key, noise) if terms.rotate else noise

    def start(self, status: int, headers: list[tuple[bytes, bytes]], now: float = 0.0) -> Start:
        """How the response is read, by its content type. A stream of events is not held."""
        kind = b"".join(value for name, value in headers if name.lower() == b"content-type")
        framing = self._codec.framing(kind)
        # Only now are the parts of a response made: the app was called in the meantime.
        if self._watches and status < 400:  # an error is told in words, by whom and wherever it arose
            self._drift = Drift()
        asked, self._asking.asked = self._asking.asked, None
        while self.study():
            pass
        if self._asking.hides:
            headers = without_traces(headers)
        restored = self._asking.restored
        self._changes = self._acts or restored is not None  # then also where the policy does not act
        self._seals = seals = self._asking.sealing(asked) if status < 400 else None
        chain = Chain(
            self._decision,
            self._tools.makers,
            self._asking.question.values,
            embeds=self._facts.embeds,
            scores=self._facts.scores,
            in_bytes=self._facts.packing == "packed_bytes",
            choices=self._facts.choices,
            noise=self._noise(asked),
            vector_noise=self._vector_noise(),
            asks_rows=self._facts.top_logprobs is not None,
            sealing=seals.begin if seals is not None and seals.place.alone else None,
            restored=restored,
            prompt_tokens=int(self._facts.prompt_bytes / _TOLD_BYTES_PER_TOKEN),
            overlap=self._asking.overlap,
        )
        self._reply = Reply(
            self._codec,
            chain,
            self.tally,
            reasons=self._reasons,
            drift=self._drift,
            hides_drift=self._tools.hide_unknown,
            passes_unreadable=self._tools.pass_unreadable or not self._acts,
            status=status,
            framing=framing,
            seals=seals,
            moulds=self._moulds() if self._facts.embeds and status < 400 else None,
        )
        self._started = True
        self._chain = self._reply.chain
        whole = framing is None or framing.opens == b"["  # a JSON text, by what its head says
        if restored is not None:
            came = len(headers)
            headers = without_copies(headers, restored)
            if len(headers) < came:
                self._reply.rewriter.changed.add("copies")
        return Start(headers, hold=self._changes and whole)

    def _moulds(self) -> Moulds:
        """What answers of this format looked like so far."""
        name = self._codec.name
        return self._tools.moulds.setdefault((name, self._watches), Moulds(name))

    def receive(self, data: bytes, now: float) -> bytes:
        """What leaves for a piece of the response; the same object where it is untouched.

        Raises WireError where the policy acts and the body cannot be read.
        """
        out = self.lane.take(data)
        return self.read(data, now) if out is None else out

    def read(self, data: bytes, now: float) -> bytes:
        """As `receive`, for a piece that is not of the lane."""
        if self._closed:
            return b""
        self.lane = NO_LANE  # until it is read
        out = self._reply.read(data) if self._changes else self._watch(data)
        self.lane = self._reply.lane
        self.wake_at = (self.wake_at or now + BEAT_S) if self._chain.holding else None
        return out

    def _watch(self, data: bytes) -> bytes:
        """Read for the token counts alone; what cannot be read is not counted."""
        try:
            self._reply.read(data)
        except WireError:
            self._reasons.add("unreadable_body")
            self._reply.give_up()
        return data

    def end(self, now: float) -> bytes:
        """What is left when the upstream has ended. Raises WireError as `receive` does."""
        self.wake_at = None
        if self._closed:
            return b""
        self._closed = True
        self.lane = NO_LANE
        out = self._reply.end()
        self._reply.lanes.close()
        return out if self._changes else b""

    @property
    def paced(self) -> bool:
        """Whether the answer has a greatest speed."""
        return self._pace is not None

    def rest_s(self, now: float) -> float:
        """Seconds to wait before the next piece of a stream is taken; 0 without a pace."""
        return 0.0 if self._pace is None else self._pace.rest_s(self._visible_bytes, now)

    def whole_rest_s(self, now: float) -> float:
        """Seconds to keep an answer that came whole; 0 without a pace."""
        return 0.0 if self._pace is None else self._pace.whole_rest_s(self._visible_bytes, self._began, now)

    @property
    def _visible_bytes(self) -> int:
        """Bytes of text that left, nearly: a trace in the text is counted by its characters."""
        hidden = self._chain.hidden
        tally = self.tally
        return tally.bytes if hidden is None else tally.bytes - max(tally.reasoning_bytes, hidden.chars)

    def rest(self, now: float) -> None:
        """Want heart-beats from now on, although no trace is held back."""
        self.wake_at = self.wake_at or now + BEAT_S

    def go_on(self) -> None:
        """The end of a rest."""
        if not self._chain.holding:
            self.wake_at = None

    def surrender(self, data: bytes) -> bytes:
        """What was taken and has not left, when `receive` of `data`, or `end` (with nothing), has raised."""
        return self._reply.surrender(data) if self._started else data

    def wake(self, now: float) -> bytes:
        """A heart-beat in the format, while a trace is held back."""
        self.wake_at = now + BEAT_S
        return b"" if self._reply.framer.pending else self._reply.beat()

    @property
    def owed(self) -> int:
        """Tokens counted beyond what was reserved; 0 where nothing bounds them."""
        if self.tally.bytes <= self.granted_bytes:
            return 0
        return int((self.tally.bytes - self.granted_bytes) / self._bytes_per_token) + 1

    @property
    def stops(self) -> bool:
        """Whether the answer must end here: it repeats the trace, and the policy does not let it."""
        if not self._started or self._decision.reasoning.overlap != "stop":
            return False
        return self._chain.overlap is not None and self._chain.overlap.repeats

    def granted(self, tokens: int) -> None:
        """The store gave `tokens` more."""
        self.granted_bytes += int(tokens * self._bytes_per_token)

    def cut(self, now: float) -> bytes:
        """End the stream the way the format ends one that reached its length; a trace stays hidden."""
        self._reasons.add("cut")
        return self._close(self._reply.stream.cut(self._chain.told(self.tally.usage)))

    def fail(self, now: float, refusal: Refusal, request_id: str = "") -> bytes:
        """End a stream that has begun with the format's own error."""
        return self._close(self._reply.stream.fail(refusal, request_id))

    def _close(self, last: bytes) -> bytes:
        self.wake_at = None
        self._closed = True
        self.lane = NO_LANE
        self._reply.lanes.close()
        return self._reply.close(last)

    def settlement(self) -> Settlement:
        """What the exchange came to, when it is over."""
        return Settlement(
            usage=self.tally.usage,
            source=self.tally.source,
            changed=tuple(sorted(self._changed())) if self._changes else (),
            reasons=tuple(sorted(self._reasons | self._alarms())),
            unknown=() if self._drift is None else tuple(self._drift.paths),
            coverage=0.0 if self._covering is None else self._covering.nats,
        )

    def _changed(self) -> set[str]:
        forced = {"pins"} if self.forced is not None else set()
        if not self._started:
            return forced
        hidden = self._chain.hidden
        hid = {"reasoning"} if hidden is not None and hidden.chars else set()
        return self._reply.rewriter.changed | hid | forced

    def _alarms(self) -> set[str]:
        if not self._started:
            return set()
        inline, overlap = self._chain.inline, self._chain.overlap
        if overlap is not None:
            overlap.close()
        drifted = {"unknown_text"} if self._drift is not None and self._drift.paths else set()
        repeated = {"overlap"} if overlap is not None and overlap.repeats else set()
        return drifted | repeated | (inline.alarms if inline is not None else set())
