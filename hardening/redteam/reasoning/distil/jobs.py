"""Students taught side by side, each in a process of its own; what one scored is kept, and read back by what it was taught."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

from hardening.redteam.reasoning.distil.lessons import Words
from hardening.redteam.reasoning.distil.student import Size
from hardening.redteam.reasoning.distil.teacher import Task
from hardening.redteam.reasoning.distil.thief import Judged, Loot, adaptive, student_of

_SIDE_BY_SIDE = 2


@dataclass(frozen=True, slots=True)
class Job:
    """One student: what it is taught, and what it is asked afterwards. With `bought` it is an adaptive one."""

    name: str
    loot: Loot
    bought: Loot | None
    words: Words
    size: Size
    held: tuple[Task, ...]
    seed: int

    @property
    def digest(self) -> str:
        """What tells this student from every other one."""
        return hashlib.sha256(repr(self).encode()).hexdigest()

    def run(self) -> Judged:
        """Teach and judge it."""
        if self.bought is None:
            return student_of(self.loot, self.words, self.size, self.held, seed=self.seed)
        return adaptive(self.bought, self.loot, self.words, self.size, self.held, seed=self.seed)


def run(jobs: Sequence[Job], kept: Path | None, say: Callable[[str], None]) -> list[Judged]:
    """What each student scored; that of an earlier run where `kept` holds it."""
    found = {at: told for at, job in enumerate(jobs) if (told := _read(job, kept)) is not None}
    left = [at for at in range(len(jobs)) if at not in found]
    if found:
        say(f"distillation: {len(found)} of {len(jobs)} students from {kept}")
    with ProcessPoolExecutor(_SIDE_BY_SIDE, mp_context=get_context("spawn"), initializer=_one_thread) as pool:
        running = {pool.submit(jobs[at].run): at for at in left}
        for done in as_completed(running):
            at = running[done]
            found[at] = done.result()
            _write(jobs[at], found[at], kept)
            say(f"distillation: {len(found)} of {len(jobs)}, {jobs[at].name}: {found[at].right:.1%} right")
    return [found[at] for at in range(len(jobs))]


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def _place(job: Job, kept: Path) -> Path:
    return kept / f"student-{job.digest[:16]}.json"


def _read(job: Job, kept: Path | None) -> Judged | None:
    if kept is None or not (place := _place(job, kept)).exists():
        return None
    told = json.loads(place.read_text("utf-8"))
    return Judged(**told["judged"]) if told["digest"] == job.digest else None


def _write(job: Job, judged: Judged, kept: Path | None) -> None:
    if kept is None:
        return
    kept.mkdir(parents=True, exist_ok=True)
    told = {"name": job.name, "digest": job.digest, "judged": asdict(judged)}
    _place(job, kept).write_text(json.dumps(told), "utf-8")
