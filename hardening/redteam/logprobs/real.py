"""The attacks that a model of any size allows, on a real one: a file that llama.cpp reads, its own rows, its own texts."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from hardening.redteam.logprobs import structure, worth
from hardening.redteam.logprobs.client import Caller, mounted
from hardening.redteam.logprobs.model import Floats, Model
from hardening.redteam.logprobs.server import ToyServer
from hardening.redteam.options import Options
from hardening.redteam.report import Table

_LONGEST = 512
_CONTEXTS, _TEXTS = 40, 30
_ENOUGH = 16
"""Rows and tokens beyond the layer's size, from which its gap is seen where they are known."""
PRESETS = ("baseline", "strict")


class GgufModel(Model):
    """A model of llama.cpp; it reads on from what it has just read, so that the next token costs one step.

    Raises:
        LookupError: llama-cpp-python is not installed, or cannot read the file.
    """

    def __init__(self, path: Path, *, seed: int) -> None:
        try:
            import llama_cpp  # type: ignore[import-not-found,unused-ignore]
        except ModuleNotFoundError:
            raise LookupError("--model needs the package llama-cpp-python, which no extra brings") from None
        try:
            self._llama: Any = llama_cpp.Llama(str(path), n_ctx=_LONGEST, seed=seed, verbose=False)
        except ValueError as fault:
            raise LookupError(f"--model {path}: {fault}") from None
        self._last = llama_cpp.llama_get_logits_ith
        self._seen: list[int] = []
        super().__init__(self._llama.n_embd(), self._llama.n_vocab(), rows=2 * self._llama.n_embd())

    def prompts(self, count: int, seed: int, words: int = 6) -> list[str]:
        """Beginnings of texts as the model writes them at temperature 1."""
        return [self._begun(seed, number, words) for number in range(count)]

    @cache  # noqa: B019  of a model that lives as long as its process
    def _begun(self, seed: int, number: int, words: int) -> str:
        random = np.random.default_rng([seed, number])
        tokens: tuple[int, ...] = ()
        for _ in range(words):
            chances = np.exp(self.row(tokens))
            tokens += (int(random.choice(self.vocabulary, p=chances / chances.sum())),)
        return "".join(map(self.word, tokens)).strip()

    def _logits(self, tokens: tuple[int, ...]) -> Floats:
        read = [self._llama.token_bos(), *tokens][-_LONGEST:]
        same = 0
        while same < min(len(read) - 1, len(self._seen)) and read[same] == self._seen[same]:
            same += 1
        self._llama.n_tokens = same
        self._llama.eval(read[same:])
        self._seen = read
        found = np.ctypeslib.as_array(self._last(self._llama.ctx, -1), (self.vocabulary,))
        return found.astype(np.float64)


def table(path: Path, options: Options) -> Table:
    """Layer, worth of a row, and what a user keeps, on the model of a file."""
    options.say(f"reading {path.name}")
    model = GgufModel(path, seed=options.seed)
    server = ToyServer(model)
    named = {"bare": Caller(server), **{name: mounted(server, name) for name in PRESETS}}
    found: list[tuple[str, float]] = []
    for name, caller in named.items():
        options.say(f"{path.name}: the layer, {name}")
        size = model.hidden + _ENOUGH
        layer = structure.through_bias(caller, model, rows=size, seed=options.seed, columns=size)
        found.append((f"gap ratio within h +- 2 of {size:,} rows of {size:,} tokens, {name}", layer.gap))
    scale = worth.Scale(model, contexts=_CONTEXTS, seed=options.seed)
    watch = mounted(server, "baseline", band="watch")
    for name, caller, top, step in (
        ("bare, top 20", named["bare"], 20, 0.0),
        ("bare, top 5", named["bare"], 5, 0.0),
        ("baseline", named["baseline"], 20, 0.25),
        ("baseline, watch", watch, 20, 0.25),
    ):
        options.say(f"{path.name}: sample equivalents, {name}")
        told = [caller.first(prompt, top_logprobs=top, temperature=0) for prompt in scale.prompts]
        found.append((f"sampled tokens that a row is worth, {name}", scale.equivalents(told, step)[0]))
    for name, caller in (("baseline", named["baseline"]), ("baseline, watch", watch)):
        options.say(f"{path.name}: what a user keeps, {name}")
        kept = worth.honest(named["bare"], caller, model, seed=options.seed, texts=_TEXTS)
        found.append((f"likeliest token first, {name}", kept.first))
        found.append((f"ranks of texts at temperature 0, {name}", kept.ranks))
    title = f"{path.stem}, h = {model.hidden:,}, {model.vocabulary:,} tokens"
    return Table(title, ("what", "figure"), tuple(found))
