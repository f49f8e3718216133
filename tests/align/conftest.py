"""Recordings with known content, for all tests of the signal core. All of it is generated."""

from __future__ import annotations

import numpy as np
import pytest

from sensorloom.ingest.take import Interval, LabelInterval, SensorStream, Take


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
