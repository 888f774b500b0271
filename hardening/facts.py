"""The nouns that all rooms share: frozen values, no behaviour beyond construction.

Those that every request makes anew are named tuples, which cost a third to make. Times are
seconds. Identifiers of callers are already keyed hashes or names that the app gave; a raw key,
a prompt or a trace is never part of any of these values.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, NamedTuple

Show = Literal["full", "summary", "none"]
Inline = Literal["never", "tagged", "starts_open"]
Detail = Literal["brief", "outline"]
Repeats = Literal["ignore", "report", "stop"]
Resent = Literal["any", "sealed"]
Sampling = Literal["any", "plain"]
UsageTerms = Literal["keep", "round", "drop"]
AtLimit = Literal["cut", "slow", "finish"]
Pins = Literal["allow", "force", "refuse"]
Mode = Literal["enforce", "shadow"]
Window = Literal["even", "sliding"]
CountedBy = Literal["all", "org", "account", "key", "model"]
Unit = Literal[
    "requests", "tokens", "prompt", "completion", "reasoning", "streams", "logprob_values", "embeddings"
]
RefusalKind = Literal[
    "forbidden",
    "rate_limit",
    "quota",
    "unreadable",
    "pinned",
    "too_large",
    "unauthenticated",
    "unavailable",
    "internal",
]
Packing = Literal["floats", "bytes", "packed_bytes", "other"]
NOISE_SIZES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
"""Noise on log-probabilities, in nats: each size is a level, so that two of them differ by draws of their own."""
NOISE_GRID = 1 / 4
"""The grid of noised values to which no step is set, as a share of the noise."""
quickly = tuple.__new__
"""Makes a named tuple of all of its fields, for those of every request: its own constructor takes twice as long."""
NOISED_STEP = 0.001
"""The grid of noised embedding values to which no step is set."""
FINE_STEP = 1e-6
"""The grid of embedding values that are changed and to which neither step nor noise is set: about that of binary32."""
BYTE_STEP = 1 / 128
"""The grid of embedding values that are packed as bytes, for a range from -1 to 1."""
_NONE: Mapping[str, str] = MappingProxyType({})
Outcome = Literal["complete", "cut", "disconnected", "refused", "error"]


@dataclass(frozen=True, slots=True)
class Account:
    """Who asks.

    Args:
        id: a name that the app gave, or the keyed hash of a credential or address; what limits and
            standing hang on. 1 to 256 printable characters, never a raw key.
        org: the organisation; rules find an account by either.
        groups: those that the app puts it in. A policy acts on the ones that it declares.
        proven: whether somebody vouched for it. An app that names an account vouches, unless it says
            otherwise; who is unproven spends the pool of his network and is in no group.
        network: the keyed hash of the client's network; set for every request, an app leaves it out.
        key: the keyed hash of the credential that came with the request, empty where none did; set for
            every request, an app leaves it out.
        attributes: what else the app knows of it, by name: a plan, the hash of a payment, a block of networks. A policy
            says what they are worth (`risk.priors`); nothing keeps or shows them.
    """

    id: str
    org: str | None = None
    groups: tuple[str, ...] = ()
    proven: bool = True
    network: str = ""
    key: str = ""
    attributes: Mapping[str, str] = field(default_factory=lambda: _NONE, hash=False, repr=False)
    scope: str = field(init=False, repr=False, compare=False)
    """What its own limits and its standing are kept under: of an unproven one those of its network."""

    def __post_init__(self) -> None:
        scope = f"account:{self.id}" if self.proven else f"network:{self.network}"
        object.__setattr__(self, "scope", scope)


EVERYBODY = Account("", proven=False, network="all")
"""All callers together, as far as stores keep something of them: its scope is that of limits `by: all`."""


_OF_VALUES = frozenset(("openai_embeddings", "gemini_embed", "ollama_embed", "cohere_embed", "scores"))
"""Formats that answer in values, embeddings or scores, and not in tokens."""


class RequestFacts(NamedTuple):
    """What a request asks for, as far as a policy may look at it.

    `top_logprobs` is None where no log-probabilities are asked. `max_tokens` is None where the
    caller names no bound. `choices` of an embeddings request are its inputs, and `packing` is the most
    packed form in which their values are asked. `switches` says that a switch may stand in it which moves, repeats or turns off what
    a policy withholds, `opens` that its prompt ends in a trace, `scaled` that its values may be those of a temperature, or of the
    likeliest tokens alone. `headers` are lower-case names, for `match: {header: ...}` only.
    `others` are models by which it may be answered as well, an empty name for any; `kept` says that an answer is asked
    for which was made before, `steered` that a penalty or a grammar bends the distribution of which it is drawn.
    """

    door: str
    format: str
    model: str = ""
    stream: bool = False
    choices: int = 1
    max_tokens: int | None = None
    top_logprobs: int | None = None
    body_bytes: int = 0
    prompt_bytes: int = 0
    client: str = ""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    switches: bool = False
    opens: bool = False
    packing: Packing = "floats"
    scaled: bool = False
    others: tuple[str, ...] = ()
    kept: bool = False
    steered: bool = False

    @property
    def embeds(self) -> bool:
        """Whether embeddings are asked, and so no answer in tokens."""
        return "_embed" in self.format

    @property
    def scores(self) -> bool:
        """Whether scores are asked of a reranker or a classifier, and so no answer in tokens either."""
        return self.format == "scores"

    @property
    def speaks(self) -> bool:
        """Whether an answer in tokens is asked."""
        return self.format not in _OF_VALUES


class SignalFacts(NamedTuple):
    """What a signal of the app is asked about: who asks, and what for."""

    account: Account
    request: RequestFacts


@dataclass(frozen=True, slots=True)
class Limit:
    """One allowance: `amount` units every `per_s` seconds, at most `burst` at once.

    `window` is how units come back: evenly from the moment they are spent, or as a window of `per_s`
    slides over it. `by` is who shares one allowance. An answer that is finished although the limit is
    spent may owe `max_debt` beyond the burst. `key` is what its state goes by in a store: of another
    unit, time or window it is another limit, of another amount the same.
    """

    name: str
    unit: Unit
    amount: float
    per_s: float
    burst: float
    window: Window = "even"
    by: CountedBy = "account"
    max_debt: float = 0.0
    key: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        sliding = "/sliding" if self.window == "sliding" else ""
        object.__setattr__(self, "key", f"{self.name}/{self.unit}/{self.per_s}{sliding}")


NEW = "+"
"""What stands for new accounts where bands are named; no band is called so."""


class Standing(NamedTuple):
    """What the store knows of an account: `risk` in 0..1, its band, how long and how often seen.

    `due` is a higher band in which the next conversation that begins is the first. `peak` is the highest that it
    was in lately, `NEW` for none but while it was new, empty for none at all, None where nobody knows.
    """

    risk: float = 0.0
    band: str | None = None
    requests: int = 0
    age_s: float = 0.0
    due: str | None = None
    peak: str | None = None


@dataclass(frozen=True, slots=True)
class Prior:
    """An account is new until both are passed."""

    requests: int
    age_s: float

    def holds(self, standing: Standing) -> bool:
        """Whether an account of this standing is new."""
        return standing.requests < self.requests or standing.age_s < self.age_s


@dataclass(frozen=True, slots=True)
class NewPrice:
    """How often a charge counts while its account is new: by band, `""` for none; `alone`: for others not at all."""

    prior: Prior
    by_band: Mapping[str, float]
    alone: bool


class Charge(NamedTuple):
    """A claim on one limit; the store multiplies `amount` by its factor for the standing that it reads."""

    limit: Limit
    scope_key: str
    amount: float
    by_band: Mapping[str, float] = MappingProxyType({})
    new: NewPrice | None = None

    def factor(self, standing: Standing) -> float:
        """How often each unit counts; 0 where the limit is not for accounts of this standing."""
        band = standing.band
        if self.new is not None:
            if self.new.prior.holds(standing):
                return self.new.by_band.get(band or "", self.new.by_band[""])
            if self.new.alone:
                return 0.0
        return 1.0 if band is None else self.by_band.get(band, 1.0)


class LimitState(NamedTuple):
    """What is left of one limit after a call: `remaining` units, full again in `reset_s`."""

    limit: Limit
    remaining: float
    reset_s: float


class Lease(NamedTuple):
    """A reservation that a store gave out; only that store can read `token`."""

    token: Hashable
    charges: tuple[Charge, ...]
    expires_at: float


class Admission(NamedTuple):
    """The store's one answer before the app: a lease, or which limit refused and for how long.

    `blocked_s` is how long an account stays blocked that an operator has blocked; infinite until he lifts it.
    """

    granted: bool
    lease: Lease | None
    standing: Standing
    limits: tuple[LimitState, ...] = ()
    refused_by: str | None = None
    retry_after_s: float | None = None
    blocked_s: float | None = None


class Usage(NamedTuple):
    """Tokens of one exchange, and vectors; `completion` always includes `reasoning`."""

    prompt: int = 0
    completion: int = 0
    reasoning: int = 0
    embeddings: int = 0


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not answered; each format writes it in its own shape."""

    status: int
    kind: RefusalKind
    message: str
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class ReasoningTerms:
    """What becomes of a reasoning trace; `max_tokens` bounds the summary, `detail` brief to the shortest.

    `overlap` is what follows where the answer repeats it.
    `resent` says which reasoning of earlier turns a client may send.
    """

    show: Show = "full"
    max_tokens: int = 160
    seal: bool = False
    inline: Inline = "tagged"
    detail: Detail = "outline"
    overlap: Repeats = "report"
    resent: Resent = "any"


@dataclass(frozen=True, slots=True)
class LogprobTerms:
    """At most `top` tokens a position (0 none, None all), on a grid of `step` nats, noise sigma in nats.

    `sampling` says whether values leave of answers that are not drawn from what the model says as it is.
    """

    top: int | None = None
    step: float = 0.0
    noise: float = 0.0
    sampling: Sampling = "plain"

    @property
    def grid(self) -> float:
        """The grid of values that leave: noise needs one, so without a step it brings a fine one."""
        return self.step or self.noise * NOISE_GRID

    @property
    def bounded(self) -> bool:
        """Whether anything is taken from rows."""
        return self.top is not None or self.grid > 0.0


@dataclass(frozen=True, slots=True)
class EmbeddingTerms:
    """Embedding values on a grid of `step`, with keyed noise `noise` relative to the norm, rotated by group and model.

    `adaptive` is the most noise of an account that sees more of the space than the share `benign`. `keep` is the
    share of directions that leave.
    """

    step: float = 0.0
    noise: float = 0.0
    rotate: bool = False
    adaptive: float = 0.0
    benign: float = 1.0
    keep: float = 1.0

    @property
    def grid(self) -> float:
        """The grid of values that leave: what changes them needs one, so without a step it brings a fine one."""
        return self.step or (NOISED_STEP if self.noise else FINE_STEP if self.moves else 0.0)

    @property
    def moves(self) -> bool:
        """Whether values leave as others than those of the server, beyond a grid: none of them leaves as it came."""
        return self.rotate or self.noise > 0.0 or self.adaptive > 0.0 or self.keep < 1.0

    @property
    def told(self) -> Mapping[str, float | bool]:
        """What is done, by the names under which answers say it."""
        every = {
            "embeddings": self.step,
            "noise": self.noise,
            "rotated": self.rotate,
            "adaptive": self.adaptive,
            "kept": self.keep if self.keep < 1.0 else 0.0,
        }
        return {name: value for name, value in every.items() if value}


@dataclass(frozen=True, slots=True)
class ScoreTerms:
    """Scores of rerankers and classifiers on a grid of `step`, 0 for none."""

    step: float = 0.0


@dataclass(frozen=True, slots=True)
class Decision:
    """What shall happen to one request; a refusal is one too.

    `enforced` is False in shadow: then nothing changes and the Decision is only reported.
    `exempt` means that no term acts. `charge` multiplies what limits count, `scale` is the share of them that is left.
    """

    rule: str | None = None
    band: str | None = None
    enforced: bool = True
    exempt: bool = False
    refusal: Refusal | None = None
    reasoning: ReasoningTerms = ReasoningTerms()
    logprobs: LogprobTerms = LogprobTerms()
    embeddings: EmbeddingTerms = EmbeddingTerms()
    scores: ScoreTerms = ScoreTerms()
    limits: tuple[str, ...] = ()
    pins: Pins = "allow"
    usage: UsageTerms = "keep"
    at_limit: AtLimit = "cut"
    max_tokens: int | None = None
    pace_per_s: float | None = None
    charge: float = 1.0
    scale: float = 1.0
    disclose: bool = True

    @property
    def acts(self) -> bool:
        """Whether any byte of a response may be changed."""
        return self.enforced and not self.exempt


@dataclass(frozen=True, slots=True)
class TokenCount:
    """Tokens as reserved and settled; `source` says where the settled figure came from."""

    prompt: int
    completion: int
    reasoning: int
    reserved: int
    settled: int
    source: Literal["usage", "events", "none"]


@dataclass(frozen=True, slots=True)
class AddedTime:
    """Microseconds that this library added, before the app, on the body, after it."""

    before: float
    body: float
    after: float


@dataclass(frozen=True, slots=True)
class PolicyId:
    """Which policy decided."""

    name: str
    digest: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was done to one exchange, for metrics and audit; holds no text of it.

    `time` is in seconds since 1970. `account` and `proven` say who asked, `door` and `format` where,
    `status` what left. `decision` is what was decided, with its refusal where there was one; `would`
    what the parts in shadow would have made of it, None where that is the same. `changed` names what
    was cut, `reasons` what looked wrong. `limits` is what was left of each. `outcome` is how it ended:
    complete, cut (out of tokens), disconnected (the client left), refused, or error.
    """

    time: float
    request_id: str
    policy: PolicyId
    mode: Mode
    account: str
    proven: bool
    door: str
    format: str
    model: str
    status: int
    rule: str | None
    band: str | None
    risk: float
    reasons: tuple[str, ...]
    decision: Decision
    would: Decision | None
    changed: tuple[str, ...]
    tokens: TokenCount
    limits: tuple[LimitState, ...]
    added_us: AddedTime
    outcome: Outcome
