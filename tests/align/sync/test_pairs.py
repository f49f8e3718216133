"""Which streams of a take are compared, and that an offset comes back with its sign, however the pair is made up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sensorloom.align.sync.motion import HEAD_JOINTS, CameraMotion
from sensorloom.align.sync.pairs import MODEL_ERROR_MS, estimate_take, reference_track
from sensorloom.align.timeline import AlignedTake, Grid, ImuTrack, MocapTrack, Quality
from sensorloom.ingest.miniature.movements import MOVEMENTS
from sensorloom.ingest.miniature.skeleton import joints
from sensorloom.ingest.miniature.wearer import head, plan_wearer

SECONDS = 60.0
S, MS = 1_000_000_000, 1_000_000


@pytest.fixture(scope="module")
def wearer():
    """A generated person who moves throughout."""
    movements = [
        MOVEMENTS[name] for name in ("walks", "turns around", "bends down", "looks to the left", "dances")
    ]
    return plan_wearer(np.random.default_rng(3), SECONDS + 8, movements)


def worn(wearer, position="head", device="aria", late_s=0.0, mount=None):
    """The IMU of a head, stamped `late_s` too late."""
    time_s = np.arange(round(SECONDS * 200)) * 0.005
    state = head(wearer, time_s - late_s + 2)
    mount = np.eye(3) if mount is None else mount
    values = np.concatenate([state.acceleration_m_s2 @ mount.T, state.rotation_rad_s @ mount.T], axis=1)
    return ImuTrack(
        position, device, values.astype(np.float32), np.full((len(time_s), 2), Quality.VALID, np.uint8)
    )


def filmed(wearer, name="aria01", view="ego", late_s=0.0):
    """What a camera on the head, or one that looks on, sees, stamped `late_s` too late."""
    times_ns = np.arange(round(SECONDS * 10)) * 100 * MS
    time_s = times_ns / S - late_s + 2
    angles = np.unwrap(head(wearer, time_s).yaw_pitch_roll_rad, axis=0)
    motion = np.diff(angles, axis=0, prepend=angles[:1]).astype(np.float32)
    fine_s = time_s[:, None] + np.linspace(-0.1, 0, 20)
    speed = (
        np.linalg.norm(head(wearer, fine_s.ravel()).rotation_rad_s, axis=1).reshape(fine_s.shape).mean(axis=1)
    )
    count, sound = len(times_ns), np.arange(len(times_ns)) > 0
    zeros, never = np.zeros(count, np.float32), np.zeros(count, bool)
    residual = (3 * speed * sound).astype(np.float32)
    return CameraMotion(
        name, view, times_ns, motion, sound, residual, zeros + 90, zeros + 30, never, never, ~never
    )  # fmt: skip


def captured(wearer, late_s=0.0, names=HEAD_JOINTS):
    time_s = np.arange(round(SECONDS * 10)) * 0.1
    values = joints(wearer, time_s - late_s + 2)[:, : len(names)].astype(np.float32)
    return MocapTrack("annotation", names, 0, values, np.full(values.shape[:2], Quality.VALID, np.uint8))


def take(tracks, mocap=None):
    grid = Grid(0, round(SECONDS * 200))
    return AlignedTake("d/t", "d", "c", "p", None, grid, tuple(tracks), mocap=mocap)


def pairs(aligned, cameras=()):
    return {(each.method, each.first, each.second): each for each in estimate_take(aligned, cameras)}


QUARTER = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, 1.0], [-1.0, 0.0, 0.0]])


def test_every_stream_is_compared_with_the_reference_and_with_nothing_else(wearer):
    tracks = [worn(wearer, "wrist", "watch"), worn(wearer), worn(wearer, "head-left", mount=QUARTER)]
    cameras = [filmed(wearer), filmed(wearer, "cam01", "exo"), filmed(wearer, "cam02", "exo")]
    assert list(pairs(take(tracks, captured(wearer)), cameras)) == [
        ("rotation", "head/gyroscope", "aria01"),
        ("energy", "head/gyroscope", "cam01"),
        ("energy", "head/gyroscope", "cam02"),
        ("acceleration", "head/accelerometer", "mocap/annotation/head"),
        ("activity", "head/gyroscope", "wrist/gyroscope"),
        ("rotation", "head/gyroscope", "head-left/gyroscope"),
        ("gravity", "wrist/gyroscope", "wrist/accelerometer"),
        ("gravity", "head/gyroscope", "head/accelerometer"),
        ("gravity", "head-left/gyroscope", "head-left/accelerometer"),
    ]


@pytest.mark.parametrize("late_ms", [-420.0, 0.0, 135.0])
def test_an_offset_comes_back_with_its_sign_whatever_the_pair(wearer, late_ms):
    late_s = late_ms / 1e3
    tracks = [worn(wearer), worn(wearer, "head-left", late_s=late_s, mount=QUARTER)]
    cameras = [filmed(wearer, late_s=late_s), filmed(wearer, "cam01", "exo", late_s)]
    found = pairs(take(tracks, captured(wearer, late_s)), cameras)
    for (method, _, second), limit_ms in {
        ("rotation", "head/gyroscope", "aria01"): 10,
        ("energy", "head/gyroscope", "cam01"): 33,
        ("acceleration", "head/accelerometer", "mocap/annotation/head"): 10,
        ("rotation", "head/gyroscope", "head-left/gyroscope"): 2,
    }.items():
        estimate = next(each for each in found.values() if (each.method, each.second) == (method, second))
        assert estimate.reason == ""
        assert estimate.offset_ms == pytest.approx(late_ms, abs=limit_ms)
        assert MODEL_ERROR_MS[method] <= estimate.offset_ci_ms < 50


def test_an_accelerometer_that_is_late_beside_its_own_gyroscope_is_told(wearer):
    late = worn(wearer, late_s=0.3)
    values = np.concatenate([late.values[:, :3], worn(wearer).values[:, 3:]], axis=1)
    (estimate,) = estimate_take(take([replace(late, values=values)]), ())
    assert (estimate.method, estimate.second) == ("gravity", "head/accelerometer")
    assert estimate.offset_ms == pytest.approx(300, abs=MODEL_ERROR_MS["gravity"])


def test_two_parts_of_a_body_tell_only_what_is_gross(wearer):
    aligned = take([worn(wearer), worn(wearer, "shin", "phone", late_s=0.8)])
    estimate = pairs(aligned)["activity", "head/gyroscope", "shin/gyroscope"]
    assert estimate.offset_ms == pytest.approx(800, abs=20)
    assert estimate.offset_ci_ms >= MODEL_ERROR_MS["activity"]
    assert estimate.drift_ci_ppm >= MODEL_ERROR_MS["activity"] * 1e3 / SECONDS


@pytest.mark.parametrize(
    ("positions", "expected"),
    [
        (("shin", "waist", "chest", "head"), "head"),
        (("shin", "waist", "chest"), "chest"),
        (("hand", "ankle"), "hand"),
        ((), None),
    ],
)
def test_the_reference_is_what_the_take_is_about(make_aligned, positions, expected):
    track = reference_track(make_aligned(2.0, positions))
    assert (track and track.position) == expected


def lost(track, *sensors):
    quality = track.quality.copy()
    quality[:, list(sensors)] = Quality.INVALID
    return replace(track, quality=quality)


def test_a_position_without_a_sample_is_no_reference_and_in_no_pair(wearer):
    empty = lost(worn(wearer), 0, 1)
    aligned = take([empty, worn(wearer, "chest", "phone")])
    assert reference_track(aligned).position == "chest"
    assert list(pairs(aligned)) == [("gravity", "chest/gyroscope", "chest/accelerometer")]
    assert pairs(take([empty]), [filmed(wearer)]) == {}


def test_a_sensor_that_is_missing_takes_its_pairs_with_it(wearer):
    cameras, mocap, left = [filmed(wearer)], captured(wearer), worn(wearer, "head-left")
    without_force = pairs(take([lost(worn(wearer), 0), lost(left, 0)], mocap), cameras)
    assert [method for method, *_ in without_force] == ["rotation", "rotation"]
    without_turn = pairs(take([lost(worn(wearer), 1), lost(left, 1)], mocap), cameras)
    assert without_turn == {}


def test_a_take_without_an_imu_or_a_body_without_a_head_has_no_pair(wearer):
    assert pairs(take([], captured(wearer)), [filmed(wearer)]) == {}
    chest = take([worn(wearer, "chest")], captured(wearer))
    assert [method for method, *_ in pairs(chest)] == ["gravity"]
    limbs = replace(captured(wearer, names=HEAD_JOINTS[:2]), joints=("left-hip", "right-hip"))
    assert [method for method, *_ in pairs(take([worn(wearer)], limbs))] == ["gravity"]


def test_who_lies_still_cannot_be_told(wearer):
    rest = np.tile(np.array([9.8, 0, 0, 0, 0, 0], np.float32), (round(SECONDS * 200), 1))
    rest += np.random.default_rng(0).normal(0, 0.01, rest.shape).astype(np.float32)
    aligned = take(
        [replace(worn(wearer), values=rest), replace(worn(wearer, "shin", "phone"), values=rest[::-1].copy())]
    )
    for estimate in estimate_take(aligned, [filmed(wearer)]):
        assert estimate.offset_ms is None
        assert estimate.reason
