"""Doors at which one path does all that a server can do: the body says which format it is of.

Source: vLLM 0.33's route for SageMaker, which takes the first of its requests that the body is valid for, chat
first (read 2026-11-26). Other servers have orders of their own, so a body that has the shapes of several is of none.
"""

from __future__ import annotations

from hardening.errors import WireError
from hardening.wire.codec import CODECS, Codec
from hardening.wire.requests import as_utf8
from hardening.wire.scan import read_json

# The keys that make a body one of a format; None: of one that is not read here.
_SHAPES: dict[str, str | None] = {
    "messages": "openai_chat",
    "prompt": "openai_completions",
    "prompt_embeds": "openai_completions",
    "input": "openai_embeddings",
    "inputs": None,  # TGI's own, and Hugging Face's
    "text": None,  # SGLang's own
    "input_ids": None,
    "instances": None,  # Vertex AI
    "contents": None,
    "data": None,  # poolers of vLLM's plugins
    "query": "scores",
    "queries": "scores",
    "text_1": "scores",
    "text_2": "scores",
    "data_1": "scores",
    "data_2": "scores",
    "items": None,  # SGLang: how likely are these tokens of mine
    "label_token_ids": None,
}


def codec_of(body: bytes) -> Codec | None:
    """The codec of the one format whose shape a body has; None where it has none, several, or one that is not read.

    Keys are told in any case, and one that is null is not there. Raises WireError where the body is no JSON object.
    """
    value = read_json(as_utf8(body), format="request")
    if not isinstance(value, dict):
        raise WireError("request", 0, "expected a JSON object")
    keys = {key.lower() for key, element in value.items() if element is not None}
    formats = {_SHAPES[key] for key in keys & _SHAPES.keys()}
    name = formats.pop() if len(formats) == 1 else None
    return CODECS.get(name) if name is not None else None
