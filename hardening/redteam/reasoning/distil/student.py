"""A small transformer that learns lessons, and says replies by itself."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from hardening.redteam.reasoning.distil.lessons import END, PAD, Lesson

_LENGTH = 128
"""The longest row, in words."""
_MOMENTUM, _MATRIX_RATE, _RATE = 0.95, 0.02, 0.002
_WARM_UP, _COOL_DOWN = 40, 0.4
"""Steps until the full rate, and the share of all steps in which it falls to none."""
_CLIP = 1.0
_TOGETHER = 512
"""Replies that are said side by side."""

Cache = list[tuple[Tensor, Tensor]]


@dataclass(frozen=True, slots=True)
class Size:
    """How large a student is, and how long it learns."""

    width: int = 144
    layers: int = 2
    heads: int = 4
    steps: int = 260
    batch: int = 32


class _Layer(nn.Module):
    def __init__(self, size: Size) -> None:
        super().__init__()
        width = size.width
        self._heads = size.heads
        self._before, self._between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.look, self.seen = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.up, self.down = (
            nn.Linear(width, 4 * width, bias=False),
            nn.Linear(4 * width, width, bias=False),
        )

    def forward(
        self, rows: Tensor, past: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        count, length, width = rows.shape
        looked = self.look(self._before(rows)).view(count, length, 3, self._heads, width // self._heads)
        query, key, value = looked.permute(2, 0, 3, 1, 4)
        if past is not None:
            key, value = torch.cat([past[0], key], 2), torch.cat([past[1], value], 2)
        seen = functional.scaled_dot_product_attention(query, key, value, is_causal=past is None)
        rows = rows + self.seen(seen.transpose(1, 2).reshape(count, length, width))
        rows = rows + self.down(functional.relu(self.up(self._between(rows))).square())
        return rows, (key, value)


class Student(nn.Module):
    """Predicts the next word of a row; the same for the same seed."""

    def __init__(self, words: int, size: Size, *, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.size = size
        self.seed = seed
        self.words, self.places = nn.Embedding(words, size.width), nn.Embedding(_LENGTH, size.width)
        self.layers = nn.ModuleList(_Layer(size) for _ in range(size.layers))
        self.last = nn.LayerNorm(size.width)
        for table in (self.words, self.places):
            nn.init.normal_(table.weight, std=0.02)

    def hidden(self, rows: Tensor, cache: Cache | None = None) -> tuple[Tensor, Cache]:
        """What the student makes of rows of words behind those in the cache, and the cache with them."""
        start = cache[0][0].shape[2] if cache else 0
        state = self.words(rows) + self.places.weight[start : start + rows.shape[1]]
        kept: Cache = []
        for at, layer in enumerate(self.layers):
            state, pair = layer(state, cache[at] if cache else None)
            kept.append(pair)
        return self.last(state), kept

    def scores(self, state: Tensor) -> Tensor:
        """The score of each word as the next one."""
        return state @ self.words.weight.T

    @property
    def parameters_count(self) -> int:
        """How many numbers it learns."""
        return sum(one.numel() for one in self.parameters())


def taught(lessons: Sequence[Lesson], words: int, size: Size, *, seed: int) -> Student:
    """A student that has learnt the replies of lessons to their prompts; lessons of more weight count for more."""
    student = Student(words, size, seed=seed)
    matrices = [one for one in student.layers.parameters() if one.ndim == 2]
    others = [
        one for name, one in student.named_parameters() if one.ndim == 1 or not name.startswith("layers")
    ]
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.Muon(matrices, lr=_MATRIX_RATE, momentum=_MOMENTUM, weight_decay=0.0),
        torch.optim.AdamW(others, lr=_RATE, betas=(0.9, 0.95), weight_decay=0.0),
    ]
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(one, lambda step: _share(step, size.steps)) for one in optimizers
    ]
    draw, left = random.Random(seed), list[Lesson]()
    for _ in range(size.steps):
        while len(left) < size.batch:
            left += draw.sample(lessons, len(lessons))
        loss = _loss(student, left[: size.batch])
        del left[: size.batch]
        loss.backward()
        nn.utils.clip_grad_norm_(student.parameters(), _CLIP)
        for one in (*optimizers, *schedules):
            one.step()
        student.zero_grad()
    return student


def _share(step: int, steps: int) -> float:
    """The share of the full rate at a step."""
    return min(1.0, (step + 1) / _WARM_UP, (steps - step) / (_COOL_DOWN * steps))


def _loss(student: Student, lessons: Sequence[Lesson]) -> Tensor:
    """How unlikely the student takes the replies, by word."""
    length = max(len(one.prompt) + len(one.reply) for one in lessons)
    rows = torch.full((len(lessons), length), PAD)
    weights = torch.zeros(len(lessons), length)
    for at, one in enumerate(lessons):
        end = len(one.prompt) + len(one.reply)
        rows[at, :end] = torch.tensor(one.prompt + one.reply)
        weights[at, len(one.prompt) : end] = one.weight
    state, _ = student.hidden(rows[:, :-1])
    weights, wanted = weights[:, 1:], rows[:, 1:]
    counted = weights > 0
    losses = functional.cross_entropy(student.scores(state[counted]), wanted[counted], reduction="none")
    return (losses * weights[counted]).sum() / weights.sum()


@dataclass(frozen=True, slots=True)
class Said:
    """A reply without its end, and how likely the student took it, by word, in nats below certain."""

    reply: tuple[int, ...]
    nats: float


def replies(student: Student, prompts: Sequence[tuple[int, ...]]) -> list[Said]:
    """The likeliest reply to each prompt, word by word."""
    found: dict[int, Said] = {}
    by_length = sorted(range(len(prompts)), key=lambda at: len(prompts[at]))
    while by_length:
        length = len(prompts[by_length[0]])
        same = [at for at in by_length[:_TOGETHER] if len(prompts[at]) == length]
        by_length = by_length[len(same) :]
        with torch.inference_mode():
            told = _said(student, torch.tensor([prompts[at] for at in same]))
        found |= zip(same, told, strict=True)
    return [found[at] for at in range(len(prompts))]


def _said(student: Student, rows: Tensor) -> list[Said]:
    """The replies to prompts of one length."""
    cache: Cache | None = None
    told, nats = list[Tensor](), list[Tensor]()
    open_ = torch.ones(len(rows), dtype=torch.bool)
    room = _LENGTH - rows.shape[1]
    for _ in range(room):
        state, cache = student.hidden(rows, cache)
        best = functional.log_softmax(student.scores(state[:, -1]), -1).max(-1)
        told.append(best.indices)
        nats.append(best.values)
        rows = best.indices[:, None]
        open_ &= best.indices != END
        if not open_.any():
            break
    columns, sure = torch.stack(told, 1).tolist(), torch.stack(nats, 1)
    lengths = [one.index(END) if END in one else len(one) for one in columns]
    return [
        Said(tuple(one[:end]), float(-sure[at, : end + 1].mean()))
        for at, (one, end) in enumerate(zip(columns, lengths, strict=True))
    ]
