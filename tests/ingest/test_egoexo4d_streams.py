"""Ego-Exo4D: frame-aligned videos, and the two IMUs of the Aria's VRS file."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from sensorloom.ingest.take import ClockAnchors, Finding, Take
from tests.ingest.egoexo4d_raw import (
    BIAS,
    FRAMES,
    GRAVITY,
    START,
    Tree,
    device_ns,
    entry,
    found,
    imus,
    mp4,
    vrs,
    vrs_of,
)

TAKE = "egoexo4d/cmu_bike01_2"
VIDEOS = "takes/cmu_bike01_2/frame_aligned_videos"
VRS = "takes/cmu_bike01_2/aria01_noimagestreams.vrs"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    tree = Tree(tmp_path)
    tree.take(entry())
    return tree


def one(take: Take, rule: str) -> Finding:
    (finding,) = found(take, rule)
    return finding


def anchors(take: Take, clock: str) -> ClockAnchors:
    (found,) = (anchors for anchors in take.anchors if anchors.source == clock)
    return found


# --- videos


def test_frame_i_is_take_time_i_thirtieths_of_a_second(tree: Tree) -> None:
    take = tree.read()
    for video in take.videos:
        told = anchors(take, video.clock)
        assert told.target == "take"
        assert told.source_ns.tolist() == video.times_ns.tolist()
        assert told.target_ns.tolist() == [round(frame * 1e9 / 30) for frame in range(FRAMES)]
    assert len({video.clock for video in take.videos}) == 3


def test_frame_numbers_are_believed_where_stamps_contradict_them(tree: Tree) -> None:
    tree.write(f"{VIDEOS}/cam01.mp4", mp4(slow_from=12))
    take = tree.read()
    finding = one(take, "video-rate")
    assert (finding.target, finding.severity) == (f"{TAKE}#cam01", "warning")
    assert finding.numbers["largest_off_ms"] == pytest.approx(100, abs=0.1)
    assert finding.numbers["first_frame"] == 12
    assert anchors(take, "cam01/presentation").target_ns[-1] == round(29e9 / 30)


def test_a_stream_that_starts_late_by_its_stamps_starts_with_the_take(tree: Tree) -> None:
    tree.write(f"{VIDEOS}/cam01.mp4", mp4(slow_from=0))
    take = tree.read()
    assert not found(take, "video-rate")
    told = anchors(take, "cam01/presentation")
    assert (told.source_ns[0], told.target_ns[0]) == (100_000_000, 0)


def test_cameras_that_differ_in_frames_are_told(tree: Tree) -> None:
    tree.write(f"{VIDEOS}/cam02.mp4", mp4(FRAMES - 5))
    finding = one(tree.read(), "frame-counts-differ")
    assert (finding.target, finding.severity) == (TAKE, "warning")
    assert dict(finding.numbers) == {"least_frames": 25, "most_frames": 30}
    assert "aria01 30, cam01 30, cam02 25" in finding.sentence


def test_a_video_cut_in_the_middle_keeps_its_frames_and_its_rule(tree: Tree) -> None:
    """Its index names all frames, so the take's rows are those of the whole file."""
    whole = mp4()
    for name in ("aria01_214-1", "cam01", "cam02"):
        tree.write(f"{VIDEOS}/{name}.mp4", whole[: len(whole) - 60])
    take = tree.read()
    assert [finding.target for finding in found(take, "video-cut")] == [
        f"{TAKE}#{name}" for name in ("aria01", "cam01", "cam02")
    ]
    assert all(len(video.pts) < FRAMES for video in take.videos)
    assert one(take, "take-rows").numbers["first_row"] == START + 1


def test_a_frame_lost_before_others_leaves_them_their_numbers(tree: Tree) -> None:
    """B-frames are stored behind the frame that they are shown before: a cut may take them and leave that frame."""
    whole = mp4()
    with_hole = 0
    for kept in range(len(whole) - 400, len(whole), 8):
        tree.write(f"{VIDEOS}/cam01.mp4", whole[:kept])
        take = tree.read()
        told = anchors(take, "cam01/presentation")
        assert np.abs(told.target_ns - told.source_ns).max() < 1_000_000
        assert not found(take, "video-rate")
        with_hole += bool(np.diff(told.source_ns).max() > 40_000_000)
    assert with_hole


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; download it again"),
        (b"<html>not found</html>", "is not an MP4"),
        (mp4(0), "no frame"),
        (mp4()[:400], "has no index of its frames"),
    ],
    ids=["empty", "html", "zero frames", "cut"],
)
def test_a_video_that_cannot_be_read_is_an_error_of_its_camera(
    tree: Tree, content: bytes, message: str
) -> None:
    tree.write(f"{VIDEOS}/cam01.mp4", content)
    take = tree.read()
    assert [video.name for video in take.videos] == ["aria01", "cam02"]
    finding = one(take, "unreadable-file")
    assert (finding.target, finding.severity) == (f"{TAKE}#cam01", "error")
    assert finding.sentence.startswith(f"{VIDEOS}/cam01.mp4: ")
    assert message in finding.sentence
    assert len(take.streams) == 4


# --- IMUs


def test_both_imus_are_read_by_label_on_one_clock(tree: Tree) -> None:
    take = tree.read()
    rates = {stream.name: stream.nominal_rate_hz for stream in take.streams}
    assert rates == {
        "head/accelerometer": 1000.0, "head/gyroscope": 1000.0,
        "head-left/accelerometer": 800.0, "head-left/gyroscope": 800.0,
    }  # fmt: skip
    assert {(stream.device, stream.clock) for stream in take.streams} == {("aria01", "aria01/device")}
    right, _, left, _ = take.streams
    # Gravity is on x of the right one and on y of the left one: never swapped.
    assert int(np.abs(right.values.mean(axis=0)).argmax()) == 0
    assert int(np.abs(left.values.mean(axis=0)).argmax()) == 1
    assert right.times_ns[0] == device_ns(START + 1) - 50_000_000
    assert (len(right.times_ns), len(left.times_ns)) == (1100, 880)


def test_values_are_those_after_the_factorys_calibration(tree: Tree) -> None:
    take = tree.read()
    assert take.streams[0].values[:, 0].mean() == pytest.approx(-GRAVITY, abs=0.02)
    assert take.streams[1].values.mean() == pytest.approx(0.0, abs=0.02)
    assert take.facts["imu_calibrated"] == "true"
    assert not found(take, "imu-uncalibrated")


def test_without_a_calibration_raw_values_are_read_and_told(tree: Tree) -> None:
    tree.write(VRS, vrs(calibrated=False))
    take = tree.read()
    assert take.streams[1].values.mean() == pytest.approx(BIAS, abs=0.02)
    assert take.facts["imu_calibrated"] == "false"
    told = found(take, "imu-uncalibrated")
    assert [(finding.target, finding.severity) for finding in told] == [
        (f"{TAKE}#head", "warning"),
        (f"{TAKE}#head-left", "warning"),
    ]
    assert f"{VRS}: no calib_json tag" in told[0].sentence


def test_one_imu_missing_leaves_the_other(tree: Tree) -> None:
    tree.write(VRS, vrs(labels="left"))
    take = tree.read()
    assert {stream.position for stream in take.streams} == {"head-left"}
    finding = one(take, "unreadable-file")
    assert (finding.target, finding.severity) == (f"{TAKE}#head", "error")
    assert finding.sentence == f"{VRS}: no IMU 'imu-right'; its IMUs are imu-left"


def test_a_vrs_without_imu_is_an_error_of_both_positions(tree: Tree) -> None:
    # The ids of its IMUs made those of a magnetometer.
    tree.write(VRS, vrs().replace(struct.pack("<i", 1202), struct.pack("<i", 1203)))
    take = tree.read()
    assert take.streams == ()
    assert [finding.target for finding in found(take, "unreadable-file")] == [
        f"{TAKE}#head",
        f"{TAKE}#head-left",
    ]
    assert len(take.videos) == 3


def test_a_cut_vrs_gives_what_is_left_and_is_told(tree: Tree) -> None:
    whole = vrs()
    tree.write(VRS, whole[: len(whole) * 2 // 3])
    take = tree.read()
    finding = one(take, "vrs-cut")
    assert (finding.target, finding.severity) == (f"{TAKE}#head", "warning")
    assert finding.numbers["lost_records"] > 500
    assert finding.sentence.startswith(f"{VRS} is cut or damaged: ")
    assert 500 < len(take.streams[0].times_ns) < 1000
    assert one(take, "imu-shorter-than-take").numbers["missing_at_end_s"] == pytest.approx(0.35, abs=0.05)


@pytest.mark.parametrize("content", [b"", b"VisionRe" + b"\0" * 200, b"no VRS at all" * 20])
def test_a_vrs_that_cannot_be_read_leaves_the_rest_of_the_take(tree: Tree, content: bytes) -> None:
    tree.write(VRS, content)
    take = tree.read()
    assert (take.streams, len(take.videos)) == ((), 3)
    finding = one(take, "unreadable-file")
    assert (finding.target, finding.severity) == (f"{TAKE}#head", "error")
    # The message names the file from the root on: it must not depend on where the root is.
    assert finding.sentence.startswith(f"{VRS}: ")
    assert str(tree.root) not in finding.sentence


@pytest.mark.parametrize("mixing", [0.0, 0.01])
def test_a_sensor_at_its_limit_is_told_once_though_the_calibration_mixes_axes(
    tree: Tree, mixing: float
) -> None:
    """What is calibrated repeats no value as soon as another axis plays into it."""
    records = imus()
    for imu in records:
        imu.values[::30, 2] = 78.48
    tree.write(VRS, vrs_of(records, mixing))
    take = tree.read()
    told = found(take, "saturation")
    assert [finding.target for finding in told] == [
        f"{TAKE}#head/accelerometer",
        f"{TAKE}#head-left/accelerometer",
    ]
    assert told[0].numbers["limit_m_s2"] == pytest.approx(78.48, abs=1e-3)
    assert told[0].numbers["share"] == pytest.approx(1 / 30, abs=1e-3)
    assert np.median(take.streams[0].values[1::30, 2]) == pytest.approx(mixing * GRAVITY, abs=0.03)


def test_zeros_stay_zeros_and_are_told_by_name_alone(tree: Tree) -> None:
    """The calibration would make another constant of them, of which nobody sees what it was."""
    records = imus()
    records[1].values[:, 3:] = 0
    tree.write(VRS, vrs_of(records, 0.01))
    take = tree.read()
    zero = one(take, "all-zero")
    assert (zero.target, zero.severity) == (f"{TAKE}#head-left/gyroscope", "error")
    assert [finding for finding in take.findings if finding.target == zero.target] == [zero]
    *sound, gyroscope = take.streams
    assert not gyroscope.values.any()
    assert all(np.ptp(stream.values, axis=0).min() > 0.1 for stream in sound)


def test_the_checks_of_every_data_set_run_here_too(tree: Tree) -> None:
    tree.write(VRS, vrs(scale=1 / GRAVITY))
    assert {finding.target for finding in found(tree.read(), "accelerometer-in-g")} == {
        f"{TAKE}#head/accelerometer",
        f"{TAKE}#head-left/accelerometer",
    }
