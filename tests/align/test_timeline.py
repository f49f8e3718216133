from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorloom.align.runs import find_runs, mark_ranges
from sensorloom.align.timeline import GRID_STEP_NS, AlignedTake, Grid, ImuTrack


@given(st.integers(-(10**12), 10**12), st.integers(0, 10**10))
def test_a_covering_grid_holds_every_instant_and_no_other(first, length):
    grid = Grid.covering(first, first + length)
    assert first <= grid.start_ns < first + GRID_STEP_NS
    assert (
        grid.start_ns + (grid.num_samples - 1) * GRID_STEP_NS <= first + length < grid.stop_ns
        or grid.num_samples == 0
    )


@given(st.integers(-(10**9), 10**9), st.integers(-1000, 1000))
def test_the_index_is_the_first_instant_at_or_after(time, start):
    grid = Grid(start * GRID_STEP_NS, 10)
    at = grid.start_ns + grid.index(time) * GRID_STEP_NS
    assert time <= at < time + GRID_STEP_NS


@given(st.lists(st.booleans(), max_size=40))
def test_runs_rebuild_their_mask(bits):
    mask = np.array(bits, np.bool_)
    starts, stops = find_runs(mask)
    assert (starts < stops).all()
    assert (stops[:-1] < starts[1:]).all()
    assert np.array_equal(mark_ranges(len(mask), starts, stops), mask)


def test_ranges_may_leave_the_array_be_empty_or_overlap():
    marked = mark_ranges(6, np.array([-3, 2, 3, 5, 9]), np.array([1, 4, 3, 99, 12]))
    assert marked.tolist() == [True, False, True, True, False, True]


def test_a_grid_off_its_step_is_refused():
    with pytest.raises(ValueError, match="a grid starts on a multiple of 5000000 ns, got 3 ns"):
        Grid(3, 1)
    with pytest.raises(ValueError, match="a grid cannot have -1 samples"):
        Grid(0, -1)


def test_a_track_must_fit_the_grid():
    track = ImuTrack("chest", "imu", np.zeros((4, 6), np.float32), np.zeros((4, 2), np.uint8))
    with pytest.raises(ValueError, match="t: track chest has 4 samples, the grid 5"):
        AlignedTake("t", "d", "c", "p", None, Grid(0, 5), (track,))
    with pytest.raises(ValueError, match=r"chest.quality must have shape \[4, 2\], got \[3, 2\]"):
        ImuTrack("chest", "imu", np.zeros((4, 6), np.float32), np.zeros((3, 2), np.uint8))
