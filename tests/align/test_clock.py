from __future__ import annotations

from itertools import pairwise

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
BENT_TIMES = st.integers(100_000 * 10**9, 102_000 * 10**9)


@st.composite
def bent_maps(draw, source="a", target="b"):
    """Maps with knots that drift by up to 1000 ppm, about a day after the clocks' zeros (1e14 ns)."""
    spans = draw(st.lists(st.integers(1_000_000, 400 * 10**9), min_size=0, max_size=6))
    gains = draw(st.lists(st.floats(-1e-3, 1e-3), min_size=len(spans), max_size=len(spans)))
    knot = (draw(BENT_TIMES), draw(BENT_TIMES))
    knots = [knot]
    for span, gain in zip(spans, gains, strict=True):
        knot = (knot[0] + span, knot[1] + span + round(span * gain))
        knots.append(knot)
    drift = draw(st.floats(-1000, 1000))
    offset = knots[0][1] - knots[0][0]
    return ClockMap(source, target, offset, drift, knots[0][0], knots=tuple(knots))


def exact_ns(clock: ClockMap, time: int) -> float:
    """What a map with knots says, in whole numbers but for the last division; slow and plain."""
    knots = clock.knots
    for (s, t), (next_s, next_t) in pairwise(knots):
        if s <= time <= next_s:
            return t + (time - s) * (next_t - t) / (next_s - s) if time != s else t
    s, t = knots[0] if time < knots[0][0] else knots[-1]
    return t + (time - s) + (time - s) * clock.drift_ppm / 1e6


@given(MAPS, TIMES)
def test_a_round_trip_returns_within_a_nanosecond(clock, time):
    assert abs(clock.inverse().apply(clock.apply(time)) - time) <= 1


@given(bent_maps(), BENT_TIMES)
def test_a_round_trip_through_knots_returns_within_a_nanosecond(clock, time):
    assert abs(clock.inverse().apply(clock.apply(time)) - time) <= 1


@given(bent_maps(), BENT_TIMES)
def test_knots_are_met_exactly_and_lines_between_them_to_the_nanosecond(clock, time):
    assert [clock.apply(source) for source, _ in clock.knots] == [target for _, target in clock.knots]
    s, t = clock.knots[0]
    assert abs((clock.apply(time) - t) - (exact_ns(clock, time) - t)) <= 32  # float64 at 1e14 ns, in the test
    near = s + time % 1_000_000
    assert abs((clock.apply(near) - t) - (exact_ns(clock, near) - t)) <= 16


def test_between_knots_no_nanosecond_is_lost_at_a_day():
    start = 10**14
    clock = ClockMap("a", "b", knots=((start, 7), (start + 10**12, 7 + 10**12 + 10**9)))
    for away in (1, 999, 1000, 123_456_789_000, 10**12 - 1000):
        assert clock.apply(start + away) == 7 + away + round(away / 1000)


def test_beyond_the_knots_the_drift_goes_on():
    clock = ClockMap("a", "b", drift_ppm=100.0, knots=((10**9, 0), (2 * 10**9, 10**9 + 5_000_000)))
    assert clock.apply(0) == -(10**9) - 100_000
    assert clock.apply(3 * 10**9) == 2 * 10**9 + 5_000_000 + 100_000


@given(bent_maps(), st.lists(BENT_TIMES, min_size=2, max_size=20, unique=True))
def test_time_never_runs_backwards(clock, times):
    mapped = clock.apply(np.array(sorted(times), np.int64))
    assert (np.diff(mapped) >= 0).all()


@given(MAPS, MAPS, TIMES)
def test_a_chain_is_one_map_after_the_other(first, second, time):
    second = ClockMap("b", "c", second.offset_ns, second.drift_ppm, second.reference_ns)
    # The second drift acts on an elapsed time of up to 11 days, carried as float64: some tens of nanoseconds.
    assert abs(first.then(second).apply(time) - second.apply(first.apply(time))) <= 64


@given(bent_maps(), bent_maps("b", "c"), BENT_TIMES)
def test_a_chain_bends_wherever_either_map_does(first, second, time):
    assert abs(first.then(second).apply(time) - second.apply(first.apply(time))) <= 4


@given(
    bent_maps(), st.builds(ClockMap, st.just("b"), st.just("c"), st.integers(-(10**12), 10**12)), BENT_TIMES
)
def test_an_offset_may_follow_knots(first, second, time):
    assert first.then(second).apply(time) == first.apply(time) + second.offset_ns


@given(st.one_of(MAPS, bent_maps()), st.lists(TIMES, min_size=1, max_size=5))
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


@pytest.mark.parametrize("second", [(5, 9), (4, 9), (9, 5), (9, 4)])
def test_knots_that_do_not_increase_are_refused(second):
    with pytest.raises(
        ValueError, match=r"clock map a→b: knots must increase on both clocks, .* follows \(5, 5\) ns"
    ):
        ClockMap("a", "b", knots=((5, 5), second))
