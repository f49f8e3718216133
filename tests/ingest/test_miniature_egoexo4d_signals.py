"""Signals of the generated Ego-Exo4D tree: IMUs and videos as documented, planted clock errors really in them."""

from __future__ import annotations

import csv
import io
from itertools import pairwise

import av
import numpy as np
import pytest

from sensorloom.ingest.miniature.egoexo4d_catalogue import catalogue
from sensorloom.ingest.miniature.egoexo4d_clock import capture_clock
from sensorloom.ingest.miniature.egoexo4d_imu import imu_records
from sensorloom.ingest.miniature.seeding import generator
from sensorloom.ingest.miniature.skeleton import joints
from sensorloom.ingest.miniature.wearer import head, plan_wearer
from sensorloom.ingest.video import decode_frames, read_video_table
from sensorloom.ingest.vrs import imu_labels, open_vrs, read_imu
from tests.ingest.egoexo4d_tree import (
    BIKE,
    COOKING,
    DANCE,
    LATE,
    body,
    timesync,
    vrs_of,
)


@pytest.fixture
def sample(egoexo4d_sample):
    return egoexo4d_sample


@pytest.fixture
def entries(egoexo4d_entries):
    return egoexo4d_entries


def test_the_imus_differ_in_rate_jitter_axes_and_calibration(sample):
    root, truth, _ = sample
    path = vrs_of(root, truth[BIKE])
    assert sorted(imu_labels(path)) == ["imu-left", "imu-right"]
    assert not open_vrs(path).num_lost
    right_ns, right = read_imu(path, "imu-right", calibrated=True)
    left_ns, left = read_imu(path, "imu-left", calibrated=True)
    assert 938_000 <= np.diff(right_ns).min() < 960_000
    assert 1_040_000 < np.diff(right_ns).max() <= 1_062_000
    assert np.diff(left_ns).min() >= 1_238_000
    assert np.diff(left_ns).max() <= 1_268_000
    assert abs(1e9 / np.diff(right_ns).mean() - 1000.6) < 0.1
    assert abs(1e9 / np.diff(left_ns).mean() - 798.4) < 0.1
    assert 0 < left_ns[0] - right_ns[0] < 5_000_000
    for values, axis in ((right, 0), (left, 1)):
        assert np.median(values[:, axis]) < -8
        assert abs(np.median(np.linalg.norm(values[:, :3], axis=1)) - 9.80665) < 0.2
    raw = read_imu(path, "imu-right")[1]
    assert np.abs(raw.mean(axis=0) - right.mean(axis=0)).max() > 0.005


@pytest.mark.parametrize(("label", "noise"), [("imu-right", 0.03), ("imu-left", 0.03)])
def test_calibrated_values_are_the_wearers_turned_and_no_more(sample, label, noise):
    """What is left of the accelerometer after the best rotation (Kabsch) is the sensor's noise."""
    root, truth, _ = sample
    plan = next(plan for plan in catalogue(0, None) if plan.take_id == DANCE)
    times_ns, values = read_imu(vrs_of(root, truth[DANCE]), label, calibrated=True)
    claimed_s = capture_clock(0, plan.capture).take_s(plan, times_ns)
    movements = [step.movement for step in plan.task.steps]
    wearer = plan_wearer(generator("egoexo4d", 0, plan.name, "wearer"), plan.seconds, movements)
    force = head(wearer, plan.skew(label).true_s(claimed_s)).acceleration_m_s2
    left, _, right = np.linalg.svd(force.T @ values[:, :3])
    turn = left @ np.diag([1, 1, np.linalg.det(left @ right)]) @ right
    rest = values[:, :3] - force @ turn
    assert np.abs(rest.mean(axis=0)).max() < 0.003
    assert rest.std() == pytest.approx(noise, rel=0.05)


@pytest.mark.parametrize("take_id", [BIKE, DANCE])
def test_projectaria_tools_opens_the_vrs(sample, take_id):
    data_provider = pytest.importorskip("projectaria_tools.core.data_provider")
    root, truth, _ = sample
    path = vrs_of(root, truth[take_id])
    provider = data_provider.create_vrs_data_provider(str(path))
    for label in ("imu-right", "imu-left"):
        stream = provider.get_stream_id_from_label(label)
        times_ns, values = read_imu(path, label)
        assert provider.get_num_data(stream) == len(times_ns)
        middle = provider.get_imu_data_by_index(stream, len(times_ns) // 2)
        assert middle.capture_timestamp_ns == times_ns[len(times_ns) // 2]
        assert np.allclose(middle.accel_msec2, values[len(times_ns) // 2, :3])


def test_the_trajectory_is_of_the_head_on_the_device_clock(sample):
    root, truth, _ = sample
    text = (root / "takes/cmu_bike01_2/trajectory/closed_loop_trajectory.csv").read_text()
    rows = list(csv.DictReader(io.StringIO(text)))
    stamps_us = np.array([int(row["tracking_timestamp_us"]) for row in rows])
    imu_ns, imu = read_imu(vrs_of(root, truth[BIKE]), "imu-right", calibrated=True)
    assert imu_ns[0] < stamps_us[0] * 1000 < stamps_us[-1] * 1000 < imu_ns[-1]
    rates = np.array([[float(row[f"angular_velocity_{axis}_device"]) for axis in "xyz"] for row in rows])
    turned = np.array([np.interp(stamps_us * 1000, imu_ns, column) for column in imu[:, 3:].T])
    assert np.corrcoef(np.linalg.norm(rates, axis=1), np.linalg.norm(turned, axis=0))[0, 1] > 0.98
    quaternions = np.array([[float(row[f"q{axis}_world_device"]) for axis in "xyzw"] for row in rows])
    assert np.allclose(np.linalg.norm(quaternions, axis=1), 1, atol=1e-5)


def test_the_imus_cover_what_the_truth_says(sample):
    root, truth, _ = sample
    columns = {"cmu_bike01": "aria01", "sfu_cooking015": "aria03", "upenn_0713_Dance_2": "aria01"}
    for take_id, take in truth.items():
        if not take["streams"]:
            continue
        capture = take["capture_id"].removeprefix("egoexo4d/")
        cells = timesync(root, capture)[f"{columns[capture]}_214-1_capture_timestamp_ns"]
        first_row = take["rows"]["first_row"]
        frame_0, frame_60 = (int(cells[first_row + frame]) for frame in (0, 60))
        for position, label in (("head", "imu-right"), ("head-left", "imu-left")):
            told = take["streams"][f"{position}/gyroscope"]
            times_ns, _ = read_imu(vrs_of(root, take), label)
            assert len(times_ns) == told["rows"]
            claimed_s = (times_ns[[0, -1]] - frame_0) * (2.0 / (frame_60 - frame_0))
            assert np.allclose(claimed_s, [told["first_s"], told["last_s"]], atol=2e-4), take_id
    assert truth[COOKING]["streams"]["head/gyroscope"]["first_s"] == pytest.approx(0.8, abs=2e-3)
    assert truth[COOKING]["streams"]["head/gyroscope"]["covered_s"] == pytest.approx(6.9, abs=5e-3)


def test_all_videos_of_a_take_have_its_frames_at_a_thirtieth_of_a_second(sample):
    root, truth, files = sample
    for take_id, take in truth.items():
        uris = [
            uri
            for uri in files
            if uri.startswith(f"takes/{take_id.removeprefix('egoexo4d/')}/") and uri.endswith(".mp4")
        ]
        assert {video["uri"] for video in take["videos"].values()} <= set(uris)
        for uri in uris:
            table = read_video_table(root / uri, uri)
            assert table.num_frames == table.expected_frames == take["num_frames"]
            assert table.codec == "h264"
            assert np.abs(table.times_ns - np.arange(table.num_frames) * 1e9 / 30).max() < 1000
    assert [video["rendition"] for video in truth[COOKING]["videos"].values()] == ["full"] * 3
    assert {video["rendition"] for video in truth[BIKE]["videos"].values()} == {"448"}
    assert "gp05" not in truth[DANCE]["videos"]


def test_videos_have_b_frames(sample):
    root, truth, _ = sample
    for video in truth[BIKE]["videos"].values():
        with av.open(str(root / video["uri"])) as container:
            stored = [packet.pts for packet in container.demux(video=0) if packet.pts is not None]
        assert stored != sorted(stored)


def test_the_picture_of_a_repeated_stamp_is_repeated(sample):
    root, truth, _ = sample
    for take_id in (BIKE, DANCE):
        stirred = picture_stir(root, truth[take_id]["videos"]["aria01"])[1]
        repeated = truth[take_id]["rows"]["repeated_frame"]
        assert stirred[repeated - 1] < 0.5 * np.median(stirred[repeated - 6 : repeated + 5])


def test_a_gopro_may_stand_on_end(sample):
    root, truth, _ = sample
    uri = truth[DANCE]["videos"]["gp02"]["uri"]
    table = read_video_table(root / uri, uri)
    assert table.height_px > table.width_px


def gyroscope(root, take, label):
    """Claimed take seconds and calibrated rotation, through the first and the last stamp of timesync.csv."""
    times_ns, values = read_imu(vrs_of(root, take), label, calibrated=True)
    capture = take["capture_id"].removeprefix("egoexo4d/")
    columns = timesync(root, capture)
    cells = next(cells for name, cells in columns.items() if "214-1" in name)
    first, last = take["rows"]["first_row"], take["rows"]["first_row"] + take["num_frames"] - 1
    ends_ns = [int(cells[first]), int(cells[last])]
    return np.interp(times_ns, ends_ns, [0, (last - first) / 30], left=np.nan, right=np.nan), values[:, 3:]


def best_lag_ms(reference, signal, lags_ms, margin_s=0.5):
    """Lag by which `signal(t)` looks most like `reference(t + lag)`: highest share of variance explained."""
    (ref_s, ref), (sig_s, sig) = reference, signal
    known = ~np.isnan(ref_s)
    ref_s, ref = ref_s[known], ref[known]
    inside = (sig_s > ref_s[0] + margin_s) & (sig_s < ref_s[-1] - margin_s)
    sig_s, sig = sig_s[inside], sig[inside]
    sig = sig - sig.mean()
    scores = []
    for lag in lags_ms:
        moved = np.stack([np.interp(sig_s + lag / 1e3, ref_s, column) for column in ref.T], axis=1)
        design = moved - moved.mean(axis=0)
        rest = sig - design @ np.linalg.lstsq(design, sig, rcond=None)[0]
        scores.append(1 - rest.var() / sig.var())
    return float(lags_ms[int(np.argmax(scores))]), max(scores)


LUMA = np.array([0.299, 0.587, 0.114])


def ego_turns(root, video):
    """Sideways motion of the picture between frames: one step of least squares on the gradient of luma.

    Luma, since an emblem that is still while the scene moves is drawn in the colours.
    """
    uri = video["uri"]
    table = read_video_table(root / uri, uri)
    pictures = [frame.rgb @ LUMA for _, frame in decode_frames(root / uri, uri, table.pts)]
    shifts = []
    for before, after in pairwise(pictures):
        middle = (before + after) / 2
        slope_y, slope_x = np.gradient(middle)
        design = np.stack([slope_x.ravel(), slope_y.ravel()], axis=1)
        shifts.append(-np.linalg.lstsq(design, (after - before).ravel(), rcond=None)[0][0])
    return (np.arange(len(shifts)) + 0.5) / 30, np.array(shifts)


def picture_stir(root, video):
    """How much of the picture changes from frame to frame."""
    uri = video["uri"]
    table = read_video_table(root / uri, uri)
    pictures = [frame.rgb.mean(axis=2) for _, frame in decode_frames(root / uri, uri, table.pts)]
    return np.arange(1, len(pictures)) / 30, np.array(
        [np.abs(after - before).mean() for before, after in pairwise(pictures)]
    )


@pytest.mark.parametrize("take_id", [BIKE, COOKING, DANCE, LATE])
def test_the_ego_video_shows_the_planted_offset(sample, take_id):
    root, truth, _ = sample
    take = truth[take_id]
    camera, video = next((name, video) for name, video in take["videos"].items() if video["view"] == "ego")
    planted = video["offset_ms"] - take["streams"]["head/gyroscope"]["offset_ms"]
    lag, score = best_lag_ms(
        gyroscope(root, take, "imu-right"), ego_turns(root, video), np.arange(-250, 251, 2.0)
    )
    assert score > 0.8
    assert abs(lag - planted) < 8, camera


def test_the_imus_show_the_planted_offset_between_them(sample):
    root, truth, _ = sample
    for take_id, tolerance_ms in ((BIKE, 0.6), (COOKING, 0.6)):
        streams = truth[take_id]["streams"]
        planted = streams["head-left/gyroscope"]["offset_ms"] - streams["head/gyroscope"]["offset_ms"]
        left_s, left = gyroscope(root, truth[take_id], "imu-left")
        known = ~np.isnan(left_s)
        signal = (left_s[known], left[known, 0])
        lag, score = best_lag_ms(
            gyroscope(root, truth[take_id], "imu-right"), signal, np.arange(-12, 12.01, 0.2)
        )
        assert score > 0.99
        assert abs(lag - planted) < tolerance_ms


def test_drift_shows_between_the_start_and_the_end():
    """Two IMUs 80 ppm apart are 1.6 ms further apart 20 s later."""
    plan = next(plan for plan in catalogue(0, 0.5) if plan.take_id == DANCE)
    assert plan.skew("imu-left").drift_ppm == 80
    wearer = plan_wearer(generator("wearer"), plan.seconds, [step.movement for step in plan.task.steps])
    clock = capture_clock(0, plan.capture)
    right, left = (
        (clock.take_s(plan, imu.times_ns), imu.values[:, 3:]) for imu in imu_records(0, plan, wearer, clock)
    )
    lags = []
    for start_s in (2, 22):
        part = (left[0] > start_s) & (left[0] < start_s + 6)
        signal = (left[0][part], left[1][part, 0])
        lags.append(best_lag_ms(right, signal, np.arange(-2, 4.01, 0.05), margin_s=0)[0])
    assert lags[1] - lags[0] == pytest.approx(1.6, abs=0.2)


@pytest.mark.parametrize(("take_id", "camera"), [(BIKE, "cam03"), (BIKE, "cam01"), (DANCE, "gp02")])
def test_an_exo_camera_shows_the_planted_offset(sample, take_id, camera):
    root, truth, _ = sample
    take = truth[take_id]
    time_s, rates = gyroscope(root, take, "imu-right")
    reference = (time_s, np.linalg.norm(rates, axis=1)[:, None])
    lag, score = best_lag_ms(reference, picture_stir(root, take["videos"][camera]), np.arange(-300, 301, 5.0))
    assert score > 0.6
    assert abs(lag - take["videos"][camera]["offset_ms"]) < 25


def test_joints_show_the_planted_offset(sample, entries):
    root, truth, _ = sample
    plan = next(plan for plan in catalogue(0, None) if plan.take_id == BIKE)
    movements = [step.movement for step in plan.task.steps]
    wearer = plan_wearer(generator("egoexo4d", 0, plan.name, "wearer"), plan.seconds, movements)
    frames = {
        key: people[0]["annotation3D"] for key, people in body(root, entries, BIKE, "automatic").items()
    }
    time_s = np.array([int(key) for key in frames]) / 30
    noses = np.array([[person["nose"][axis] for axis in "xyz"] for person in frames.values()])
    lags = np.arange(-60, 61, 2.0)
    misses = [np.abs(joints(wearer, time_s + lag / 1e3)[:, 0] - noses).mean() for lag in lags]
    assert lags[int(np.argmin(misses))] == pytest.approx(
        truth[BIKE]["mocap"]["automatic"]["offset_ms"], abs=6
    )
