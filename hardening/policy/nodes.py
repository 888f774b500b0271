"""YAML text -> nodes that know where they stand; refuses what this dialect leaves out.

The nodes are made from parser events, not by PyYAML's composer: that one recurses, and its C form
dies on deep input. Size, depth and number of nodes are bounded while the events are read, so a
hostile file costs no more than what fits the bounds. Scalars follow the YAML 1.2 core schema
(section 10.3.2): only `true` and `false` are booleans.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from hardening.errors import PolicyError, PolicyFault

MAX_BYTES = 256 * 1024
MAX_DEPTH = 32
MAX_NODES = 50_000

Scalar = str | int | float | bool | None

_BOOLEAN = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]{1,40}|[0-9]{1,40}(?:\.[0-9]{0,40})?)(?:[eE][-+]?[0-9]{1,3})?")
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a file, 1-based; in code the path of a value, at line 0."""

    file: str
    line: int
    column: int

    @property
    def words(self) -> str:
        """Where it is, for one who looks into the same file."""
        return f"on line {self.line}" if self.line else f"at {self.file}"


@dataclass(frozen=True, slots=True)
class Leaf:
    """A scalar; `text` is what stands in the file."""

    mark: Mark
    value: Scalar
    text: str


@dataclass(frozen=True, slots=True)
class Listing:
    """A sequence."""

    mark: Mark
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Mapping:
    """A mapping of text keys, each with the place of the key and its value."""

    mark: Mark
    entries: dict[str, tuple[Mark, Node]]


Node = Leaf | Listing | Mapping


def plain(node: Node) -> object:
    """The node as dicts, lists and scalars."""
    if isinstance(node, Leaf):
        return node.value
    if isinstance(node, Listing):
        return [plain(item) for item in node.items]
    return {key: plain(value) for key, (_, value) in node.entries.items()}


def read_nodes(
    data: bytes, file: str, begins: str = "a policy begins with `version: 1`"
) -> tuple[Mapping, list[PolicyFault]]:
    """The nodes of a file and the faults that do not hide others; raises PolicyError for those that do.

    `begins` tells who gave something else what such a file looks like.
    """
    return _Composer(file, begins).compose(_decoded(data, file))


def _decoded(data: bytes, file: str) -> str:
    """The text, proven to be UTF-8 of a legal size without control characters."""
    if len(data) > MAX_BYTES:
        raise _error(Mark(file, 1, 1), f"found more than {MAX_BYTES} bytes; a file has at most that many")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig")
        raise _error(_mark_after(before, file), "found bytes that are not UTF-8") from None
    if found := _UNPRINTABLE.search(text):
        mark = _mark_after(text[: found.start()], file)
        raise _error(mark, f"found the control character U+{ord(found[0]):04X}; write it in escapes")
    return text


def _mark_after(before: str, file: str) -> Mark:
    return Mark(file, before.count("\n") + 1, len(before) - before.rfind("\n"))


def _error(mark: Mark, message: str) -> PolicyError:
    return PolicyError((PolicyFault(mark.file, mark.line, mark.column, message),))


def _scalar(text: str) -> Scalar:
    """What a plain scalar means under the core schema; numbers too long for it stay text."""
    if text in _NULL:
        return None
    if text in _BOOLEAN:
        return _BOOLEAN[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


class _Composer:
    """Builds the nodes of one file, and collects the faults on the way."""

    def __init__(self, file: str, begins: str) -> None:
        self._file = file
        self._begins = begins
        self._faults: list[PolicyFault] = []
        self._count = 0

    def compose(self, text: str) -> tuple[Mapping, list[PolicyFault]]:
        try:
            events = self._checked(yaml.parse(text, Loader=_LOADER))
            root = self._root(events)
        except yaml.MarkedYAMLError as error:
            mark = self._mark(error.problem_mark or error.context_mark)
            raise _error(mark, f"this is not YAML: {error.problem or error.context}") from None
        if not isinstance(root, Mapping):
            raise _error(root.mark, f"found no mapping; {self._begins}")
        return root, self._faults

    def _mark(self, mark: yaml.error.Mark | yaml._yaml.Mark | None) -> Mark:
        if mark is None:
            return Mark(self._file, 1, 1)
        return Mark(self._file, mark.line + 1, mark.column + 1)

    def _fault(self, mark: Mark, message: str) -> None:
        self._faults.append(PolicyFault(mark.file, mark.line, mark.column, message))

    def _checked(self, events: Iterator[yaml.Event]) -> Iterator[yaml.Event]:
        """The events of one document, with bounds and forbidden features checked."""
        depth = 0
        documents = 0
        for event in events:
            mark = self._mark(event.start_mark)
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise _error(mark, "found a second document; a file is one document")
            elif isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                if depth > MAX_DEPTH:
                    raise _error(mark, f"found more than {MAX_DEPTH} levels; a file has at most that many")
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            if isinstance(event, yaml.NodeEvent):
                self._check_node(event, mark)
            yield event

    def _check_node(self, event: yaml.NodeEvent, mark: Mark) -> None:
        self._count += 1
        if self._count > MAX_NODES:
            raise _error(mark, f"found more than {MAX_NODES} values; a file has at most that many")
        if isinstance(event, yaml.AliasEvent):
            raise _error(mark, "found an alias (*); write the value out, aliases are not allowed")
        if event.anchor is not None:
            self._fault(mark, "found an anchor (&); anchors are not allowed")
        if getattr(event, "tag", None) is not None:
            self._fault(mark, "found a tag (!); tags are not allowed, quotes make a text")

    def _root(self, events: Iterator[yaml.Event]) -> Node:
        root: Node | None = None
        for event in events:
            if isinstance(event, yaml.NodeEvent):
                root = self._node(event, events)
        return root if root is not None else Leaf(Mark(self._file, 1, 1), None, "")

    def _node(self, event: yaml.Event, events: Iterator[yaml.Event]) -> Node:
        mark = self._mark(event.start_mark)
        if isinstance(event, yaml.ScalarEvent):
            return Leaf(mark, _scalar(event.value) if event.implicit[0] else event.value, event.value)
        if isinstance(event, yaml.SequenceStartEvent):
            items = []
            while not isinstance(inner := next(events), yaml.SequenceEndEvent):
                items.append(self._node(inner, events))
            return Listing(mark, tuple(items))
        return self._mapping(mark, events)

    def _mapping(self, mark: Mark, events: Iterator[yaml.Event]) -> Mapping:
        entries: dict[str, tuple[Mark, Node]] = {}
        while not isinstance(inner := next(events), yaml.MappingEndEvent):
            key = self._node(inner, events)
            value = self._node(next(events), events)
            if not isinstance(key, Leaf):
                self._fault(key.mark, "found a list or mapping as a key; a key is a text")
            elif key.text == "<<":
                self._fault(key.mark, "found a merge key (<<); merge keys are not allowed, use `extends`")
            elif key.text in entries:
                first = entries[key.text][0]
                self._fault(key.mark, f"found {quoted(key.text)} a second time (first on line {first.line})")
            else:
                entries[key.text] = (key.mark, value)
        return Mapping(mark, entries)


# Each alternative ends with the least number of characters: more of them would only cost time.
_SECRET = re.compile(
    r"(?i)(?<![a-z0-9])(?:sk|pk|rk)[-_][a-z0-9_-]{12}"
    r"|(?<![a-z0-9])(?:gsk_|hf_|xai-|ghp_|github_pat_|glpat-|xox[abp]-)[a-z0-9_-]{10}"
    r"|AKIA[A-Z0-9]{12}|AIza[a-z0-9_-]{20}|eyJ[a-z0-9_-]{16}|bearer\s{1,4}[a-z0-9._-]{8}"
)


def looks_secret(text: str) -> bool:
    """Whether the text is shaped like an API key or token of a known vendor."""
    return _SECRET.search(text) is not None


def quoted(value: object) -> str:
    """The value as a message may show it: short, on one line, and never a secret."""
    text = str(value)
    if looks_secret(text):
        return "a value shaped like an API key"
    shown = text if len(text) <= 60 else text[:57] + "..."
    return f"`{shown}`".replace("\n", " ")
