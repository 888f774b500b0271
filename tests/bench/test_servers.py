"""The judge of the real servers sees what leaves in every shape; the servers themselves are not started here."""

from __future__ import annotations

import json
from collections import Counter
from itertools import combinations
from typing import Any

import pytest

from bench.servers import litellm_doors, llama_doors, vllm_doors
from bench.servers.asks import chat, completion
from bench.servers.check import Attacks, Door, _apart
from bench.servers.clients import Call
from bench.servers.judge import Told, Trace, judge, tokens_told
from bench.servers.pattern import ANSWER, TRACE, chain, pieces
from bench.servers.report import Results, claims_of
from bench.servers.switches import attacks, chat_switches, completion_switches, forced_rows

IDS = {token: 258 + place for place, token in enumerate(chain())}
WORDS = Trace(TRACE, ANSWER, {id: token for token, id in IDS.items()})
PIECE = "".join(pieces(TRACE)[3:9])
NUMBERS = [IDS[token] for token in pieces(TRACE)[3:9]]


def told(value: object, **more: Any) -> Told:
    return judge(json.dumps(value).encode(), WORDS, top=2, step=0.25, **more)


def rows(*pairs: tuple[str, float], others: tuple[tuple[str, float], ...] = ()) -> dict[str, object]:
    top = [{"token": token, "logprob": value} for token, value in others]
    listed = [{"token": token, "logprob": value, "top_logprobs": top} for token, value in pairs]
    return {"choices": [{"index": 0, "logprobs": {"content": listed}}]}


def test_no_token_of_the_pattern_stands_twice_so_each_piece_says_where_it_is_from() -> None:
    assert [token for token, count in Counter(chain()).items() if count > 1] == []
    assert "".join(pieces(TRACE)) == TRACE
    assert not any(piece in ANSWER for piece in (TRACE[at : at + 20] for at in range(len(TRACE) - 20)))


@pytest.mark.parametrize(
    "value",
    [
        {"choices": [{"message": {"content": f"{ANSWER}{PIECE}"}}]},
        {"choices": [{"token_ids": NUMBERS}]},
        {"choices": [{"logprobs": {"tokens": [f"token_id:{number}" for number in NUMBERS]}}]},
        {"prompt_logprobs": [{str(number): {"logprob": -1.0}} for number in NUMBERS]},
    ],
)
def test_a_piece_of_the_trace_is_found_as_text_and_by_numbers(value: object) -> None:
    assert told(value).hidden >= 20


def test_the_answer_and_a_summary_are_no_leak() -> None:
    assert told({"content": ANSWER, "reasoning": PIECE}, summaries=[PIECE]).hidden == 0


def test_a_piece_in_a_header_is_found() -> None:
    assert judge(f"x-trace: {PIECE}\n\n".encode() + b"{}", WORDS, top=2, step=0.25).hidden >= 20


@pytest.mark.parametrize(
    ("value", "beyond"),
    [
        (rows(("a", -0.25), others=(("a", -0.25), ("b", -1.0))), 0),
        (rows(("a", -0.25), others=(("a", -0.25), ("b", -1.0), ("c", -2.0))), 1),
        (rows(("a", -0.3)), 1),
        ({"prompt_logprobs": [None, {"7": {"logprob": -0.25}}]}, 1),
    ],
)
def test_rows_beyond_the_policy_are_counted(value: object, beyond: int) -> None:
    assert told(value).rows == beyond


def test_tokens_are_told_by_the_one_before_them_over_the_pieces_of_a_stream() -> None:
    first, second = rows(("a", -0.25)), rows(("b", -0.5), others=(("b", -0.5), ("c", -9999.0)))
    body = f"data: {json.dumps(first)}\n\ndata: {json.dumps(second)}\n\n".encode()
    assert tokens_told(body) == {"a": {"b"}}
    assert tokens_told(body, begins=True) == {"": {"a"}, "a": {"b"}}


def test_each_switch_is_tried_alone_and_with_each_other_that_sets_something_else() -> None:
    for ask, switches in ((chat("m"), chat_switches(IDS)), (completion("m"), completion_switches(IDS))):
        pairs = [pair for pair in combinations(switches.values(), 2) if pair[0].keys().isdisjoint(pair[1])]
        tried = list(attacks(ask, switches))
        assert len(tried) == len(switches) + len(pairs)
        assert all(
            attack.attack and attack.body != ask.body for attack in tried if "usage" not in attack.name
        )
        assert len({attack.name for attack in tried}) == len(tried)


def test_the_asks_of_a_server_have_names_of_their_own() -> None:
    for asks in (vllm_doors.doors([1]), litellm_doors.doors(), llama_doors.doors()):
        names = [ask.name for ask in asks]
        assert len(set(names)) == len(names)
    forced = [ask.name for ask in forced_rows(chat("m"), IDS)]
    assert len(set(forced)) == len(forced)


def test_what_a_grammar_leaks_of_a_text_completion_is_counted_apart() -> None:
    known = ("completions whole + shaped", "completions stream + effort, shaped")
    leaked = (
        "completions whole + unshaped, effort",
        "chat whole + effort, shaped",
        "completions whole forced biased 0",
    )
    assert _apart([*known, *leaked]) == (leaked, known)


def results(
    *,
    hidden: int = 0,
    bare: int = 610,
    tokens: int = 2,
    leaked: tuple[str, ...] = (),
    call: Call = Call("s", "chat", "", 610, 0),
) -> Results:
    door = Door("s", chat("m"), (200, 200, 200), Told(bare, (), 72), Told(hidden), Told())
    return Results([door], [call], [Attacks("s", "chat", 9, 8, leaked, (), 30, tokens)])


@pytest.mark.parametrize(
    ("measured", "failing"),
    [
        (results(), set()),
        (results(hidden=20), {"servers_trace_chars"}),
        (results(bare=0), {"servers_trace_chars"}),
        (results(tokens=3), {"servers_tokens_a_prefix"}),
        (results(leaked=("x",)), {"servers_attacks_leak"}),
        (results(call=Call("s", "chat", "APIError", 610, 0)), {"servers_client_faults"}),
        (results(call=Call("s", "chat", "", 610, 20)), {"servers_client_trace_chars"}),
    ],
)
def test_a_claim_fails_where_something_leaves_or_the_bare_server_tells_nothing(
    measured: Results, failing: set[str]
) -> None:
    claims = claims_of(measured, partial=False)
    assert {claim.name for claim in claims if not claim.holds} == failing
    assert len(claims) == 7


def test_a_whole_run_without_attacks_fails_and_a_partial_one_leaves_them_out() -> None:
    without = Results(results().doors, results().calls)
    assert {claim.name for claim in claims_of(without, partial=False) if not claim.holds} == {
        "servers_attacks_leak",
        "servers_tokens_a_prefix",
    }
    assert all(claim.holds for claim in claims_of(without, partial=True))
