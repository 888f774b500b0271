"""Numbers of frames: none is left out, none comes twice."""

from __future__ import annotations

from hardening.numbers import Numbers


def test_nothing_changes_until_a_frame_goes_or_is_added() -> None:
    numbers = Numbers()
    assert [numbers.left(came) for came in (4, 5, 9, 9)] == [4, 5, 9, 9]


def test_what_went_is_closed_up_and_what_is_added_is_counted() -> None:
    numbers = Numbers()
    assert numbers.left(0) == 0
    for came in (1, 2, 3):
        numbers.went(came)
    assert (numbers.left(4), numbers.added(), numbers.added(), numbers.left(5)) == (1, 2, 3, 4)


def test_a_stream_that_goes_on_begins_where_it_goes_on() -> None:
    numbers = Numbers()
    numbers.went(7)
    assert numbers.left(8) == 7


def test_the_first_number_begins_anew() -> None:
    numbers = Numbers()
    numbers.left(0)
    numbers.went(1)
    assert (numbers.left(2), numbers.left(0), numbers.left(1)) == (1, 0, 1)
