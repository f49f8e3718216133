"""What a signal was recorded at is told from the signal; a lost axis of poses is named."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import butter, sosfilt

from sensorloom.align.resample import ResampleSettings, resample
from sensorloom.align.rules import RULES, tune
from sensorloom.align.stream_quality import find_streams
from sensorloom.align.timeline import AlignedTake, Grid, ImuTrack, Quality

S = 1_000_000_000
NUM_SECONDS = 30


def motion(rate_hz, seconds=NUM_SECONDS, seed=0, noise=0.02):
    """Slow motion with steps, and a sensor's white noise; float32[N, 3]."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    waves = [np.sin(2 * np.pi * hz * time_s + axis) / hz for axis in range(3) for hz in (0.7, 1.9, 3.8)]
    values = 3 * np.array(waves).reshape(3, 3, -1).sum(axis=1).T + rng.normal(0, noise, (len(time_s), 3))
    return (values + np.array([0, 0, 9.81])).astype(np.float32)


def on_grid(values, rate_hz, jitter_ns=0, upsampling="band_limited"):
    """Return the take of an accelerometer that was recorded at `rate_hz`."""
    rng = np.random.default_rng(1)
    times = 1_700_000 + np.round(np.arange(len(values)) * S / rate_hz).astype(np.int64)
    times += rng.integers(-jitter_ns, jitter_ns + 1, len(times))
    grid = Grid.covering(int(times[0]), int(times[-1]))
    settings = ResampleSettings(upsampling=upsampling)
    out, codes = resample(times, values, np.zeros(len(times), np.bool_), grid, settings)
    return take(out, codes)


def take(values, codes=None):
    codes = np.full(len(values), Quality.VALID, np.uint8) if codes is None else codes
    both = np.hstack((values, np.zeros_like(values))).astype(np.float32)
    track = ImuTrack("chest", "imu", both, np.stack((codes, np.zeros_like(codes)), axis=1))
    return AlignedTake("d/t", "d", "c", "d/1", None, Grid(0, len(values)), (track,))


def rates(aligned, rules=RULES):
    return {finding.target: finding.numbers["recorded_rate_hz"] for finding in find_streams(aligned, rules)}


@pytest.mark.parametrize(
    ("rate_hz", "jitter_ns"), [(25, 0), (50, 0), (50, 1_000_000), (64, 0), (100, 0), (100, 300_000)]
)
def test_a_slow_recording_is_named_with_its_rate(rate_hz, jitter_ns):
    told = rates(on_grid(motion(rate_hz), rate_hz, jitter_ns))
    assert told == {"d/t#chest/accelerometer": pytest.approx(rate_hz, rel=0.05)}


def test_a_finding_says_where_content_ends():
    (finding,) = find_streams(on_grid(motion(100), 100), RULES)
    assert (finding.rule, finding.severity) == ("sensor-upsampled", "note")
    rate_hz = finding.numbers["recorded_rate_hz"]
    assert f"1 signal on the 200 Hz grid recorded at about {rate_hz:.0f} Hz, and" in finding.sentence
    assert finding.sentence.endswith("above half of it: chest/accelerometer")


def test_several_slow_sensors_of_a_take_are_one_finding():
    slow, slower = on_grid(motion(100), 100), on_grid(motion(50), 50)
    count = min(slow.grid.num_samples, slower.grid.num_samples)
    values = np.hstack((slow.imu[0].values[:count, :3], slower.imu[0].values[:count, :3]))
    track = ImuTrack("chest", "imu", values, np.full((count, 2), Quality.VALID, np.uint8))
    (finding,) = find_streams(replace(slow, grid=Grid(0, count), imu=(track,)), RULES)
    assert finding.target == "d/t"
    assert finding.numbers["streams"] == 2
    assert finding.numbers["recorded_rate_hz"] == pytest.approx(50, rel=0.05)
    assert finding.numbers["fastest_recorded_rate_hz"] == pytest.approx(100, rel=0.05)
    assert re.search(
        r"2 signals .* about \d+ to \d+ Hz, .*: chest/accelerometer, chest/gyroscope$", finding.sentence
    )


@pytest.mark.parametrize("rate_hz", [200, 250, 800, 1000])
def test_a_recording_that_fills_the_grid_is_not_accused(rate_hz):
    assert rates(on_grid(motion(rate_hz), rate_hz)) == {}


@pytest.mark.parametrize("cutoff_hz", [10, 20, 42])
def test_a_sensors_own_filter_is_not_taken_for_a_slow_recording(cutoff_hz):
    """The filters inside sensors are of second order, and their converter's noise comes after them."""
    values = motion(200, noise=0.2)
    filtered = sosfilt(butter(2, cutoff_hz, fs=200, output="sos"), values, axis=0)
    quantised = np.round(filtered / 0.0048) * 0.0048
    assert rates(take(quantised.astype(np.float32))) == {}


def test_still_periodic_and_quantised_signals_are_not_accused():
    time_s = np.arange(NUM_SECONDS * 200) / 200
    rng = np.random.default_rng(4)
    noise = rng.normal(0, 0.004, (len(time_s), 3))
    tone = np.stack([np.sin(2 * np.pi * 25 * time_s + phase) for phase in (0, 0, 0)], axis=1)
    blows = (rng.random((len(time_s), 1)) < 0.01) * 30.0
    slow = 10 * np.sin(2 * np.pi * 9 * time_s)[:, None]
    for values in (
        noise,
        tone + noise,
        slow + noise,
        np.round(tone * 0.01 + noise, 2),
        blows + noise,
        0 * noise,
    ):
        assert rates(take(values.astype(np.float32))) == {}


@pytest.mark.parametrize("rate_hz", [20, 25, 40, 50, 100])
def test_lines_between_samples_are_named(rate_hz):
    """Published code interpolates upwards by lines."""
    times = np.arange(NUM_SECONDS * 200) / 200
    slow = motion(rate_hz)
    lines = np.stack([np.interp(times, np.arange(len(slow)) / rate_hz, axis) for axis in slow.T], axis=1)
    assert rates(take(lines.astype(np.float32))) == {
        "d/t#chest/accelerometer": pytest.approx(rate_hz, rel=0.01)
    }


@pytest.mark.parametrize("rate_hz", [25, 50, 100])
def test_held_samples_are_named(rate_hz):
    held = np.repeat(motion(rate_hz), 200 // rate_hz, axis=0)
    assert rates(take(held)) == {"d/t#chest/accelerometer": pytest.approx(rate_hz, rel=0.01)}


def test_a_file_at_200_hz_that_holds_50_hz_lines_is_named_after_resampling():
    """The file claims 200 Hz, off the grid's phase, and its corners are filtered once more."""
    times = np.arange(NUM_SECONDS * 200) / 200
    slow = motion(50)
    lines = np.stack([np.interp(times, np.arange(len(slow)) / 50, axis) for axis in slow.T], axis=1)
    assert rates(on_grid(lines.astype(np.float32), 200)) == {
        "d/t#chest/accelerometer": pytest.approx(50, rel=0.01)
    }


def test_the_threshold_is_a_rate_and_off_is_silent():
    aligned = on_grid(motion(100), 100)
    assert rates(aligned, tune({"sensor-upsampled": {"threshold": 60}})) == {}
    assert rates(aligned, tune({"sensor-upsampled": {"severity": "off"}})) == {}


def test_short_and_torn_signals_tell_nothing():
    assert rates(on_grid(motion(50, seconds=6), 50)) == {}
    values = on_grid(motion(50), 50).imu[0].values[:, :3]
    codes = np.full(len(values), Quality.VALID, np.uint8)
    codes[::1000] = Quality.INTERPOLATED
    assert rates(take(values, codes)) == {}


def test_a_real_phone_is_named_as_what_it_is(phone):
    from sensorloom.align.retime import retime

    for times, values in phone.values():
        retimed = retime(times)
        grid = Grid.covering(int(times[0]), int(times[-1]))
        out, codes = resample(retimed.times_ns, values, retimed.retimed, grid, ResampleSettings())
        assert rates(take(out, codes)) == {"d/t#chest/accelerometer": pytest.approx(50, abs=3)}


# Poses


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_coordinate_that_never_changes_is_lost(axis, make_aligned, make_mocap):
    mocap = make_mocap()
    values = mocap.values.copy()
    values[:, :, axis] = 1  # the flag that published code reads for z
    aligned = make_aligned(positions=(), mocap=replace(mocap, values=values))
    (finding,) = find_streams(aligned, RULES)
    assert (finding.rule, finding.severity) == ("mocap-axis-lost", "error")
    assert finding.target == "egoexo4d/t#mocap/annotation"
    assert finding.numbers["axis"] == axis
    assert f"{'xyz'[axis]} of all 17 joints stays within 0 m of 1 m" in finding.sentence
    assert find_streams(aligned, tune({"mocap-axis-lost": {"severity": "off"}})) == ()


def test_a_body_that_stands_still_has_lost_no_axis(make_aligned, make_mocap):
    mocap = make_mocap()
    still = np.repeat(mocap.values[:1], len(mocap.values), axis=0)
    assert find_streams(make_aligned(positions=(), mocap=replace(mocap, values=still)), RULES) == ()


def test_an_axis_is_lost_though_rows_are_missing(make_aligned, make_mocap):
    """Missing joints are stored as 0, which is no coordinate."""
    quality = np.full((200, 17), Quality.VALID, np.uint8)
    quality[::2] = Quality.INVALID
    mocap = make_mocap(quality=quality)
    values = mocap.values.copy()
    values[1::2, :, 2] = 1
    aligned = make_aligned(positions=(), mocap=replace(mocap, values=values))
    assert [finding.rule for finding in find_streams(aligned, RULES)] == ["mocap-axis-lost"]
    empty = replace(mocap, quality=np.zeros_like(quality), values=np.zeros_like(values))
    assert find_streams(make_aligned(positions=(), mocap=empty), RULES) == ()
