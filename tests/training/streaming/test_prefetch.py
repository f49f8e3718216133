"""Values made ahead of the consumer, and by it where it would wait."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorloom.training.streaming.prefetch import prefetched


def workers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("sensorloom-stream")]


def is_consumer() -> bool:
    return threading.current_thread() is threading.main_thread()


@given(
    threads=st.integers(1, 4),
    count=st.integers(0, 12),
    bad=st.sets(st.integers(0, 12), max_size=3),
    taken=st.integers(0, 13),
)
def test_values_come_in_order_and_an_error_where_its_value_would_have(
    threads: int, count: int, bad: set[int], taken: int
) -> None:
    def make(key: int) -> int:
        if key in bad:
            raise OSError(f"the disk went away at {key}")
        return key * key

    first_bad = min((key for key in bad if key < count), default=count)
    values = prefetched(make, range(count), threads=threads)
    assert list(islice(values, min(taken, first_bad))) == [key * key for key in range(min(taken, first_bad))]
    if taken > first_bad:
        if first_bad < count:
            with pytest.raises(OSError, match=f"the disk went away at {first_bad}"):
                next(values)
        else:
            assert list(values) == []
    values.close()
    assert not workers()


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_an_error_of_the_keys_comes_after_the_values_before_it(threads: int) -> None:
    def keys() -> Iterator[int]:
        yield from range(5)
        raise OSError("the list ended")

    values = prefetched(str, keys(), threads=threads)
    assert list(islice(values, 5)) == ["0", "1", "2", "3", "4"]
    with pytest.raises(OSError, match="the list ended"):
        next(values)
    assert not workers()


def test_a_consumer_that_would_wait_makes_values_itself() -> None:
    helped = threading.Event()

    def make(key: int) -> int:
        if is_consumer():
            helped.set()
        else:
            assert helped.wait(60)  # nothing comes of the other thread before
        return key

    assert list(prefetched(make, range(9), threads=2)) == [*range(9)]
    assert helped.is_set()


@pytest.mark.parametrize("threads", [2, 3])
def test_the_first_value_for_which_one_waits_anyway_is_the_consumers(threads: int) -> None:
    values = prefetched(lambda key: (key, is_consumer()), range(9), threads=threads)
    assert next(values) == (0, True)
    values.close()


def test_a_single_thread_is_in_the_background_and_goes_ahead() -> None:
    made: list[int] = []
    ahead = threading.Event()

    def make(key: int) -> int:
        assert not is_consumer()
        made.append(key)
        if key == 2:
            ahead.set()
        return key

    values = prefetched(make, range(9), threads=1)
    assert next(values) == 0
    assert ahead.wait(60)  # while nobody asks for it
    assert list(values) == [*range(1, 9)]
    assert made == [*range(9)]


def test_an_interrupt_of_a_consumer_that_helps_stops_at_once() -> None:
    interrupted = threading.Event()

    def make(key: int) -> int:
        if is_consumer():
            interrupted.set()
            raise KeyboardInterrupt
        assert interrupted.wait(60)
        return key

    with pytest.raises(KeyboardInterrupt):
        list(prefetched(make, range(9), threads=2))
    assert not workers()
