"""Members of a request with which a caller moves, renames or multiplies the trace or the log-probabilities.

Each is tried alone and with each other one. What decides is only what leaves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import combinations
from typing import Any

from bench.servers.asks import QUESTION, Ask
from bench.servers.pattern import CLOSE, OPEN, TRACE, pieces

Switches = Mapping[str, dict[str, Any]]

NOT_PINNED = "shaped"
"""A grammar that leaves no room for a tag. docs/policy.md says what it can do in a text completion, so what it leaks there is counted apart."""

_FORCED = 6  # tokens that are asked for by name, more than a policy lets out


def chat_switches(ids: Mapping[str, int]) -> Switches:
    """Switches of a chat; `ids` gives the numbers of tokens by their text."""
    inside = [ids[piece] for piece in pieces(TRACE)]

    def put(text: str) -> dict[str, Any]:
        turns = [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": text}]
        return {"messages": turns, "continue_final_message": True, "add_generation_prompt": False}

    return {
        "continued": put(f"{OPEN}Okay, let"),
        "continued bare": put("Okay, let"),
        "continued closed": put(f"{OPEN}\n\n{CLOSE}Okay, let"),
        "resent": {"messages": put("Okay, let")["messages"]},
        "no prompt": {"add_generation_prompt": False},
        "template": {"chat_template": "{{ messages[0].content }}" + OPEN},
        "no thinking": {"chat_template_kwargs": {"enable_thinking": False}},
        "unreasoned": {"include_reasoning": False},
        "effort": {"reasoning_effort": "none"},
        "budget": {"thinking_token_budget": 3},
        **common_switches(ids),
        "all rows": {"logprobs": True, "top_logprobs": -1},
        "one row": {"logprobs": True, "top_logprobs": 0},
        "chosen": {"logprobs": True, "logprob_token_ids": inside[:20]},
        "beam": {"use_beam_search": True},
        "text": {"return_prompt_text": True},
    }


def completion_switches(ids: Mapping[str, int]) -> Switches:
    """Switches of a text completion."""
    inside = [ids[piece] for piece in pieces(TRACE)]
    return {
        "opened": {"prompt": f"{QUESTION}{OPEN}"},
        "inside": {"prompt": f"{QUESTION}{OPEN}Okay, let"},
        "many": {"prompt": [QUESTION, f"{OPEN}Okay, let"]},
        "as ids": {"prompt": [ids[OPEN], *inside[:1]]},
        **common_switches(ids),
        "rows": {"logprobs": 5},
        "one row": {"logprobs": 0},
        "chosen": {"logprobs": 1, "logprob_token_ids": inside[:20]},
        "budget": {"thinking_token_budget": 3},
    }


def common_switches(ids: Mapping[str, int]) -> Switches:
    """What both take."""
    inside = [ids[piece] for piece in pieces(TRACE)]
    return {
        "special": {"skip_special_tokens": False, "spaces_between_special_tokens": False},
        "echo": {"echo": True},
        "stop": {"stop": [CLOSE], "include_stop_str_in_output": True},
        "stop bare": {"stop": CLOSE},
        "stop id": {"stop_token_ids": [ids[CLOSE]]},
        "short": {"max_tokens": 20},
        "on": {"ignore_eos": True, "min_tokens": 100},
        "never closed": {"logit_bias": {str(ids[CLOSE]): -100}},
        "never opened": {"logit_bias": {str(ids[OPEN]): -100}},
        "no tags": {"logit_bias": {str(ids[OPEN]): -100, str(ids[CLOSE]): -100}},
        "bad words": {"bad_words": [OPEN, CLOSE]},
        "allowed": {"allowed_token_ids": inside},
        NOT_PINNED: {"structured_outputs": {"regex": "[^<]*"}},
        "ids": {"return_token_ids": True},
        "as ids in names": {"return_tokens_as_token_ids": True},
        "offsets": {"return_token_offsets": True},
        "prompt rows": {"prompt_logprobs": 5},
        "two": {"n": 2},
        "usage": {"stream_options": {"include_usage": True, "continuous_usage_stats": True}},
        "interval": {"stream_interval": 7},
        "cut prompt": {"truncate_prompt_tokens": 3},
        "priority": {"priority": 0, "cache_salt": "x"},
    }


def forced_rows(ask: Ask, ids: Mapping[str, int]) -> Iterator[Ask]:
    """Requests that make the first token another one each time, to read its log-probability: all have one prefix."""
    rows: dict[str, Any] = (
        {"logprobs": True, "top_logprobs": 0} if ask.format == "openai_chat" else {"logprobs": 0}
    )
    inside = [ids[piece] for piece in pieces(TRACE)]
    for place, token in enumerate(inside[:_FORCED]):
        text = pieces(TRACE)[place]
        ways: Switches = {
            "biased": {"logit_bias": {str(token): 100}},
            "allowed": {"allowed_token_ids": [token]},
            "chosen": {"structured_outputs": {"choice": [text]}},
            "banned": {"logit_bias": {str(other): -100 for other in (*inside[:place], ids[OPEN])}},
            "asked": {"logprob_token_ids": [token]},
        }
        for name, more in ways.items():
            body = {**(ask.body or {}), "max_tokens": 2, "include_reasoning": True, **rows, **more}
            yield replace(ask, name=f"{ask.name} forced {name} {place}", body=body, attack=True)


def attacks(ask: Ask, switches: Switches) -> Iterator[Ask]:
    """The ask with each switch alone, then with each two that do not set the same member."""
    for name, more in switches.items():
        yield _with(ask, name, more)
    for (one, first), (other, second) in combinations(switches.items(), 2):
        if first.keys().isdisjoint(second):
            yield _with(ask, f"{one}, {other}", {**first, **second})


def _with(ask: Ask, name: str, more: dict[str, Any]) -> Ask:
    """Of a stream's switches one may say how it streams; a whole answer takes none of them."""
    body = {**(ask.body or {}), **more}
    if not body.get("stream"):
        body.pop("stream_options", None)
    return replace(ask, name=f"{ask.name} + {name}", body=body, attack=True)
