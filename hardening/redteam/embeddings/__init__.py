"""Attacks on embeddings: an encoder that is rebuilt from its vectors, and noise that is averaged away."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hardening import kernels
from hardening.policy import load_policy
from hardening.redteam.claims import Measured, goals, judge
from hardening.redteam.embeddings import averaging, groups, search, seen, sentences, thief
from hardening.redteam.embeddings.client import Caller, mounted
from hardening.redteam.embeddings.encoder import Encoder, Floats, texts
from hardening.redteam.embeddings.picture import draw
from hardening.redteam.options import Options
from hardening.redteam.report import Report, Table

NAME = "redteam embeddings"
PRESET = "embeddings"

Found = dict[str, Measured]
_SHARES = (1.125, 2, 4, 8, 16)
"""Texts that the thief asked for, in dimensions."""
_NOISES = (0.05, 0.25, 0.5, 1.0, 2.0, 4.0)
_COPIED = ("bare", "harden", "noise 0.5", "noise 2")
"""Whose copy searches as well."""
_KEPT = (88, 75, 50)
"""Of a vector's directions, in per cent, without noise."""
_COLLUDING = (2, 5, 20)
"""Flagged accounts, each of another group, that ask for the same texts and average."""
_HELD = 500
_LAYERED = ("bare", "harden")
"""Who meets the student with a hidden layer as well."""
_REAL_TEXTS = 2000
_SMALL = 384
"""Of the vectors that are averaged and searched: that of small encoders in use."""
_AVERAGED_NOISE = 0.5
_NOTES = (
    "texts are generated, the encoder is a toy: random features of hashed words with a secret linear head",
    "the thief knows all of the encoder but its head, and is stopped where he is best: real ones do worse",
    "a copy that lacks directions still searches as well as the account that paid for it; what it lacks is the encoder's own space",
    "one account that is not flagged gives the directions that flagged ones lack",
)


def attack(options: Options) -> Report:
    """Run every attack against the toy encoder, bare and behind the preset `embeddings`."""
    kernels.warm()
    found: Found = {}
    encoder = Encoder(64 if options.quick else 128, seed=options.seed)
    small = Encoder(_SMALL, seed=options.seed)
    remapped, averaged = _remapped(options, encoder, found), _averages(options, small, found)
    searched = _searches(options, small, found)
    real, why_no_real = _real(options)
    tables = (
        *real,
        remapped,
        _together(options, encoder),
        averaged,
        searched,
        _groups(options, encoder, found),
        _seen(options, small),
    )
    claims = judge(goals(NAME), found, seed=options.seed)
    lost = {str(row[0]): float(row[2] or 0.0) for row in searched.rows}
    points = {str(row[0]): (lost[str(row[0])], float(row[len(_SHARES)] or 0.0)) for row in remapped.rows}
    pictures, why_not = draw(options.out, points)
    return Report(NAME, tuple(claims), tables, notes=(*_NOTES, *why_no_real, *why_not), pictures=pictures)


def _callers(encoder: Encoder) -> dict[str, Caller]:
    """Without us, in no band and in each of the preset's, and with noise in sizes."""
    policy = "version: 1\ndefaults: {{embeddings: {{step: 0.001, noise: {:g}, keep: {}%}}}}\n"
    return {
        "bare": Caller(encoder),
        "no band": mounted(encoder, PRESET),
        "watch": mounted(encoder, PRESET, band="watch"),
        "harden": mounted(encoder, PRESET, band="harden"),
        **{f"noise {size:g}": mounted(encoder, policy.format(size, 100)) for size in _NOISES},
        **{f"keep {share}%": mounted(encoder, policy.format(0, share)) for share in _KEPT},
    }


def _remapped(options: Options, encoder: Encoder, found: Found) -> Table:
    most = int(_SHARES[-1] * encoder.size)
    asked, _ = texts(most, seed=options.seed + 1)
    others, _ = texts(_HELD, seed=options.seed + 2)
    given, held, clean = encoder.trunk(asked), encoder.trunk(others), encoder.embed(others)
    table, best = [], dict[str, float]()
    for name, caller in _callers(encoder).items():
        options.say(f"remapping, {name}")
        taught = caller.vectors(asked)
        lessons = [
            thief.Lesson(given[:count], taught[:count], held, clean)
            for count in (int(share * encoder.size) for share in _SHARES)
        ]
        cosines = [thief.linear(lesson) for lesson in lessons]
        layered = thief.layered(lessons[-1], seed=options.seed) if name in _LAYERED else None
        best[name] = max(*cosines, layered or 0.0)
        table.append((name, *cosines, layered))
    found["embeddings_remap_cosine"] = Measured(best["harden"], most, best["bare"])
    columns = ("texts, in dimensions", *(f"{share:g}d" for share in _SHARES), "16d, hidden layer")
    title = f"Cosine of a student's vectors to the clean ones, d = {encoder.size}"
    return Table(title, columns, tuple(table))


def _together(options: Options, encoder: Encoder) -> Table:
    """Flagged accounts of several groups that ask for the same texts, and a student of the average."""
    most = int(_SHARES[-1] * encoder.size)
    asked, _ = texts(most, seed=options.seed + 1)
    others, _ = texts(_HELD, seed=options.seed + 2)
    given, held, clean = encoder.trunk(asked), encoder.trunk(others), encoder.embed(others)
    terms = load_policy(PRESET).layers[-1].terms
    policy = averaging.policy(
        terms.embedding_noise or 0.0,
        members=max(_COLLUDING),
        step=terms.embedding_step or 0.0,
        keep=terms.embedding_keep or 1.0,
    )
    caller, table = mounted(encoder, policy), list[tuple[str | float | None, ...]]()
    counts = [int(share * encoder.size) for share in _SHARES]
    taught = np.zeros((most, encoder.size))
    for member in range(max(_COLLUDING)):
        options.say(f"colluding, {member + 1}")
        taught += caller.vectors(asked, account=f"member-{member}")
        if member + 1 in (1, *_COLLUDING):
            lessons = [thief.Lesson(given[:count], taught[:count], held, clean) for count in counts]
            table.append((f"{member + 1}", *map(thief.linear, lessons)))
    columns = ("groups; texts of each, in dimensions", *(f"{share:g}d" for share in _SHARES))
    return Table(
        "Cosine of a student of the average of flagged accounts, as of the band `harden`",
        columns,
        tuple(table),
    )


def _groups(options: Options, encoder: Encoder, found: Found) -> Table:
    options.say("rotated")
    of_groups = groups.compared(encoder, seed=options.seed)
    found["embeddings_groups_compare"] = Measured(abs(of_groups.across[0]), encoder.size, 1.0)
    found["embeddings_rotated_cosines"] = Measured(of_groups.inside, encoder.size)
    columns = ("texts that both asked for, in dimensions", "cosine of the same text")
    rows = tuple(
        (f"{share:g}d", cosine) for share, cosine in zip(groups.SHARED, of_groups.across, strict=True)
    )
    return Table("Two groups under `rotate`, one turned to the other by shared texts", columns, rows)


def _real(options: Options) -> tuple[tuple[Table, ...], tuple[str, ...]]:
    """The same attack on a real encoder and real texts, where there are both: tables, and notes why there are none."""
    if options.data is None or options.quick:
        return (), ("no real encoder: it wants `--data DIR` of texts in JSON lines, and no `--quick`",)
    try:
        encoder = sentences.Sentences(seed=options.seed)
    except ModuleNotFoundError as missing:
        return (), (f"no real encoder: {missing.name} is not installed",)
    every, kinds = sentences.real_texts(options.data, _REAL_TEXTS, seed=options.seed)
    options.say(f"a real encoder, {len(every):,} texts")
    known, clean = encoder.trunk(every), encoder.embed(every)
    counts = [int(share * encoder.size) for share in _SHARES if share * encoder.size < len(every) - _HELD]
    first, table = sentences.nearest(clean), list[tuple[str | float | None, ...]]()
    for name, caller in _callers(encoder).items():
        rows = caller.vectors(every)
        lessons = [
            thief.Lesson(known[:count], rows[:count], known[-_HELD:], clean[-_HELD:]) for count in counts
        ]
        alike = sentences.shared(first, sentences.nearest(rows))
        table.append((name, *map(thief.linear, lessons), alike, sentences.probed(rows, kinds)))
    columns = ("who", *(f"copy, {count:,} texts" for count in counts), "same of 10 nearest", "linear probe")
    title = f"A real encoder, d = {encoder.size}, of {len(every):,} texts: cosine of a copy; what a search and a probe keep"
    return (Table(title, columns, tuple(table)),), ()


def _seen(options: Options, encoder: Encoder) -> Table:
    options.say("coverage")
    rows = seen.rows(encoder, count=4_000 if options.quick else 20_000, seed=options.seed)
    columns = ("who", "vectors of each", "buckets seen", "noise, of at most 0.5", "evidence, nats")
    return Table("What an account sees of the space, `benign` being that of honest ones", columns, rows)


def _averages(options: Options, encoder: Encoder, found: Found) -> Table:
    asked, _ = texts(20, seed=options.seed + 3)
    clean, table = encoder.embed(asked), []
    gains = dict.fromkeys(averaging.WAYS, 0.0)
    for count in (2, 5, 20):
        options.say(f"averaging {count}")
        caller = mounted(encoder, averaging.policy(_AVERAGED_NOISE, members=count))
        for name, way in averaging.WAYS.items():
            one, all_of_them = averaging.left(way(caller, asked, count), clean)
            gains[name] = max(gains[name], 1.0 - all_of_them / one)
            table.append((name, float(count), one, all_of_them))
    gained = max(gains[name] for name in averaging.EXACT)
    found["embeddings_repeats_gain"] = Measured(gained, len(table), gains["as many groups"])
    title = f"Noise that is left in an average, beside the clean vector, at noise {_AVERAGED_NOISE:g}"
    return Table(title, ("asked again as", "times", "of one", "of all"), tuple(table))


def _searches(options: Options, encoder: Encoder, found: Found) -> Table:
    options.say("searching")
    size = 500 if options.quick else 2000
    stored, topics = texts(size, seed=options.seed + 4)
    queries, asked = texts(200, seed=options.seed + 5)
    queries = [" ".join(text.split()[:8]) for text in queries]
    callers = _callers(encoder)
    gains = {
        name: search.gain(caller.vectors(queries), caller.vectors(stored), asked, topics)
        for name, caller in callers.items()
    }
    copies = {
        name: search.gain(copy[: len(queries)], copy[len(queries) :], asked, topics)
        for name, copy in _copies(options, encoder, callers, queries + stored)
    }
    lost = {name: gains["bare"] - gain for name, gain in gains.items()}
    found["embeddings_benign_ndcg"] = Measured(float(np.abs(lost["no band"])), len(queries))
    title = f"What a search keeps, d = {encoder.size}: {len(queries)} queries of 8 words over {size:,} texts, nDCG of the {search.NEAREST} nearest"
    rows = tuple((name, gains[name], lost[name], copies.get(name)) for name in gains)
    return Table(title, ("who", "nDCG", "lost", "nDCG of a copy"), rows)


def _copies(
    options: Options, encoder: Encoder, callers: dict[str, Caller], wanted: list[str]
) -> Iterator[tuple[str, Floats]]:
    """Vectors of texts by students of what some callers got."""
    taught, _ = texts((4 if options.quick else 16) * encoder.size, seed=options.seed + 6)
    given, held, clean = encoder.trunk(taught), encoder.trunk(wanted), encoder.embed(wanted)
    for name in _COPIED:
        options.say(f"a copy that searches, {name}")
        yield name, thief.copied(thief.Lesson(given, callers[name].vectors(taught), held, clean))
