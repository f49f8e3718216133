"""Signals of motion from cameras, mocap and IMUs: right in size, in axes, in time, and in what they cannot tell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sensorloom.align.sync.inertial import (
    gravity_change,
    gyroscope,
    impacts,
    rotation_speed,
    smooth_acceleration,
    turned_gravity,
)
from sensorloom.align.sync.motion import (
    HEAD_JOINTS,
    MOCAP_REACH_NS,
    CameraMotion,
    camera_energy,
    camera_rotation,
    head_acceleration,
)
from sensorloom.align.sync.strapdown import GRAVITY_M_S2, level_acceleration
from sensorloom.align.timeline import Grid, ImuTrack, MocapTrack, Quality, VideoTrack

S = 1_000_000_000
MS = 1_000_000


def camera(times_ns, motion=None, **changes):
    """A camera that sees `motion` [F, 3] between frames, everything else being sound."""
    count = len(times_ns)
    motion = np.zeros((count, 3)) if motion is None else motion
    valid = np.arange(count) > 0
    fields = {
        "motion": motion.astype(np.float32),
        "motion_valid": valid,
        "residual": np.zeros(count, np.float32),
        "brightness": np.full(count, 90, np.float32),
        "contrast": np.full(count, 30, np.float32),
        "is_black": np.zeros(count, bool),
        "is_frozen": np.zeros(count, bool),
        "is_decoded": np.ones(count, bool),
    }
    return CameraMotion("cam", "ego", np.asarray(times_ns, np.int64), **(fields | changes))


def turning(times_s):
    """An angle in rad that swings irregularly."""
    return 0.3 * np.sin(2.1 * times_s) + 0.1 * np.sin(5.3 * times_s + 1)


def seen_turning(times_ns):
    angle = turning(times_ns / S)
    return np.diff(angle, prepend=angle[0])[:, None] * np.array([1.0, -0.5, 0.25])


def test_a_camera_s_rates_stand_in_the_middle_between_its_frames():
    times = 7 * MS + np.arange(101) * 100 * MS
    signal = camera_rotation(camera(times, seen_turning(times)))
    assert (signal.name, signal.start_ns, signal.step_ns) == ("cam", 57 * MS, 100 * MS)
    assert signal.values.shape == (100, 3)
    assert signal.valid.all()
    middle_s = (signal.start_ns + np.arange(100) * signal.step_ns) / S
    rate = (turning(middle_s + 0.05) - turning(middle_s - 0.05)) / 0.1
    assert np.allclose(signal.values, rate[:, None] * [1.0, -0.5, 0.25], atol=1e-4)


def test_frames_beside_the_lattice_do_not_shift_a_camera_s_rates():
    """29.97 frames/s: the nearest frame to each 100 ms is up to 17 ms away."""
    frames = np.round(np.arange(900) * S * 1001 / 30_000).astype(np.int64)
    times = frames[[int(np.argmin(np.abs(frames - at))) for at in np.arange(290) * 100 * MS]]
    assert len(set(np.diff(times).tolist())) > 1
    signal = camera_rotation(camera(times, seen_turning(times)))
    middle_s = (signal.start_ns + np.arange(len(signal.values)) * signal.step_ns) / S
    rate = (turning(middle_s + 0.05) - turning(middle_s - 0.05)) / 0.1
    assert signal.valid.all()
    assert np.abs(signal.values[:, 0] - rate).max() < 0.15 * np.abs(rate).max()
    late = (turning(middle_s + 0.07) - turning(middle_s - 0.03)) / 0.1
    assert np.abs(signal.values[:, 0] - rate).mean() < 0.5 * np.abs(signal.values[:, 0] - late).mean()


@pytest.mark.parametrize("why", ["motion_valid", "is_decoded", "is_frozen", "is_black"])
def test_what_a_camera_did_not_see_is_not_valid(why):
    times = np.arange(21) * 100 * MS
    one = camera(times, seen_turning(times))
    spoilt = getattr(one, why).copy()
    spoilt[8:11] ^= True
    one = replace(one, **{why: spoilt})
    signal = camera_rotation(one)
    # Row k stands between frames k and k + 1; the frame after a frozen or black one has caught up with all of it.
    gone = [7, 8, 9, 10] if why in ("is_frozen", "is_black") else [7, 8, 9]
    assert np.flatnonzero(~signal.valid).tolist() == gone
    sound = camera_rotation(camera(times, seen_turning(times)))
    assert np.array_equal(signal.values[signal.valid], sound.values[signal.valid])


def test_frames_far_apart_leave_a_gap():
    times = np.array([0, 100, 200, 700, 800, 900]) * MS
    valid = np.array([False, True, True, False, True, True])
    signal = camera_rotation(camera(times, motion_valid=valid))
    assert signal.valid.tolist() == [True, True, False, False, False, False, False, True, True]


def test_energy_is_what_is_left_of_the_picture_s_change_a_second():
    times = np.arange(4) * 100 * MS
    signal = camera_energy(camera(times, residual=np.array([0, 2, 4, 1], np.float32)))
    assert signal.values[:, 0].tolist() == pytest.approx([20.0, 40.0, 10.0])


@pytest.mark.parametrize("count", [0, 1])
def test_a_camera_without_two_frames_shows_nothing(count):
    one = camera(np.arange(count) * 100 * MS)
    for signal in (camera_rotation(one), camera_energy(one)):
        assert len(signal.values) == 0


def video():
    stamps = np.arange(30, dtype=np.int64)
    return VideoTrack(
        "ego", "ego", "ego.mp4", "full", (1, 30), 64, 48, False, stamps * 33 * MS, stamps * 1001
    )


def stored_facts(count):
    one = camera(np.arange(count))
    return {
        name: getattr(one, name)
        for name in type(one).__dataclass_fields__
        if name not in ("name", "view", "times_ns")
    } | {"agreement": np.ones(count, np.float32)}


def test_a_camera_of_the_store_stands_on_the_take_clock():
    one = CameraMotion.of(video(), np.array([0, 3, 6], np.int64) * 1001, stored_facts(3))
    assert (one.name, one.view, one.times_ns.tolist()) == ("ego", "ego", [0, 99 * MS, 198 * MS])
    assert one.motion_valid.tolist() == [False, True, True]
    assert repr(one) == "CameraMotion(ego, ego, 3 frames)"


@pytest.mark.parametrize("pts", [1000, 30 * 1001])
def test_facts_of_other_frames_are_refused(pts):
    with pytest.raises(
        ValueError, match=rf"ego: frame facts tell of pts {pts}, which the video does not have; embed"
    ):
        CameraMotion.of(video(), np.array([0, pts], np.int64), stored_facts(2))


def test_arrays_of_other_lengths_are_refused():
    with pytest.raises(ValueError, match=r"cam\.residual"):
        camera(np.arange(3), residual=np.zeros(2, np.float32))


def mocap(places, quality=None, joints=(*HEAD_JOINTS, "left-wrist")):
    values = np.repeat(places[:, None, :], len(joints), axis=1).astype(np.float32)
    values += np.arange(len(joints))[None, :, None] / 10  # each joint elsewhere on the body
    quality = np.full(values.shape[:2], Quality.VALID, np.uint8) if quality is None else quality
    return MocapTrack("annotation", joints, 66_666_667, values * (quality > 0)[..., None], quality)


def swaying(times_s):
    """A place [n, 3] in metres and its second derivative."""
    omega = 2 * np.pi * np.array([0.7, 0.9, 1.1])
    place = 0.05 * np.sin(omega * times_s[:, None])
    return place, -(omega**2) * place


def test_the_head_accelerates_as_its_joints_do():
    times = (66_666_667 + np.arange(100) * 100 * MS) / S
    signal = head_acceleration(mocap(swaying(times)[0]))
    assert (signal.name, signal.start_ns, signal.step_ns) == ("mocap/annotation/head", 266_666_667, 100 * MS)
    assert signal.valid.all()
    # A second difference over 200 ms is the acceleration under two means over 200 ms.
    expected = swaying(times[2:-2])[1] * np.sinc(0.2 * np.array([0.7, 0.9, 1.1])) ** 2
    assert np.abs(signal.values - expected).max() < 1e-3 * np.abs(expected).max() + 1e-3


def test_a_joint_that_comes_and_goes_does_not_move_the_head():
    quality = np.full((40, 6), Quality.VALID, np.uint8)
    quality[10:14, 0] = Quality.INVALID
    quality[20:22, 1:5] = Quality.INTERPOLATED
    signal = head_acceleration(mocap(np.zeros((40, 3)), quality))
    assert np.abs(signal.values).max() < 1e-3
    assert signal.valid.all()
    quality[30, :5] = Quality.INTERPOLATED  # the wrist, that is left, is no part of the head
    signal = head_acceleration(mocap(np.zeros((40, 3)), quality))
    assert (np.flatnonzero(~signal.valid) + 2).tolist() == [28, 30, 32]


def test_mocap_without_a_head_or_of_four_rows_shows_nothing():
    assert head_acceleration(mocap(np.zeros((40, 3)), joints=("left-wrist",))) is None
    assert head_acceleration(mocap(np.zeros((4, 3)))) is None
    assert head_acceleration(mocap(np.zeros((5, 3)))).values.shape == (1, 3)


def tilting_track(seconds=20.0, *, lag_s=0.0, push=0.0, heading_rate=0.2):
    """An IMU that pitches, turns and sways; its accelerometer shows it `lag_s` after the gyroscope.

    Returns the track, its grid, and the acceleration [T, 3] of the world that it feels.
    """
    count = round(seconds * 200)
    time = np.arange(count) * 0.005

    def attitude(at):
        pitch = 0.4 * np.sin(2 * np.pi * 0.31 * at) + 0.2 * np.sin(2 * np.pi * 0.53 * at + 1)
        heading = heading_rate * at
        (cp, ch), (sp, sh), zero = np.cos((pitch, heading)), np.sin((pitch, heading)), np.zeros_like(at)
        rows = [[ch * cp, -sh, ch * sp], [sh * cp, ch, sh * sp], [-sp, zero + 1 - 1, cp]]
        return np.moveaxis(np.array([[np.broadcast_to(x, at.shape) for x in row] for row in rows]), 2, 0)

    world = push * swaying(time - lag_s)[1]
    force = np.einsum("nij,ni->nj", attitude(time - lag_s), world + np.array([0, 0, GRAVITY_M_S2]))
    step = 1e-4
    spin = np.einsum(
        "nji,njk->nik", attitude(time), (attitude(time + step) - attitude(time - step)) / (2 * step)
    )
    turn = np.stack([spin[:, 2, 1], spin[:, 0, 2], spin[:, 1, 0]], axis=1)
    values = np.concatenate([force, turn], axis=1).astype(np.float32)
    track = ImuTrack("head", "aria", values, np.full((count, 2), Quality.VALID, np.uint8))
    return track, Grid(1_000 * MS, count), world


def test_the_plain_signals_of_an_imu():
    track, grid, _ = tilting_track(2.0)
    track.quality[10, 1] = track.quality[20, 0] = Quality.INVALID
    gyro, speed = gyroscope(track, grid), rotation_speed(track, grid)
    assert (gyro.name, gyro.start_ns, gyro.step_ns) == ("head/gyroscope", 1_000 * MS, 5 * MS)
    assert np.array_equal(gyro.values, track.values[:, 3:])
    assert np.allclose(speed.values[:, 0], np.linalg.norm(track.values[:, 3:], axis=1))
    assert np.flatnonzero(~gyro.valid).tolist() == np.flatnonzero(~speed.valid).tolist() == [10]


def test_an_impact_is_told_at_its_time_however_the_sensor_is_turned():
    track, grid, _ = tilting_track(30.0)
    time = np.arange(len(track.values)) * 0.005
    up = track.values[:, :3] / np.linalg.norm(track.values[:, :3], axis=1, keepdims=True)
    pulse = 6 * np.exp(-(((time - 12.345) / 0.02) ** 2) / 2)[:, None]
    values = np.hstack([track.values[:, :3] + pulse * up, track.values[:, 3:]]).astype(np.float32)
    struck = replace(track, values=values)
    calm, told = impacts(track, grid), impacts(struck, grid)
    assert (told.name, told.start_ns, told.step_ns) == ("head/accelerometer", 1_007_500_000, 20 * MS)
    assert np.abs(calm.values[calm.valid]).max() < 0.3  # tilting is slow
    near = slice(600, 635)
    at_s = np.average(0.0075 + np.arange(600, 635) * 0.02, weights=np.maximum(told.values[near, 0], 0) ** 2)
    assert at_s == pytest.approx(12.345, abs=0.004)
    assert told.values[near].max() == pytest.approx(4.5, abs=1.0)


def test_forces_of_vigorous_motion_are_not_taken_for_gravity():
    track, grid, _ = tilting_track(30.0)
    time = np.arange(len(track.values)) * 0.005
    shaken = track.values.copy()
    shaken[:, :3] *= 1 + ((time > 15) * 0.4 * np.sin(2 * np.pi * 2 * time))[:, None]
    signal = gravity_change(replace(track, values=shaken.astype(np.float32)), grid)
    at_s = 0.0075 + np.arange(len(signal.valid)) * 0.02
    assert signal.valid[(at_s > 3) & (at_s < 12)].all()
    assert not signal.valid[(at_s > 18) & (at_s < 29)].any()


def test_levelled_acceleration_is_that_of_the_world_but_for_the_heading():
    track, _, world = tilting_track(push=0.3)
    level = level_acceleration(
        track.values[:, :3].astype(float), track.values[:, 3:].astype(float), np.ones(len(world), bool), 0.005
    )
    inside = slice(600, -600)  # where the mean force is one of gravity alone
    assert np.abs(level[inside, 2] - world[inside, 2]).max() < 0.1
    # One rotation about the vertical takes one to the other, however far the sensor itself has turned meanwhile.
    flat, felt = (np.array([1, 1j]) @ each[inside, :2].T for each in (level, world))
    heading = np.vdot(felt, flat)
    assert np.abs(flat - felt * heading / abs(heading)).max() < 0.15


def test_gravity_upside_down_is_levelled_too():
    force = np.tile([0.0, 0.0, -GRAVITY_M_S2], (1000, 1))
    level = level_acceleration(force, np.zeros((1000, 3)), np.ones(1000, bool), 0.02)
    assert np.abs(level).max() < 1e-9


def test_an_imu_is_smoothed_as_a_second_difference_smooths():
    """What the mocap of a moving head shows, its IMU shows at the same time and as large."""
    track, grid, _ = tilting_track(30.0, push=0.5)
    worn = smooth_acceleration(track, grid, MOCAP_REACH_NS)
    times = (66_666_667 + np.arange(280) * 100 * MS) / S
    joints = head_acceleration(mocap(0.5 * swaying(times)[0]))
    joints = replace(joints, start_ns=joints.start_ns + grid.start_ns)
    at = joints.start_ns + np.arange(len(joints.values)) * joints.step_ns

    def apart(lag_ms):
        where = (at - lag_ms * MS - worn.start_ns) / worn.step_ns
        shown = np.interp(where[30:-30], np.arange(len(worn.values)), worn.values[:, 2])
        return np.abs(shown - joints.values[30:-30, 2]).mean()

    assert apart(0) < 0.03
    assert apart(0) < min(apart(-10), apart(10))


def test_a_loss_spreads_as_far_as_the_smoothing():
    track, grid, _ = tilting_track(30.0)
    track.quality[3000, 1] = Quality.INVALID
    at_s = 3000 * 0.005
    for made, reach_s in ((lambda *a: smooth_acceleration(*a, MOCAP_REACH_NS), 0.19), (turned_gravity, 0.33)):
        signal = made(track, grid)
        gone = np.flatnonzero(~signal.valid) * 0.02
        near = gone[np.abs(gone - at_s) < 2]
        assert near.min() <= at_s - 0.02
        assert near.max() - near.min() == pytest.approx(2 * reach_s, abs=0.05)


@pytest.mark.parametrize("lag_ms", [0, 60])
def test_gravity_tells_by_how_much_the_accelerometer_is_late(lag_ms):
    track, grid, _ = tilting_track(30.0, lag_s=lag_ms / 1e3)
    first, second = turned_gravity(track, grid), gravity_change(track, grid)
    assert (first.name, second.name) == ("head/gyroscope", "head/accelerometer")
    assert (first.start_ns, first.step_ns) == (second.start_ns, second.step_ns) == (1_007_500_000, 20 * MS)
    inside = slice(100, -100)
    assert first.valid[inside].all()

    def apart(lag_rows):
        return np.abs(np.roll(first.values, lag_rows, axis=0)[inside] - second.values[inside]).mean()

    assert min(range(-10, 11), key=apart) == lag_ms // 20
    assert apart(lag_ms // 20) < 0.3 * np.abs(second.values[inside]).mean()
