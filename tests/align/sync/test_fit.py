from __future__ import annotations

from dataclasses import astuple, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorloom.align.sync.fit import fit_line
from sensorloom.align.sync.segments import SegmentLag


def lags(values, sigma_ms=2.0, step_s=10.0):
    return [SegmentLag(10 + step_s * i, float(value), sigma_ms, 0.9) for i, value in enumerate(values)]


def test_a_line_without_noise_comes_back():
    line = fit_line(lags(40 + 0.5 * np.arange(30)), 155.0, 0.3)
    assert line.offset_ms == pytest.approx(40 + 0.05 * 145)
    assert line.drift_ppm == pytest.approx(50)
    assert line.jump_ms is None
    assert line.residual_ms == pytest.approx(0, abs=1e-9)
    assert line.offset_ci_ms > 0.3


def test_the_floor_holds_the_intervals_open():
    narrow, wide = (fit_line(lags(np.zeros(30), sigma_ms=1e-3), 155.0, floor) for floor in (0.0, 5.0))
    assert narrow.offset_ci_ms < 0.01
    assert wide.offset_ci_ms == pytest.approx(5.0, rel=0.01)
    assert wide.drift_ci_ppm == pytest.approx(5.0 / 290 * 1e3, rel=0.01)


def test_outliers_of_any_size_hardly_move_the_line():
    values = 40 + np.random.default_rng(0).normal(0, 2, 40)
    plain = fit_line(lags(values), 200.0, 0.3)
    values[[3, 11, 12, 30, 37]] += (120, -150, 90, 140, -100)
    line = fit_line(lags(values), 200.0, 0.3)
    assert line.offset_ms == pytest.approx(plain.offset_ms, abs=1.5)
    assert line.drift_ppm == pytest.approx(plain.drift_ppm, abs=15)
    assert line.jump_ms is None


def test_more_scatter_than_stated_widens_the_interval():
    noise = np.random.default_rng(1).normal(0, 1, 40)
    widths = [fit_line(lags(scale * noise), 200.0, 0.0).offset_ci_ms for scale in (2, 8)]
    assert widths[1] > 3 * widths[0]


def test_few_segments_claim_less_than_many():
    noise = np.random.default_rng(2).normal(0, 2, 60)
    few, many = fit_line(lags(noise[:4]), 25.0, 0.0), fit_line(lags(noise), 300.0, 0.0)
    assert few.offset_ci_ms > 2 * many.offset_ci_ms
    assert few.drift_ci_ppm > 20 * many.drift_ci_ppm


@pytest.mark.parametrize(("num", "step_s"), [(3, 20.0), (4, 5.0)])
def test_a_short_span_tells_no_drift(num, step_s):
    line = fit_line(lags(np.arange(num), step_s=step_s), 20.0, 0.3)
    assert line.drift_ppm is line.drift_ci_ppm is None
    assert line.offset_ms == pytest.approx((num - 1) / 2)


def test_the_offset_is_that_of_the_stretch_around_the_time_asked_for():
    values = np.repeat([0.0, 100.0, -60.0], (10, 12, 14)) + np.random.default_rng(3).normal(0, 1, 36)
    for at_s, offset_ms in ((50.0, 0), (150.0, 100), (300.0, -60)):
        line = fit_line(lags(values), at_s, 0.3)
        assert line.offset_ms == pytest.approx(offset_ms, abs=4)
        assert line.jump_ms == pytest.approx(-160, abs=6)


def bow(num, size_ms, turns=0.5):
    """A clock whose rate changes slowly: half a wave, or more of it, over `num` segments."""
    noise = np.random.default_rng(4).normal(0, 2, num)
    return size_ms * np.sin(2 * np.pi * turns * np.arange(num) / num) + noise


@pytest.mark.parametrize("turns", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("size_ms", [30.0, 100.0, 200.0])
def test_a_clock_that_bends_does_not_jump(size_ms, turns):
    line = fit_line(lags(bow(360, size_ms, turns)), 1810.0, 0.25)
    assert line.jump_ms is line.jump_ci_ms is None
    assert line.residual_ms > 0.1 * size_ms


@pytest.mark.parametrize("size_ms", [30.0, 100.0, 200.0])
def test_the_interval_of_a_clock_that_bends_holds_where_it_is_in_the_middle(size_ms):
    line = fit_line(lags(bow(360, size_ms)), 1810.0, 0.25)
    assert line.offset_ms == pytest.approx(size_ms, abs=line.offset_ci_ms)
    assert line.offset_ci_ms < 0.5 * size_ms
    assert line.drift_ppm == pytest.approx(0, abs=line.drift_ci_ppm)


def test_a_clock_that_bends_and_jumps_jumps():
    values = bow(360, 50)
    values[200:] += 120
    line = fit_line(lags(values), 1810.0, 0.25)
    assert line.jump_ms == pytest.approx(120, abs=60)


def test_a_jump_is_as_sure_as_the_runs_on_both_sides():
    covered, widths = [], []
    for seed in range(60):
        values = np.repeat([0.0, 200.0], (12, 12)) + np.random.default_rng(seed).normal(0, 2, 24)
        line = fit_line(lags(values), 120.0, 0.0)
        covered.append(abs(line.jump_ms - 200) <= line.jump_ci_ms)
        widths.append(line.jump_ci_ms)
    assert np.mean(covered) >= 0.9
    assert np.median(widths) < 8


def test_a_jump_among_many_segments_is_found():
    values = np.where(np.arange(1500) < 700, 0.0, 40.0) + np.random.default_rng(5).normal(0, 3, 1500)
    values[np.random.default_rng(6).integers(1500, size=150)] += 400
    assert fit_line(lags(values, sigma_ms=3.0), 7500.0, 0.3).jump_ms == pytest.approx(40, abs=3)


@pytest.mark.parametrize("spoilt", [{"lag_ms": np.nan}, {"sigma_ms": np.inf}, {"time_s": np.nan}])
def test_lags_that_are_no_numbers_are_refused(spoilt):
    rows = lags(np.zeros(8))
    rows[3] = replace(rows[3], **spoilt)
    with pytest.raises(ValueError, match="the lag of a segment or its deviation is not finite"):
        fit_line(rows, 40.0, 0.3)


@given(
    st.lists(
        st.tuples(st.floats(0, 1e4), st.floats(-1e4, 1e4), st.one_of(st.just(0.0), st.floats(1e-6, 1e6))),
        min_size=1,
        max_size=40,
        unique_by=lambda row: round(row[0], 3),
    )
)
def test_whatever_the_lags_the_line_is_finite(rows):
    line = fit_line([SegmentLag(*row, 0.5) for row in sorted(rows)], 200.0, 0.25)
    assert all(np.isfinite(value) for value in astuple(line) if value is not None)
    assert line.offset_ci_ms > 0
    assert (line.jump_ms is None) == (line.jump_ci_ms is None)


def test_scatter_is_no_jump():
    for seed in range(30):
        values = np.random.default_rng(seed).normal(0, 4, 40)
        assert fit_line(lags(values), 200.0, 0.3).jump_ms is None


def test_two_segments_at_the_end_are_no_jump():
    values = np.zeros(20)
    values[-2:] = 300
    assert fit_line(lags(values), 100.0, 0.3).jump_ms is None


@pytest.mark.parametrize("num", [5, 40])
def test_intervals_cover_the_truth_though_neighbours_share_samples(num):
    covered = []
    for seed in range(150):
        halves = np.random.default_rng(seed).normal(0, 2, num + 1)
        # Stated deviations are too wide by a quarter, the least that generated motion shows.
        line = fit_line(lags((halves[1:] + halves[:-1]) / np.sqrt(2), sigma_ms=2.5), 5.0 + 5 * num, 0.0)
        covered.append((abs(line.offset_ms) <= line.offset_ci_ms, abs(line.drift_ppm) <= line.drift_ci_ppm))
    assert np.min(np.mean(covered, axis=0)) >= 0.9
