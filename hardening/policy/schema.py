"""The typed model -> the JSON Schema of a policy file, as editors and validators read it.

It says what may be written, so it takes `60k` where the model gives 60000. What it cannot say (an undeclared
group, a key twice, a day that is in no calendar) only loading a file finds.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from hardening.policy.model import PolicyFile

Schema = dict[str, Any]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def policy_schema(model: type[BaseModel] = PolicyFile) -> Schema:
    """The JSON Schema of a policy file, a new object on each call."""
    made = _as_written(model.model_json_schema(by_alias=True, schema_generator=_Written))
    whole = _whole(made, made["$defs"])
    for kind in made["$defs"].values():
        kind.pop("x-whole", None)
    return {
        "$schema": _DIALECT,
        **made,
        "title": "A policy of hardening, version 1",
        "if": {"not": {"required": ["extends"]}},
        "then": whole,
    }


def schema_text() -> str:
    """The JSON Schema as a file."""
    return json.dumps(policy_schema(), indent=1, ensure_ascii=False) + "\n"


class _Written(GenerateJsonSchema):
    """Leaves out the titles that repeat a field's name."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Never: a title here says how a value is written."""
        return False

    def sort(self, value: Any, parent_key: str | None = None) -> Any:
        """The value as it is: in the order of the model, and examples in their own."""
        return value


def _as_written(schema: Any) -> Any:
    """The schema without what Python adds to it: null for what may be left out, defaults that are objects."""
    if isinstance(schema, list):
        return [_as_written(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = _without_null({key: value for key, value in schema.items() if not _is_pythons(key, value)})
    if "properties" in kept:
        kept = _with_old_names(kept)
    if "patternProperties" in kept:
        kept.setdefault("additionalProperties", False)
    if "x-written" in kept:
        kept["title"] = kept.pop("x-written")
    return {key: _as_written(value) if key not in _VALUES else value for key, value in kept.items()}


def _with_old_names(schema: Schema) -> Schema:
    """A mapping that also takes the former names of its keys, which editors strike out."""
    properties = dict(schema["properties"])
    for name, own in schema["properties"].items():
        if isinstance(own, dict) and "x-formerly" in own:
            new = {key: value for key, value in own.items() if key != "x-formerly"}
            old = {**new, "deprecated": True, "description": f"Now called `{name}`."}
            properties |= {name: new, **dict.fromkeys(own["x-formerly"], old)}
    needed = [name for name in schema.get("required", ()) if "x-formerly" not in schema["properties"][name]]
    rest = {key: value for key, value in schema.items() if key != "required"}
    return {**rest, "properties": properties, **({"required": needed} if needed else {})}


def _whole(schema: Schema, kinds: Schema) -> Schema:
    """What has to be there where no parent is merged below; a list is never merged, so nothing in it is meant."""
    own = kinds[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    needed = dict(own.get("x-whole", {}))
    for keyword in ("properties", "patternProperties"):
        below = {name: _whole(value, kinds) for name, value in own.get(keyword, {}).items()}
        if below := {name: value for name, value in below.items() if value}:
            needed[keyword] = below
    return needed


_VALUES = frozenset(("const", "default", "enum", "examples", "required"))
"""Keywords that hold values of a policy, not schemas."""


def _is_pythons(key: str, value: Any) -> bool:
    return key == "default" and (value is None or isinstance(value, dict))


def _without_null(schema: Schema) -> Schema:
    """`X or null` as X: a policy leaves a key out, and an empty value is a mistake."""
    ways = schema.get("anyOf", [])
    if {"type": "null"} not in ways:
        return schema
    left = [way for way in ways if way != {"type": "null"}]
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    return {**left[0], **rest} if len(left) == 1 else {"anyOf": left, **rest}
