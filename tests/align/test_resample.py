from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorloom.align.errors import SettingsError
from sensorloom.align.resample import ResampleSettings, find_present, resample
from sensorloom.align.timeline import GRID_STEP_NS, Grid, Quality
from sensorloom.ingest.take import Interval

EPOCH_NS = 1_435_993_159_412_000_000
MS = 1_000_000
EDGE = 200  # grid samples (1 s) left out where a test speaks of what holds away from edges


def stamps(
    rate_hz: float, seconds: float = 12.0, start_ns: int = EPOCH_NS, jitter: float = 0.0
) -> np.ndarray:
    count = round(seconds * rate_hz)
    shift = np.random.default_rng(3).uniform(-jitter, jitter, count) if jitter else np.zeros(count)
    return start_ns + np.rint((np.arange(count) + shift) / rate_hz * 1e9).astype(np.int64)


def tone(times: np.ndarray, freq_hz: float) -> np.ndarray:
    angle = 2 * np.pi * freq_hz * (times - EPOCH_NS) / 1e9
    return np.stack((np.cos(angle), np.sin(angle)), axis=1).astype(np.float32)


def run(times, values, breaks=(), retimed=None, **how):
    grid = Grid.covering(int(times[0]), int(times[-1]))
    marks = np.zeros(len(times), np.bool_) if retimed is None else retimed
    out, quality = resample(times, values, marks, grid, ResampleSettings(**how), breaks)
    return grid, out, quality


def grid_times(grid: Grid) -> np.ndarray:
    return grid.start_ns + GRID_STEP_NS * np.arange(grid.num_samples)


def response(times, freq_hz, **how) -> np.ndarray:
    """Complex gain at every output away from the edges: 1 for a tone that passes unchanged."""
    grid, out, _ = run(times, tone(times, freq_hz), **how)
    true = tone(grid_times(grid), freq_hz).astype(np.float64)
    gain = (out[:, 0] + 1j * out[:, 1]) / (true[:, 0] + 1j * true[:, 1])
    return gain[EDGE:-EDGE]


@pytest.mark.parametrize("share", [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8])
@pytest.mark.parametrize("rate_hz", [50, 49.95, 60, 100, 200, 795.8, 800, 1000])
def test_a_sine_in_the_pass_band_keeps_amplitude_and_phase(rate_hz, share):
    gain = response(stamps(rate_hz), share * min(rate_hz, 200) / 2)
    assert np.abs(np.abs(gain) - 1).max() < 1e-3
    assert np.abs(np.angle(gain)).max() < 1e-3


@pytest.mark.parametrize("freq_hz", [120, 121, 135, 160, 199, 250, 333, 399])
@pytest.mark.parametrize("rate_hz", [800, 1000])
def test_a_tone_above_the_stop_band_edge_falls_by_60_db(rate_hz, freq_hz):
    assert np.abs(response(stamps(rate_hz), freq_hz)).max() < 1e-3


@pytest.mark.parametrize("rate_hz", [50, 100])
def test_images_of_a_rising_rate_fall_by_60_db(rate_hz):
    times = stamps(rate_hz)
    _, out, _ = run(times, tone(times, 0.8 * rate_hz / 2))
    clean = out[EDGE:-EDGE, 0] * np.kaiser(len(out) - 2 * EDGE, 20)
    power = np.abs(np.fft.rfft(clean))
    above = np.fft.rfftfreq(len(clean), 1 / 200) > 1.2 * rate_hz / 2
    assert power[above].max() < 1e-3 * power.max()


def test_a_chirp_follows_its_formula():
    times = stamps(100, 20)
    seconds = (times - EPOCH_NS) / 1e9
    grid, out, _ = run(times, np.sin(2 * np.pi * seconds**2)[:, None].astype(np.float32))  # 0 … 40 Hz
    at = (grid_times(grid) - EPOCH_NS) / 1e9
    assert np.abs(out[:, 0] - np.sin(2 * np.pi * at**2))[EDGE:-EDGE].max() < 1e-3


@pytest.mark.parametrize("rate_hz", [33.3, 49.95, 50, 100, 1000])
@pytest.mark.parametrize("how", ["band_limited", "linear"])
def test_a_constant_stays_that_constant_up_to_the_edges(rate_hz, how):
    times = stamps(rate_hz, 3)
    _, out, quality = run(times, np.full((len(times), 3), 9.81, np.float32), upsampling=how)
    assert np.abs(out - 9.81).max() < 1e-5
    assert (quality == Quality.VALID).all()


@pytest.mark.parametrize("rate_hz", [50, 100, 800, 1000])
def test_a_line_stays_a_line_up_to_the_edges(rate_hz):
    times = stamps(rate_hz, 3)
    grid, out, _ = run(times, ((times - EPOCH_NS) / 1e9)[:, None].astype(np.float32))
    assert np.abs(out[:, 0] - (grid_times(grid) - EPOCH_NS) / 1e9).max() < 1e-4


@pytest.mark.parametrize("rate_hz", [49.95, 50, 100, 1000])
def test_a_shift_by_whole_steps_shifts_the_output(rate_hz):
    times = stamps(rate_hz, 4)
    values = np.random.default_rng(0).normal(size=(len(times), 3)).astype(np.float32)
    grid, out, quality = run(times, values)
    moved_grid, moved, moved_quality = run(times + 7 * GRID_STEP_NS, values)
    assert moved_grid.start_ns == grid.start_ns + 7 * GRID_STEP_NS
    assert np.abs(moved - out).max() < 1e-6
    assert np.array_equal(moved_quality, quality)


@pytest.mark.parametrize("jitter", [0.0, 0.05, 0.4])
def test_resampling_is_linear_in_the_values(jitter):
    times = stamps(50, 4, jitter=jitter)
    one, other = np.random.default_rng(0).normal(size=(2, len(times), 3)).astype(np.float32)
    together = run(times, 2 * one - 3 * other)[1]
    assert np.abs(together - (2 * run(times, one)[1] - 3 * run(times, other)[1])).max() < 1e-4


def test_columns_do_not_see_each_other():
    times = stamps(100, 4)
    values = np.random.default_rng(0).normal(size=(len(times), 6)).astype(np.float32)
    assert np.abs(run(times, values)[1][:, 3:] - run(times, values[:, 3:].copy())[1]).max() < 1e-6


def test_the_fast_road_agrees_with_a_direct_sum_in_float64():
    times = stamps(100, 2)
    values = np.random.default_rng(1).normal(size=(len(times), 1)).astype(np.float32)
    grid, out, _ = run(times, values)
    half, beta = 12, 0.1102 * (76.0 - 8.7)
    padded = np.concatenate((2 * values[:1] - values[40:0:-1], values, 2 * values[-1:] - values[-2:-42:-1]))
    rows = np.arange(-40, len(values) + 40)
    for index in range(0, grid.num_samples, 7):
        away = (grid.start_ns + index * GRID_STEP_NS - times[0]) / 1e7 - rows
        window = np.i0(beta * np.sqrt(np.clip(1 - (away / half) ** 2, 0, None))) * (np.abs(away) < half)
        weights = np.sinc(away) * window
        assert abs(out[index, 0] - (weights @ padded[:, 0].astype(np.float64)) / weights.sum()) < 1e-5


def test_the_linear_mode_answers_as_stated():
    times = stamps(50, start_ns=EPOCH_NS - 2 * MS)
    for share in (0.1, 0.4, 0.8):
        freq = share * 25
        mean = response(times, freq, upsampling="linear").mean().real
        # Four outputs per interval: the mean over the phases 0, ¼, ½, ¾ instead of the integral over all.
        phases = np.arange(4) / 4
        angle = 2 * np.pi * freq / 50
        exact = np.mean(((1 - phases) + phases * np.exp(1j * angle)) * np.exp(-1j * angle * phases)).real
        assert abs(mean - exact) < 1e-3
        assert abs(mean - np.sinc(freq / 50) ** 2) < 0.03


def test_linear_mode_still_filters_a_falling_rate():
    assert np.abs(response(stamps(1000), 150, upsampling="linear")).max() < 1e-3


def test_jittered_aria_like_stamps_keep_a_sine():
    steps = np.random.default_rng(0).integers(938_000, 1_062_000, 12_000)
    times = EPOCH_NS + np.cumsum(steps)
    for freq in (5, 20, 40, 60, 80):
        gain = response(times, freq)
        assert abs(gain.mean() - 1) < 1e-3
        assert np.sqrt(np.mean(np.abs(gain - 1) ** 2)) < 2e-3
    assert np.abs(response(times, 150)).max() < 5e-3


@pytest.mark.parametrize(("jitter", "bound"), [(0.03, 0.01), (0.06, 0.015)])
def test_mild_jitter_at_50_hz_keeps_a_sine(jitter, bound):
    for share in (0.1, 0.4, 0.8):
        gain = response(stamps(50, 30, jitter=jitter), share * 25)
        assert abs(gain.mean() - 1) < 1e-3
        assert np.sqrt(np.mean(np.abs(gain - 1) ** 2)) < bound


def test_heavy_jitter_falls_back_to_the_linear_response():
    times = stamps(50, 60, jitter=0.45)
    for freq in (2.5, 5.0, 10.0):
        assert abs(response(times, freq).mean().real - np.sinc(freq / 50) ** 2) < 0.05


def test_a_gap_stays_a_gap():
    times = stamps(100, 10)
    times = np.delete(times, slice(400, 450))
    grid, out, quality = run(times, tone(times, 3.0))
    inside = (grid_times(grid) > times[399]) & (grid_times(grid) < times[400])
    assert (quality[inside] == Quality.INVALID).all()
    assert (out[inside] == 0).all()
    assert (quality[~inside] == Quality.VALID).all()


def test_nothing_is_filtered_across_a_gap():
    times = np.delete(stamps(100, 10), slice(400, 415))
    values = np.where(np.arange(len(times))[:, None] < 400, 1.0, -50.0).astype(np.float32)
    _, out, quality = run(times, values)
    assert set(np.round(out[quality == Quality.VALID, 0], 4)) == {1.0, -50.0}


def test_missing_rows_behave_as_absent_ones():
    times = stamps(100, 10)
    values = tone(times, 3.0)
    values[400:415] = np.nan
    kept = ~np.isnan(values[:, 0])
    with_nan, absent = run(times, values), run(times[kept], values[kept])
    assert np.array_equal(with_nan[2], absent[2])
    assert np.abs(with_nan[1] - absent[1]).max() < 1e-6


def test_a_short_loss_is_bridged_and_marked():
    times = stamps(100, 10, start_ns=0)
    values = np.full((len(times), 3), 2.0, np.float32)
    values[500:505, 1] = np.nan
    _, out, quality = run(times, values)
    assert np.flatnonzero(quality == Quality.INTERPOLATED).tolist() == list(range(2 * 499 + 1, 2 * 505))
    assert (quality != Quality.INVALID).all()
    assert np.abs(out - 2).max() < 1e-5


def test_the_gap_limit_is_the_settings():
    times = stamps(100, 10, start_ns=0)
    values = np.full((len(times), 1), 2.0, np.float32)
    values[500:505] = np.nan
    quality = run(times, values, max_gap_ms=59.9)[2]
    assert (quality[2 * 499 + 1 : 2 * 505] == Quality.INVALID).all()
    assert (run(times, values, max_gap_ms=60.0)[2] != Quality.INVALID).all()


def test_dropped_rows_are_interpolated_like_missing_ones():
    times = stamps(100, 10, start_ns=0)
    keep = np.ones(len(times), np.bool_)
    keep[[300, 500, 501]] = False
    quality = run(times[keep], tone(times, 2.0)[keep])[2]
    marked = [*range(2 * 299 + 1, 2 * 301), *range(2 * 499 + 1, 2 * 502)]
    assert np.flatnonzero(quality == Quality.INTERPOLATED).tolist() == marked


def test_outputs_next_to_retimed_samples_say_so():
    times = stamps(100, 4, start_ns=0)
    retimed = np.zeros(len(times), np.bool_)
    retimed[100:110] = True
    quality = run(times, tone(times, 2.0), retimed=retimed)[2]
    assert np.flatnonzero(quality == Quality.RETIMED).tolist() == list(range(2 * 99 + 1, 2 * 110))


def test_a_break_splits_and_its_samples_are_invalid():
    times = stamps(100, 10, start_ns=0)
    values = np.where(times[:, None] < 4_500_000_000, 1.0, -50.0).astype(np.float32)
    _, out, quality = run(times, values, breaks=(Interval(4_000_000_000, 5_000_000_000),))
    assert (quality[799:1000] == Quality.INVALID).all()
    assert (quality[:799] == Quality.VALID).all()
    assert (quality[1000:] == Quality.VALID).all()
    assert np.abs(out[:799] - 1).max() < 1e-5
    assert np.abs(out[1000:] + 50).max() < 1e-4


def test_an_empty_break_splits_without_dropping_a_sample():
    times = stamps(100, 10, start_ns=0)
    values = np.where(times[:, None] < 5_000_000_000, 1.0, -50.0).astype(np.float32)
    _, out, quality = run(times, values, breaks=(Interval(5_000_000_000, 5_000_000_000),))
    assert (quality == Quality.INVALID).sum() == 1
    assert set(np.round(out[quality == Quality.VALID, 0], 4)) == {1.0, -50.0}


def test_short_segments_and_tiny_inputs_work():
    for count in (0, 1, 2, 7, 8, 9):
        times = np.arange(count, dtype=np.int64) * 10 * MS
        grid = Grid(0, 40)
        out, quality = resample(
            times, np.ones((count, 3), np.float32), np.zeros(count, np.bool_), grid, ResampleSettings()
        )
        covered = max(0, 2 * count - 1)
        assert (quality == Quality.VALID).sum() == covered
        assert np.abs(out[:covered] - 1).max(initial=0) < 1e-6
        assert (out[covered:] == 0).all()


def test_a_wholly_missing_sensor_is_invalid_throughout():
    times = stamps(100, 2)
    _, out, quality = run(times, np.full((len(times), 3), np.nan, np.float32))
    assert (quality == Quality.INVALID).all()
    assert (out == 0).all()


def test_infinite_values_count_as_missing():
    values = np.zeros((3, 2), np.float32)
    values[1] = np.inf, -np.inf
    assert find_present(values).tolist() == [True, False, True]


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_usable_outputs_lie_only_between_samples_closer_than_the_limit(data):
    steps = data.draw(st.lists(st.integers(5, 180), min_size=2, max_size=60))
    times = EPOCH_NS + np.cumsum(np.array(steps, np.int64)) * MS
    values = data.draw(st.sampled_from([1.0, -9.8])) * np.ones((len(times), 1), np.float32)
    grid, out, quality = run(times, values)
    for at, value, code in zip(grid_times(grid), out[:, 0], quality, strict=True):
        right = int(np.searchsorted(times, at))
        near = times[right] == at or times[right] - times[right - 1] <= 100 * MS
        assert (code != Quality.INVALID) == near
        assert abs(value - (values[0, 0] if near else 0)) < 1e-4


def test_stamps_that_do_not_increase_are_refused():
    times = np.array([0, 10, 10], np.int64)
    with pytest.raises(ValueError, match=r"row 2 at 10 ns follows 10 ns; re-time them first"):
        resample(times, np.zeros((3, 1), np.float32), np.zeros(3, np.bool_), Grid(0, 1), ResampleSettings())


def test_arrays_are_not_coerced():
    with pytest.raises(TypeError, match="values must be float32, got float64"):
        resample(
            np.zeros(1, np.int64), np.zeros((1, 1)), np.zeros(1, np.bool_), Grid(0, 1), ResampleSettings()
        )


def test_settings_outside_their_range_are_refused():
    with pytest.raises(SettingsError, match=r"max_gap_ms must lie in 0 … 60000 ms, got -1"):
        ResampleSettings(max_gap_ms=-1)
    with pytest.raises(SettingsError, match="upsampling must be 'band_limited' or 'linear', got 'cubic'"):
        ResampleSettings(upsampling="cubic")
