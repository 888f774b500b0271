"""Keys that got a new name: a file may go on using the old one, and is told so.

A field of the model declares it, `top: Annotated[Top | None, Formerly("max_top")] = ...`. The old key is renamed in
the nodes of each file before anything else looks at them, so inheritance, checks and the digest see the new name only.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from pydantic import BaseModel, GetJsonSchemaHandler
from pydantic_core import CoreSchema

from hardening.errors import PolicyFault
from hardening.policy.faults import alternatives, fault_at
from hardening.policy.nodes import Listing, Mapping, Mark, Node, quoted


@dataclass(frozen=True, slots=True)
class Formerly:
    """Marks a field of the model that had another name, under which it is still accepted."""

    name: str

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        made = handler(schema)
        return {**made, "x-formerly": [*made.get("x-formerly", ()), self.name]}


@dataclass(frozen=True, slots=True)
class Renamed:
    """A file under its new names; `notes` says which old ones it uses, `faults` where both names stand."""

    root: Mapping
    notes: tuple[PolicyFault, ...]
    faults: tuple[PolicyFault, ...]


def renamed(root: Mapping, model: type[BaseModel]) -> Renamed:
    """The mapping with every old key of the model under its new name, at the old place."""
    if not _has_old_names(model):
        return Renamed(root, (), ())
    walk = _Walk()
    whole = walk.mapping(root, model)
    return Renamed(whole, tuple(walk.notes), tuple(walk.faults))


class _Walk:
    """Goes through nodes and model side by side."""

    def __init__(self) -> None:
        self.notes: list[PolicyFault] = []
        self.faults: list[PolicyFault] = []

    def mapping(self, node: Mapping, model: type[BaseModel]) -> Mapping:
        """A mapping that a model describes."""
        fields = {field.alias or name: field for name, field in model.model_fields.items()}
        new_names = {old: name for name, field in fields.items() for old in _old_names(field.metadata)}
        entries: dict[str, tuple[Mark, Node]] = {}
        for key, (mark, value) in node.entries.items():
            name = new_names.get(key, key)
            if name != key and name in node.entries:
                self.faults.append(
                    fault_at(mark, f"found {quoted(key)} beside `{name}`, its new name (allowed: `{name}`)")
                )
                continue
            if name != key:
                self.notes.append(fault_at(mark, f"{quoted(key)} is now called `{name}`; write `{name}`"))
            entries[name] = (mark, self._below(value, fields[name].annotation) if name in fields else value)
        return Mapping(node.mark, entries)

    def _below(self, node: Node, annotation: Any) -> Node:
        """A value of an annotated type."""
        for kind in alternatives(annotation):
            if isinstance(node, Mapping) and isinstance(kind, type) and issubclass(kind, BaseModel):
                return self.mapping(node, kind)
            if isinstance(node, Mapping) and get_origin(kind) is dict:
                inner = get_args(kind)[1]
                entries = {
                    key: (mark, self._below(value, inner)) for key, (mark, value) in node.entries.items()
                }
                return Mapping(node.mark, entries)
            if isinstance(node, Listing) and get_origin(kind) is tuple:
                inner = get_args(kind)[0]
                return Listing(node.mark, tuple(self._below(item, inner) for item in node.items))
        return node


@functools.cache
def _has_old_names(model: type[BaseModel]) -> bool:
    """Whether a field of the model, or of one below it, had another name."""
    return any(
        any(_old_names(field.metadata)) or any(map(_has_old_names, _models(field.annotation)))
        for field in model.model_fields.values()
    )


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that an annotation is made of."""
    for kind in alternatives(annotation):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield kind
        elif get_origin(kind) in (dict, tuple):
            for inner in get_args(kind):
                yield from _models(inner)


def _old_names(metadata: list[Any]) -> Iterator[str]:
    return (mark.name for mark in metadata if isinstance(mark, Formerly))
