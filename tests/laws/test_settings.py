"""Every setting of a policy is documented where it is declared: what it is, and what it costs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import jsonschema
import pytest
from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

from hardening.policy.faults import alternatives
from hardening.policy.model import PolicyFile
from hardening.policy.schema import policy_schema
from hardening.policy.settings import Embeddings, Logprobs, Reasoning, Scores, Settings
from hardening.policy.terms import Terms

PAGE = (Path(__file__).parents[2] / "docs" / "policy.md").read_text("utf-8")
TREATMENT = (Settings, Reasoning, Logprobs, Embeddings, Scores)
SCHEMA = policy_schema()
BOOLEANS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "~", ""}


def inner(annotation: Any) -> Iterator[Any]:
    """Every type that an annotation is made of."""
    for kind in alternatives(annotation):
        yield kind
        if get_origin(kind) in (dict, tuple):
            for part in get_args(kind):
                yield from inner(part)


def models(root: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """A model and all below it, by name."""
    found = {root.__name__: root}
    for field in root.model_fields.values():
        for kind in inner(field.annotation):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                found |= models(kind)
    return found


MODELS = models(PolicyFile)
HIDDEN = {("Band", "limits")}  # inherited, and refused there
KEYS = [
    pytest.param(model, name, field, id=f"{model.__name__}.{field.alias or name}")
    for model in MODELS.values()
    for name, field in model.model_fields.items()
    if (model.__name__, name) not in HIDDEN
]


def is_mapping(field: FieldInfo) -> bool:
    """Whether a field holds a model, whose own keys say what may be written."""
    return any(
        isinstance(kind, type) and issubclass(kind, BaseModel) for kind in alternatives(field.annotation)
    )


def schema_of(model: type[BaseModel], name: str) -> dict[str, Any]:
    whole = SCHEMA if model is PolicyFile else SCHEMA["$defs"][model.__name__]
    if (model.__name__, name) == ("Doors", "own"):
        return next(iter(whole["patternProperties"].values()))
    return whole["properties"][name]


def test_the_walk_finds_the_whole_model() -> None:
    assert {"PolicyFile", "Match", "Threshold", "KeySource", "Logprobs", "LimitSpec"} <= MODELS.keys()
    assert set(SCHEMA["$defs"]) <= MODELS.keys()


@pytest.mark.parametrize(("model", "name", "field"), KEYS)
def test_a_setting_says_what_it_is_and_the_page_has_it(
    model: type[BaseModel], name: str, field: FieldInfo
) -> None:
    assert model.__doc__
    description = field.description or ""
    assert description[:1].isupper() or description[:1] == "`"
    assert description.endswith(".")
    assert field.examples or is_mapping(field)
    shown = "PATH" if name == "own" else field.alias or name
    assert f"- **`{shown}`** {description.split()[0]}" in PAGE or model.__name__ == "AuditFile"


@pytest.mark.parametrize(("model", "name", "field"), KEYS)
def test_the_example_of_a_setting_is_right(model: type[BaseModel], name: str, field: FieldInfo) -> None:
    if model.__name__ == "AuditFile" or not field.examples:
        return
    schema = {**schema_of(model, field.alias or name), "$defs": SCHEMA["$defs"]}
    validator = jsonschema.Draft202012Validator(schema)
    values = [*field.examples, *([schema["x-unsaid"]] if "x-unsaid" in schema else [])]
    for value in values:
        validator.validate(value)
        if name != "own":  # a path, split off before the model sees it
            TypeAdapter(Annotated[field.annotation, *field.metadata, ""]).validate_python(value)


@pytest.mark.parametrize("model", TREATMENT)
def test_a_treatment_says_what_is_stricter_and_what_it_costs(model: type[BaseModel]) -> None:
    for name, field in model.model_fields.items():
        if not is_mapping(field):
            schema = schema_of(model, name)
            assert schema["x-strictness"], name
            assert schema["x-cost"].endswith("."), name


def test_every_term_is_one_setting() -> None:
    leaves = [field for model in TREATMENT for field in model.model_fields.values() if not is_mapping(field)]
    assert len(leaves) == len(fields(Terms))


def test_no_word_of_the_language_is_a_boolean_elsewhere() -> None:
    words = {
        kind
        for model in MODELS.values()
        for field in model.model_fields.values()
        for kind in inner(field.annotation)
        if isinstance(kind, str)
    } | {"all", "pass", "unknown", "app", "bearer", "client"}
    assert len(words) > 20
    assert not {str(word).lower() for word in words} & BOOLEANS
