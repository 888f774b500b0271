#!/usr/bin/env python3
"""Makes the JSON Schema and the lists of keys in docs/policy.md from the policy model; see scripts/docs.

A list stands in the page between `<!-- keys: LimitSpec -->` and `<!-- end -->`, where LimitSpec is a class of the model.
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from hardening.policy.schema import policy_schema, schema_text

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "policy.md"
SCHEMA = ROOT / "policies" / "policy.v1.schema.json"
WIDTH = 120

_LIST = re.compile(r"(<!-- keys: (\w+)(?: without ([\w, ]+))? -->\n).*?(<!-- end -->)", re.DOTALL)


def main(arguments: list[str]) -> int:
    """Write both files, or with --check say which one is not current; the exit status."""
    wanted = {SCHEMA: schema_text(), PAGE: page(PAGE.read_text("utf-8"))}
    stale = [path for path, text in wanted.items() if path.read_text("utf-8") != text]
    for path in stale:
        if "--check" not in arguments:
            path.write_text(wanted[path], "utf-8")
        else:
            sys.stderr.write(f"{path.relative_to(ROOT)} is not current: run scripts/docs\n")
    return 1 if stale and "--check" in arguments else 0


def page(text: str) -> str:
    """The page with each list of keys made anew; raises KeyError for a class that the model lacks."""
    schema = policy_schema()
    classes = {**schema["$defs"], "PolicyFile": schema}

    def listed(found: re.Match[str]) -> str:
        left_out = (found[3] or "").replace(",", " ").split()
        keys = "\n".join(_keys(classes[found[2]], left_out))
        return f"{found[1]}\n{keys}\n\n{found[4]}"

    return _LIST.sub(listed, text)


def _keys(schema: dict[str, Any], left_out: list[str]) -> Iterator[str]:
    required = schema.get("required", [])
    for pattern, value in schema.get("patternProperties", {}).items():
        if value.get("description"):
            yield from _key("PATH", {**value, "pattern-of": pattern}, required=False)
    for name, value in sorted(schema["properties"].items(), key=lambda item: item[0] not in required):
        if name not in left_out and not value.get("deprecated"):
            yield from _key(name, value, required=name in required)


def _key(name: str, schema: dict[str, Any], *, required: bool) -> Iterator[str]:
    """One key as an item of a list: what it is, what may stand there, what is stricter, what it costs."""
    yield _wrapped(f"- **`{name}`** {schema['description']}", "  ")
    facts = [_value(schema), "required" if required else _default(schema)]
    yield _wrapped(f"  {'; '.join(filter(None, facts))}".rstrip() + ".", "  ")
    if "x-strictness" in schema:
        yield _wrapped(f"  Strictness: {schema['x-strictness']}. Cost: {schema['x-cost']}", "  ")
    if "examples" in schema:
        yield _wrapped(f"  Example: `{_example(name, schema['examples'][0])}`", "  ")


def _wrapped(text: str, indent: str) -> str:
    return textwrap.fill(
        text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _value(schema: dict[str, Any]) -> str:
    """What may stand there, in words."""
    if "enum" in schema:
        return "One of " + ", ".join(f"`{value}`" for value in schema["enum"])
    if "title" in schema:
        return re.sub("^an? ", lambda article: article[0].capitalize(), str(schema["title"]))
    if schema.get("type") == "array":
        inner = schema["items"]
        return "A list" + (f" of: {inner['title']}" if "title" in inner else "")
    if schema.get("type") == "boolean":
        return "`true` or `false`"
    if schema.get("type") == "string":
        return "A name" if "pattern" in schema else "A text"
    if "patternProperties" in schema:
        return "A mapping of names"
    return "A mapping, see below"


def _default(schema: dict[str, Any]) -> str:
    for key in ("x-unsaid", "default"):
        if key in schema:
            value = schema[key]
            return f"left out: `{_flow(0 if type(value) is float and not value else value)}`"
    return ""


def _example(name: str, value: object) -> str:
    return f"{'/api/chat' if name == 'PATH' else name}: {_flow(value)}"


def _flow(value: object) -> str:
    """The value as YAML on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=1000, allow_unicode=True)
    # The library quotes days, which are plain texts in a policy.
    return re.sub(r"'(\d{4}-\d{2}-\d{2})'", r"\1", text.removesuffix("\n").removesuffix("\n..."))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
