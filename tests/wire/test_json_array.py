"""Framing of a JSON array: borders under every split, and an array that stays one whatever leaves of it."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardening.errors import WireError
from hardening.wire.json_array import ArrayFramer, ArrayJoint, Element, is_between, write_element

ELEMENTS = [
    b'{"a":"]}\\" ,\\\\","b":[[],{"c":"["}]}',
    b'{\n  "\\\\": "\xe2\x80\xa8"\n}',
    b"[[1],2]",
    b'"text, with \\" a comma]"',
    b"-1.5e3",
    b"null",
    b"}x{",
]
ARRAY = b"\xef\xbb\xbf \r\n[" + b"\n,\r\n".join(ELEMENTS[:4]) + b" , " + b",".join(ELEMENTS[4:]) + b"\n]\r\n "


TOKENS = [b'"', b"\\", b"{", b"}", b"[", b",", b" ", b"\r\n", b"a", b"1", b"\xc3\xa9", b'"a":', b"null"]


def cut(body: bytes, cuts: list[int]) -> list[bytes]:
    return [body[a:b] for a, b in itertools.pairwise([0, *sorted(cuts), len(body)])]


def split(pieces: list[bytes]) -> list[bytes]:
    framer = ArrayFramer()
    found = [one for piece in pieces for one in framer.feed(piece)]
    assert framer.rest() == b""
    return found


@given(st.lists(st.integers(0, len(ARRAY)), max_size=12))
def test_pieces_partition_the_input_and_hold_the_same_elements_under_any_split(cuts: list[int]) -> None:
    pieces = split(cut(ARRAY, cuts))
    assert b"".join(pieces) == ARRAY
    assert [piece for piece in pieces if not is_between(piece)] == ELEMENTS
    assert [Element(piece).data for piece in pieces if Element(piece).data] == ELEMENTS


@given(st.lists(st.sampled_from(TOKENS), max_size=30).map(b"".join), st.lists(st.integers(0, 60), max_size=6))
def test_any_bytes_are_cut_alike_however_they_come(inside: bytes, cuts: list[int]) -> None:
    """Catches a cut inside a string, an escape or a number that shifts the borders behind it."""
    body = b"[" + inside

    def read(pieces: list[bytes]) -> tuple[list[bytes], bool]:
        framer, found = ArrayFramer(), []
        for piece in pieces:
            try:
                found += framer.feed(piece)
            except WireError:
                return found, True
        return [*found, framer.rest()], False

    byte_by_byte, refused = read([body[at : at + 1] for at in range(len(body))])
    assert refused or b"".join(byte_by_byte) == body
    whole, also = read(cut(body, [min(one, len(body)) for one in cuts]))
    assert also is refused
    if not refused:
        elements = [[one for one in pieces if not is_between(one)] for pieces in (whole, byte_by_byte)]
        assert elements[0] == elements[1]


def test_byte_by_byte_every_element_comes_with_its_last_byte() -> None:
    """Catches an element that waits for the comma behind it, which comes with the next one."""
    framer = ArrayFramer()
    body = b'[{"a":"}"},{"b":["]"]}'
    came = [at for at in range(len(body)) for one in framer.feed(body[at : at + 1]) if not is_between(one)]
    assert came == [9, len(body) - 1]
    assert framer.pending == b""


def test_an_empty_array_and_one_that_is_cut_off() -> None:
    assert split([b"[ ]"]) == [b"[", b" ", b"]"]
    framer = ArrayFramer()
    assert framer.feed(b'[{"a":1},{"b":"\\') == [b"[", b'{"a":1}', b","]
    assert framer.rest() == b'{"b":"\\'
    assert framer.rest() == b""


@pytest.mark.parametrize("body", [b"[]x", b"[{}] []", b"[1]{"])
def test_nothing_may_follow_the_end(body: bytes) -> None:
    with pytest.raises(WireError, match="after the end"):
        ArrayFramer().feed(body)


def test_what_is_no_array_is_refused() -> None:
    with pytest.raises(WireError, match="the beginning of an array"):
        ArrayFramer().feed(b" {}")


@pytest.mark.parametrize("endless", [b'{"a":', b'"' + b"\\" * 8, b"1111", b"[[["])
def test_an_endless_element_is_refused(endless: bytes) -> None:
    framer = ArrayFramer(limit_bytes=100)
    with pytest.raises(WireError, match="more than 100 bytes"):
        for _ in range(40):
            framer.feed(b"[" + endless)


def joined(pieces: list[bytes], dropped: set[int], *, own_before: set[int] = frozenset()) -> bytes:  # type: ignore[assignment]
    """What leaves of an array of which some elements go, and others are put in before some."""
    joint, out, number = ArrayJoint(), [], 0
    for piece in pieces:
        if is_between(piece):
            out.append(joint.between(piece))
            continue
        if number in own_before:
            out.append(joint.own(b'"own"'))
        out.append(joint.element(b"" if number in dropped else piece))
        number += 1
    return b"".join(out)


VALID = b'\n[ {"a":1}\n,\r\n{"b":2} ,3\t,\n[4] ]\n'


@given(
    st.lists(st.integers(0, len(VALID)), max_size=8), st.sets(st.integers(0, 3)), st.sets(st.integers(0, 3))
)
def test_an_array_stays_one_whatever_leaves_of_it(cuts: list[int], dropped: set[int], own: set[int]) -> None:
    pieces = split(cut(VALID, cuts))
    out = joined(pieces, dropped, own_before=own)
    expected = []
    for number, element in enumerate([{"a": 1}, {"b": 2}, 3, [4]]):
        expected += ["own"] * (number in own) + [element] * (number not in dropped)
    assert json.loads(out) == expected
    assert out == joined(split([VALID]), dropped, own_before=own)
    assert dropped or own or out == VALID


def test_a_comma_waits_for_what_follows_it_and_white_space_before_it_does_not() -> None:
    joint = ArrayJoint()
    assert [joint.between(b"["), joint.element(b"1"), joint.between(b"\n")] == [b"[", b"1", b"\n"]
    assert [joint.between(b","), joint.between(b"\r\n")] == [b"", b""]
    assert joint.own(b"2") == b",2", "no line end that an array on one line did not have"
    assert joint.element(b"3") == b",\r\n3"
    assert joint.close() == b"]"
    assert [joint.close(), joint.own(b"4")] == [b"", b""]


def test_what_waits_can_leave_as_it_came_and_the_array_stays_one() -> None:
    """Catches a comma that is lost, or that leads an array, where the rest leaves unread."""
    joint = ArrayJoint()
    assert [joint.between(b"["), joint.element(b""), joint.between(b","), joint.between(b"\n")] == [
        b"[",
        b"",
        b"",
        b"",
    ]
    assert joint.held == b"\n"
    assert [joint.element(b"2"), joint.between(b",")] == [b"\n2", b""]
    assert joint.held == b","


def test_what_stood_between_elements_that_went_does_not_tell_how_many_they_were() -> None:
    outs = []
    for gone in (1, 9):
        pieces = split([b"[1" + b"\n,\r\n2" * gone + b"\n,\r\n3\n]"])
        outs.append(joined(pieces, set(range(1, gone + 1))))
    assert outs == [b"[1\n,\r\n3\n]"] * 2


def test_what_ends_before_it_began_is_an_array_too() -> None:
    joint = ArrayJoint()
    assert joint.own(write_element(b"{}", eol=b"")) + joint.close() == b"[{}]"


def test_blanks_without_end_are_refused() -> None:
    joint = ArrayJoint()
    joint.between(b",")
    with pytest.raises(WireError):
        for _ in range(20):
            joint.between(b" " * (1 << 20))
