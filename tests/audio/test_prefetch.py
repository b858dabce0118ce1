"""Items made ahead, in another thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speakerdiar.audio.prefetch import prefetched


@given(st.lists(st.integers(), max_size=20), st.integers(1, 4))
def test_items_come_in_order(items: list[int], ahead: int) -> None:
    assert list(prefetched(items, ahead)) == items


def test_no_more_than_asked_for_are_made_ahead() -> None:
    made: list[int] = []
    third = threading.Event()

    def source() -> Iterator[int]:
        for number in range(10):
            made.append(number)
            if number == 3:
                third.set()
            yield number

    items = prefetched(source(), ahead=2)
    assert next(items) == 0
    assert third.wait(10)  # one taken, two waiting, one in hand
    assert made == [0, 1, 2, 3]
    items.close()  # type: ignore[attr-defined]


def test_errors_come_at_their_place() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise KeyError("two")

    items = prefetched(source())
    assert next(items) == 1
    with pytest.raises(KeyError, match="two"):
        next(items)


def test_closing_ends_the_thread_and_closes_the_source() -> None:
    closed = threading.Event()

    def source() -> Iterator[int]:
        try:
            yield from range(1000)
        finally:
            closed.set()

    items = prefetched(source(), ahead=1)
    next(items)
    items.close()  # type: ignore[attr-defined]
    assert closed.is_set()
    assert not [thread for thread in threading.enumerate() if thread.name == "speakerdiar-prefetch"]
