"""Which streams of a take are compared, and that an offset comes back with its sign, however the pair is made up."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from sensorloom.align.rules import RULES
from sensorloom.align.sync.judgement import find_sync
from sensorloom.align.sync.motion import HEAD_JOINTS, CameraMotion
from sensorloom.align.sync.pairs import MODEL_ERROR_MS, estimate_take, reference_track
from sensorloom.align.timeline import AlignedTake, Grid, ImuTrack, MocapTrack, Quality
from sensorloom.ingest.miniature.movements import MOVEMENTS
from sensorloom.ingest.miniature.skeleton import joints
from sensorloom.ingest.miniature.wearer import head, plan_wearer

SECONDS = 90.0
QUARTER = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, 1.0], [-1.0, 0.0, 0.0]])
KEPT = ("name", "view", "times_ns")
S, MS = 1_000_000_000, 1_000_000


LIVELY = ("walks", "turns around", "bends down", "looks to the left", "dances")
CALM = ("looks to the left", "looks up", "looks to the right", "stands still")


@cache
def wearer(names=LIVELY):
    """A generated person who moves throughout."""
    movements = [MOVEMENTS[name] for name in names]
    return plan_wearer(np.random.default_rng(3), SECONDS + 8, movements)


@cache
def worn(position="head", device="aria", late_s=0.0, *, turned=False, names=LIVELY):
    """The IMU of a head, stamped `late_s` too late; never changed."""
    time_s = np.arange(round(SECONDS * 200)) * 0.005
    state = head(wearer(names), time_s - late_s + 2)
    mount = QUARTER if turned else np.eye(3)
    values = np.concatenate([state.acceleration_m_s2 @ mount.T, state.rotation_rad_s @ mount.T], axis=1)
    quality = np.full((len(time_s), 2), Quality.VALID, np.uint8)
    return ImuTrack(position, device, values.astype(np.float32), quality)


@cache
def filmed(name="aria01", view="ego", late_s=0.0):
    """What a camera on the head, or one that looks on, sees, stamped `late_s` too late; never changed."""
    times_ns = np.arange(round(SECONDS * 10)) * 100 * MS
    time_s = times_ns / S - late_s + 2
    angles = np.unwrap(head(wearer(), time_s).yaw_pitch_roll_rad, axis=0)
    motion = np.diff(angles, axis=0, prepend=angles[:1]).astype(np.float32)
    fine_s = time_s[:, None] + np.linspace(-0.1, 0, 20)
    speed = (
        np.linalg.norm(head(wearer(), fine_s.ravel()).rotation_rad_s, axis=1)
        .reshape(fine_s.shape)
        .mean(axis=1)
    )
    count, sound = len(times_ns), np.arange(len(times_ns)) > 0
    zeros, never = np.zeros(count, np.float32), np.zeros(count, bool)
    residual = (3 * speed * sound).astype(np.float32)
    return CameraMotion(
        name, view, times_ns, motion, sound, residual, zeros + 90, zeros + 30, never, never, ~never
    )


def captured(late_s=0.0, names=HEAD_JOINTS):
    time_s = np.arange(round(SECONDS * 10)) * 0.1
    values = joints(wearer(), time_s - late_s + 2)[:, : len(names)].astype(np.float32)
    return MocapTrack("annotation", names, 0, values, np.full(values.shape[:2], Quality.VALID, np.uint8))


def take(tracks, mocap=None):
    grid = Grid(0, round(SECONDS * 200))
    return AlignedTake("d/t", "d", "c", "p", None, grid, tuple(tracks), mocap=mocap)


def pairs(aligned, cameras=()):
    return {(each.method, each.first, each.second): each for each in estimate_take(aligned, cameras)}


def test_every_stream_is_compared_with_the_reference_and_with_nothing_else():
    tracks = [worn("wrist", "watch"), worn(), worn("head-left", turned=True)]
    cameras = [filmed(), filmed("cam01", "exo"), filmed("cam02", "exo")]
    assert list(pairs(take(tracks, captured()), cameras)) == [
        ("rotation", "head/gyroscope", "aria01"),
        ("energy", "head/gyroscope", "cam01"),
        ("energy", "head/gyroscope", "cam02"),
        ("acceleration", "head/accelerometer", "mocap/annotation/head"),
        ("impact", "head/accelerometer", "wrist/accelerometer"),
        ("rotation", "head/gyroscope", "head-left/gyroscope"),
        ("gravity", "wrist/gyroscope", "wrist/accelerometer"),
        ("gravity", "head/gyroscope", "head/accelerometer"),
        ("gravity", "head-left/gyroscope", "head-left/accelerometer"),
    ]


@pytest.mark.parametrize("late_ms", [-420.0, 0.0, 135.0])
def test_an_offset_comes_back_with_its_sign_whatever_the_pair(late_ms):
    late_s = late_ms / 1e3
    tracks = [worn(), worn("head-left", late_s=late_s, turned=True)]
    cameras = [filmed(late_s=late_s), filmed("cam01", "exo", late_s)]
    found = pairs(take(tracks, captured(late_s)), cameras)
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


def test_an_accelerometer_that_is_late_beside_its_own_gyroscope_is_told():
    late = worn(late_s=0.3, names=CALM)
    values = np.concatenate([late.values[:, :3], worn(names=CALM).values[:, 3:]], axis=1)
    (estimate,) = estimate_take(take([replace(late, values=values)]), ())
    assert (estimate.method, estimate.second) == ("gravity", "head/accelerometer")
    assert estimate.offset_ms == pytest.approx(300, abs=MODEL_ERROR_MS["gravity"])


@cache
def struck(position, late_s=0.0, strength=1.0, seed=0):
    """An IMU of a walker, stamped `late_s` too late: upright, pushed up by steps that are uneven in time."""
    time_s = np.arange(round(SECONDS * 200)) * 0.005
    at_s = np.cumsum(np.random.default_rng(seed).normal(0.55, 0.02, round(SECONDS / 0.5))) - 2
    pulses = np.exp(-(((time_s[:, None] - late_s - at_s) / 0.02) ** 2) / 2).sum(axis=1)
    rng = np.random.default_rng([seed, len(position)])
    values = rng.normal(0, [0.3] * 3 + [0.05] * 3, (len(time_s), 6))
    values[:, :3] += np.array([0.6, 0.0, 0.8]) * (9.80665 + strength * (pulses - pulses.mean()))[:, None]
    quality = np.full((len(time_s), 2), Quality.VALID, np.uint8)
    return ImuTrack(position, position, values.astype(np.float32), quality)


def impact(*tracks):
    (estimate,) = [each for each in estimate_take(take(tracks), ()) if each.method == "impact"]
    return estimate


@pytest.mark.parametrize("late_ms", [-800.0, 0.0, 170.0])
def test_two_parts_of_a_body_tell_by_impacts(late_ms):
    estimate = impact(struck("head", strength=3.0), struck("shin", late_ms / 1e3, strength=9.0))
    assert estimate.offset_ms == pytest.approx(late_ms, abs=5)
    assert MODEL_ERROR_MS["impact"] <= estimate.offset_ci_ms < 25


def test_two_parts_of_a_body_are_not_told_by_little_nor_by_what_is_far_off():
    estimate = impact(struck("head", strength=3.0), struck("shin", 2.6, strength=9.0))
    assert (estimate.offset_ms, estimate.reason) == (None, "no clear peak within 2 s")
    shin = struck("shin", strength=9.0)
    quality = shin.quality.copy()
    quality[2800:, 0] = Quality.INVALID
    estimate = impact(struck("head", strength=3.0), replace(shin, quality=quality))
    assert (estimate.offset_ms, estimate.reason) == (None, "under 15 s in common")
    faint = impact(struck("head", strength=0.25), struck("shin", strength=9.0))
    assert (faint.offset_ms, faint.reason) == (None, "few impacts in common")


def test_the_steps_of_another_walker_are_not_told():
    estimate = impact(struck("head", strength=3.0), struck("shin", strength=9.0, seed=1))
    assert estimate.offset_ms is None
    assert estimate.reason


def test_a_film_whose_clock_cannot_be_a_clock_drifts_as_planted():
    camera = filmed()
    fast = replace(camera, times_ns=np.round(camera.times_ns * 1.002).astype(np.int64))
    (estimate, *_) = estimate_take(take([worn()]), [fast])
    assert estimate.drift_ppm == pytest.approx(2000, abs=3 * estimate.drift_ci_ppm)
    assert [each.rule for each in find_sync("t", [estimate], RULES)] == [
        "sync-drift-impossible",
        "sync-shifted",
    ]


def test_a_gap_that_was_closed_up_is_a_jump():
    whole, camera = worn(), filmed()
    kept = np.delete(np.arange(len(camera.times_ns)), slice(450, 480))
    shown = replace(
        camera,
        times_ns=camera.times_ns[: len(kept)],
        **{
            name: getattr(camera, name)[kept]
            for name in type(camera).__dataclass_fields__
            if name not in KEPT
        },
    )
    (estimate, *_) = estimate_take(take([whole]), [shown])
    assert estimate.jump_ms == pytest.approx(-3000, abs=30)
    assert [each.rule for each in find_sync("t", [estimate], RULES)] == ["sync-jump"]


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


def test_a_position_without_a_sample_is_no_reference_and_in_no_pair():
    empty = lost(worn(), 0, 1)
    aligned = take([empty, worn("chest", "phone")])
    assert reference_track(aligned).position == "chest"
    assert list(pairs(aligned)) == [("gravity", "chest/gyroscope", "chest/accelerometer")]
    assert pairs(take([empty]), [filmed()]) == {}


def test_a_sensor_that_is_missing_takes_its_pairs_with_it():
    cameras, mocap, left = [filmed()], captured(), worn("head-left")
    without_force = pairs(take([lost(worn(), 0), lost(left, 0)], mocap), cameras)
    assert [method for method, *_ in without_force] == ["rotation", "rotation"]
    without_turn = pairs(take([lost(worn(), 1), lost(left, 1)], mocap), cameras)
    assert without_turn == {}


def test_a_take_without_an_imu_or_a_body_without_a_head_has_no_pair():
    assert pairs(take([], captured()), [filmed()]) == {}
    chest = take([worn("chest")], captured())
    assert [method for method, *_ in pairs(chest)] == ["gravity"]
    limbs = replace(captured(names=HEAD_JOINTS[:2]), joints=("left-hip", "right-hip"))
    assert [method for method, *_ in pairs(take([worn()], limbs))] == ["gravity"]


def test_who_lies_still_cannot_be_told():
    rest = np.tile(np.array([9.8, 0, 0, 0, 0, 0], np.float32), (round(SECONDS * 200), 1))
    rest += np.random.default_rng(0).normal(0, 0.01, rest.shape).astype(np.float32)
    aligned = take([replace(worn(), values=rest), replace(worn("shin", "phone"), values=rest[::-1].copy())])
    for estimate in estimate_take(aligned, [filmed()]):
        assert estimate.offset_ms is None
        assert estimate.reason
