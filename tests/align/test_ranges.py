"""Counts and runs inside ranges agree with a slow look at each."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorloom.align.ranges import Ranges


def slow_longest(mask, start, stop):
    best = length = 0
    for value in mask[start:stop]:
        length = length + 1 if value else 0
        best = max(best, length)
    return best


@settings(deadline=None, max_examples=200)
@given(
    mask=st.lists(st.booleans(), max_size=60),
    bounds=st.lists(st.tuples(st.integers(-5, 70), st.integers(0, 70)), min_size=1, max_size=12),
)
def test_what_a_range_holds_is_what_a_slow_look_finds(mask, bounds):
    mask = np.array(mask, np.bool_)
    starts = np.array([start for start, _ in bounds], np.int64)
    ranges = Ranges.inside(starts, starts + np.array([size for _, size in bounds], np.int64), len(mask))
    cut = [(max(0, min(start, len(mask))), max(0, min(start + size, len(mask)))) for start, size in bounds]
    parts = [mask[start:stop] for start, stop in cut]
    assert ranges.sizes.tolist() == [len(part) for part in parts]
    assert ranges.count(mask).tolist() == [int(part.sum()) for part in parts]
    assert ranges.total(np.arange(len(mask)) * mask).tolist() == [
        sum(range(start, stop)[place] for place in np.flatnonzero(mask[start:stop])) for start, stop in cut
    ]
    assert ranges.longest(mask).tolist() == [slow_longest(mask, start, stop) for start, stop in cut]


def test_runs_too_short_to_count_are_none():
    mask = np.array([1, 1, 0, 1, 1, 1, 0], np.bool_)
    ranges = Ranges.inside(np.array([0, 4]), np.array([7, 7]), 7)
    assert ranges.longest(mask).tolist() == [3, 2]
    assert ranges.longest(mask, 3).tolist() == [3, 2]
    assert ranges.longest(mask, 4).tolist() == [0, 0]


def test_the_longest_run_may_lie_between_two_others():
    mask = np.array([1, 0, 1, 1, 1, 0, 1, 0, 1], np.bool_)
    ranges = Ranges.inside(np.array([0, 0, 3, 5]), np.array([9, 4, 9, 9]), 9)
    assert ranges.longest(mask).tolist() == [3, 2, 2, 1]
