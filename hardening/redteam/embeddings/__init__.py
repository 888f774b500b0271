"""Attacks on embeddings: an encoder that is rebuilt from its vectors, and noise that is averaged away."""

from __future__ import annotations

import numpy as np

from hardening import kernels
from hardening.redteam.claims import Measured, goals, judge
from hardening.redteam.embeddings import averaging, search, thief
from hardening.redteam.embeddings.client import Caller, mounted
from hardening.redteam.embeddings.encoder import Encoder, texts
from hardening.redteam.options import Options
from hardening.redteam.report import Report, Table

NAME = "redteam embeddings"
PRESET = "embeddings"

Found = dict[str, Measured]
_SHARES = (1.125, 2, 4, 8, 16)
"""Texts that the thief asked for, in dimensions."""
_NOISES = (0.05, 0.5, 1.0, 2.0, 4.0)
_HELD = 500
_LAYERED = ("bare", "harden")
"""Who meets the student with a hidden layer as well."""
_SMALL = 384
"""Of the vectors that are averaged and searched: that of small encoders in use."""
_AVERAGED_NOISE = 0.5
_NOTES = (
    "texts are generated, the encoder is a toy: random features of hashed words with a secret linear head",
    "the thief knows all of the encoder but its head, and is stopped where he is best: real ones do worse",
    "a rotation of each group's vectors is not built, and so neither are Procrustes and remapping between groups",
)


def attack(options: Options) -> Report:
    """Run every attack against the toy encoder, bare and behind the preset `embeddings`."""
    kernels.warm()
    found: Found = {}
    encoder = Encoder(64 if options.quick else 128, seed=options.seed)
    small = Encoder(_SMALL, seed=options.seed)
    tables = [
        _remapped(options, encoder, found),
        _averages(options, small, found),
        _searches(options, small, found),
    ]
    claims = judge(goals(NAME), found, seed=options.seed)
    return Report(NAME, tuple(claims), tuple(tables), notes=_NOTES)


def _callers(encoder: Encoder) -> dict[str, Caller]:
    """Without us, in no band and in each of the preset's, and with noise in sizes."""
    policy = "version: 1\ndefaults: {{embeddings: {{step: 0.001, noise: {:g}}}}}\n"
    return {
        "bare": Caller(encoder),
        "no band": mounted(encoder, PRESET),
        "watch": mounted(encoder, PRESET, band="watch"),
        "harden": mounted(encoder, PRESET, band="harden"),
        **{f"noise {size:g}": mounted(encoder, policy.format(size)) for size in _NOISES},
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
    gains = {
        name: search.gain(caller.vectors(queries), caller.vectors(stored), asked, topics)
        for name, caller in _callers(encoder).items()
    }
    lost = {name: gains["bare"] - gain for name, gain in gains.items()}
    found["embeddings_benign_ndcg"] = Measured(float(np.abs(lost["no band"])), len(queries))
    title = f"What a search keeps, d = {encoder.size}: {len(queries)} queries of 8 words over {size:,} texts, nDCG of the {search.NEAREST} nearest"
    return Table(title, ("who", "nDCG", "lost"), tuple((name, gains[name], lost[name]) for name in gains))
