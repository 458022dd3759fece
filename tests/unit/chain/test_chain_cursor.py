"""Cursors of the event follower."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from steelyard.chain.follower import REMEMBERED_BLOCKS, Cursor


@given(st.integers(-1, 10**9), st.lists(st.tuples(st.integers(0, 10**9), st.text("0123456789abcdef"))))
def test_a_cursor_survives_being_stored(origin: int, seen: list[tuple[int, str]]) -> None:
    cursor = Cursor(origin, tuple(seen))
    assert Cursor.load(cursor.dump()) == cursor


def test_a_cursor_remembers_a_bounded_number_of_blocks() -> None:
    cursor = Cursor.before(0)
    for number in range(REMEMBERED_BLOCKS + 50):
        cursor = cursor.advanced_to(number, f"0x{number}")
    assert len(cursor.seen) == REMEMBERED_BLOCKS
    assert cursor.number == REMEMBERED_BLOCKS + 49
    assert cursor.without_last().number == REMEMBERED_BLOCKS + 48


def test_a_cursor_with_everything_rolled_back_is_at_its_origin() -> None:
    cursor = Cursor.before(7).advanced_to(7, "0x7")
    assert cursor.without_last().number == 6
