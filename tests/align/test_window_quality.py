"""Windows with one planted fault each are named by the rule for it, and sound ones by none."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from sensorloom.align.resample import ResampleSettings, resample
from sensorloom.align.rules import RULES, tune
from sensorloom.align.sync.motion import CameraMotion
from sensorloom.align.timeline import AlignedTake, Grid, ImuTrack, MocapTrack, Quality
from sensorloom.align.window_quality import find_windows, measure_windows, reasons, scores
from sensorloom.ingest.readers.egoexo4d_pose import JOINTS
from sensorloom.ingest.take import Finding

S = 1_000_000_000
SECONDS, LENGTH_S = 60, 5
STARTS = np.arange(0, SECONDS - LENGTH_S + 1, LENGTH_S, dtype=np.int64) * S
FAULTY = slice(20 * 200, 30 * 200)  # windows 4 and 5


def walking(seconds=SECONDS, seed=3):
    """A worn sensor: gravity that turns slowly, steps of uneven height, noise; float32[T, 6]."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(seconds * 200) / 200
    lean, height = (
        0.4 * np.sin(0.5 * time_s),
        np.interp(time_s, np.arange(seconds + 1), rng.uniform(0.5, 3, seconds + 1)),
    )
    step = height * np.sin(2 * np.pi * 1.8 * time_s)
    force = np.stack((9.81 * np.sin(lean), 0.4 * step, 9.81 * np.cos(lean) + step), axis=1)
    turn = np.stack((0.2 * np.cos(0.5 * time_s), 0.3 * step, 0.1 * step), axis=1)
    values = np.hstack((force, turn)) + rng.normal(0, (0.05,) * 3 + (0.01,) * 3, (len(time_s), 6))
    return values.astype(np.float32)


def take(values=None, quality=None, **fields):
    values = walking() if values is None else values
    quality = np.full((len(values), 2), Quality.VALID, np.uint8) if quality is None else quality
    values = values * np.repeat(quality > 0, 3, axis=1)
    track = ImuTrack("chest", "imu", values.astype(np.float32), quality)
    return AlignedTake("d/t", "d", "c", "d/1", None, Grid(0, len(values)), (track,), **fields)


def measured(aligned, cameras=(), length_s=LENGTH_S, starts=STARTS):
    return measure_windows(aligned, starts, length_s * S, ["chest"], cameras)


def found(aligned, cameras=(), rules=RULES, **where):
    return {
        finding.rule: finding for finding in find_windows("d/t", measured(aligned, cameras, **where), rules)
    }


def bodies(rows=600):
    """A skeleton that walks through a room and turns, its bones rigid; float32[M, 17, 3]."""
    rng = np.random.default_rng(1)
    shape = rng.normal(0, 0.5, (17, 3))
    angle = np.linspace(0, 6, rows)
    turn = np.stack((np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)), axis=1).reshape(-1, 2, 2)
    pose = np.tile(shape, (rows, 1, 1))
    pose[:, :, :2] = np.einsum("mij,kj->mki", turn, shape[:, :2])
    return (pose + np.linspace(0, 5, rows)[:, None, None]).astype(np.float32)


def mocap(values=None, quality=None):
    values = bodies() if values is None else values
    quality = np.full(values.shape[:2], Quality.VALID, np.uint8) if quality is None else quality
    return MocapTrack("annotation", JOINTS, 0, values, quality)


def camera(**marks):
    count = SECONDS * 10
    no, zero = np.zeros(count, np.bool_), np.zeros(count, np.float32)
    arrays = {"is_black": no, "is_frozen": no, "is_decoded": ~no} | marks
    times = np.arange(count, dtype=np.int64) * (S // 10)
    return CameraMotion(
        "aria01", "ego", times, np.zeros((count, 3), np.float32), no, zero, zero, zero, **arrays
    )


def test_sound_windows_are_accused_of_nothing():
    quality = measured(take(mocap=mocap()), [camera()])
    assert find_windows("d/t", quality, RULES) == ()
    assert scores(quality, RULES).max() < 1
    assert reasons(quality, 3, RULES) == ()


def spoilt(rule):
    """Return a take with one fault in windows 4 and 5, and its cameras."""
    values, quality = walking(), np.full((SECONDS * 200, 2), Quality.VALID, np.uint8)
    pose, seen, film = bodies(), np.full((600, 17), Quality.VALID, np.uint8), np.zeros(600, np.bool_)
    film[200:300] = True
    cameras = ()
    match rule:
        case "window-all-zero":
            values[FAULTY, :3] = 0
        case "window-constant-channel":
            values[FAULTY, 4] = values[FAULTY.start, 4]
        case "window-identical-axes":
            values[FAULTY, 5] = values[FAULTY, 3]
        case "window-saturated":
            values[FAULTY, 2] = np.minimum(values[FAULTY, 2] * 2, 16)
        case "window-gravity-off":
            values[FAULTY, :3] /= 9.81
        case "window-gap":
            quality[FAULTY.start + 100 : FAULTY.stop - 100] = Quality.INVALID
        case "mocap-bones-vary":
            pose[200:300] += np.random.default_rng(0).normal(0, 0.5, (100, 17, 3))
        case "mocap-few-joints":
            seen[200:300, 5:] = Quality.INVALID
        case "video-frozen":
            cameras = (camera(is_frozen=film),)
        case "video-black":
            cameras = (camera(is_black=film),)
    return take(values, quality, mocap=mocap(pose, seen)), cameras


WINDOW_RULES = [
    rule
    for rule in RULES
    if rule.startswith(("window-", "mocap-", "video-fr", "video-b")) and rule != "mocap-axis-lost"
]


@pytest.mark.parametrize("rule", WINDOW_RULES)
def test_a_planted_fault_is_named_where_it_is_and_nothing_else_is(rule):
    aligned, cameras = spoilt(rule)
    quality = measured(aligned, cameras)
    named = {finding.rule: finding for finding in find_windows("d/t", quality, RULES)}
    assert set(named) == {rule}
    assert named[rule].severity == RULES[rule].severity
    assert named[rule].numbers["windows"] == 2
    assert named[rule].numbers["share"] == pytest.approx(2 / len(STARTS))
    assert named[rule].numbers["worst_start_s"] in (20, 25)
    bad = scores(quality, RULES) > 1
    assert np.flatnonzero(bad).tolist() == [4, 5]
    assert [len(reasons(quality, place, RULES)) > 0 for place in (3, 4, 5, 6)] == [False, True, True, False]
    silent = tune({rule: {"severity": "off"}})
    assert find_windows("d/t", quality, silent) == ()
    assert scores(quality, silent).max() < 1
    assert reasons(quality, 4, silent) == ()


@pytest.mark.parametrize(
    ("rule", "target", "words"),
    [
        ("window-all-zero", "d/t#chest/accelerometer", r"2 windows of 12 \(16\.7%\), chest/acc.*: every usable"),
        ("window-constant-channel", "d/t#chest/gyroscope", r"a channel does not change for 5\.0 s, in the window fr"),
        ("window-saturated", "d/t#chest/accelerometer", r"% of the samples stand at the limit"),
        ("window-gravity-off", "d/t#chest/accelerometer", r"the mean force is 8\.\d m/s² off what gravity gives"),
        ("window-gap", "d/t", r"chest/accelerometer, chest/gyroscope: at worst no usable sample for 4,500 ms"),
        ("mocap-few-joints", "d/t#mocap/annotation", r"29 % of the joints are there, in the window from"),
        ("video-black", "d/t#video/aria01", r"100 % of the frames are black"),
    ],
)  # fmt: skip
def test_a_finding_says_how_many_where_and_the_worst(rule, target, words):
    finding = found(*spoilt(rule))[rule]
    assert finding.target == target
    assert re.search(words, finding.sentence)


def test_a_coarse_sensor_on_a_body_at_rest_is_not_stuck():
    rng = np.random.default_rng(0)
    still = np.tile(np.float32((0, 0, 9.81, 0, 0, 0)), (SECONDS * 200, 1))
    still[:, 0] += np.float32(0.038) * (rng.random(len(still)) < 0.1)  # a phone's converter flickers
    assert "window-constant-channel" not in found(take(still))


def test_what_stands_where_no_sample_is_usable_reaches_no_other_window():
    values, quality = walking(), np.full((SECONDS * 200, 2), Quality.VALID, np.uint8)
    quality[1000:1010] = Quality.INVALID
    sound = take(values, quality)
    values = sound.imu[0].values.copy()
    values[1000:1010] = np.nan
    spoilt_track = ImuTrack("chest", "imu", values, quality)
    one, other = measured(sound), measured(replace(sound, imu=(spoilt_track,)))
    assert other.columns == one.columns
    assert np.array_equal(other.values, one.values, equal_nan=True)


def test_a_tuned_threshold_moves_the_line():
    aligned, _ = spoilt("window-gap")
    assert "window-gap" in found(aligned, rules=tune({"window-gap": {"threshold": 4400}}))
    assert found(aligned, rules=tune({"window-gap": {"threshold": 4600}})) == {}


def test_a_measure_at_the_threshold_scores_one_and_is_not_told():
    aligned, _ = spoilt("window-gap")
    rules = tune({"window-gap": {"threshold": 4500}})
    quality = measured(aligned)
    assert scores(quality, rules)[4] == pytest.approx(1)
    assert reasons(quality, 4, rules) == ()


def test_a_note_never_outweighs_an_error():
    gap, zero = (measured(spoilt(rule)[0]) for rule in ("window-gap", "window-all-zero"))
    tight = tune({"window-gap": {"threshold": 1}})
    assert scores(gap, tight).max() == 2
    assert scores(zero, RULES).max() == 8


def test_the_worst_reason_comes_first():
    values = walking()
    values[FAULTY, :3] = 0
    quality = np.full((SECONDS * 200, 2), Quality.VALID, np.uint8)
    quality[FAULTY.start : FAULTY.start + 150] = Quality.INVALID
    told = reasons(measured(take(values, quality)), 4, RULES)
    assert told[0] == "chest/accelerometer: every usable sample is 0"
    assert told[1:] == tuple(
        f"chest/{kind}: no usable sample for 750 ms" for kind in ("accelerometer", "gyroscope")
    )


def test_an_error_of_a_later_stream_comes_before_a_note_of_an_earlier():
    values = walking()
    values[FAULTY, 3:] = 0
    quality = np.full((SECONDS * 200, 2), Quality.VALID, np.uint8)
    quality[FAULTY.start : FAULTY.start + 150] = Quality.INVALID
    assert (
        reasons(measured(take(values, quality)), 4, RULES)[0] == "chest/gyroscope: every usable sample is 0"
    )


def test_the_worst_of_a_share_that_is_to_be_high_is_the_lowest():
    seen = np.full((600, 17), Quality.VALID, np.uint8)
    seen[200:250, 8:], seen[250:300, 2:] = Quality.INVALID, Quality.INVALID
    numbers = found(take(mocap=mocap(quality=seen)))["mocap-few-joints"].numbers
    assert numbers["worst_start_s"] == 25
    assert numbers["worst_coverage_share"] == pytest.approx(2 / 17)


def test_columns_tell_stream_and_measure_and_numbers_leave_out_what_is_not_told():
    quality = measured(take(mocap=mocap()), [camera()])
    assert {"chest/accelerometer#gravity_m_s2", "mocap/annotation#bones", "video/aria01#frozen"} <= set(
        quality.columns
    )
    assert quality.values.shape == (len(STARTS), len(quality.columns))
    assert quality.values.dtype == np.float32
    assert quality.numbers(0)["chest/gyroscope#coverage"] == 1
    silent = np.full((SECONDS * 200, 2), Quality.VALID, np.uint8)
    silent[FAULTY] = Quality.INVALID
    numbers = measured(take(quality=silent)).numbers(4)
    assert numbers["chest/accelerometer#coverage"] == 0
    assert "chest/accelerometer#gravity_m_s2" not in numbers


def test_a_sensor_that_is_not_there_and_a_position_not_asked_for_have_no_columns():
    quality = np.full((SECONDS * 200, 2), Quality.VALID, np.uint8)
    quality[:, 1] = Quality.INVALID
    assert not [name for name in measured(take(quality=quality)).columns if "gyroscope" in name]
    assert measure_windows(take(), STARTS, 5 * S, [], ()).columns == ()


def test_shares_of_what_the_samples_are():
    codes = np.full((SECONDS * 200, 2), Quality.VALID, np.uint8)
    codes[:500], codes[500:600], codes[600:700] = Quality.RETIMED, Quality.INTERPOLATED, Quality.INVALID
    numbers = measured(take(quality=codes)).numbers(0)
    shares = {name: numbers[f"chest/gyroscope#{name}"] for name in ("coverage", "retimed", "interpolated")}
    assert shares == pytest.approx({"coverage": 0.9, "retimed": 0.5, "interpolated": 0.1})
    assert numbers["chest/gyroscope#longest_gap_ms"] == 500


def test_windows_that_reach_beyond_the_take_count_what_is_there():
    quality = measured(take(), starts=np.array([-2 * S, 57 * S, 100 * S]))
    coverage = quality.values[:, quality.columns.index("chest/accelerometer#coverage")]
    assert coverage.tolist() == [1, 1, 0]


# Gravity: what a worn sensor may do, and may not.


def test_a_limb_that_swings_and_a_body_that_jumps_read_gravity():
    time_s = np.arange(SECONDS * 200) / 200
    flight = (time_s % 1.0) < 0.4
    force = np.where(flight, 0, 9.80665 / 0.6)  # pushes off for 0.6 s, flies for 0.4 s
    swing = np.full_like(force, 12.0)  # a wrist at arm's length, turning with 5.5 rad/s
    for values in (np.stack((0 * force, 0 * force, force)), np.stack((swing, 0 * force, 0 * force + 9.81))):
        noise = np.random.default_rng(0).normal(0, 0.05, (6, len(time_s)))
        turning = np.vstack((values, np.full((3, len(time_s)), 3.0))) + noise
        assert "window-gravity-off" not in found(take(turning.T.astype(np.float32)))


@pytest.mark.parametrize("scale", [0.0, 1 / 9.80665, 0.5, 2.0])
def test_a_scale_that_is_off_is_told_of_a_still_sensor(scale):
    values = np.random.default_rng(0).normal(0, 0.02, (SECONDS * 200, 6))
    values[:, 2] += 9.80665 * scale
    finding = found(take(values.astype(np.float32)))["window-gravity-off"]
    assert finding.numbers["worst_gravity_off_m_s2"] == pytest.approx(9.80665 * abs(1 - scale), abs=0.1)
    assert finding.numbers["windows"] == len(STARTS)


def test_gravity_is_not_judged_in_short_windows():
    values = walking() * np.float32(0.3)
    assert "window-gravity-off" not in found(take(values), length_s=1)
    assert "window-gravity-off" in found(take(values), length_s=2)


# Limits


def test_a_limit_is_seen_after_resampling():
    """Half waves cut off at 2 g, recorded at 100 Hz: on the grid the plateaus ring."""
    times = np.arange(SECONDS * 100, dtype=np.int64) * (S // 100) + 1_234_567
    rng = np.random.default_rng(2)
    height = np.interp(times / S, np.arange(SECONDS + 1), rng.uniform(20, 45, SECONDS + 1))
    free = (height * np.sin(2 * np.pi * 1.3 * times / S) + rng.normal(0, 0.2, len(times)))[:, None]
    for axis, expected in ((free, False), (np.clip(free, -19.61, 19.61), True)):
        values = np.hstack((axis, 0.1 * free, 0.2 * free + 9.81)).astype(np.float32)
        grid = Grid.covering(int(times[0]), int(times[-1]))
        out, codes = resample(times, values, np.zeros(len(times), np.bool_), grid, ResampleSettings())
        track = ImuTrack(
            "chest", "imu", np.hstack((out, walking()[: len(out), 3:])), np.stack((codes, codes), axis=1)
        )
        aligned = AlignedTake("d/t", "d", "c", "d/1", None, grid, (track,))
        assert ("window-saturated" in found(aligned)) is expected


def test_a_swing_of_one_height_is_no_limit():
    values = walking()
    values[:, 2] = 30 * np.sin(2 * np.pi * 1.1 * np.arange(len(values)) / 200) + values[:, 1]
    assert "window-saturated" not in found(take(values))


def test_a_rest_at_a_wrong_scale_is_no_limit():
    values = np.random.default_rng(0).normal(0, 0.01, (SECONDS * 200, 6))
    values[:, 2] += 19.6
    assert set(found(take(values.astype(np.float32)))) == {"window-gravity-off"}


def test_a_limit_that_the_recording_told_of_is_found_where_the_grid_shows_no_pile(phone):
    """A real phone at 50 Hz, whose steps touch 2 g for a sample each."""
    from sensorloom.align.retime import retime

    times, values = phone["accelerometer"]
    retimed = retime(times)
    grid = Grid.covering(int(times[0]), int(times[-1]))
    out, codes = resample(retimed.times_ns, values, retimed.retimed, grid, ResampleSettings())
    track = ImuTrack("shin", "phone", np.hstack((out, out)), np.stack((codes, 0 * codes), axis=1))
    aligned = AlignedTake("realworld/t", "realworld", "c", "p", None, grid, (track,))
    starts = grid.start_ns + np.arange(0, 600, 5, dtype=np.int64) * S
    told = Finding(
        "realworld/t#shin/accelerometer", "saturation", "warning", "at its limit", {"limit_m_s2": 19.6085}
    )
    elsewhere = replace(told, target="realworld/t#chest/accelerometer")
    shares = []
    for findings in ((), (elsewhere,), (told,)):
        quality = measure_windows(replace(aligned, findings=findings), starts, 5 * S, ["shin"], ())
        shares.append(quality.values[:, quality.columns.index("shin/accelerometer#saturated")].mean())
        rules = {finding.rule for finding in find_windows("realworld/t", quality, RULES)}
        assert rules == ({"window-saturated"} if findings == (told,) else set())
    assert shares[:2] == [0, 0]
    assert 0.01 < shares[2] < 0.02


# Bones and joints


def test_bones_are_held_to_the_whole_take():
    """A body that is twice as large for a while has rigid bones in every window but the wrong ones."""
    pose = bodies()
    pose[200:300] *= 2
    assert found(take(mocap=mocap(pose)))["mocap-bones-vary"].numbers["windows"] == 2


def test_one_odd_row_does_not_set_the_length_of_bones():
    pose = bodies()
    pose[0] *= 3
    assert found(take(mocap=mocap(pose))) == {}


def test_rows_between_recorded_ones_do_not_shorten_bones():
    pose, quality = bodies(), np.full((600, 17), Quality.INTERPOLATED, np.uint8)
    pose[1::2] = 0
    quality[::2] = Quality.VALID
    assert found(take(mocap=mocap(pose, quality))) == {}


def test_joints_without_known_names_have_no_bones():
    named = replace(mocap(), joints=tuple(f"joint-{number}" for number in range(17)))
    quality = measured(take(mocap=named))
    assert np.isnan(quality.values[:, quality.columns.index("mocap/annotation#bones")]).all()


# Pictures


def test_frames_that_did_not_decode_are_no_frozen_ones():
    half = np.zeros(600, np.bool_)
    half[200:300] = True
    decoded = ~half
    assert found(take(), [camera(is_frozen=half, is_decoded=decoded)]) == {}
    quality = measured(take(), [camera(is_frozen=half, is_decoded=decoded)])
    assert np.isnan(quality.values[4, quality.columns.index("video/aria01#frozen")])
    decoded[:200:2], half[:200:2], half[1:200:8] = False, True, True
    share = measured(take(), [camera(is_frozen=half, is_decoded=decoded)]).numbers(1)["video/aria01#frozen"]
    assert share == pytest.approx(0.25, abs=0.05)
