"""What a request asks for.

Every server parses in its own way: encodings, duplicate keys, keys in another case. The largest of what
stands there is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import ClassVar

from hardening.errors import WireError
from hardening.facts import Packing, RequestFacts, quickly
from hardening.wire.media import text_bytes
from hardening.wire.own import own
from hardening.wire.packings import more_packed, packing_of
from hardening.wire.pins import Half, Pin
from hardening.wire.requests import as_utf8
from hardening.wire.roles import Node, Role
from hardening.wire.rows_asked import names_rows
from hardening.wire.scan import read_json
from hardening.wire.spoken import Hear, hearing
from hardening.wire.steering import multiplies, penalises, shapes
from hardening.wire.tags import leaves_open

_ALL = 1 << 20  # what a negative or absent bound means: as many as there are
_UNSCALED = (None, 0, 1, -1)
"""What leaves values the model's own: temperature 0, at which nothing is drawn and nothing divided by it, and what switches a cut off."""
_NUMBER_CHARS = 32
_EXACT = 2**53  # beyond, a float may be no whole number
_MOST_MODELS = 16
"""Names that are told apart; of more nobody knows which may answer."""
_NEITHER, _WHOLE = Half(0), Half.SHAPE | Half.QUIET


def read_request(body: bytes, facts: RequestFacts, *, table: Node) -> RequestFacts:
    """`facts`, which say what is known without it, with what the body asks.

    Raises WireError where the body is no JSON object.
    """
    return _with_asked(facts, _object(body, facts.format), body, table)


def read_spoken(body: bytes, facts: RequestFacts, *, table: Node) -> tuple[RequestFacts, Hear]:
    """As `read_request`, with what tells what whoever asks said last."""
    value = _object(body, facts.format)
    return _with_asked(facts, value, body, table), hearing(value, facts.format, len(body))


def _object(body: bytes, format: str) -> dict[str, object]:
    value = read_json(as_utf8(body), format=format)
    if not isinstance(value, dict):
        raise WireError(format, 0, "expected a JSON object")
    return value


def _with_asked(facts: RequestFacts, value: dict[str, object], body: bytes, table: Node) -> RequestFacts:
    asked = _Asked(facts.model, facts.stream)
    asked.take_body(value, table)
    return asked.told(facts, len(body), text_bytes(body, value))


class _Asked:
    # Of the class until the body says more.
    logprobs = switches = opens = scaled = steered = False
    packing: Packing = "floats"
    top = 0
    _bound: int | None = None
    _boundless = False
    _each = _prompts = 1
    _halves = _NEITHER
    _unless_told = False

    def __init__(self, model: str, stream: bool) -> None:
        self.model = model
        self._models: set[str] = set()
        self._named = bool(model)
        self._stream: bool | None = stream or None

    def told(self, facts: RequestFacts, body_bytes: int, prompt_bytes: int) -> RequestFacts:
        """`facts` with all that was taken."""
        return quickly(
            RequestFacts,
            (
                facts.door,
                facts.format,
                self.model,
                self._unless_told if self._stream is None else self._stream,
                min(self._each * self._prompts, _ALL),
                None if self._boundless else self._bound,
                self.top if self.logprobs or self.top else None,
                body_bytes,
                prompt_bytes,
                facts.client,
                facts.headers,
                self.switches,
                self.opens,
                self.packing,
                self.scaled,
                () if self.model and not self._models and "," not in self.model else self._others(),
                facts.kept,
                self.steered,
            ),
        )

    def _others(self) -> tuple[str, ...]:
        """The models that may answer beside `model`; an empty name where some server chooses one itself."""
        # LiteLLM takes several in one text, and tries or asks each.
        found = self._models | ({*self.model.split(",")} if "," in self.model else set())
        if not self.model or len(found) > _MOST_MODELS:
            found = {""}
        return tuple(sorted({name.strip() for name in found} - {self.model.strip()})) if self.model else ("",)

    def take_body(self, value: dict[str, object], table: Node) -> None:
        """Take all that a whole body asks; a bound that the format's own servers do not read bounds nothing."""
        self._unless_told = table.streams
        self.take_all(value, table)
        if self._bound is not None and not self._boundless:
            self._boundless = all(_integer(one) is None for one in own(value, table, Role.ASK_TOKENS))

    def take_all(self, value: dict[str, object], table: Node) -> None:
        names, takes = table.names, self._TAKE.get
        for key, element in value.items():
            node = names.get(key)
            if node is None:
                if key.isascii() and key.islower():
                    continue
                node = names.get(key.casefold())
                if node is None:
                    continue
            if node.watched and not self.switches:
                self._watch(node.pin, element)
            if isinstance(element, dict) and node.names:
                self.take_all(element, node)
            elif (take := takes(node.role)) is not None:
                take(self, element)

    def _watch(self, pin: Pin | None, value: object) -> None:
        """Note whether a switch stands here or below."""
        if pin is None:
            self.switches = isinstance(value, dict)
        elif pin.half is None:
            # An earlier one of two keys may hold more than the last, which a parser keeps.
            self.switches = not (pin.common and pin.harmless(value))
        elif pin.half is Half.SHAPE or not pin.harmless(value):
            self._halves |= pin.half
            self.switches = self._halves == _WHOLE or pin.alone(value)

    def _take_model(self, value: object) -> None:
        if isinstance(value, str) and not self._named:  # a server that reads the path reads no more
            self.model = value

    def _take_models(self, value: object) -> None:
        if len(self._models) <= _MOST_MODELS:
            self._models.update(islice(_names(value), _MOST_MODELS + 1))

    def _take_stream(self, value: object) -> None:
        asks = value is not False if self._unless_told else bool(value)
        self._stream = self._stream or asks

    def _take_choices(self, value: object) -> None:
        self._each = max(self._each, min(_integer(value) or 1, _ALL))

    def _take_prompts(self, value: object) -> None:
        self._prompts = max(self._prompts, _prompts(value))
        self.opens = self.opens or _opens(value)

    def _take_packing(self, value: object) -> None:
        self.packing = more_packed(self.packing, packing_of(value))

    def _take_tokens(self, value: object) -> None:
        if (bound := _integer(value)) is not None:
            self._bound = max(self._bound or 0, bound)
            self._boundless = self._boundless or bound < 0

    def _take_rows(self, value: object) -> None:
        self.logprobs = self.logprobs or bool(value)
        if not isinstance(value, bool) and (top := _integer(value)) is not None:
            self.top = max(self.top, _ALL if top < 0 else top)

    def _take_count(self, value: object) -> None:
        self._take_rows(value)
        self.logprobs = self.logprobs or (value == 0 and value is not False)

    def _take_scale(self, value: object) -> None:
        self.scaled = self.scaled or value not in _UNSCALED

    def _take_penalty(self, value: object) -> None:
        self.steered = self.steered or penalises(value)

    def _take_factor(self, value: object) -> None:
        self.steered = self.steered or multiplies(value)

    def _take_shape(self, value: object) -> None:
        self.steered = self.steered or shapes(value)

    def _take_include(self, value: object) -> None:
        named = value if isinstance(value, list) else [value]
        self.logprobs = self.logprobs or any(map(names_rows, named))

    _TAKE: ClassVar[Mapping[Role | None, Callable[[_Asked, object], None]]] = {
        Role.ASK_MODEL: _take_model,
        Role.ASK_MODELS: _take_models,
        Role.ASK_STREAM: _take_stream,
        Role.ASK_CHOICES: _take_choices,
        Role.ASK_PROMPTS: _take_prompts,
        Role.ASK_PACKING: _take_packing,
        Role.ASK_TOKENS: _take_tokens,
        Role.ASK_LOGPROBS: _take_rows,
        Role.ASK_TOP: _take_rows,
        Role.ASK_COUNT: _take_count,
        Role.ASK_SCALE: _take_scale,
        Role.ASK_PENALTY: _take_penalty,
        Role.ASK_FACTOR: _take_factor,
        Role.ASK_SHAPE: _take_shape,
        Role.ASK_INCLUDE: _take_include,
    }


def _names(value: object) -> Iterator[str]:
    """The names of models in a list of them, by itself or under those in whose place they come."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, list):
            waiting += one
        elif isinstance(one, dict):
            waiting += [one["model"]] if "model" in one else [*one, *one.values()]


def _opens(prompts: object) -> bool:
    """Whether one of the prompts ends in a trace."""
    listed = prompts if isinstance(prompts, list) else [prompts]
    texts = [
        one.get("prompt_string") if isinstance(one, dict) else one for one in listed
    ]  # llama.cpp's, with pictures
    return any(isinstance(text, str) and leaves_open(text) for text in texts)


def _prompts(value: object) -> int:
    """How many prompts a value holds: a list of numbers, with texts between or not, is the tokens of one."""
    if not isinstance(value, list) or any(isinstance(element, int | float) for element in value):
        return 1
    return max(1, len(value))


def _integer(value: object) -> int | None:
    if type(value) is int and -_EXACT < value < _EXACT:  # as nearly everybody writes it
        return value
    if isinstance(value, str) and len(value) < _NUMBER_CHARS:  # some servers read a number in quotes
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if abs(value) < _EXACT else None  # NaN is not
