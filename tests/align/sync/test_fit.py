from __future__ import annotations

import numpy as np
import pytest

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
