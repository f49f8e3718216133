"""Recordings with known content, for all tests of the signal core. All of it is generated."""

from __future__ import annotations

import numpy as np
import pytest

from sensorloom.align.timeline import AlignedTake, Grid, ImuTrack, MocapTrack, Quality, VideoTrack
from sensorloom.ingest.take import Interval, LabelInterval, SensorStream, Take, TextEvent


@pytest.fixture(scope="session")
def phone(real_data):
    """Real REALWORLD files, walking, shin: {kind: (times_ns, values)}."""
    names = {"accelerometer": "acc_walking_shin.csv", "gyroscope": "Gyroscope_walking_shin.csv"}
    folder = real_data / "realworld"
    tables = {kind: np.loadtxt(folder / name, delimiter=",", skiprows=1) for kind, name in names.items()}
    return {
        kind: (table[:, 1].astype(np.int64) * 1_000_000, table[:, 2:].astype(np.float32))
        for kind, table in tables.items()
    }


@pytest.fixture
def make_stream():
    def make(
        kind="accelerometer", position="chest", times_ns=None, values=None, rate_hz=100.0, clock="device"
    ):
        if values is None:
            noise = np.random.default_rng(len(times_ns)).normal(0, 0.5, (len(times_ns), 3))
            values = (noise + np.array([0, 0, 9.81])).astype(np.float32)
        unit = {"accelerometer": "m/s²", "gyroscope": "rad/s", "heart_rate": "bpm"}[kind]
        channels = ("x", "y", "z")[: values.shape[1]]
        return SensorStream(kind, position, "imu", clock, times_ns, values, channels, unit, rate_hz)

    return make


@pytest.fixture
def make_take(make_stream):
    def make(seconds=20.0, positions=("chest",), rate_hz=100.0, start_ns=0, dataset="pamap2", **fields):
        times = start_ns + np.arange(round(seconds * rate_hz)) * round(1e9 / rate_hz)
        streams = fields.pop("streams", None) or tuple(
            make_stream(kind, position, times, rate_hz=rate_hz)
            for position in positions
            for kind in ("accelerometer", "gyroscope")
        )
        labels = fields.pop("labels", (LabelInterval(start_ns, start_ns + round(seconds * 1e9), "walking"),))
        return Take(
            take_id=f"{dataset}/generated",
            dataset=dataset,
            capture_id="capture",
            participant_id=f"{dataset}/1",
            official_split=None,
            files=(),
            streams=streams,
            labels=labels,
            **fields,
        )

    return make


@pytest.fixture
def interval():
    return lambda start_s, stop_s: Interval(round(start_s * 1e9), round(stop_s * 1e9))


@pytest.fixture
def make_event():
    def make(source, start_s, text="C turns", *, stop_s=None, annotator="a", uncertainty_s=0.0, **tags):
        stop_s = start_s if stop_s is None else stop_s
        times = (round(start_s * 1e9), round(stop_s * 1e9))
        return TextEvent(source, "take", *times, text, annotator, round(uncertainty_s * 1e9), tags)

    return make


@pytest.fixture
def make_video():
    def make(name="aria01", view="ego", seconds=20.0, *, rate_hz=30.0, start_s=0.0):
        index = np.arange(round(seconds * rate_hz))
        times = round(start_s * 1e9) + np.round(index * 1e9 / rate_hz).astype(np.int64)
        return VideoTrack(name, view, f"{name}.mp4", "full", (1, 30), 448, 448, False, times, index)

    return make


@pytest.fixture
def make_mocap():
    """Joints that move on lines, so that every value tells its joint, axis and time."""

    def make(seconds=20.0, *, start_ns=66_666_667, quality=None):
        rows = round(seconds * 10)
        quality = np.full((rows, 17), Quality.VALID, np.uint8) if quality is None else quality
        times = start_ns / 1e9 + 0.1 * np.arange(rows)
        values = times[:, None, None] + np.arange(51).reshape(17, 3)
        values = (values * (quality > 0)[:, :, None]).astype(np.float32)
        joints = ("left-hip", "right-hip", *(f"joint-{number}" for number in range(15)))
        return MocapTrack("annotation", joints, start_ns, values, quality)

    return make


@pytest.fixture
def make_aligned():
    """A take whose IMU samples tell their position on the grid by their noise."""

    def make(seconds=20.0, positions=("head",), *, start_ns=0, quality=None, dataset="egoexo4d", **fields):
        count = round(seconds * 200)
        quality = np.full((count, 2), Quality.VALID, np.uint8) if quality is None else quality
        noise = np.random.default_rng(7).normal(0, 1, (count, 6)) * np.repeat(quality > 0, 3, axis=1)
        tracks = tuple(
            ImuTrack(position, "aria", noise.astype(np.float32), quality.copy()) for position in positions
        )
        grid = Grid(start_ns, count)
        return AlignedTake(f"{dataset}/t", dataset, "c", f"{dataset}/1", None, grid, tracks, **fields)

    return make
