"""Values made ahead of the consumer, and by it where it would wait."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator
from contextlib import closing
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorloom.training.streaming.lookahead import Lookahead
from sensorloom.training.streaming.prefetch import prefetched

HELPING = pytest.mark.parametrize("helping", [False, True])


def workers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("sensorloom-stream")]


def is_consumer() -> bool:
    return threading.current_thread() is threading.main_thread()


@given(
    threads=st.integers(1, 4),
    helping=st.booleans(),
    count=st.integers(0, 12),
    bad=st.sets(st.integers(0, 12), max_size=3),
    taken=st.integers(0, 13),
)
def test_values_come_in_order_and_an_error_where_its_value_would_have(
    threads: int, helping: bool, count: int, bad: set[int], taken: int
) -> None:
    def make(key: int) -> int:
        if key in bad:
            raise OSError(f"the disk went away at {key}")
        return key * key

    first_bad = min((key for key in bad if key < count), default=count)
    values = prefetched(make, range(count), threads=threads, helping=helping)
    assert list(islice(values, min(taken, first_bad))) == [key * key for key in range(min(taken, first_bad))]
    if taken > first_bad:
        if first_bad < count:
            with pytest.raises(OSError, match=f"the disk went away at {first_bad}"):
                next(values)
        else:
            assert list(values) == []
    values.close()
    assert not workers()


@HELPING
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_an_error_of_the_keys_comes_after_the_values_before_it(threads: int, helping: bool) -> None:
    def keys() -> Iterator[int]:
        yield from range(5)
        raise OSError("the list ended")

    values = prefetched(str, keys(), threads=threads, helping=helping)
    assert list(islice(values, 5)) == ["0", "1", "2", "3", "4"]
    with pytest.raises(OSError, match="the list ended"):
        next(values)
    assert not workers()


@HELPING
@pytest.mark.parametrize("is_lasting", [False, True])
@pytest.mark.parametrize("step", [0, 1, 2, 3])
def test_keys_that_wait_for_the_values_before_them_get_these(
    step: int, is_lasting: bool, helping: bool
) -> None:
    """A shard that does not come is tried again once nobody works on the steps before."""
    tries: list[int] = []

    def fetch(shard: int) -> None:
        tries.append(shard)
        if shard == step and (is_lasting or tries.count(shard) == 1):
            raise OSError("the network went away")

    def tell(number: int) -> int:
        lookahead.reach(number)
        return number

    def make(number: int) -> int:
        lookahead.finish(number)
        return number

    needs = [np.array([number]) for number in range(6)]
    with (
        closing(Lookahead(needs, fetch, lambda shard: None, ahead=1)) as lookahead,
        closing(prefetched(make, map(tell, range(6)), threads=2, helping=helping)) as values,
    ):
        assert list(islice(values, step)) == [*range(step)]
        if is_lasting:
            with pytest.raises(OSError, match="the network went away"):
                next(values)
        else:
            assert list(values) == [*range(step, 6)]


def test_a_consumer_that_would_wait_makes_values_itself() -> None:
    helped = threading.Event()

    def make(key: int) -> int:
        if is_consumer():
            helped.set()
        elif key:
            assert helped.wait(60)  # nothing comes of the other thread before
        return key

    assert list(prefetched(make, range(9), threads=1, helping=True)) == [*range(9)]
    assert helped.is_set()


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_go_ahead_and_the_consumer_makes_nothing_unasked(threads: int) -> None:
    ahead = threading.Event()

    def make(key: int) -> int:
        assert not is_consumer()
        if key == 2:
            ahead.set()
        return key

    values = prefetched(make, range(9), threads=threads)
    assert [next(values), next(values)] == [0, 1]
    assert ahead.wait(60)  # while nobody asks for it
    assert list(values) == [*range(2, 9)]


def test_an_interrupt_of_a_consumer_that_helps_stops_at_once() -> None:
    interrupted = threading.Event()

    def make(key: int) -> int:
        if is_consumer():
            interrupted.set()
            raise KeyboardInterrupt
        assert not key or interrupted.wait(60)
        return key

    with pytest.raises(KeyboardInterrupt):
        list(prefetched(make, range(9), threads=1, helping=True))
    assert not workers()


def test_an_error_keeps_no_value_once_it_is_forgotten() -> None:
    """Not even until the garbage collector runs: values are batches, and somebody may try again."""

    class Value:
        """Something that can be referred to weakly."""

    made: list[weakref.ref[Value]] = []
    raised = threading.Event()

    def make(key: int) -> Value:
        if key and is_consumer():
            raised.set()
            raise OSError("the disk went away")
        assert not key or raised.wait(60)
        value = Value()
        made.append(weakref.ref(value))
        return value

    gc.disable()
    try:
        with pytest.raises(OSError, match="went away") as caught:
            list(prefetched(make, range(9), threads=1, helping=True))
        del caught
        assert not [value for value in made if value() is not None]
    finally:
        gc.enable()
