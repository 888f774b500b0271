"""Settings that the model accepts and no mechanism keeps yet: they are named, and they fail closed.

What such a setting would soften is withheld. When a mechanism arrives, its line leaves this module.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from hardening.policy.terms import Terms

BUILT_FORMATS = frozenset(("openai_chat", "anthropic_messages", "gemini_generate"))


def notes(
    settings: Iterable[tuple[str, Terms]], own_doors: Mapping[str, str], *, bands: bool, hides_unknown: bool
) -> tuple[str, ...]:
    """One sentence for each setting that is written down and not enforced yet."""
    found: dict[str, None] = {}
    for where, terms in settings:
        found.update(dict.fromkeys(f"{where}.{note}" for note in _notes(terms)))
    if bands:
        found["risk.bands: nothing scores accounts yet, so no account enters a band"] = None
    if hides_unknown:
        found["on_failure.unknown_text: unknown text is reported, hiding it is not built yet"] = None
    for path, format in own_doors.items():
        if format != "pass" and format not in BUILT_FORMATS:
            found[f"doors.{path}: {format} is not built yet, so the door is blocked"] = None
    return tuple(found)


def _notes(terms: Terms) -> Iterable[str]:
    if terms.seal:
        yield "reasoning.seal: seals are not built yet, so traces leave without one"
    if terms.logprob_noise:
        yield "logprobs.noise: noise is not built yet, so log-probabilities are withheld there"
    if terms.embedding_step or terms.embedding_noise:
        yield "embeddings: no embeddings door is read yet; one that this file names is blocked, others are unknown doors"
    if terms.pace_per_s:
        yield "pace: streams are not slowed yet"
    if terms.usage not in (None, "keep"):
        yield "usage: usage is not rounded or dropped yet"
    if terms.at_limit == "slow":
        yield "at_limit: streams are cut there, slowing is not built yet"


def withheld(terms: Terms) -> Terms:
    """The terms with everything closed that an unbuilt mechanism would have to soften."""
    top = 0 if terms.logprob_noise else terms.top
    at_limit = "cut" if terms.at_limit == "slow" else terms.at_limit
    return replace(terms, seal=False, top=top, at_limit=at_limit)
