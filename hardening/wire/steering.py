"""What a request sets that bends the distribution of which an answer is drawn, and its rows on servers that tell them bent.

A schema with one choice, or a penalty of his own size, lets a caller choose the tokens that a row lists, however few
these are. Bias, bans and lists of allowed tokens are switches; see `wire.switches`.
"""

from __future__ import annotations

from collections.abc import Mapping

from hardening.wire.roles import Role

STEERING: Mapping[str, Role] = {
    "{presence_penalty,frequency_penalty,dry_multiplier,no_repeat_ngram_size}": Role.ASK_PENALTY,
    "{presencePenalty,frequencyPenalty}": Role.ASK_PENALTY,
    "{min_tokens,min_new_tokens,ignore_eos,xtc_probability,mirostat,dynatemp_range}": Role.ASK_PENALTY,
    "{repetition_penalty,repeat_penalty,nvext.repetition_penalty}": Role.ASK_FACTOR,
    "{response_format,structured_outputs,json_schema,format,text}": Role.ASK_SHAPE,
    "{responseSchema,responseJsonSchema,response_schema,response_json_schema}": Role.ASK_SHAPE,
    "{output_config,output_format}": Role.ASK_SHAPE,
    "{guided_json,guided_regex,guided_choice,guided_grammar,regex,grammar,ebnf,structural_tag}": Role.ASK_SHAPE,
    "nvext.{guided_json,guided_regex,guided_choice,guided_grammar}": Role.ASK_SHAPE,
}
"""By the names of any server."""

_STYLE = frozenset({"format", "verbosity"})  # what the Responses API has under `text`


def penalises(value: object) -> bool:
    """Whether a penalty, or a number of tokens that may not be the last, changes anything."""
    return value not in (None, 0)


def multiplies(value: object) -> bool:
    """Whether a factor changes anything."""
    return value not in (None, 1)


def shapes(value: object) -> bool:
    """Whether a grammar, or an object that may hold one, forbids any token."""
    if isinstance(value, dict):
        if value.get("type") == "text":
            return False
        if value.keys() <= _STYLE:
            return shapes(value.get("format"))
    return bool(value) and value != "text"
