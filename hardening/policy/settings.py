"""The part of the file model that defaults, rules and bands share: what is done to a response."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from hardening.facts import (
    NOISE_SIZES,
    AtLimit,
    Detail,
    Inline,
    Mode,
    Pins,
    Repeats,
    Resent,
    Sampling,
    Show,
    UsageTerms,
)
from hardening.policy.quantities import Factor, PerSecond, Scale, Share, TokenBound, written
from hardening.policy.terms import UNSAID, Terms, order_of


class _Nothing:
    """Stands for an empty value, which no type of the model takes."""


_NOTHING = _Nothing()


class Strict(BaseModel):
    """A mapping of the file: only declared keys, no coercion, no empty values, frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @model_validator(mode="before")
    @classmethod
    def _nothing_is_no_value(cls, data: object) -> object:
        """An empty value meets the type of its field, which refuses it and says what is allowed."""
        if not isinstance(data, dict):
            return data
        return {key: _NOTHING if value is None else value for key, value in data.items()}


NAME = "^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
Name = Annotated[str, Field(pattern=NAME)]


def as_tuple(value: object) -> object:
    """A tuple of a YAML list; anything else is left for the type to refuse."""
    return tuple(value) if isinstance(value, list) else value


def one_or_more(value: object) -> object:
    """A tuple of a YAML list, or of the one text that stands in its place."""
    return (value,) if isinstance(value, str) else as_tuple(value)


_ONE_PATTERN = {"type": "string", "minLength": 1, "maxLength": 512}

Names = Annotated[tuple[Name, ...], BeforeValidator(as_tuple)]
Pattern = Annotated[str, Field(min_length=1, max_length=512)]
Patterns = Annotated[
    tuple[Pattern, ...],
    Field(min_length=1),
    BeforeValidator(one_or_more),
    written(
        "a text or a list of texts", _ONE_PATTERN, {"type": "array", "items": _ONE_PATTERN, "minItems": 1}
    ),
]

_GRID = "a number from 0 to 16"
_TOP = "a whole number from 0 to 1000, or all"
_NOISE = f"0, or one of {', '.join(f'{size:g}' for size in NOISE_SIZES)}"


def _read_grid(value: object) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 16:
        return float(value)
    raise ValueError(_GRID)


def _read_top(value: object) -> int | str:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 1000:
        return value
    if value == "all":
        return "all"
    raise ValueError(_TOP)


def _read_noise(value: object) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value in (0, *NOISE_SIZES):
        return float(value)
    raise ValueError(_NOISE)


Grid = Annotated[
    float, BeforeValidator(_read_grid), written(_GRID, {"type": "number", "minimum": 0, "maximum": 16})
]
Noise = Annotated[
    float, BeforeValidator(_read_noise), written(_NOISE, {"type": "number", "enum": [0, *NOISE_SIZES]})
]
Top = Annotated[
    int | Literal["all"],
    BeforeValidator(_read_top),
    written(_TOP, {"type": "integer", "minimum": 0, "maximum": 1000}, {"const": "all"}),
]


def treatment(term: str, says: str, *, cost: str, example: object, unit: str = "") -> Any:
    """A field of treatment that may be left out; what is stricter and what holds unsaid come from its term."""
    value = getattr(UNSAID, term)
    unsaid = f"{value * (100 if unit == '%' else 1):g}{unit}" if unit and value is not None else value
    extra: dict[str, Any] = {"x-strictness": order_of(term), "x-cost": cost}
    if unsaid is not None:
        extra["x-unsaid"] = list(unsaid) if isinstance(unsaid, tuple) else unsaid
    return Field(default=None, description=says, examples=[example], json_schema_extra=extra)


class Reasoning(Strict):
    """What becomes of the reasoning trace."""

    show: Show | None = treatment(
        "show",
        "What leaves of a trace: all of it, a short summary written from it, or nothing.",
        cost="With `summary` people still see what the model is about, in whole sentences of it with values left out as `[...]`;"
        " of a short trace, or one of equations, nothing may be left. With `none` they wait without a sign of progress.",
        example="summary",
    )
    max_tokens: TokenBound | None = treatment(
        "summary_tokens",
        "The longest summary.",
        cost="A short summary tells less. The answer itself is not touched.",
        example=160,
    )
    detail: Detail | None = treatment(
        "detail",
        "How much a summary tells: `brief` a sentence or two in 40 tokens, `outline` up to six sentences."
        " Both are of fixed sizes, so that no summary tells how long its trace was.",
        cost="With `brief` people see what is being worked on, and little of how.",
        example="outline",
    )
    overlap: Repeats | None = treatment(
        "overlap",
        "What follows where an answer repeats its hidden trace: 300 runs of eight words of it, or 100 that are half of it."
        " `report` names it in the receipt, `stop` ends the answer.",
        cost="With `stop` a model that drafts a long text in its trace, and then gives it as the answer, is cut short.",
        example="report",
    )
    seal: bool | None = treatment(
        "seal",
        "Whether the client gets the trace encrypted, to send it back in the next turn.",
        cost="With `false` a model that needs its own trace in the next turn (tools, agents) has to think again.",
        example=True,
    )
    resent: Resent | None = treatment(
        "resent",
        "Which reasoning of earlier turns a client may send to the model: any, or only what was sealed here.",
        cost="With `sealed` what another server signed, or an agent kept from elsewhere, does not reach the model; some APIs refuse"
        " a call of a tool without it.",
        example="any",
    )
    inline: Inline | None = treatment(
        "inline",
        "Where the model writes traces into the answer: never, between tags, or from its first token on without an opening tag.",
        cost="`tagged` drops an answer after an opening tag that nothing closes. `starts_open` holds text back until a trace closes.",
        example="tagged",
    )


class Logprobs(Strict):
    """What becomes of log-probabilities: how many a position, on which grid, with which noise (nats)."""

    top: Top | None = treatment(
        "top",
        "How many alternatives leave at each position; 0 withholds log-probabilities, `all` leaves them as they are.",
        cost="Evaluation and calibration code that wants more alternatives gets fewer; a request with a grammar, a schema or a penalty"
        " gets none, unless `pins: allow` leaves switches alone.",
        example=5,
    )
    step: Grid | None = treatment(
        "logprob_step",
        "The grid, in nats, to which values are rounded down; 0 is no grid.",
        cost="Values are off by up to one step, and close alternatives become equal.",
        example=0.25,
    )
    noise: Noise | None = treatment(
        "logprob_noise",
        "The size, in nats, of keyed noise on values, drawn within three standard deviations: the same question of the same"
        " group gets the same noise. Twice the noise is the next level. Values then leave on a grid, a quarter of the noise"
        " where no `step` is set, with the likeliest token first.",
        cost="Perplexities and scores made from the values shift by about this much a position.",
        example=0.5,
    )
    sampling: Sampling | None = treatment(
        "sampling",
        "Of which answers values leave where `top`, `step` or `noise` bounds them: `plain`, of those drawn at temperature 0"
        " or 1 from all tokens; `any`, also where a request sets another temperature, or `top_p`, `top_k`, `min_p`. A server that tells"
        " values after these gives a finer one with each. `any` is for servers that tell them before: llama.cpp, and"
        " vLLM without `--logprobs-mode processed_logprobs`.",
        cost="With `plain`, who samples at another temperature gets no values.",
        example="plain",
    )


class Embeddings(Strict):
    """What becomes of embedding values."""

    step: Grid | None = treatment(
        "embedding_step",
        "The grid to which values are rounded; 0 is no grid.",
        cost="Similarities shift with the step; a coarse one makes close neighbours change places.",
        example=0.001,
    )
    noise: Grid | None = treatment(
        "embedding_noise",
        "Keyed noise, relative to the length of the vector: the same vector of the same group gets the same noise.",
        cost="Similarities shrink and shift, and close neighbours change places; bytes are refused. Meant for bands.",
        example=0.05,
    )
    rotate: bool | None = treatment(
        "embedding_rotate",
        "A secret rotation for each group of accounts and each model: similarities inside of one stay, and vectors of two do not"
        " compare. Needs a key; for `defaults`, and for rules that match nothing but `model` and `door`.",
        cost="Turned on, off, or met under another name of the model, it breaks every index that is already there, and vectors"
        " that groups share. Vectors are cut by `dimensions` of the request only, never afterwards; bytes are refused.",
        example=True,
    )
    adaptive: Grid | None = treatment(
        "embedding_adaptive",
        "The most keyed noise that an account gets which sees more of the space of embeddings than a `benign` one: none up to"
        " 1.4 times as much, then an eighth, a quarter, a half and all of it, at 1.7 times. Each process counts for itself.",
        cost="Who sells or crawls everything is taken for one who copies; at each level a text gets another noise. Bytes are refused.",
        example=0.5,
    )
    benign: Share | None = treatment(
        "embedding_benign",
        "The share of 4,096 buckets of that space which the widest of your honest accounts touches, as"
        " `python -m bench.coverage` finds it in vectors that you trust.",
        cost="Too small a share takes honest accounts for copies; at 60% and more nobody is.",
        example="20%",
        unit="%",
    )
    keep: Scale | None = treatment(
        "embedding_keep",
        "The share of its directions with which a vector leaves, in sixteenths, rounded down; the same ones for everybody, so neither more"
        " texts nor more accounts bring the others. Vectors of an index that was filled before still compare.",
        cost="Similarities shift, about as much as by keyed noise of 0.25 at `75%`; bytes are refused. Meant for bands.",
        example="75%",
        unit="%",
    )


class Scores(Strict):
    """What becomes of the scores of rerankers and classifiers."""

    step: Grid | None = treatment(
        "score_step",
        "The grid to which scores are rounded; 0 is no grid. Their order stays as the server gave it.",
        cost="Scores are off by up to half a step, so a threshold between two steps acts as the nearer one.",
        example=0.01,
    )


class Settings(Strict):
    """What is done to a response; every field may be left out."""

    limits: Names | None = treatment(
        "limits",
        "Which limits a request spends, by their names under `limits`. A rule replaces the list.",
        cost="Whoever has spent one waits, or is refused.",
        example=["minute", "month"],
    )
    reasoning: Reasoning | None = Field(default=None, description="The reasoning trace.")
    logprobs: Logprobs | None = Field(default=None, description="Log-probabilities.")
    embeddings: Embeddings | None = Field(default=None, description="Embedding values.")
    scores: Scores | None = Field(default=None, description="Scores of rerankers and classifiers.")
    pins: Pins | None = treatment(
        "pins",
        "What happens to switches of a request that move, repeat or turn off what is withheld here: they are left alone, set to"
        " what is harmless, or refused.",
        cost="With `force` a caller who turns thinking off, or brings a template of his own, gets the model's defaults, and bias, bans"
        " and lists of allowed tokens do nothing; with `refuse` he gets an error that names the switch.",
        example="force",
    )
    usage: UsageTerms | None = treatment(
        "usage",
        "Whether the counts of tokens leave as they are, rounded up, or not at all: they tell how long a hidden trace was.",
        cost="Clients that account for tokens by themselves see up to twice the tokens of an answer, 64 at least, or with"
        " `drop` 0; times, prices and details go with both. The prompt's tokens stay.",
        example="keep",
    )
    at_limit: AtLimit | None = treatment(
        "at_limit",
        "What happens to an answer whose limit runs out while it streams: it is cut off, slowed down to what comes"
        " back, or finished with a debt up to the limit's `max_debt`.",
        cost="With `cut` an answer ends early, with the stop reason of a token bound. So it does under `slow` where nothing"
        " comes back within a minute, and under `finish` beyond the debt.",
        example="cut",
    )
    pace: PerSecond | None = treatment(
        "pace_per_s",
        "The greatest speed of an answer, in tokens that leave; one that comes whole is kept as long as its stream would"
        " take, up to ten minutes.",
        cost="People and programs wait longer for the end of an answer; clients with a short time-out give up.",
        example="20/s",
    )
    max_tokens: TokenBound | None = treatment(
        "max_tokens",
        "The longest answer, reasoning included; the request is cut to it before the model sees it.",
        cost="Longer answers end early.",
        example="4k",
    )
    charge: Factor | None = treatment(
        "charge",
        "How many times a request counts against its limits.",
        cost="With 4x a limit is spent four times as fast.",
        example="4x",
        unit="x",
    )
    scale: Scale | None = treatment(
        "scale",
        "The share of each limit that is left, `streams` too; beside `charge`, which does not touch `streams`, both count.",
        cost="With 50% every limit is half as large, and half as many streams run at once.",
        example="50%",
        unit="%",
    )

    def terms(self) -> Terms:
        """The same settings as a flat record."""
        reasoning = self.reasoning or Reasoning()
        logprobs = self.logprobs or Logprobs()
        embeddings = self.embeddings or Embeddings()
        return Terms(
            limits=self.limits,
            show=reasoning.show,
            summary_tokens=reasoning.max_tokens,
            detail=reasoning.detail,
            overlap=reasoning.overlap,
            seal=reasoning.seal,
            resent=reasoning.resent,
            inline=reasoning.inline,
            top=logprobs.top,
            logprob_step=logprobs.step,
            logprob_noise=logprobs.noise,
            sampling=logprobs.sampling,
            embedding_step=embeddings.step,
            embedding_noise=embeddings.noise,
            embedding_rotate=embeddings.rotate,
            embedding_adaptive=embeddings.adaptive,
            embedding_benign=embeddings.benign,
            embedding_keep=embeddings.keep,
            score_step=(self.scores or Scores()).step,
            pins=self.pins,
            usage=self.usage,
            at_limit=self.at_limit,
            max_tokens=self.max_tokens,
            pace_per_s=self.pace,
            charge=self.charge,
            scale=self.scale,
        )


def forbid_rotation(settings: Settings, where: str) -> None:
    """Raise ValueError where these settings say something of `embeddings.rotate`."""
    if settings.embeddings is not None and settings.embeddings.rotate is not None:
        raise ValueError(
            f"no `embeddings.rotate` {where}: whoever came under it, or left it, would find nothing in his own index any more"
        )


class Enforcement(Strict):
    """Whether a rule or band acts, and for which share of accounts; for the others it is in shadow."""

    mode: Mode | None = Field(
        default=None,
        description="`shadow`: it changes nothing, and receipts say what it would have done.",
        examples=["shadow"],
    )
    enforce: Share | None = Field(
        default=None,
        description="The share of accounts for which it acts, drawn once for each account.",
        examples=["10%"],
    )
