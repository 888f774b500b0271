"""What pydantic refused -> faults of the file: where, what was found, what is allowed, what was meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from hardening.errors import PolicyFault
from hardening.policy.model import PolicyFile
from hardening.policy.nodes import Leaf, Listing, Mapping, Mark, Node, looks_secret, quoted

Location = tuple[int | str, ...]

_ALLOWED = {
    "string_type": "a text (put it in quotes)",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "string_too_short": "a text that is not empty",
    "string_too_long": "a shorter text",
    "too_short": "at least one value",
    "string_pattern_mismatch": "a name of letters, digits, `_`, `.` and `-`, at most 64 characters",
}


MAX_FAULTS = 200
"""How many faults one kind of check reports; a file with more of them was not written by hand."""

MAX_CANDIDATES = 200
"""With how many names a wrong one is compared."""

MAX_NAMED = 20
"""How many allowed names a message lists."""


def faults_of(
    error: ValidationError, root: Mapping, model: type[BaseModel] = PolicyFile
) -> list[PolicyFault]:
    """Each error of the model, up to a bound, as a fault at its place in the file."""
    errors = error.errors(include_url=False, include_input=False)[:MAX_FAULTS]
    return [
        _fault(item["type"], item["loc"], item["msg"], item.get("ctx", {}), root=root, model=model)
        for item in errors
    ]


def fault_at(mark: Mark, message: str) -> PolicyFault:
    """A fault at a place."""
    return PolicyFault(mark.file, mark.line, mark.column, message)


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """`; did you mean ...?` for the nearest candidate, or nothing."""
    if len(word) > 64 or looks_secret(word):
        return ""
    compared = list(islice(candidates, MAX_CANDIDATES))
    swapped = [name for name in compared if sorted(name) == sorted(word)]
    near = swapped or difflib.get_close_matches(word, compared, n=1, cutoff=0.7)
    return f"; did you mean `{near[0]}`?" if near else ""


def listed(names: Sequence[str]) -> str:
    """The names, the first of them where there are many."""
    return ", ".join([*names[:MAX_NAMED], *(["..."] if len(names) > MAX_NAMED else [])])


def _fault(
    kind: str,
    location: Location,
    message: str,
    context: dict[str, Any],
    *,
    root: Mapping,
    model: type[BaseModel],
) -> PolicyFault:
    node, mark, key_mark = _find(root, location)
    if kind == "extra_forbidden":
        allowed = _fields(_model_at(location[:-1], model))
        key = str(location[-1])
        if location[:2] == ("runtime", "keys"):  # somebody may have put the secret itself there
            return fault_at(key_mark, f"found an unknown key (allowed here: {', '.join(allowed)})")
        return fault_at(
            key_mark,
            f"found the unknown key {quoted(key)}{did_you_mean(key, allowed)}"
            f" (allowed here: {', '.join(allowed)})",
        )
    if kind == "missing":
        return fault_at(mark, f"found no `{location[-1]}`, which is required here")
    if location and location[-1] == "[key]":
        mark = key_mark
        node = Leaf(key_mark, str(location[-2]), str(location[-2]))
    allowed_text = _allowed(kind, message, context, _model_at(location, model))
    hidden = bool(location) and location[0] == "runtime"
    found = "a value that does not fit" if hidden and isinstance(node, Leaf) else describe(node)
    hint = did_you_mean(node.text, _words(allowed_text)) if isinstance(node, Leaf) and not hidden else ""
    return fault_at(mark, f"found {found}{hint} (allowed: {allowed_text})")


def describe(node: Node) -> str:
    """What stands there, in words that never show a secret."""
    if isinstance(node, Leaf):
        return "nothing" if node.value is None or not node.text else quoted(node.text)
    return "a list" if isinstance(node, Listing) else "a mapping"


def _words(allowed: str) -> list[str]:
    return [word for word in re.findall(r"[a-z_]+(?![a-z_:<])", allowed) if len(word) > 3]


def _allowed(kind: str, message: str, context: dict[str, Any], here: type[BaseModel] | None) -> str:
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        return str(context["expected"]).replace("'", "")
    if kind in ("model_type", "model_attributes_type"):
        return f"a mapping with {', '.join(_fields(here))}"
    return _ALLOWED.get(kind, message)


def _find(root: Mapping, location: Location) -> tuple[Node, Mark, Mark]:
    """The deepest node on the way that exists, its place, and the place of its key.

    Steps of the location that the file does not have (pydantic's names for keys and unions, a
    list that was written as one value) are passed over.
    """
    node: Node = root
    key_mark = root.mark
    for step in location:
        if isinstance(node, Mapping) and str(step) in node.entries:
            key_mark, node = node.entries[str(step)]
        elif isinstance(node, Listing) and isinstance(step, int) and step < len(node.items):
            node = node.items[step]
            key_mark = node.mark
    mark = key_mark if isinstance(node, Mapping) or _is_empty(node) else node.mark
    return node, mark, key_mark


def _is_empty(node: Node) -> bool:
    return isinstance(node, Leaf) and node.value is None and not node.text


def _fields(model: type[BaseModel] | None) -> list[str]:
    if model is None:
        return []
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_at(location: Sequence[int | str], root: type[BaseModel]) -> type[BaseModel] | None:
    """The model class that describes the mapping at this place."""
    here: Any = root
    for step in location:
        here = _inside(here, step)
    models = [kind for kind in alternatives(here) if isinstance(kind, type) and issubclass(kind, BaseModel)]
    return models[0] if models else None


def _inside(annotation: Any, step: int | str) -> Any:
    """The annotation one step deeper; the same where the step is none of the file."""
    for kind in alternatives(annotation):
        origin, arguments = get_origin(kind), get_args(kind)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            for name, field in kind.model_fields.items():
                if step in (name, field.alias):
                    return field.annotation
        elif origin is dict:
            return arguments[1]
        elif origin is tuple and isinstance(step, int):
            return arguments[0]
    return annotation


def alternatives(annotation: Any) -> tuple[Any, ...]:
    """The types that an annotation allows, without Annotated and Optional."""
    if get_origin(annotation) is Annotated:
        return alternatives(get_args(annotation)[0])
    if get_origin(annotation) is not None and get_origin(annotation) not in (dict, tuple):
        return tuple(inner for kind in get_args(annotation) for inner in alternatives(kind))
    return (annotation,)
