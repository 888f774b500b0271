"""Fits the weights of the tagger from annotated traces; offline, the same weights for the same files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse  # type: ignore[import-untyped]
from scipy.optimize import minimize  # type: ignore[import-untyped]
from scipy.special import logsumexp  # type: ignore[import-untyped]

from hardening.kernels.features import BUCKET_BITS, feature_ids, new_state
from hardening.redteam.reasoning.labels import Annotated
from hardening.transform.tagger import PARTS, UNSURE_NATS, Model, words_of

_RIDGE = 10.0  # of the logistic loss, summed over sections; from 3 to 30 the figures do not move
_FEWEST_TRACES = 3  # a feature of fewer traces than this is one of their subjects
_ROUNDS = 200
_LARGEST = 127  # of an int8


class Rows(NamedTuple):
    """Sections as counts of features (sections by buckets), their parts, and the trace of each."""

    features: sparse.csr_matrix
    parts: NDArray[np.int64]
    traces: NDArray[np.int64]


def rows(traces: Iterable[Annotated]) -> Rows:
    """The sections of traces as a matrix."""
    ids: list[list[int]] = []
    parts: list[int] = []
    owners: list[int] = []
    for place, trace in enumerate(traces):
        ids += feature_ids([words_of(text) for _, text in trace.sections], new_state())
        parts += [PARTS.index(part) for part, _ in trace.sections]
        owners += [place] * len(trace.sections)
    starts = np.cumsum([0, *map(len, ids)])
    flat = np.fromiter((one for each in ids for one in each), np.int64)
    counts = sparse.csr_matrix((np.ones(flat.size), flat, starts), shape=(len(ids), 1 << BUCKET_BITS))
    counts.sum_duplicates()
    return Rows(counts, np.array(parts), np.array(owners))


def fit(traces: Sequence[Annotated]) -> Model:
    """The weights under which the parts of these traces are likeliest, few and small."""
    found = rows(traces)
    kept = _common(found)
    features, parts = found.features[:, kept], np.eye(len(PARTS))[found.parts]
    shape = (kept.size + 1, len(PARTS))

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights = flat.reshape(shape)
        scores = features @ weights[:-1] + weights[-1]
        totals = logsumexp(scores, axis=1, keepdims=True)
        off = np.exp(scores - totals) - parts
        slope = np.vstack([features.T @ off + _RIDGE * weights[:-1], off.sum(axis=0)])
        value = float((totals.sum() - (scores * parts).sum()) + _RIDGE / 2 * (weights[:-1] ** 2).sum())
        return value, slope.ravel()

    best = minimize(
        loss, np.zeros(shape[0] * shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": _ROUNDS}
    )
    weights = best.x.reshape(shape)
    weights[-1, PARTS.index("self_talk")] += UNSURE_NATS
    scale = _LARGEST / np.abs(weights[:-1]).max()
    whole = np.zeros((1 << BUCKET_BITS, len(PARTS)), np.int8)
    whole[kept] = np.rint(weights[:-1] * scale)
    return Model(whole, np.rint(weights[-1] * scale).astype(np.int32), float(scale))


def _common(found: Rows) -> NDArray[np.int64]:
    """The buckets that enough traces fill."""
    owners = sparse.csr_matrix((np.ones(found.traces.size), (found.traces, np.arange(found.traces.size))))
    filled = np.asarray(((owners @ found.features) > 0).sum(axis=0)).ravel()
    return np.flatnonzero(filled >= _FEWEST_TRACES)


def save(model: Model, path: Path) -> None:
    """Write a model to a file: the same bytes for the same model."""
    np.savez_compressed(path, weights=model.weights, bias=model.bias, scale=np.float64(model.scale))
