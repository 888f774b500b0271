"""What scoring costs beside the model, and how long it keeps the loop waiting: also `python -m bench.scoring`."""

from __future__ import annotations

import threading
import time

from rich.console import Console

from bench.latency import Progress, us
from bench.report import Row, Spread, show
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
    "400 kB of ligatures": "\ufdfa" * 130_000,
    "400 kB of marks above letters": ("a" + "\u0323\u0307" * 255) * 400,
}
ROUNDS, QUICK_ROUNDS = 200, 40
_LOOKS = 15
_COST, _STALL = "of a thread beside the model", "longest that scoring keeps the loop waiting"


def measure(progress: Progress, *, quick: bool) -> list[Row]:
    """The rows about scoring: CPU time of a message by its shape, and the longest stall of all shapes."""
    progress("scoring")
    kernels.warm()
    scorer = Scorer(b"k" * 32)
    scorer.score("a", "hello", Facts(0.0))
    rounds = QUICK_ROUNDS if quick else ROUNDS
    rows = [Row(_COST, f"scoring {name}", us(each_s(scorer, SHAPES[name], rounds))) for name in SHAPES]
    again = us(each_s(scorer, SHAPES["1,000 tokens"], rounds, differ=False))
    rows.append(Row(_COST, "scoring what was scored just now", again))
    stalls = {name: 1e3 * stall_s(scorer, text) for name, text in SHAPES.items()}
    worst = max(stalls, key=lambda name: stalls[name])
    longest = Spread.of([stalls[worst]])
    return [*rows, Row(_STALL, worst, longest, "ms", claim="scoring_stall_ms")]


def each_s(scorer: Scorer, text: str, rounds: int, *, differ: bool = True) -> list[float]:
    """CPU seconds of one message on its thread, round by round; where they `differ`, none is known again."""
    found = []
    for number in range(rounds):
        message = f"{number if differ else 0} {text}"
        start = time.thread_time()
        scorer.score("a", message, Facts(float(number)))
        found.append(time.thread_time() - start)
    return found


def stall_s(scorer: Scorer, text: str) -> float:
    """The longest that a thread beside the scorer waits for the interpreter while one message is scored.

    It gives the interpreter away and takes it again, over and over, and takes down what CPU time the scorer
    spent meanwhile: so what other processes take does not count. Where the system stops this thread while
    the scorer works without the interpreter, that does: so of several looks the least is the scorer's own.
    """
    return min(_waited_s(scorer, f"{look} {text}", float(look)) for look in range(_LOOKS))


def _waited_s(scorer: Scorer, message: str, at: float) -> float:
    ended: list[float] = []

    def work() -> None:
        scorer.score("a", message, Facts(at))
        ended.append(time.thread_time())

    worker = threading.Thread(target=work)
    worker.start()
    longest = before = 0.0
    while not ended:
        try:
            spent = time.clock_gettime(time.pthread_getcpuclockid(worker.ident or 0))
        except OSError:  # it has just ended
            break
        longest, before = max(longest, spent - before), spent
        time.sleep(0)
    worker.join()
    return max(longest, ended[0] - before)


def main() -> None:
    """Print the rows."""
    show(measure(lambda what: None, quick=False), [], Console(highlight=False, width=120))


if __name__ == "__main__":
    main()
