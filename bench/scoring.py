"""What scoring costs beside the model, and how long it keeps other threads waiting: `python -m bench.scoring`."""

from __future__ import annotations

import statistics
import sys
import threading
import time
from collections.abc import Sequence

from hardening import kernels
from hardening.scoring.request import Facts
from hardening.scoring.scorer import Scorer

TEXT = (
    "the lamps in that shed are fourteen boxes of six and five of them are broken so we count what is left "
)
SHAPES = {
    "200 tokens": (TEXT * 10)[:800],
    "1,000 tokens": (TEXT * 60)[:4_000],
    "100,000 tokens": (TEXT * 6_000)[:400_000],
    "one word of 400 kB": "x" * 400_000,
    "400 kB of blanks": " " * 400_000,
    "400 kB of Chinese": "请逐步说明每一个推理过程" * 11_000,
}
_ROUNDS = 200


def each_us(scorer: Scorer, text: str, rounds: int = _ROUNDS) -> float:
    """Median microseconds of one message on its thread; each differs, so that none is known again."""
    found = []
    for number in range(rounds):
        message = f"{number} {text}"
        start = time.thread_time()
        scorer.score("a", message, Facts(float(number)))
        found.append(time.thread_time() - start)
    return 1e6 * statistics.median(found)


def held_ms(scorer: Scorer, texts: Sequence[str], rounds: int = 20) -> tuple[float, float]:
    """Milliseconds that a thread beside the scorer was late, 99th percentile and worst; a sleeping thread beside nothing first."""
    late: list[float] = []
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            start = time.perf_counter()
            time.sleep(0.0005)
            late.append(time.perf_counter() - start - 0.0005)

    watcher = threading.Thread(target=watch)
    watcher.start()
    for number in range(rounds):
        for text in texts:
            scorer.score("a", f"{number} {text}", Facts(float(number)))
    done.set()
    watcher.join()
    late.sort()
    return 1e3 * late[int(0.99 * len(late))], 1e3 * late[-1]


def main() -> None:
    """Print both."""
    kernels.warm()
    scorer = Scorer(b"k" * 32)
    scorer.score("a", "hello", Facts(0.0))
    for name, text in SHAPES.items():
        sys.stdout.write(f"{name}: {each_us(scorer, text):.0f} us\n")
    idle = _idle_ms()
    usual, worst = held_ms(scorer, list(SHAPES.values()))
    sys.stdout.write(
        f"a thread beside it is late by {usual:.2f} ms (p99), {worst:.2f} at most; beside nothing by {idle:.2f} (p99)\n"
    )


def _idle_ms() -> float:
    late = []
    for _ in range(500):
        start = time.perf_counter()
        time.sleep(0.0005)
        late.append(time.perf_counter() - start - 0.0005)
    late.sort()
    return 1e3 * late[int(0.99 * len(late))]


if __name__ == "__main__":
    main()
