"""One walk over the bytes of a JSON value that tells where each governed value stands.

A parser's tree forgets positions and all but the last of duplicate keys; both matter here,
since a frame is edited in place and an earlier duplicate leaves with it. The walk sees
every occurrence. It follows the table only as deep as the table goes and skips what is
unknown without recursion, so its depth does not depend on the input.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import orjson

from hardening.errors import WireError
from hardening.wire.line_ends import escaped
from hardening.wire.names import role_of, speaks_of_reasoning, tells_length, told_beside, told_inside
from hardening.wire.roles import Node, Role
from hardening.wire.sites import Owner, Site, is_no_switch, is_on, make_reasoning, retold
from hardening.wire.strings import string_end, tokens
from hardening.wire.tags import tells_trace
from hardening.wire.wholes import Whole, wholes_in

_WS = rb"[ \t\n\r]*+"
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_SCALAR = _STRING + rb"|[^ \t\n\r,\]}\[{\"]++"
_scalar = re.compile(_SCALAR, re.DOTALL).match
# A key, the colon, and where the value is no container and no long string, it and what follows it.
_SHORT_SCALAR = _SCALAR.replace(_STRING, rb'"[^"\\]{0,1024}+(?:\\.[^"\\]{0,1024}+){0,64}+"')
_member = re.compile(
    rb'%b"([^"\\]*+(?:\\.[^"\\]*+)*+)"(%b:%b)(?:(%b)%b([,}])%b)?' % (_WS, _WS, _WS, _SHORT_SCALAR, _WS, _WS),
    re.DOTALL,
).match
_next = re.compile(_WS + rb"([,}\]])" + _WS, re.DOTALL).match
_space = re.compile(_WS).match

_name = re.compile(rb'"[A-Za-z_][A-Za-z0-9_]*+"%b:' % _WS).match  # a key that can be no text

_may_tell = re.compile(rb"[<&\\\xe2]|\[/?t", re.I).search  # a part of each tag, and of each escape

_QUOTE, _OBJECT = 34, 123
_READ_ALONG = frozenset(
    {None, Role.FAILED, Role.NOTE, Role.ENDED, Role.USAGE, Role.LENGTH, Role.FINISH, Role.PIECE}
)  # strings in these are noted
_SEARCHED = frozenset({None, Role.LENGTH})  # objects and lists in which what is told anywhere is looked for
_NOTED = frozenset({Role.NOTE, Role.FAILED, Role.ENDED})  # those in which only lengths and traces are
_RETURNED = frozenset({Role.RESULT, Role.TOOL_WHOLE})  # those in which only traces are
_BESIDE = frozenset({Role.CALL, Role.FAILED, Role.ENDED})  # those in which members called a trace are, too
_LOOKED_INTO = _SEARCHED | _NOTED | _RETURNED | _BESIDE
_NO_PLAIN_SITES = frozenset({Role.SWITCH, Role.PIECE, Role.INDEX, Role.ENDED})
# A member of Role costs many times a look into a set before Python 3.12, and a frame has some dozens of places.

_TEXTS = frozenset({Role.TEXT, Role.TEXT_WHOLE})

_FOLLOWED = frozenset({Role.TEXT, Role.TEXT_WHOLE, Role.TEXT_COPY, Role.VECTOR})
_ANALYSIS = b'"analysis"'  # what gpt-oss calls the channel of its traces
_FAILED = b"is_error"  # of what a tool gave back
_SAY_WHAT_IT_IS = frozenset({b"type", b"channel", _FAILED})
_MOST_WHOLES = 4  # answers, each in what no table knows of another one
UNKNOWN_TEXT_BYTES = 20  # a string shorter than this holds no piece of a trace worth hiding


class Walk:
    """The result of a walk: governed sites, and the spans of strings that no table knows."""

    __slots__ = ("_format", "_least", "_raw", "_table", "_wholes", "sites", "unknown")

    def __init__(
        self,
        raw: bytes,
        start: int,
        table: Node,
        *,
        format: str,
        end: int | None = None,
        least: int = UNKNOWN_TEXT_BYTES,
    ) -> None:
        """Walk `raw` from `start`.

        With `end` the value must be an object or a list and reach to there, or WireError is raised: what a
        lenient parser skips, such as a byte order mark, must not end the walk before it began. Unknown
        strings of more than `least` bytes, quotes included, are noted.
        """
        self._raw = raw
        self._format = format
        self._least = least
        self._table = table
        self._wholes = 0  # that are being read, each in another one
        self.sites: list[Site] = []
        self.unknown: list[tuple[int, int]] = []
        at = _skip_space(raw, start)
        if end is not None and raw[at : at + 1] not in (b"{", b"["):
            raise self._broken(at, "an object or a list")
        if _skip_space(raw, at := self._value(table, at, Owner(0))) < (end or 0):
            raise self._broken(at, "the end of the value")
        self._tagged(0)

    def _value(self, node: Node, at: int, owner: Owner) -> int:
        first = self._raw[at : at + 1]
        if first == b"[" and node.role is Role.VECTOR:
            return self._vector(node, at, owner)
        if first == b"{" and (node.keys or node.guarded):
            return self._inside(node, self._object, node, at, owner)
        if first == b"[" and node.items is not None:
            return self._inside(node, self._array, node.items, at, owner)
        nested = node.role in _TEXTS and first in (b"{", b"[")  # no text, so no place that the table knows
        end = self._end(at, unknown=nested or node.role in _READ_ALONG)
        if node.role is not None:
            role = Role.LOGPROBS_OTHER if first == b"[" and node.role is Role.HOLDER else node.role
            self._found(role, at, end, owner)
        if first in (b"{", b"[") and (nested or node.role in _LOOKED_INTO):
            self._told_inside(at, end, owner, of=None if nested else node.role)
        return end

    def _inside(
        self, node: Node, follow: Callable[[Node, int, Owner], int], into: Node, at: int, owner: Owner
    ) -> int:
        """Follow a container; where it has a meaning of its own it is a site before its contents."""
        if node.role is None or node.role in _FOLLOWED:
            return follow(into, at + 1, owner)
        site = Site(node.role, at, at, owner)
        self.sites.append(site)
        site.end = follow(into, at + 1, owner)
        return site.end

    def _vector(self, node: Node, at: int, owner: Owner) -> int:
        """A flat list of numbers is one value; in a list of such, as deep as the table goes, each is."""
        raw = self._raw
        close = raw.find(b"]", at)
        if close >= 0 and all(raw.find(other, at + 1, close) < 0 for other in (b"[", b'"', b"{")):
            self.sites.append(Site(Role.VECTOR, at, close + 1, owner))
            return close + 1
        return self._end(at, unknown=True) if node.items is None else self._array(node.items, at + 1, owner)

    def _found(self, role: Role, at: int, end: int, owner: Owner) -> None:
        if role not in _NO_PLAIN_SITES:
            self.sites.append(Site(role, at, end, owner))
            if role is Role.FAILED and self._tells_trace(at, end):
                self.sites.append(Site(Role.TRACE, at, end, owner))
        elif role is Role.SWITCH:
            if is_no_switch(self._raw[at:end]):
                self.sites.append(Site(Role.REASONING, at, end, owner))
        elif role is Role.PIECE:  # no object: an imitator's plain text
            if self._raw[at] == _QUOTE:
                self.sites.append(Site(Role.TEXT, at, end, owner))
        elif role is Role.ENDED:
            self.sites.append(Site(Role.TRACE if self._tells_trace(at, end) else role, at, end, owner))
        else:
            value = self._raw[at:end]
            owner.index = int(value) if value.isdigit() and len(value) < 7 else owner.index

    def _tells_trace(self, at: int, end: int) -> bool:
        """Whether a trace stands in a string."""
        raw = self._raw
        if raw[at] != _QUOTE or _may_tell(raw, at, end) is None:
            return False
        return tells_trace(read_string(raw[at:end], format=self._format, offset=at))

    def _tagged(self, since: int) -> None:
        """Take the strings that no table knows, but for the first, and in which a trace stands, for one."""
        found = [span for span in self.unknown[since:] if self._tells_trace(*span)]
        if found:
            owner, read = Owner(0), {site.start for site in self.sites if site.role in _TEXTS}
            self.sites += [Site(Role.TRACE, *span, owner) for span in found if span[0] not in read]

    def _failed(self, known: int) -> None:
        """Look for traces in what a tool gave back that says of itself that it failed."""
        since = len(self.unknown)
        for site in self.sites[known:]:
            if site.role is Role.RESULT:
                self._end(site.start, unknown=True)
        self._tagged(since)
        del self.unknown[since:]

    def _object(self, node: Node, at: int, owner: Owner) -> int:
        raw = self._raw
        opened, known, noted = at - 1, len(self.sites), len(self.unknown)
        kinds: list[bytes] = []
        switched = strange = False
        at = _skip_space(raw, at)
        if raw[at : at + 1] == b"}":
            return at + 1
        while True:
            member = _member(raw, at)
            if member is None:
                raise self._broken(at, "a key and a colon")
            name, start, at = member[1], member.end(2), member.end(3)
            if 92 in name or len(name) > UNKNOWN_TEXT_BYTES:
                name = self._read_name(node, member)
            if at >= 0:
                self._scalar(node, name, member.start(3), at, owner)
            else:
                at = self._container(node, name, start, owner)
                member = _next(raw, at)
            if node.guarded:
                if name in _SAY_WHAT_IT_IS:
                    kinds += self._kind(name, raw[start:at])
                elif name in node.switches:
                    switched = switched or is_on(raw[start:at])
                strange = strange or name not in node.keys
            if member is None or member[member.re.groups] == b"]":
                raise self._broken(at, "a comma or the end of the object")
            at = member.end()
            if member[member.re.groups] == b"}":
                at = member.end(member.re.groups)
                if kinds or switched:
                    since = (known, noted)
                    known_only = not strange if switched else None
                    self._renamed(node, kinds, since, (opened, at), owner=owner, known_only=known_only)
                return at

    def _read_name(self, node: Node, member: re.Match[bytes]) -> bytes:
        """A key that is escaped or long; one with blanks that no table knows is text where a name should be."""
        name = self._unescaped(member[1]) if 92 in member[1] else member[1]
        if len(name) > max(UNKNOWN_TEXT_BYTES, self._least) and b" " in name and name not in node.keys:
            self.unknown.append((member.start(1) - 1, member.end(1) + 1))
        return name

    def _unescaped(self, name: bytes) -> bytes:
        return read_string(b'"' + name + b'"', format=self._format).encode("utf-8", "surrogatepass")

    def _kind(self, name: bytes, value: bytes) -> list[bytes]:
        """What a member says of the object in which it stands, quotes and all where they need no look."""
        if name == _FAILED:
            return [_FAILED] if is_on(value) else []
        if name == b"channel" and value != _ANALYSIS:
            return []
        return [self._unescaped(value[1:-1]) if 92 in value and value[0] == _QUOTE else value]

    def _renamed(
        self,
        node: Node,
        kinds: list[bytes],
        since: tuple[int, int],
        span: tuple[int, int],
        *,
        owner: Owner,
        known_only: bool | None,
    ) -> None:
        """Give what an object holds, noted `since`, the roles that follow from its `kinds` or its switch.

        `known_only` says, where the switch is on, whether the table knows all that stands there; else None.
        """
        known = since[0]
        if _FAILED in kinds:
            self._failed(known)
        declared = (
            bool(kinds) and not self._retold(node, kinds, *since) and any(map(speaks_of_reasoning, kinds))
        )
        if declared or known_only is not None:
            make_reasoning(self.sites, known, span, owner=owner, known_only=known_only)

    def _retold(self, node: Node, kinds: list[bytes], known: int, noted: int) -> bool:
        """Whether the object's own name for itself says what its values are; they are told so then."""
        inside = retold(self.sites[known:], node.retold, kinds)
        if inside is None:
            return False
        if any(site.role is Role.REASONING_WHOLE for site in inside):
            # In what calls itself a trace a string that no table knows is no note of somebody else.
            long = [span for span in self.unknown[noted:] if span[1] - span[0] > UNKNOWN_TEXT_BYTES]
            inside += [Site(Role.TRACE, *span, inside[0].owner) for span in long]
            self.unknown[noted:] = [
                span for span in self.unknown[noted:] if span[1] - span[0] <= UNKNOWN_TEXT_BYTES
            ]
        strays = [site for site in inside if site.role is Role.TEXT_UNKNOWN]
        self.unknown += [(site.start, site.end) for site in strays if self._raw[site.start] == _QUOTE]
        self.sites[known:] = [site for site in inside if site.role is not Role.TEXT_UNKNOWN]
        return True

    def _scalar(self, node: Node, name: bytes, at: int, end: int, owner: Owner) -> None:
        """A member whose value is a string, a number or a word."""
        child = node.keys.get(name)
        if child is not None:
            if child.role is not None:
                self._found(child.role, at, end, owner)
                if child.role not in _READ_ALONG:
                    return
        elif node.guarded and self._raw[at] == _QUOTE and (role := role_of(name, _QUOTE)):
            self.sites.append(Site(role, at, end, owner))
        elif tells_length(name, self._raw[at : at + 3]):
            self.sites.append(Site(Role.LENGTH, at, end, owner))
        if end - at > self._least and self._raw[at] == _QUOTE:
            self.unknown.append((at, end))

    def _container(self, node: Node, name: bytes, at: int, owner: Owner) -> int:
        """A member whose value is an object or a list; where it ends."""
        child = node.keys.get(name)
        first = self._raw[at : at + 1]
        if child is not None:
            if child.owner and first == b"{":
                owner = Owner(owner.index)
            return self._value(child, at, owner)
        end = self._end(at, unknown=True)
        role = role_of(name, first[0])
        if role is not Role.LENGTH and not node.guarded and node.role is not Role.HOLDER:
            role = None
        if node.role is Role.HOLDER:  # rows under a name that no table knows
            rows = role is Role.REASONING and first == b"["
            role = Role.LOGPROBS_REASONING if rows else Role.LOGPROBS_OTHER
        if role is not None:
            self.sites.append(Site(role, at, end, owner))
        if role in _SEARCHED:
            self._told_inside(at, end, owner, of=role)
        return end

    def _told_inside(self, at: int, end: int, owner: Owner, *, of: Role | None) -> None:
        """What an object or a list that no table knows holds: whole answers, traces, and what needs no table by its name.

        `of` is what it is itself. Of a note only lengths are, and what the caller may have set stays: strings. What calls
        itself a trace is one in words of others too.
        """
        hands_over = of in _BESIDE and self._named_beside(at, end, owner)
        if of is Role.CALL:
            if hands_over:
                return
            of = Role.RESULT
        traces_only = of in _NOTED or of in _RETURNED
        if (traces_only or of is None) and (wholes := wholes_in(self._raw, at, end, traces_only=traces_only)):
            at = self._read(wholes, at, owner, of=of)
        if of not in _RETURNED:
            self._named_inside(at, end, owner, of=of)

    def _read(self, wholes: list[Whole], at: int, owner: Owner, *, of: Role | None) -> int:
        """Read answers and traces in an unknown value, whose strings were noted, and what is named between; where they end."""
        since = len(self.unknown)
        while since and self.unknown[since - 1][0] >= at:
            since -= 1
        noted = iter(self.unknown[since:])
        del self.unknown[since:]
        span = next(noted, None)
        for whole in wholes:
            if of not in _RETURNED:
                self._named_inside(at, whole.start, owner, of=of)
            while span is not None and span[0] < whole.start:
                self.unknown.append(span)
                span = next(noted, None)
            while span is not None and span[0] < whole.end:
                span = next(noted, None)
            at = whole.end
            if whole.is_trace:
                self.sites.append(Site(Role.REASONING, whole.start, at, owner))
            else:
                self._whole(whole)
        if span is not None:
            self.unknown += (span, *noted)
        return at

    def _whole(self, whole: Whole) -> None:
        if self._wholes >= _MOST_WHOLES:
            raise self._broken(whole.start, f"no more than {_MOST_WHOLES} answers in each other")
        self._wholes += 1
        self._value(self._table, whole.start, Owner(0))
        self._wholes -= 1

    def _named_beside(self, at: int, end: int, owner: Owner) -> bool:
        """Take members called a trace for one; whether others hold what is handed over, in which no name says that."""
        until, hands_over = at, False
        for key, start, is_handed_over in told_beside(self._raw, at, end):
            if key < until:
                continue
            until = self._end(start, unknown=False)
            if is_handed_over:
                hands_over = True
            else:
                role = Role.SETTINGS if self._raw[start] == _OBJECT else Role.TRACE
                self.sites.append(Site(role, start, until, owner))
        return hands_over

    def _named_inside(self, at: int, end: int, owner: Owner, *, of: Role | None) -> None:
        """What stands in a part of an unknown value under names that need no table."""
        raw = self._raw
        known = end if of is Role.LENGTH else at  # up to where all lengths go
        for key, start, role in told_inside(raw, at, end):
            if key < at or (role is Role.LENGTH and start < known):
                continue  # inside what was found before
            if of in _NOTED and (role is not Role.LENGTH or raw[start] == _QUOTE):
                continue
            stop = self._end(start, unknown=False)
            self.sites.append(Site(role, start, stop, owner))
            if role is Role.LENGTH:
                known = stop
            else:
                at = stop

    def _array(self, node: Node, at: int, owner: Owner) -> int:
        raw = self._raw
        at = _skip_space(raw, at)
        if raw[at : at + 1] == b"]":
            return at + 1
        position = 0
        while True:
            at = self._value(node, at, Owner(position) if node.owner else owner)
            after = _next(raw, at)
            if after is None or after[1] == b"}":
                raise self._broken(at, "a comma or the end of the list")
            at = after.end() if after[1] == b"," else after.end(1)
            if after[1] == b"]":
                return at
            position += 1

    def _end(self, at: int, *, unknown: bool) -> int:
        """Where the value that starts at `at` ends; strings inside are noted where unknown."""
        raw = self._raw
        if raw[at : at + 1] not in (b"{", b"["):
            end = self._scalar_end(at)
            if unknown and end - at > self._least and raw[at] == _QUOTE:
                self.unknown.append((at, end))
            return end
        depth = 0
        for start, end in tokens(raw, at):
            first = raw[start]
            if first == _QUOTE:
                if unknown and end - start > self._least and not _name(raw, start):
                    self.unknown.append((start, end))
            elif first in b"[{":
                depth += 1
            else:
                depth -= 1
                if depth == 0:
                    return end
        raise self._broken(at, "the end of an object or a list")

    def _scalar_end(self, at: int) -> int:
        raw = self._raw
        if raw[at : at + 1] == b'"':
            if (end := string_end(raw, at)) > 0:
                return end
            raise self._broken(at, "a value")
        scalar = _scalar(raw, at)
        if scalar is None:
            raise self._broken(at, "a value")
        return scalar.end()

    def _broken(self, at: int, expected: str) -> WireError:
        return WireError(self._format, at, f"expected {expected}")


def _skip_space(raw: bytes, at: int) -> int:
    found = _space(raw, at)
    return found.end() if found else at


def read_json(raw: bytes, *, format: str) -> object:
    """The value of a JSON text, also where it holds NaN, lone surrogates or bad UTF-8.

    Raises WireError for anything else that is no JSON; never quotes the text.
    """
    try:
        value: object = orjson.loads(raw)
    except orjson.JSONDecodeError:
        try:
            value = json.loads(raw.decode("utf-8-sig", "surrogateescape"))
        except ValueError as error:
            raise WireError(format, getattr(error, "pos", 0), "expected a JSON value") from None
        except RecursionError:
            raise WireError(format, 0, "nested deeper than 1,000 levels") from None
    return value


def read_string(raw: bytes, *, format: str, offset: int = 0) -> str:
    """The text of a JSON string with its quotes; lone surrogates and bad bytes are kept as such."""
    value = read_json(raw, format=format)
    if not isinstance(value, str):
        raise WireError(format, offset, "expected a string")
    return value


def write_string(text: str) -> bytes:
    """The JSON string of a text, escaped where UTF-8 cannot hold it or a client would split a line."""
    try:
        return escaped(orjson.dumps(text))
    except orjson.JSONEncodeError:
        return json.dumps(text).encode()
