"""Models that a request names beside its body, in its address or its headers, where gateways prefer them.

Sources: LiteLLM 1.109 (the address); Azure ML (`azureml-model-deployment`), Portkey (`x-portkey-config`), Helicone
(`helicone-model-override`, `helicone-fallbacks`), SageMaker (`x-amzn-sagemaker-target-model`, `-variant`, `-inference-component`).
A header of any other gateway names a model where its own name says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import parse_qsl

ANY = ("",)
"""Models: of a request that does not name one, or that nobody can read."""

_MOST_FIELDS = 100  # of a query; its names may be escaped
_MOST_CHARS = 256  # of a name; what is longer is a configuration
_chooses = re.compile(
    rb"(?:^|[-_])(?:model|models|deployment|fallback|fallbacks|portkey-config|target-variant|inference-component)(?:[-_]|$)"
).search
_SIGNS = (b"model", b"deployment", b"fallback", b"portkey-config", b"target-variant", b"inference-component")
_names_one = re.compile(r"[\w.:/@+ ,-]+").fullmatch


def in_query(query: bytes) -> tuple[str, ...]:
    """The models that an address names behind its path."""
    if b"model" not in query.lower() and b"%" not in query:
        return ()
    try:
        asked = parse_qsl(query.decode("latin-1"), max_num_fields=_MOST_FIELDS)
    except ValueError:
        return ANY
    return tuple(value for name, value in asked if name.casefold() == "model")


def may_name(names: Iterable[bytes]) -> bool:
    """Whether one of these headers, in lower case, may name a model."""
    joined = b"\n".join(names)
    return any(sign in joined for sign in _SIGNS)


def in_headers(headers: Iterable[tuple[bytes, bytes]]) -> tuple[str, ...]:
    """The models that headers name, their names in lower case; an empty name for a configuration, which may choose any."""
    return tuple(one for name, value in headers if _chooses(name) for one in _models(name, value))


def _models(name: bytes, value: bytes) -> list[str]:
    text = value.decode("latin-1").strip()
    if len(text) > _MOST_CHARS or (text and not _names_one(text)) or name.endswith(b"-config"):
        return [""]
    return [one.strip() for one in text.split(",")] if text else []
