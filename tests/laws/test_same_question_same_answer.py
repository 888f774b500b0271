"""Law 6: one policy and one upstream answer give one hardened answer, on every worker and in every state of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hardening.testing import harden
from hardening.wire.seals import without_seals
from tests.asgi.driver import ask, replies, run
from tests.exchanges import DONE, USAGE, chunk, words
from tests.laws.formats import CHAT, FORMATS, MESSAGES, ROWS, Format

PLANS = """\
I need to find how many apples are in the baskets of the orchard in the morning.
I will determine the number of pears that the farmer has for the market on Friday.
I need to calculate how the fruit can be shared between the families of the village.
I will find which of the baskets have to be carried to the station by the evening train.
I need to determine how many plums the children can pick in the garden of the school.
"""
LONG_TRACE = PLANS + " ".join(
    f"Basket {n} has {n} apples and {2 * n} pears, so {n} + {2 * n} = {3 * n}. Wait, did I count it twice? No."
    for n in range(2, 30)
)
NOISED = """\
version: 1
extends: baseline
accounts: {groups: {partner: [acct_1, acct_2]}}
defaults: {logprobs: {noise: 1}}
"""
WORKER = """
import json, sys
from hardening import kernels
from tests.laws.test_same_question_same_answer import answers
if sys.argv[1] == "warm":
    kernels.warm()
assert kernels.ready() is (sys.argv[1] == "warm")
print(json.dumps(answers()))
"""


def long_chat() -> list[bytes]:
    """A stream whose trace is long enough to be summed up, and whose answer has rows."""
    return [
        CHAT.stream[0],
        *(chunk({"reasoning_content": piece}) for piece in words(LONG_TRACE)),
        *(chunk({"content": row["token"]}, logprobs={"content": [row]}) for row in ROWS),
        chunk({}, finish="stop"),
        USAGE,
        DONE,
    ]


def hardened(
    format: Format, pieces: list[bytes], preset: str, *, who: str = "acct_7", warm: bool = False
) -> bytes:
    """What a client gets from an instance that serves nothing else, but for seals: no two are alike."""
    kind = b"application/json" if len(pieces) == 1 else format.kind
    mounted = harden(replies(pieces, kind=kind), preset, identify=lambda scope: who)
    if warm:
        assert mounted._open()
        assert mounted.service is not None
        mounted.service.warm()
    answer = run(ask(mounted, format.asked, path=format.path))
    assert (answer.status, answer.ended) == (200, True)
    return without_seals(answer.body)


def answers() -> dict[str, str]:
    """Every kind of hardened answer, by its name."""
    upstream = {
        "chat": (CHAT, [*CHAT.stream]),
        "chat whole": (CHAT, [CHAT.whole]),
        "chat long": (CHAT, long_chat()),
        "messages": (MESSAGES, [*MESSAGES.stream]),
        "messages whole": (MESSAGES, [MESSAGES.whole]),
    }
    return {
        f"{preset.split()[-1]} {name}": hardened(format, pieces, preset).decode()
        for preset in ("baseline", "strict", NOISED)
        for name, (format, pieces) in upstream.items()
    }


@pytest.mark.slow
def test_two_workers_say_the_same_whether_their_kernels_are_warm_or_not() -> None:
    """Catches hash seeds, set orders and twins that tell workers apart."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, state],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONWARNINGS": "ignore"},
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
            text=True,
        )
        for state, seed in (("plain", "1"), ("warm", "2"))
    ]
    plain, warm = (json.loads(process.communicate(timeout=100)[0]) for process in processes)
    assert plain == warm
    assert plain == answers()
    told = plain["baseline chat long"]
    assert PLANS[:30] in told  # a summary and rows, or there was nothing to compare
    assert b'"logprob":-0.25' in told.encode().replace(b" ", b"")


def test_an_instance_that_has_warmed_says_what_one_that_has_not_says() -> None:
    """Catches a tokenizer or a kernel that changes an answer once it has loaded."""
    cold = hardened(CHAT, long_chat(), "baseline")
    assert hardened(CHAT, long_chat(), "baseline", warm=True) == cold


@pytest.mark.parametrize("format", FORMATS, ids=lambda one: one.name)
def test_nothing_is_remembered_from_one_answer_to_the_next(format: Format) -> None:
    """Catches shapes, lanes and summaries that carry over from another account or an earlier request."""
    mounted = harden(
        replies([*format.stream], kind=format.kind),
        "baseline",
        identify=lambda scope: scope["path"][:0] or next(who),
    )
    who = iter(["acct_1", "acct_1", "acct_2"])
    bodies = [without_seals(run(ask(mounted, format.asked, path=format.path)).body) for _ in range(3)]
    assert bodies[0] == bodies[1] == bodies[2] == hardened(format, [*format.stream], "baseline")


def test_rows_do_not_depend_on_what_differs_from_call_to_call() -> None:
    """Catches noise, or a step, that is drawn from an id, a time or a position in the stream."""
    frames = long_chat()
    other = [
        frame.replace(b"chatcmpl-1", b"chatcmpl-7").replace(b'"created": 1', b'"created": 2')
        for frame in frames
    ]
    assert frames != other
    back = hardened(CHAT, other, "baseline").replace(b"chatcmpl-7", b"chatcmpl-1")
    back = back.replace(b'"created": 2', b'"created": 1').replace(b'"created":2', b'"created":1')
    assert back == hardened(CHAT, frames, "baseline")


def test_noise_is_that_of_the_group_and_of_nobody_in_it() -> None:
    """Catches draws from an account, and one draw for all groups."""
    first, second, stranger = (
        hardened(CHAT, long_chat(), NOISED, who=who) for who in ("acct_1", "acct_2", "x")
    )
    assert first == second
    assert first != stranger != hardened(CHAT, long_chat(), "baseline")
    assert b"logprob" in first


def test_names_beside_the_model_that_answers_are_no_draws_of_noise() -> None:
    """Catches a caller who averages noise away over any number of names, while one model answers to all."""
    mounted = harden(replies([CHAT.whole], kind=b"application/json"), NOISED, identify=lambda scope: "acct_7")

    def left(model: str, query: bytes = b"", **more: object) -> bytes:
        body = json.dumps({**json.loads(CHAT.asked), "model": model, **more}).encode()
        answer = run(ask(mounted, body, path=CHAT.path, query_string=query))
        assert b'"logprob":' in answer.body
        return without_seals(answer.body)

    assert left("a") != left("b"), "each model has draws of its own"
    assert left("a", b"model=m") == left("b", b"model=m")
    assert left("a", models=["m"]) == left("b", models=["m"]) == left("", models=["m"])
    assert left("m,a") == left("m,b")


def test_without_a_key_noise_is_that_of_the_process_alone() -> None:
    mounted = [harden(replies(long_chat(), kind=CHAT.kind), NOISED, environment={}) for _ in range(2)]
    one, again, other = (run(ask(app, CHAT.asked)).body for app in (mounted[0], mounted[0], mounted[1]))
    assert one == again != other
