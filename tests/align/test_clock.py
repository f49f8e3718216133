from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorloom.align.clock import ClockMap

TIMES = st.integers(1_400_000_000 * 10**9, 1_400_086_400 * 10**9)
MAPS = st.builds(
    ClockMap,
    source=st.just("a"),
    target=st.just("b"),
    offset_ns=st.integers(-(10**15), 10**15),
    drift_ppm=st.floats(-200, 200),
    reference_ns=TIMES,
)


@given(MAPS, TIMES)
def test_a_round_trip_returns_within_a_nanosecond(clock, time):
    assert abs(clock.inverse().apply(clock.apply(time)) - time) <= 1


@given(MAPS, MAPS, TIMES)
def test_a_chain_is_one_map_after_the_other(first, second, time):
    second = ClockMap("b", "c", second.offset_ns, second.drift_ppm, second.reference_ns)
    # The second drift acts on an elapsed time of up to 11 days, carried as float64: some tens of nanoseconds.
    assert abs(first.then(second).apply(time) - second.apply(first.apply(time))) <= 64


@given(MAPS, st.lists(TIMES, min_size=1, max_size=5))
def test_arrays_and_numbers_agree(clock, times):
    assert clock.apply(np.array(times, np.int64)).tolist() == [clock.apply(time) for time in times]


def test_without_drift_a_map_is_exact_at_any_distance():
    clock = ClockMap("a", "b", offset_ns=7)
    assert clock.apply(2**62) == 2**62 + 7


def test_drift_counts_from_the_reference():
    clock = ClockMap("a", "b", offset_ns=5, drift_ppm=100.0, reference_ns=10**9)
    assert clock.apply(10**9) == 10**9 + 5
    assert clock.apply(2 * 10**9) == 2 * 10**9 + 5 + 100_000


def test_clocks_that_do_not_meet_cannot_be_chained():
    with pytest.raises(ValueError, match="cannot chain a→b with c→d: clocks differ"):
        ClockMap("a", "b").then(ClockMap("c", "d"))
