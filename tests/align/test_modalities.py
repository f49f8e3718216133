"""Takes of several devices: IMU, videos, joints and texts, each on a clock of its own, on one timeline."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sensorloom.align.alignment import AlignSettings, align
from sensorloom.align.errors import TakeError
from sensorloom.align.timeline import GRID_STEP_NS, Quality
from sensorloom.ingest.take import ClockAnchors, Interval, MocapStream, TextEvent, VideoStream

MS = 1_000_000
S = 1_000_000_000
DEVICE_NS = 284_324_000_000_000
DRIFT = 80e-6  # what the take clock gains on the device clock
EDGE = 200  # samples (1 s) left out where a tone is judged away from the ends of its stream


def frames(count=300) -> np.ndarray:
    return np.rint(np.arange(count) * 1e9 / 30).astype(np.int64)


def device_ns(take_ns) -> np.ndarray:
    return DEVICE_NS + np.rint(np.asarray(take_ns) / (1 + DRIFT)).astype(np.int64)


def tone(take_ns, freq_hz) -> np.ndarray:
    angle = 2 * np.pi * freq_hz * np.asarray(take_ns) / 1e9
    return np.stack((np.cos(angle), np.sin(angle), np.zeros(len(angle))), axis=1).astype(np.float32)


def camera(name="aria01", view="ego", times_ns=None, clock=None):
    times = frames() if times_ns is None else times_ns
    return VideoStream(
        name, view, f"{name}.mp4", "448", clock or "canonical", times, times // 1000, (1, 10**6), 64, 64
    )


def pose(times_ns, source="annotation"):
    values = np.ones((len(times_ns), 2, 3), np.float32)
    return MocapStream(
        source, "pose-frames", ("a", "b"), times_ns, values, np.ones((len(times_ns), 2), np.bool_)
    )


def text(at_s, clock="annotation-seconds"):
    return TextEvent("atomic", clock, round(at_s * S), round(at_s * S), "C cuts", "1")


def rules(aligned):
    return {finding.rule: finding for finding in aligned.findings}


@pytest.fixture
def aligned_of(make_take):
    def make(**fields):
        streams = fields.pop("streams", ())
        take = make_take(**{"dataset": "egoexo4d", "labels": (), **fields})
        return align(replace(take, streams=streams), AlignSettings())

    return make


@pytest.fixture
def aria(make_stream):
    """Both sensors of one Aria IMU with a tone of the take clock, stamped by the device, and its anchors."""

    def make(rate_hz, jitter_ns, freq_hz, position="head", seconds=10):
        count = round(seconds * rate_hz)
        jitter = np.random.default_rng(count).integers(-jitter_ns, jitter_ns + 1, count)
        true = np.rint(np.arange(count) * 1e9 / rate_hz).astype(np.int64) + jitter
        stamps = device_ns(true)
        streams = tuple(
            make_stream(kind, position, stamps, tone(true, freq_hz), rate_hz, "aria01/device")
            for kind in ("accelerometer", "gyroscope")
        )
        anchors = ClockAnchors("aria01/device", "take", device_ns(frames()), frames(), "timesync rows")
        return {"streams": streams, "anchors": (anchors,)}

    return make


def gain(aligned, freq_hz):
    """Complex gain of both sensors at every sample of the grid away from the ends."""
    track = aligned.imu[0]
    at = aligned.grid.start_ns + GRID_STEP_NS * np.arange(aligned.grid.num_samples)
    true = tone(at, freq_hz).astype(np.float64)
    unit = true[:, 0] + 1j * true[:, 1]
    out = track.values.astype(np.float64)
    return np.stack(((out[:, 0] + 1j * out[:, 1]) / unit, (out[:, 3] + 1j * out[:, 4]) / unit))[:, EDGE:-EDGE]


ARIA = [(1000.0, 60_000), (999.5, 60_000), (1002.0, 31_000), (795.0, 10_000), (800.0, 0), (807.0, 10_000)]


@pytest.mark.parametrize(("rate_hz", "jitter_ns"), ARIA)
def test_a_tone_of_the_take_clock_keeps_amplitude_and_phase(aria, aligned_of, rate_hz, jitter_ns):
    aligned = aligned_of(**aria(rate_hz, jitter_ns, 20.0))
    response = gain(aligned, 20.0)
    assert np.abs(np.abs(response) - 1).max() < 1e-3
    assert np.abs(np.angle(response) / (2 * np.pi * 20.0)).max() < 5e-6  # seconds
    assert (aligned.imu[0].quality == Quality.VALID).all()
    assert "stamp-retimed" not in rules(aligned)


@pytest.mark.parametrize(("rate_hz", "jitter_ns"), ARIA)
def test_a_tone_beyond_the_grid_vanishes(aria, aligned_of, rate_hz, jitter_ns):
    response = np.abs(gain(aligned_of(**aria(rate_hz, jitter_ns, 150.0)), 150.0))
    assert np.sqrt(np.mean(response**2)) < 1e-3
    assert response.max() < 5e-3


def test_dropped_samples_do_not_bring_true_jitter_under_suspicion(aria, aligned_of):
    parts = aria(1000.0, 60_000, 20.0)
    cut = tuple(
        replace(
            s,
            times_ns=np.delete(s.times_ns, slice(4000, 4500)),
            values=np.delete(s.values, slice(4000, 4500), 0),
        )
        for s in parts["streams"]
    )
    aligned = aligned_of(**{**parts, "streams": cut})
    assert not {"stamp-retimed", "stall-retimed", "stamp-lost"} & set(rules(aligned))
    assert rules(aligned)["gap-invalid"].numbers["total_s"] == pytest.approx(0.5, abs=0.011)


def test_components_of_198_and_201_hz_stay_apart_at_their_break(make_stream, aligned_of):
    first = np.rint(np.arange(990) * 1e9 / 198).astype(np.int64)
    second = 6 * S + np.rint(np.arange(804) * 1e9 / 201).astype(np.int64)
    times = np.concatenate((first, second))
    streams = tuple(
        make_stream(kind, "head", times, tone(times, 20.0), 200.0, "canonical")
        for kind in ("accelerometer", "gyroscope")
    )
    pause = Interval(int(first[-1]) + 1, 6 * S)
    aligned = aligned_of(dataset="ego4d", streams=streams, breaks=(pause,))
    usable = (aligned.imu[0].quality == Quality.VALID).all(axis=1)
    assert (usable[:1000].sum(), usable[1000:1200].sum(), usable[1200:].all()) == (999, 0, True)
    at = GRID_STEP_NS * np.arange(aligned.grid.num_samples)
    inside = usable & (at > S) & (at < 9 * S) & ((at < 4 * S) | (at > 7 * S))
    assert np.abs(aligned.imu[0].values[inside, :3] - tone(at, 20.0)[inside]).max() < 2e-3
    assert "gap-invalid" not in rules(aligned)


def test_stamps_that_two_clocks_share_by_chance_are_moved_by_each(make_stream, aligned_of):
    times = np.arange(1000) * 5 * MS
    streams = tuple(make_stream("accelerometer", p, times, rate_hz=200.0, clock=p) for p in ("head", "hand"))
    anchors = ClockAnchors("hand", "take", np.array([0]), np.array([S]), "planted")
    aligned = aligned_of(streams=streams, anchors=(anchors,))
    spans = {track.position: np.flatnonzero(track.quality[:, 0])[[0, -1]].tolist() for track in aligned.imu}
    assert spans == {"head": [0, 999], "hand": [200, 1199]}


def test_a_take_without_imu_has_a_grid_of_its_video(aligned_of):
    aligned = aligned_of(videos=(camera(),), events=(text(3),))
    assert (aligned.grid.start_ns, aligned.grid.num_samples, aligned.imu) == (0, 2000, ())
    assert len(aligned.events) == 1
    assert aligned.findings == ()


def test_the_grid_covers_imu_video_and_mocap(make_stream, aligned_of):
    imu = make_stream(times_ns=2 * S + np.arange(1000) * 5 * MS, rate_hz=200.0)
    aligned = aligned_of(
        streams=(imu,), videos=(camera(times_ns=frames() - S),), mocap=(pose(frames()[::3] + 9 * S),)
    )
    assert (aligned.grid.start_ns, aligned.grid.stop_ns) == (-S, 19 * S)
    assert np.flatnonzero(aligned.imu[0].quality[:, 0])[[0, -1]].tolist() == [600, 1599]


def test_texts_follow_their_clock_and_stand_in_time_order(aligned_of):
    anchors = ClockAnchors("late", "take", np.array([0]), np.array([2 * S]), "planted")
    events = (text(5), text(1, "late"), text(90))
    aligned = aligned_of(videos=(camera(),), events=events, anchors=(anchors,))
    assert [event.start_ns for event in aligned.events] == [3 * S, 5 * S]
    assert rules(aligned)["text-outside"].numbers["texts"] == 1
    assert {clock.source: clock.rule for clock in aligned.clock_maps}["late"] == "planted"


def test_the_ego_camera_comes_first_then_the_others_by_name(aligned_of):
    names = [("cam02", "exo"), ("cam01", "exo"), ("gp05", "ego"), ("gp01", "exo")]
    aligned = aligned_of(videos=tuple(camera(name, view) for name, view in names))
    assert [video.name for video in aligned.videos] == ["gp05", "cam01", "cam02", "gp01"]


def test_video_is_carried_by_its_anchors(aligned_of):
    anchors = ClockAnchors("aria01/presentation", "take", frames() + 66 * MS, frames(), "frame i at i/30 s")
    aligned = aligned_of(
        videos=(camera(times_ns=frames() + 66 * MS, clock="aria01/presentation"),), anchors=(anchors,)
    )
    assert np.array_equal(aligned.videos[0].times_ns, frames())
    assert aligned.clock_maps[0].rule == "frame i at i/30 s"


def test_one_source_of_joints_is_used_and_named(aligned_of):
    both = (pose(frames()[::3], "automatic"), pose(frames()[:30:3]))
    aligned = aligned_of(mocap=both)
    assert (aligned.mocap.source, len(aligned.mocap.values)) == ("annotation", 10)
    assert {"mocap-source-choice", "mocap-coverage"} <= set(rules(aligned))


def test_positions_and_cameras_that_cover_other_times_are_told(make_stream, aligned_of):
    imu = make_stream("accelerometer", "head", 2 * S + np.arange(1000) * 5 * MS, rate_hz=200.0)
    short = camera("cam01", "exo", frames()[:285])
    finding = rules(aligned_of(streams=(imu,), videos=(camera(), short)))["modality-spans-differ"]
    assert finding.severity == "warning"
    assert finding.numbers == {"head_starts_late_s": 2.0, "head_stops_early_s": pytest.approx(3.0)}
    assert finding.sentence == (
        "IMU and video do not cover the same time: head starts 2.0 s late and stops 3.0 s early; there it is masked"
    )
    whole = make_stream("accelerometer", "head", np.arange(1900) * 5 * MS, rate_hz=200.0)
    assert "modality-spans-differ" not in rules(aligned_of(streams=(whole,), videos=(camera(),)))


def test_a_video_or_joints_hours_away_are_left_out(make_stream, aligned_of):
    imu = make_stream(times_ns=np.arange(1000) * 5 * MS, rate_hz=200.0)
    far = camera("cam01", "exo", frames() + 7200 * S)
    aligned = aligned_of(streams=(imu,), videos=(camera(), far), mocap=(pose(frames()[::3] - 7200 * S),))
    assert [video.name for video in aligned.videos] == ["aria01"]
    assert aligned.mocap is None
    islands = {
        finding.target: finding.numbers for finding in aligned.findings if finding.rule == "clock-island"
    }
    assert islands == {
        "egoexo4d/generated#cam01": {"offset_s": 7200.0, "samples": 300},
        "egoexo4d/generated#mocap": {"offset_s": -7200.0, "samples": 100},
    }
    assert aligned.grid.num_samples == 2000


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"videos": (camera(), camera())}, "more than one video is called aria01; a camera has one file"),
        ({"mocap": (pose(frames()), pose(frames()))}, "more than one mocap stream is called annotation"),
        (
            {"videos": (camera("../cam"),)},
            r"a camera is called '\.\./cam'; only letters, digits and \. _ - can name",
        ),
        (
            {"mocap": (pose(np.array([0, S, 10**15])),)},
            r"mocap spans 277\.8 h, a take may last 24 h: the stamp of sample 2",
        ),
        (
            {"videos": (camera(times_ns=np.array([0, 10**15])),)},
            r"aria01 spans 277\.8 h, a take may last 24 h",
        ),
    ],
)
def test_parts_that_cannot_be_are_refused(aligned_of, fields, message):
    with pytest.raises(TakeError, match=f"egoexo4d/generated: {message}"):
        aligned_of(**fields)
