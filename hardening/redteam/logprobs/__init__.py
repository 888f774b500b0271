"""Attacks on log-probabilities: a layer that is rebuilt, noise that is averaged away, rows that are worth too much."""

from __future__ import annotations

from pathlib import Path

from hardening import kernels
from hardening.policy import load_policy
from hardening.redteam.claims import Measured, goals, judge
from hardening.redteam.logprobs import averaging, real, structure, worth
from hardening.redteam.logprobs.client import Caller, mounted
from hardening.redteam.logprobs.model import ToyModel
from hardening.redteam.logprobs.paths import PLACES, Paths, pairs
from hardening.redteam.logprobs.picture import draw
from hardening.redteam.logprobs.server import ToyServer
from hardening.redteam.options import Options
from hardening.redteam.report import Report, Table

NAME = "redteam logprobs"
PRESETS = ("baseline", "strict")

Found = dict[str, Measured]
_GRID = ((0.25, 0.0), (0.25, 0.125), (0.25, 0.5), (1.0, 0.0), (1.0, 0.5), (1.0, 1.0))
"""Steps and sizes of noise that the attacks on them meet."""
_DAY_S = 86400
_WORTHS = (
    ("baseline", "baseline"),
    ("baseline, watch", "watch"),
    ("top 2, step 0.25, noise 0.5", averaging.policy(step=0.25, noise=0.5, top=2)),
    ("top 2, step 2, noise 2", averaging.policy(step=2.0, noise=2.0, top=2)),
    ("top 5, step 1", averaging.policy(step=1.0, noise=0.0)),
    ("top 5, step 0.25, noise 0.5", averaging.policy(step=0.25, noise=0.5)),
    ("top 5, step 1, noise 1", averaging.policy(step=1.0, noise=1.0)),
    ("top 3, step 1, noise 1", averaging.policy(step=1.0, noise=1.0, top=3)),
)


_KEPT = ("baseline", "baseline, watch", "top 2, step 0.25, noise 0.5", "top 2, step 2, noise 2")
"""Of whose rows a user tells what they do for him."""


def attack(options: Options, model: Path | None = None) -> Report:
    """Run every attack against the toy server, bare and behind presets; then what a real `model` allows."""
    kernels.warm()
    found: Found = {}
    layers, worths = _layers(options, found), _worths(options, found)
    others = [part(options, found) for part in (_bisections, _rankings, _averages, _bands, _paths)]
    tables = [layers, worths, *others]
    if model is not None:
        tables.append(real.table(model, options))
    pictures, why_not = draw(options.out, _figures(layers), _figures(worths))
    claims = judge(goals(NAME), found, seed=options.seed)
    return Report(NAME, tuple(claims), tuple(tables), notes=why_not, pictures=pictures)


def _figures(table: Table) -> dict[str, float]:
    """The first figure of each row by what the row is about."""
    return {str(row[0]): float(row[1] or 0.0) for row in table.rows}


def _layers(options: Options, found: Found) -> Table:
    options.say("the layer, through bias and through alternatives")
    model = ToyModel(hidden=16 if options.quick else 64, seed=options.seed)
    server, rows = ToyServer(model), 8 * model.hidden
    table, gaps = [], dict[str, float]()
    for name, caller in _callers(server).items():
        # Without us so few rows are enough, and each is all of the vocabulary.
        enough = model.hidden + 16 if name == "bare" else rows
        biased = structure.through_bias(caller, model, rows=rows, seed=options.seed)
        listed = structure.from_alternatives(caller, model, rows=enough, seed=options.seed)
        for way, layer in (("logit_bias", biased), ("all alternatives", listed)):
            table.append((f"{name}: {way}", layer.gap, float(layer.questions), layer.known))
        gaps[name] = min(biased.gap, listed.gap) if name == "bare" else max(biased.gap, listed.gap)
    found["logprobs_gap_ratio"] = Measured(max(gaps[name] for name in PRESETS), rows, gaps["bare"])
    title = f"Size of the layer, h = {model.hidden}, {model.vocabulary:,} tokens, n = 8h"
    return Table(title, ("rows through", "gap within h +- 2", "questions", "share known"), tuple(table))


def _bisections(options: Options, found: Found) -> Table:
    options.say("rows by bisection, without log-probabilities")
    model = ToyModel(hidden=4 if options.quick else 8, seed=options.seed)
    rows = 8 * model.hidden
    found_by = {
        name: structure.by_bisection(caller, model, rows=rows, seed=options.seed)
        for name, caller in _callers(ToyServer(model)).items()
    }
    worst = max(found_by[name].gap for name in PRESETS)
    found["logprobs_bisection_gap"] = Measured(worst, rows, found_by["bare"].gap)
    limit = load_policy(PRESETS[0]).limits["requests"]
    a_day = limit.amount / limit.per_s * _DAY_S
    table = tuple((name, *_priced(layer, a_day)) for name, layer in found_by.items())
    columns = ("gap within h +- 2", "questions", "share known", "questions a value", "values a day")
    title = f"Rows by greedy bisection, h = {model.hidden}; a day has the requests of `baseline`"
    return Table(title, ("who", *columns), table)


def _priced(layer: structure.Layer, a_day: float) -> tuple[float | None, ...]:
    """The figures of a layer, with questions for each value, and the values that the questions of a day bring."""
    each = layer.questions / layer.values if layer.values else None
    return layer.gap, float(layer.questions), layer.known, each, a_day / each if each else 0.0


def _rankings(options: Options, found: Found) -> Table:
    options.say("the layer's space from rankings")
    model = ToyModel(hidden=16 if options.quick else 64, seed=options.seed)
    server, rows = ToyServer(model), (4 if options.quick else 8) * model.hidden
    overlaps = {
        name: structure.from_rankings(
            caller, model, rows=2 * model.hidden if name == "bare" else rows, seed=options.seed
        )
        for name, caller in _callers(server).items()
    }
    answers = structure.from_rankings(
        Caller(server), model, rows=2 * model.hidden, seed=options.seed, first=1
    )
    worst = max(overlaps[name].overlap for name in PRESETS)
    found["logprobs_ranking_overlap"] = Measured(worst, rows, overlaps["bare"].overlap)
    table = [(name, one.overlap) for name, one in overlaps.items()]
    table += [("the answers alone", answers.overlap), ("chance", answers.chance)]
    return Table("Space of the layer from rankings", ("who", "overlap"), tuple(table))


def _averages(options: Options, found: Found) -> Table:
    model = ToyModel(seed=options.seed)
    server = ToyServer(model)
    prompts = model.prompts(6 if options.quick else 16, options.seed, words=10)
    table, moved, anew = [], [0.0], [0.0]
    for step, noise in _GRID:
        options.say(f"averaging, step {step:g}, noise {noise:g}")
        caller = mounted(server, averaging.policy(step=step, noise=noise), account="member0")
        ways = {**averaging.EXACT, **averaging.OTHERS, "a group for each question": averaging.drawn_anew}
        for name, way in ways.items():
            left = averaging.average(
                caller, model, way, prompts=prompts, count=16 if options.quick else 64, step=step
            )
            table.append((name, step, noise, float(left.draws), *left[1:]))
            gained = abs(left.divergence_all - left.divergence_one)
            if name in averaging.EXACT:
                moved.append(gained)
            elif noise and way is averaging.drawn_anew:
                anew.append(gained)
        if not options.quick:
            left = averaging.average(
                caller, model, averaging.near, prompts=prompts[:3], count=1000, step=step
            )
            table.append(("near-duplicates", step, noise, float(left.draws), *left[1:]))
    found["logprobs_repeats_kl"] = Measured(max(moved), len(table), max(anew))
    columns = (
        "asked again as",
        "step",
        "noise",
        "draws",
        "error of one",
        "of all",
        "divergence of one",
        "of all",
    )
    return Table("What asking again gains (nats)", columns, tuple(table))


def _bands(options: Options, found: Found) -> Table:
    options.say("two bands together")
    model = ToyModel(seed=options.seed)
    server = ToyServer(model)
    prompts = model.prompts(60 if options.quick else 250, options.seed)
    fine, coarse = (mounted(server, averaging.policy(step=0.01, noise=size)) for size in (0.5, 1.0))
    ours, naive = averaging.combined(fine, coarse, model, prompts=prompts)
    found["logprobs_bands_difference"] = Measured(ours, len(prompts), naive)
    # A server that scales values by the temperature tells each value twice under one noise, which the pair cancels;
    # and without noise each temperature moves the row on the grid.
    plain = _behind(server, "baseline")
    scaled = mounted(server, averaging.policy(step=0.25, noise=0.0, sampling="any"))
    heating, heats = (prompts[:5], 16) if options.quick else (prompts[:20], 64)
    hot, calm, control, moved = (
        averaging.heated(caller, model, prompts=heating, count=heats)
        for caller in (fine, plain, Caller(server), scaled)
    )
    found["logprobs_values_scaled"] = Measured(hot.told + calm.told, heats * len(heating), control.told)
    table = (
        ("error of noise 0.5 and 1 together, to 0.5 alone: levels with draws of their own", ours),
        ("the same with one draw for two sizes", naive),
        (f"values told at {heats} temperatures of {len(heating)} prompts, under noise", float(hot.told)),
        ("the same under `baseline`", float(calm.told)),
        ("the same without us", float(control.told)),
        (
            "error of a difference on a grid of 0.25 at one temperature, where `sampling` is `any`",
            moved.error_one,
        ),
        ("the same by all of them", moved.error_all),
    )
    return Table("Two bands, two temperatures", ("what", "figure"), table)


def _worths(options: Options, found: Found) -> Table:
    options.say("sample equivalents of a row, and what a user keeps")
    texts = 40 if options.quick else 200
    model = ToyModel(seed=options.seed)
    server = ToyServer(model)
    scale = worth.Scale(model, contexts=40 if options.quick else 150, seed=options.seed)
    table, known = [], dict[str, float]()
    callers = [(f"bare, top {top}", Caller(server), top) for top in (20, 5)]
    callers += [(name, _behind(server, policy), 20) for name, policy in _WORTHS]
    for name, caller, top in callers:
        told = [caller.first(prompt, top_logprobs=top, temperature=0) for prompt in scale.prompts]
        known[name], left = scale.equivalents(told, _step(name))
        kept = (
            worth.honest(Caller(server), caller, model, seed=options.seed, texts=texts)
            if name in _KEPT
            else None
        )
        table.append((name, known[name], left, sum(map(len, told)) / len(told), *(kept or (None,) * 3)))
        if kept is not None and name == "baseline":
            found["logprobs_perplexity_rank"] = Measured(kept.ranks, texts)
            found["logprobs_top1"] = Measured(kept.first, texts)
    found["logprobs_sample_equivalents"] = Measured(
        known["baseline, watch"], len(scale.prompts), known["bare, top 20"]
    )
    columns = ("row of", "sampled tokens that it is worth", "divergence left (nats)", "values")
    honest = ("likeliest first", "ranks of a user's texts at temperature 0", "sampled at 1")
    return Table("What one row is worth, and what a user keeps", (*columns, *honest), tuple(table))


def _step(name: str) -> float:
    """The grid of a policy by its name."""
    if name.startswith("bare"):
        return 0.0
    return float(name.partition("step ")[2].partition(",")[0] or 0.25)


def _paths(options: Options, found: Found) -> Table:
    options.say("pairs of parameters")
    chosen = [pair for pair in pairs() if not (options.quick and pair[1])]
    most = {
        preset or "bare": max(cell.tokens for pair in chosen for cell in asked.cells(pair))
        for preset in (None, *PRESETS)
        for asked in [Paths(preset, options.seed)]
    }
    count = len(chosen) * len(PLACES)
    found["logprobs_distinct_tokens"] = Measured(max(most[name] for name in PRESETS), count, most["bare"])
    table = tuple((name, float(count), float(tokens)) for name, tokens in most.items())
    return Table("Tokens of one position that get a value", ("who", "ways", "tokens"), table)


def _callers(server: ToyServer) -> dict[str, Caller]:
    return {"bare": Caller(server), **{preset: mounted(server, preset) for preset in PRESETS}}


def _behind(server: ToyServer, policy: str) -> Caller:
    """A caller behind a policy, or in baseline's band `watch`."""
    return mounted(server, "baseline", band=policy) if policy == "watch" else mounted(server, policy)
