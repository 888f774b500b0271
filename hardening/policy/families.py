"""Which models share their sealed traces: what a model is called, without who offers it and which edition it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from hardening.policy.matching import PatternTable, Texts

# Names of who makes or serves models, as gateways put them before a model's. Not any word: where accounts name
# models of their own, `me/glass` may be one that repeats what it is given.
_offered_by = re.compile(
    "(?:(?:ai21|aliyun|anthropic|azure|azure_ai|bedrock|cerebras|cohere|converse|dashscope|databricks|deepinfra|deepseek"
    "|deepseek-ai|fireworks_ai|gemini|google|groq|hosted_vllm|huggingface|litellm_proxy|meta-llama|microsoft|minimax|minimaxai"
    "|mistral|mistralai|models|moonshot|moonshotai|nvidia|nvidia_nim|ollama|ollama_chat|openai|openai_like|openrouter|qwen"
    "|sambanova|together_ai|vertex_ai|vllm|volcengine|x-ai|xai|z-ai|zai-org)/(?=.)){0,4}"
)
_bedrock = re.compile(r"^(?:(?:us|eu|apac|au|jp|ca|sa|us-gov|global)\.)?[a-z0-9]+\.(?=[a-z].*-v\d+:\d+$)")
_month, _day = "(?:0[1-9]|1[0-2])", "(?:0[1-9]|[12][0-9]|3[01])"
_edition = re.compile(
    rf"""(?: [-@](?: 20\d{{2}}-?{_month}-?{_day} | {_month}{_day} | 2[3-9]{_month} | latest)
      | @default
      | -(?:preview|exp)-{_month}-(?:{_day}|20\d{{2}})
      | -v\d+:\d+
      | -00\d
      | :(?:latest|free|nitro|floor|exacto|online|extended|beta)
    )$""",
    re.VERBOSE,
)
_LONGEST = 256  # of a model's name
_PARTS = 4  # of an edition, at most: a date, a version and where it is routed


@dataclass(frozen=True, slots=True)
class Families:
    """The families that a policy declares, in file order, and by its own name any other model's."""

    names: Texts = ()
    table: PatternTable = field(default_factory=lambda: PatternTable([]), repr=False)

    @classmethod
    def declared(cls, families: Mapping[str, Texts]) -> Families:
        """Families of models, by patterns of their names in any case of letters."""
        rows = [
            (one.casefold(), 1 << at) for at, patterns in enumerate(families.values()) for one in patterns
        ]
        return cls(tuple(families), PatternTable(rows))

    def of(self, model: str) -> str:
        """What stands for all models that share traces with this one; never the same for a declared family and a name."""
        name = model.casefold()
        short = plain(name)
        found = self.table.bits((name, short)) if self.names else 0
        if found:
            return "family " + self.names[(found & -found).bit_length() - 1]
        return "model " + short


def plain(name: str) -> str:
    """A model's name without who offers it, and without what only says which edition it is."""
    if len(name) > _LONGEST:
        return name
    name = _bedrock.sub("", _offered_by.sub("", name, count=1))
    for _ in range(_PARTS):
        shorter = _edition.sub("", name)
        if shorter in ("", name):
            break
        name = shorter
    return name
