"""What stands where: tables of field paths, compiled to a tree that one walk follows.

A path names keys from the root of a frame, `[]` for the elements of a list, `{a,b}` for
alternatives: `choices[].{message,delta}.content`.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hardening.wire.pins import Pin


IN_ERRORS = "{failed_generation,debug,reasoning,reasoning_content,thinking,thought,thoughts}"
"""Members of an error that tell what the model wrote before it."""


class Role(enum.IntEnum):  # whose hash is that of an int: an Enum's is a call of Python
    """What a value means for the response, in terms that all formats share."""

    TEXT = enum.auto()  # visible answer
    TEXT_WHOLE = enum.auto()  # all of it in one body; beside a delta a copy
    TEXT_COPY = enum.auto()  # the answer once more, whole or in part
    TEXT_UNKNOWN = enum.auto()  # text of an object whose name for itself no table knows
    TEXT_ALL = enum.auto()  # all of its texts once more, as one
    BLOCKS = enum.auto()  # a list of blocks, or as a string the whole text
    REASONING = enum.auto()  # the trace, in any shape
    REASONING_WHOLE = enum.auto()  # all of it; after its pieces a copy
    SETTINGS = enum.auto()  # what was asked of the trace, as an object of words; as anything else the trace
    SEAL = enum.auto()  # opaque stand-in for the trace
    SEAL_APART = enum.auto()  # one that is valid whatever becomes of the text beside it
    SWITCH = enum.auto()  # says whether the object in which it stands is reasoning
    PIECE = enum.auto()  # an object that holds a piece of its own of the text or the trace
    LOGPROBS = enum.auto()  # rows of the visible text
    LOGPROBS_REASONING = enum.auto()  # rows of the trace
    LOGPROBS_REFUSAL = enum.auto()  # rows of a refusal
    LOGPROBS_OTHER = enum.auto()  # rows in a shape that is not cut but dropped
    TOKENS = enum.auto()  # rows as parallel lists: the tokens
    TOKEN_LOGPROBS = enum.auto()  # their values
    TOKEN_TOPS = enum.auto()  # the values of their alternatives
    LOGPROBS_LISTS = enum.auto()  # rows of the visible text, those drawn and their alternatives apart
    HOLDER = enum.auto()  # object that is null when nothing in it is left
    IDS = enum.auto()  # token ids of prompt or answer
    ROWS = enum.auto()  # log-probabilities of the prompt or of chosen tokens
    STATES = enum.auto()  # hidden states, routing
    VECTOR = enum.auto()  # an embedding: a list of numbers, or packed as a string
    VECTOR_BITS = enum.auto()  # one bit a dimension
    SCORE = enum.auto()  # a number of a reranker or classifier
    ECHO = enum.auto()  # the caller's own text
    TRACE = enum.auto()  # what the model did on the way: tool runs, debug doubles
    TOOL = enum.auto()  # arguments of a call
    CALL = enum.auto()  # calls of tools with all that is said of them, or what the model drew
    TOOL_WHOLE = enum.auto()  # all of them; after their pieces a copy
    RESULT = enum.auto()  # what a tool gave back, and sources: words of others
    ATTACHED = enum.auto()  # beside the text: a picture, code that ran; trace where its object is reasoning
    FINISH = enum.auto()  # why it ended
    DONE = enum.auto()  # whether it ended
    KIND = enum.auto()  # the frame's own name of what it is
    USAGE = enum.auto()  # token counts
    COUNT_PROMPT = enum.auto()  # tokens of the prompt, as a number by itself
    COUNT_COMPLETION = enum.auto()  # tokens of the answer, as a number by itself
    LENGTH = enum.auto()  # a time, a price or a count that tells how long the answer was
    FAILED = enum.auto()  # an error object
    NOTE = (
        enum.auto()
    )  # words of the server, of a source or of the caller; only a copy of a trace in them goes
    ENDED = enum.auto()  # words of the server on why it ended
    INDEX = enum.auto()  # number of the owner
    SPEAKER = enum.auto()  # who speaks, said once
    HEAD = enum.auto()  # stands in every frame, and the first frame with it begins the answer
    NAME = enum.auto()  # what the frame, the model or the server is called
    VOLATILE = enum.auto()  # changes from frame to frame and means nothing
    SEQUENCE = enum.auto()  # number of the frame in its stream
    ASK_MODEL = enum.auto()  # request: which model
    ASK_MODELS = enum.auto()  # request: which others may answer in its place
    ASK_STREAM = enum.auto()  # request: whether in pieces
    ASK_CHOICES = enum.auto()  # request: how many answers
    ASK_PROMPTS = enum.auto()  # request: the prompt, or a list of them, each with its answers
    ASK_TOKENS = enum.auto()  # request: bound of the answer
    ASK_TOKENS_IN = enum.auto()  # request: the object in which that bound stands
    ASK_NESTED = enum.auto()  # request: an object in which gateways put what they pass on
    ASK_LOGPROBS = enum.auto()  # request: whether, or how many, rows
    ASK_TOP = enum.auto()  # request: alternatives a row
    ASK_COUNT = enum.auto()  # request: the same, and even 0 asks for rows
    ASK_SCALE = enum.auto()  # request: a temperature or a cut, after which some servers tell values
    ASK_PENALTY = enum.auto()  # request: a penalty, or a number of tokens that no end may come before
    ASK_FACTOR = enum.auto()  # request: a penalty by which is multiplied
    ASK_SHAPE = enum.auto()  # request: a grammar, or what may hold one
    ASK_ROWS = enum.auto()  # request: rows of the prompt or of chosen tokens
    ASK_INCLUDE = enum.auto()  # request: names of what the answer shall hold beside its text
    ASK_PACKING = enum.auto()  # request: how the values of an embedding are packed
    THOUGHTS = enum.auto()  # request: a trace of an earlier turn as plain text, which its server wants back
    RESENT = enum.auto()  # request: traces of an earlier turn, as plain text or as a list that may be empty
    TURNS = enum.auto()  # request: the messages
    TURN = enum.auto()  # request: one of them
    PARTS = enum.auto()  # request: the content blocks of a message
    PART = enum.auto()  # request: one of them


SEALS = frozenset({Role.SEAL, Role.SEAL_APART})
LENGTHS = frozenset({Role.USAGE, Role.COUNT_PROMPT, Role.COUNT_COMPLETION, Role.LENGTH})


ENVELOPES = ("data", "response", "responses", "result", "results", "body", "output", "outputs")
"""Keys under which gateways, batches and lists of kept answers put whole answers."""
_SAID = (b"response", b"result", b"output")  # of these a string is the text of an answer
_DEPTH = 3  # as in a list of batches: data, response, body


@dataclass(frozen=True, slots=True)
class Retelling:
    """What values in an object mean where a `type` of it is found by `match`."""

    match: Callable[[bytes], object]
    roles: Mapping[Role, Role]


class Node:
    """One place in a frame: its role, its known keys, its elements."""

    __slots__ = (
        "guarded",
        "items",
        "keys",
        "lean",
        "listed",
        "named",
        "names",
        "owner",
        "pin",
        "pinned",
        "retold",
        "role",
        "streams",
        "switches",
        "watched",
    )

    def __init__(self) -> None:
        self.role: Role | None = None
        self.keys: dict[bytes, Node] = {}
        self.names: dict[str, Node] = {}  # the same by text, for a value that a parser has read
        self.items: Node | None = None
        self.owner = False
        self.guarded = False
        self.retold: tuple[Retelling, ...] = ()
        self.switches: frozenset[bytes] = frozenset()  # keys that say whether this object is reasoning
        self.streams = False  # of a request that does not say
        self.lean = self  # a request's questions without switches and what comes back in its messages
        self.pinned = self  # the same with its switches; its own `lean` is that without those in lists
        self.listed: Callable[[bytes], object] = bool  # whether one of these may stand in a text
        self.named: Mapping[Role, tuple[tuple[str, ...], ...]] = MappingProxyType({})
        self.pin: Pin | None = None  # of a request: what becomes of a switch
        self.watched = False  # whether a switch stands here or in the objects below

    def child(self, key: str) -> Node:
        """The node under `key`, `[]` for elements, made where it is missing."""
        if key == "[]":
            if self.items is None:
                self.items = Node()
            return self.items
        node = self.keys.setdefault(key.encode(), Node())
        return self.names.setdefault(key, node)

    def holds(self, role: Role) -> bool:
        """Whether `role` stands at this place or below it."""
        below = (*self.keys.values(), *([self.items] if self.items else ()))
        return self.role is role or any(node.holds(role) for node in below)


@dataclass(frozen=True, slots=True)
class Table:
    """What stands where in the frames of a format, and what their own names for themselves mean.

    Of the values, as JSON, of Role.KIND those in `ends` say that a trace is over, those in `deltas` that
    the frame carries a payload and nothing else: without it the frame may go. The two in `blocks` begin and end a block or an
    item of the answer. Those in `finals` say that
    the stream is over, and that the frame holds all that it said. `embeds` says that an answer holds vectors,
    and lists of numbers nowhere else, `scores` that it holds scores.
    """

    root: Node
    ends: frozenset[bytes] = frozenset()
    deltas: frozenset[bytes] = frozenset()
    finals: frozenset[bytes] = frozenset()
    embeds: bool = False
    scores: bool = False
    blocks: tuple[bytes, ...] = ()


def compile_table(
    roles: Mapping[str, Role],
    *,
    owners: tuple[str, ...] = (),
    guarded: tuple[str, ...] = (),
    wrapped: tuple[str, ...] = ENVELOPES,
    retold: Mapping[str, tuple[Retelling, ...]] = MappingProxyType({}),
    ends: tuple[str, ...] = (),
    deltas: tuple[str, ...] = (),
    finals: tuple[str, ...] = (),
    blocks: tuple[str, str] | None = None,
    embeds: bool = False,
    scores: bool = False,
) -> Table:
    """The tree of a table of paths.

    `owners` are the objects whose number (`index`, else their position) an event carries;
    in `guarded` objects an unknown key whose name speaks of reasoning is reasoning. Under the keys
    in `wrapped`, where the table has none of its own, the whole may stand once more, or a list of such, three deep.
    Of the objects in `retold` the first retelling that matches is told.
    """
    root = grow(roles, owners, guarded)
    for path, retellings in retold.items():
        for _, node in nodes(root, path):
            node.retold = retellings
    if wrapped and not embeds:  # vectors are found wherever they stand
        root = _enveloped(root, wrapped)
    ended, carried, last = (
        frozenset(f'"{kind}"'.encode() for kind in kinds) for kinds in (ends, deltas, finals)
    )
    begin_and_end = tuple(f'"{kind}"'.encode() for kind in blocks or ())
    return Table(root, ended, carried, last, embeds, scores, begin_and_end)


def _enveloped(tree: Node, keys: tuple[str, ...]) -> Node:
    """The tree as it may stand by itself, in lists, and under each of the keys; what is below its root is one for all."""
    envelopes: dict[bytes, Node] = {}
    for _ in range(_DEPTH + 1):
        whole, element = copy(tree), copy(tree)
        whole.keys = element.keys = tree.keys | {
            key: node for key, node in envelopes.items() if key not in tree.keys
        }
        whole.items, element.owner = element, True
        envelopes = dict.fromkeys((key.encode() for key in keys), whole)
    return whole


def graft(root: Node, bare: Mapping[bytes, Node]) -> None:
    """Let each of `bare` stand where a whole may, under its key, where the table has none of its own, or a value that holds nothing."""
    waiting, seen = [root], set[int]()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        waiting += [node.items] if node.items is not None else []
        wholes = [whole for key in ENVELOPES if (whole := node.keys.get(key.encode())) and whole.items]
        for key in _SAID:
            whole = node.keys.get(key)
            if whole and whole.items and whole.role is None:
                node.keys[key] = said = copy(whole)  # one node stands for all envelopes
                said.role = Role.TEXT_COPY
            elif whole and wholes and whole.role is Role.TEXT and not whole.keys:  # a format's own text
                node.keys[key] = said = copy(whole)
                said.keys, said.items = wholes[0].keys, wholes[0].items
        waiting += wholes
        for name, one in bare.items():
            own = node.keys.setdefault(name, one)
            if not own.keys and own.items is None:
                own.keys, own.items = one.keys, one.items


def said_by(roles: Mapping[str, Role]) -> Mapping[bytes, Node]:
    """The nodes of a table of keys, for `graft`."""
    return grow(roles).keys


def grow(roles: Mapping[str, Role], owners: tuple[str, ...] = (), guarded: tuple[str, ...] = ()) -> Node:
    """The tree of paths with their roles."""
    root = Node()
    for path, role in roles.items():
        for _, node in nodes(root, path):
            node.role = role
    for path in owners:
        for _, node in nodes(root, path):
            node.owner = True
    for path in guarded:
        for _, node in nodes(root, path):
            node.guarded = True
    _find_switches(root)
    return root


def _find_switches(node: Node) -> None:
    node.switches = frozenset(key for key, child in node.keys.items() if child.role is Role.SWITCH)
    for child in (*node.keys.values(), *([node.items] if node.items else ())):
        _find_switches(child)


def nodes(root: Node, pattern: str) -> Iterator[tuple[str, Node]]:
    """The places that a pattern names, each by its path; they are made where they are missing."""
    for path in _expand(pattern):
        node = root
        for part in re.findall(r"[^.\[\]]+|\[\]", path):
            node = node.child(part)
        yield path, node


def _expand(pattern: str) -> Iterator[str]:
    found = re.search(r"\{([^{}]*)\}", pattern)
    if found is None:
        yield pattern
        return
    for alternative in found[1].split(","):
        yield from _expand(pattern[: found.start()] + alternative + pattern[found.end() :])
