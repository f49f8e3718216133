from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sensorloom.align.sync.estimate import estimate
from sensorloom.align.sync.signal import MotionSignal

KINDS = ["imu", "camera", "other-position", "magnitudes", "slow-magnitude"]


def measure(generated, seed, seconds, kind):
    """Estimate a pair with a random offset and drift; return it with the truth in the middle."""
    rng = np.random.default_rng(seed)
    offset_ms, drift_ppm = rng.uniform(-800, 800), rng.uniform(-150, 150)
    middle_s = seconds / 2
    first, second = generated.pair(rng, seconds, kind, shown=generated.late(offset_ms, drift_ppm, middle_s))
    return estimate(first, second, method="rotation"), offset_ms, drift_ppm


def cover(generated, seeds, seconds, kind):
    """Return shares covered and median half widths of offset (ms) and drift (ppm); every seed must be told.

    Where motion drowns in noise too few segments may be left of a minute: to tell a drift of one pair in ten at most,
    to tell anything of one in a hundred.
    """
    rows, refused = [], 0
    for seed in seeds:
        found, offset_ms, drift_ppm = measure(generated, seed, seconds, kind)
        if found.reason == "lags on no line" and kind == "other-position":
            refused += 1
            continue
        assert found.reason == "", seed
        drift = (np.nan, np.nan)
        if found.drift_ppm is not None:
            drift = abs(found.drift_ppm - drift_ppm) <= found.drift_ci_ppm, found.drift_ci_ppm
        rows.append(
            (abs(found.offset_ms - offset_ms) <= found.offset_ci_ms, drift[0], found.offset_ci_ms, drift[1])
        )
    assert refused <= 0.01 * len(seeds)
    rows = np.array(rows, np.float64)
    assert np.isnan(rows[:, 1]).mean() <= (0.1 if kind == "other-position" else 0)
    return *np.nanmean(rows[:, :2], axis=0), *np.nanmedian(rows[:, 2:], axis=0)


# Bounds of the median half widths: no more than half again what was measured, offset in ms and drift in ppm.
WIDTHS = {
    "imu": (1.4, 95),
    "camera": (6.5, 450),
    "other-position": (11, 800),
    "magnitudes": (2.4, 175),
    "slow-magnitude": (7.5, 520),
}


@pytest.mark.parametrize("kind", ["imu", "camera"])
def test_the_interval_covers_the_truth_and_is_not_wide(generated, kind):
    offset, drift, offset_width, drift_width = cover(generated, range(1000, 1040), 50, kind)
    assert min(offset, drift) >= 0.9
    assert offset_width < WIDTHS[kind][0]
    assert drift_width < WIDTHS[kind][1]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_interval_covers_the_truth_over_200_seeds(generated, kind):
    offset, drift, offset_width, drift_width = cover(generated, range(200), 60, kind)
    assert min(offset, drift) >= 0.9
    assert offset_width < WIDTHS[kind][0]
    assert drift_width < WIDTHS[kind][1]


def check_ten_minutes(generated, seed, kind, error_ms, error_ppm):
    found, offset_ms, drift_ppm = measure(generated, seed, 600, kind)
    assert abs(found.offset_ms - offset_ms) < error_ms
    assert abs(found.drift_ppm - drift_ppm) < error_ppm
    assert found.drift_ci_ppm < error_ppm
    assert found.jump_ms is None


@pytest.mark.parametrize(("kind", "error_ms", "error_ppm"), [("imu", 1, 20), ("camera", 10, 60)])
def test_ten_minutes_tell_a_drift(generated, kind, error_ms, error_ppm):
    check_ten_minutes(generated, 0, kind, error_ms, error_ppm)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "error_ms", "error_ppm"),
    [("imu", 1, 20), ("camera", 10, 60), ("magnitudes", 2, 20), ("slow-magnitude", 10, 60)],
)
def test_ten_minutes_tell_a_drift_over_ten_seeds(generated, kind, error_ms, error_ppm):
    for seed in range(10, 20):
        check_ten_minutes(generated, seed, kind, error_ms, error_ppm)


@pytest.mark.parametrize("shift_ms", [0.0, 1.7, 12.5, -437.3])
def test_a_pure_shift_by_parts_of_a_sample_comes_back(generated, shift_ms):
    rng = np.random.default_rng(3)
    body = generated.wander(rng, 40)
    first = generated.sense(body, rng, 40, 5, noise=1e-3)
    second = generated.sense(body, rng, 40, 5, noise=1e-3, shown=generated.late(shift_ms))
    found = estimate(first, second, method="rotation")
    assert found.offset_ms == pytest.approx(shift_ms, abs=0.3)
    assert all(lag.strength > 0.99 for lag in found.segments)


def test_a_wave_group_of_known_delay_needs_no_generator():
    """A chirp, delayed on paper: no noise, no rotation, no interpolation of the test's own."""
    time_s = np.arange(0, 20, 0.005)

    def signal(name, delay_s):
        shown = time_s - delay_s
        values = np.sin(2 * np.pi * (0.3 * shown + 0.08 * shown**2)) * np.exp(-(((shown - 10) / 8) ** 2))
        return MotionSignal(
            name, 0, 5_000_000, values[:, None].astype(np.float32), np.ones(len(values), np.bool_)
        )

    found = estimate(signal("a", 0.0), signal("b", 0.2335), method="energy")
    assert found.offset_ms == pytest.approx(233.5, abs=0.5)
    assert (found.first, found.second, found.method) == ("a", "b", "energy")


@pytest.mark.parametrize("kind", KINDS)
def test_swapping_the_signals_flips_the_sign(generated, kind):
    rng = np.random.default_rng(5)
    first, second = generated.pair(rng, 80, kind, shown=generated.late(310, 90, 40))
    there, back = estimate(first, second, method="x"), estimate(second, first, method="x")
    assert there.offset_ms == pytest.approx(-back.offset_ms, abs=0.5 * there.offset_ci_ms)
    assert there.drift_ppm == pytest.approx(-back.drift_ppm, abs=0.5 * there.drift_ci_ppm)
    assert (there.first, there.second) == (back.second, back.first)


@pytest.mark.parametrize("kind", ["imu", "camera"])
def test_rotating_and_scaling_either_signal_changes_nothing(generated, kind):
    rng = np.random.default_rng(6)
    first, second = generated.pair(rng, 60, kind, shown=generated.late(150))
    plain = estimate(first, second, method="x")
    for scale in (1e-3, 1e4):
        turned = replace(first, values=(scale * first.values @ generated.rotation(rng)).astype(np.float32))
        other = replace(second, values=(second.values @ generated.rotation(rng) / scale).astype(np.float32))
        found = estimate(turned, other, method="x")
        assert found.offset_ms == pytest.approx(plain.offset_ms, abs=0.01)
        assert found.offset_ci_ms == pytest.approx(plain.offset_ci_ms, rel=0.01)
        assert found.drift_ppm == pytest.approx(plain.drift_ppm, abs=1)


def test_moving_both_in_time_changes_nothing(generated):
    rng = np.random.default_rng(7)
    first, second = generated.pair(rng, 60, shown=generated.late(150, 60, 30))
    later_ns = 1_700_000_000_000_000_000
    moved = [replace(signal, start_ns=signal.start_ns + later_ns) for signal in (first, second)]
    plain, found = estimate(first, second, method="x"), estimate(*moved, method="x")
    assert found.offset_ms == pytest.approx(plain.offset_ms, abs=0.01)
    assert found.drift_ppm == pytest.approx(plain.drift_ppm, abs=0.5)


def test_a_gravity_of_one_axis_changes_nothing(generated):
    rng = np.random.default_rng(8)
    first, second = generated.pair(rng, 60, shown=generated.late(150))
    heavy = replace(first, values=first.values + np.array([0, 9.81, -3], np.float32))
    plain, found = estimate(first, second, method="x"), estimate(heavy, second, method="x")
    assert found.offset_ms == pytest.approx(plain.offset_ms, abs=0.05)


@pytest.mark.parametrize(("kind", "error_ms"), [("imu", 1), ("camera", 8)])
def test_masked_stretches_are_never_looked_at(generated, kind, error_ms):
    rng = np.random.default_rng(9)
    first, second = generated.pair(rng, 200, kind, shown=generated.late(-240, 80, 100))
    signals = []
    for signal in (first, second):
        valid = signal.valid.copy()
        for start in rng.integers(len(valid), size=8):
            valid[start : start + int(len(valid) * rng.uniform(0.005, 0.04))] = False
        values = signal.values.copy()
        values[~valid] = np.nan
        wild = values.copy()
        wild[~valid] = 1e6
        signals.append(
            (replace(signal, values=values, valid=valid), replace(signal, values=wild, valid=valid))
        )
    found = estimate(signals[0][0], signals[1][0], method="x")
    assert found.offset_ms == pytest.approx(-240, abs=error_ms)
    assert estimate(signals[0][1], signals[1][1], method="x") == found


def test_a_long_hole_drops_its_segments_only(generated):
    rng = np.random.default_rng(10)
    first, second = generated.pair(rng, 200, "camera", shown=generated.late(90))
    valid = second.valid.copy()
    valid[500:1200] = False
    found = estimate(first, replace(second, valid=valid), method="x")
    assert found.offset_ms == pytest.approx(90, abs=8)
    assert not any(65 < lag.time_s < 105 for lag in found.segments)


def test_segments_of_other_motion_do_not_pull(generated):
    rng = np.random.default_rng(11)
    first, second = generated.pair(rng, 300, shown=generated.late(300, 100, 150))
    _, foreign = generated.pair(rng, 300)
    values = second.values.copy()
    values[12000:24000] = foreign.values[12000:24000]
    values[36000:42000] = foreign.values[36000:42000]
    found = estimate(first, replace(second, values=values), method="x")
    assert found.offset_ms == pytest.approx(300, abs=1)
    assert found.drift_ppm == pytest.approx(100, abs=10)
    assert found.jump_ms is None


def test_one_displaced_stretch_is_no_jump(generated):
    def shown(stamp_s):
        return np.where((stamp_s > 100) & (stamp_s < 112), stamp_s - 0.9, stamp_s)

    first, second = generated.pair(np.random.default_rng(12), 300, shown=shown)
    found = estimate(first, second, method="x")
    assert found.offset_ms == pytest.approx(0, abs=1)
    assert found.jump_ms is None


@pytest.mark.parametrize("kind", ["imu", "camera"])
def test_a_rate_read_too_low_is_a_drift(generated, kind):
    """199.9 Hz read as 199: + 1.36 s after 300 s."""
    first, second = generated.pair(
        np.random.default_rng(13), 300, kind, shown=lambda stamp_s: stamp_s * 199 / 199.9
    )
    found = estimate(first, second, method="x")
    assert found.drift_ppm == pytest.approx(0.9 / 199 * 1e6, abs=40)
    assert kind != "imu" or found.drift_ci_ppm < 8  # the drift undone, the peaks are sharp again
    assert found.offset_ms == pytest.approx(150 * 0.9 / 199.9 * 1e3, abs=8)
    assert found.jump_ms is None


def test_a_rate_that_is_off_by_per_cents_is_told_or_left_open(generated):
    """193 Hz read for 200, as a gap of ten seconds makes it: too much for some takes, wrong for none."""
    for seed in range(4):
        first, second = generated.pair(
            np.random.default_rng(seed), 300, shown=lambda stamp_s: stamp_s * 193 / 200
        )
        found = estimate(first, second, method="x")
        assert found.reason or abs(found.drift_ppm - 7 / 193 * 1e6) < 100


@pytest.mark.parametrize("kind", ["imu", "camera", "magnitudes"])
def test_a_gap_closed_up_is_a_jump(generated, kind):
    first, second = generated.pair(
        np.random.default_rng(14),
        300,
        kind,
        shown=lambda stamp_s: np.where(stamp_s < 120, stamp_s, stamp_s + 10),
    )
    found = estimate(first, second, method="x")
    assert found.jump_ms == pytest.approx(-10_000, abs=15)
    assert found.offset_ms == pytest.approx(-10_000, abs=10)  # the middle lies behind the jump
    assert abs(found.drift_ppm) < 2 * found.drift_ci_ppm


def test_small_jumps_and_several_are_told_by_the_largest(generated):
    def shown(stamp_s):
        return np.select([stamp_s < 100, stamp_s < 200], [stamp_s, stamp_s - 0.15], stamp_s + 0.1)

    first, second = generated.pair(np.random.default_rng(15), 300, shown=shown)
    found = estimate(first, second, method="x")
    assert found.jump_ms == pytest.approx(-250, abs=4)
    assert found.offset_ms == pytest.approx(150, abs=3)


def test_an_offset_beyond_the_largest_lag_is_found_too(generated):
    first, second = generated.pair(np.random.default_rng(16), 120, shown=generated.late(6000))
    assert estimate(first, second, method="x").offset_ms == pytest.approx(6000, abs=1)


def test_a_short_take_tells_an_offset_alone(generated):
    first, second = generated.pair(np.random.default_rng(21), 30, shown=generated.late(-75))
    found = estimate(first, second, method="x")
    assert found.offset_ms == pytest.approx(-75, abs=found.offset_ci_ms + 1)
    assert found.drift_ppm is found.drift_ci_ppm is None
    assert len(found.segments) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_segments_tell_when_and_how_sure(generated, kind):
    first, second = generated.pair(np.random.default_rng(22), 120, kind, shown=generated.late(500, 0))
    found = estimate(first, second, method="x")
    times = np.array([lag.time_s for lag in found.segments])
    assert np.all(np.diff(times) > 5)
    assert 9 < times[0] < 12
    errors = [abs(lag.lag_ms - 500) / lag.sigma_ms for lag in found.segments]
    assert np.median(errors) < 1.5
    assert all(0 < lag.strength <= 1 for lag in found.segments)
    assert found.residual_ms < 5 * np.median([lag.sigma_ms for lag in found.segments])
