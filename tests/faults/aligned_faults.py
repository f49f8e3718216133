"""Faults of signals and pictures: an aligned take, and what was told of its frames, with values that no sensor gave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from sensorloom.align.timeline import GRID_RATE_HZ, AlignedTake, ImuTrack, MocapTrack, Quality
from sensorloom.embed.facts import FrameFacts
from sensorloom.embed.works import CameraVectors
from sensorloom.ingest.take import Severity
from tests.faults.fault import Fault

__all__ = ["ALIGNED_FAULTS"]

Values = NDArray[np.float32]
Seen = tuple[AlignedTake, Sequence[CameraVectors]]
Plant = Callable[[AlignedTake, Sequence[CameraVectors]], Seen]

_ACC, _GYR = slice(0, 3), slice(3, 6)
_LIMIT_M_S2 = 16.0
_IMU2CLIP_4 = "https://github.com/facebookresearch/imu2clip/issues/4"


def _track(position: str, change: Callable[[ImuTrack], ImuTrack]) -> Plant:
    """Change the track of a position."""

    def plant(take: AlignedTake, cameras: Sequence[CameraVectors]) -> Seen:
        imu = tuple(change(track) if track.position == position else track for track in take.imu)
        return replace(take, imu=imu), cameras

    return plant


def _values(position: str, change: Callable[[Values], None]) -> Plant:
    """Change the values float32[T, 6] of a position in place, of a copy."""

    def changed(track: ImuTrack) -> ImuTrack:
        values = track.values.copy()
        change(values)
        return replace(track, values=values)

    return _track(position, changed)


def _mocap(change: Callable[[MocapTrack], MocapTrack]) -> Plant:
    def plant(take: AlignedTake, cameras: Sequence[CameraVectors]) -> Seen:
        assert take.mocap is not None
        return replace(take, mocap=change(take.mocap)), cameras

    return plant


def _camera(change: Callable[[FrameFacts], FrameFacts]) -> Plant:
    """Change the facts of the first camera's frames."""

    def plant(take: AlignedTake, cameras: Sequence[CameraVectors]) -> Seen:
        assert cameras[0].facts is not None
        return take, (replace(cameras[0], facts=change(cameras[0].facts)), *cameras[1:])

    return plant


def _zeros_for_missing(track: ImuTrack) -> ImuTrack:
    """Put zeros, called valid, where the sensor was not there at all."""
    return replace(
        track,
        values=np.zeros_like(track.values),
        quality=np.full_like(track.quality, Quality.VALID),
    )


def _hold(columns: slice | int, start_s: float, stop_s: float, values: Values) -> None:
    rows = slice(round(start_s * GRID_RATE_HZ), round(stop_s * GRID_RATE_HZ))
    values[rows, columns] = values[rows.start, columns]


def _copy_axis(values: Values) -> None:
    values[:, 5] = values[:, 4]


def _clip(values: Values) -> None:
    np.clip(values[:, _ACC], -_LIMIT_M_S2, _LIMIT_M_S2, out=values[:, _ACC])


def _scale(factor: float, values: Values) -> None:
    values[:, _ACC] *= factor


def _low_pass(cut_hz: float, values: Values) -> None:
    sections = signal.butter(8, cut_hz, fs=GRID_RATE_HZ, output="sos")
    values[:] = signal.sosfiltfilt(sections, values, axis=0)


def _keep_still(values: Values) -> None:
    """Leave gravity and sensor noise, as of glasses that lie on a table."""
    rng = np.random.default_rng(0)
    values[:, _ACC] = (0.0, 0.0, 9.81)
    values[:, _GYR] = 0.0
    values += rng.normal(0.0, 0.003, values.shape).astype(np.float32)


def _lose(start_s: float, stop_s: float, track: ImuTrack) -> ImuTrack:
    rows = slice(round(start_s * GRID_RATE_HZ), round(stop_s * GRID_RATE_HZ))
    values, quality = track.values.copy(), track.quality.copy()
    values[rows], quality[rows] = 0.0, Quality.INVALID
    return replace(track, values=values, quality=quality)


def _flatten(body: MocapTrack) -> MocapTrack:
    values = body.values.copy()
    values[body.quality != Quality.INVALID, 2] = 1.0
    return replace(body, values=values)


def _stretch(body: MocapTrack) -> MocapTrack:
    """Let the body be of another size in every row, as when its scale is guessed picture by picture."""
    factors = np.random.default_rng(0).uniform(0.3, 1.7, (len(body.values), 1, 1)).astype(np.float32)
    middle = body.values.mean(axis=1, keepdims=True)
    return replace(body, values=middle + (body.values - middle) * factors)


def _hide_joints(body: MocapTrack) -> MocapTrack:
    values, quality = body.values.copy(), body.quality.copy()
    values[:, 4:], quality[:, 4:] = 0.0, Quality.INVALID
    return replace(body, values=values, quality=quality)


def _second_quarter(count: int) -> NDArray[np.bool_]:
    rows = np.arange(count)
    return (rows >= count // 4) & (rows < count // 2)


def _frozen(facts: FrameFacts) -> FrameFacts:
    still = _second_quarter(len(facts.motion))
    motion = np.where(still[:, None], 0.0, facts.motion).astype(np.float32)
    return replace(facts, is_frozen=facts.is_frozen | still, motion=motion)


def _black(facts: FrameFacts) -> FrameFacts:
    dark = _second_quarter(len(facts.motion))
    brightness = np.where(dark, 0.0, facts.brightness).astype(np.float32)
    return replace(facts, is_black=facts.is_black | dark, brightness=brightness)


_Row = tuple[str, str, str, Severity, str, Plant]

_ROWS: tuple[_Row, ...] = (
    (
        "egoexo4d-zeros-for-missing",
        "the left IMU is missing, and zeros that are called valid stand for it",
        "window-all-zero",
        "error",
        "IMU2CLIP, MMdataloader.py:227-228, and PRIMUS: lessons 0.4",
        _track("head-left", _zeros_for_missing),
    ),
    (
        "egoexo4d-z-lost",
        "z of every joint is 1",
        "mocap-axis-lost",
        "error",
        "AURA-MFM, preprocess/utils.py, reads (x, y, flag): methods §0 row 11",
        _mocap(_flatten),
    ),
    (
        "realworld-channel-held",
        "x of the waist's accelerometer is held for 6 s",
        "window-constant-channel",
        "warning",
        f"windows that users of IMU2CLIP met, {_IMU2CLIP_4}",
        _values("waist", partial(_hold, 0, 60.0, 66.0)),
    ),
    (
        "ego4d-axis-twice",
        "z of the gyroscope is y again",
        "window-identical-axes",
        "warning",
        "a triad read with one column twice",
        _values("head", _copy_axis),
    ),
    (
        "pamap2-clipped",
        "the hand's accelerometer stands at its limit of 16 m/s²",
        "window-saturated",
        "warning",
        "the 6 g accelerometers of PAMAP2, its readme",
        _values("hand", _clip),
    ),
    (
        "realworld-other-scale",
        "the waist's accelerometer is scaled by 0.6",
        "window-gravity-off",
        "warning",
        "mixed units and ranges, lerobot#1670",
        _values("waist", partial(_scale, 0.6)),
    ),
    (
        "ego4d-gap",
        "1.2 s of the IMU are lost",
        "window-gap",
        "note",
        "gaps of Ego4D's IMU: lessons 0.3",
        _track("head", partial(_lose, 30.0, 31.2)),
    ),
    (
        "egoexo4d-body-changes-size",
        "the body is 0.3 to 1.7 times its size, row by row",
        "mocap-bones-vary",
        "warning",
        "poses from single pictures, whose scale is guessed",
        _mocap(_stretch),
    ),
    (
        "egoexo4d-few-joints",
        "13 of the 17 joints are not annotated",
        "mocap-few-joints",
        "note",
        "Ego-Exo4D's automatic poses",
        _mocap(_hide_joints),
    ),
    (
        "ego4d-frozen",
        "the camera repeats one picture for a quarter of the take",
        "video-frozen",
        "warning",
        "recorders that repeat the last frame they have",
        _camera(_frozen),
    ),
    (
        "egoexo4d-black",
        "the camera is black for a quarter of the take",
        "video-black",
        "warning",
        "gaps that are rendered black, EgoX#27",
        _camera(_black),
    ),
    (
        "egoexo4d-upsampled",
        "what the IMU's 1000 Hz carry ends at 20 Hz",
        "sensor-upsampled",
        "note",
        "PRIMUS trains at 50 Hz what others take at 200: methods §0 row 9",
        _values("head", partial(_low_pass, 20.0)),
    ),
    (
        "ego4d-on-a-table",
        "the glasses lie on a table while the pictures move",
        "sync-unknown",
        "note",
        "recordings that go on after the device was taken off",
        _values("head", _keep_still),
    ),
)

_PUBLISHED = {"egoexo4d-zeros-for-missing": 1, "egoexo4d-z-lost": 2}

ALIGNED_FAULTS: tuple[Fault, ...] = tuple(
    Fault(
        identity,
        identity.partition("-")[0],
        "aligned",
        how,
        rule,
        severity,
        source,
        published=_PUBLISHED.get(identity, 0),
        plant=plant,
    )
    for identity, how, rule, severity, source, plant in _ROWS
)
