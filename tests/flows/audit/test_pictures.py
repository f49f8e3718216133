"""What a report draws of a take: its windows, and the quality of its streams along time."""

from __future__ import annotations

from dataclasses import replace
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sensorloom.align.sync.motion import CameraMotion
from sensorloom.align.timeline import AlignedTake, Quality
from sensorloom.flows.audit.details import page_of
from sensorloom.flows.audit.pictures import ToDraw, draw
from sensorloom.flows.audit.report_windows import WindowPicture
from sensorloom.flows.audit.strips import strips_of
from sensorloom.flows.audit.windows import WorstWindow
from sensorloom.ingest.miniature.video import write_video
from tests.flows.aligned_store import aligned_take, frame_facts

S = 1_000_000_000


def to_draw(start_s: float, **row: Any) -> ToDraw:
    worst = WorstWindow(
        "walk", round(start_s * S), 5 * S, 1.5, ("why",), {"head/accelerometer#coverage": 1.0}
    )
    told = {"window_id": "w", "label": "walking", "split": "train", "texts": [], **row}
    return ToDraw(worst, told, ("head", "hand"), has_cameras=True)


def drawn(take: AlignedTake, start_s: float = 10.0, **row: Any) -> WindowPicture:
    (picture,) = draw(take, [to_draw(start_s, **row)], None)
    return picture


def test_a_trace_is_means_of_what_was_measured() -> None:
    take = aligned_take()
    accelerometer, gyroscope = drawn(take).traces
    assert (accelerometer.position, accelerometer.kind, accelerometer.unit) == (
        "head",
        "accelerometer",
        "m/s²",
    )
    assert (gyroscope.kind, gyroscope.unit) == ("gyroscope", "rad/s")
    assert [len(axis) for axis in accelerometer.values] == [250, 250, 250]
    assert accelerometer.step_s == pytest.approx(0.02)
    # A point stands in the middle of the four samples that it is the mean of.
    assert accelerometer.start_s == pytest.approx(10 + 1.5 / 200)
    expected = take.imu[0].values[2000:2004, 2].astype(np.float64).mean()
    assert accelerometer.values[2][0] == pytest.approx(expected, abs=1e-3)


def test_what_was_not_measured_is_no_value() -> None:
    take = aligned_take()
    quality = take.imu[0].quality.copy()
    quality[2200:2402, 0] = Quality.INVALID
    lost = replace(take, imu=(replace(take.imu[0], quality=quality),))
    accelerometer, gyroscope = drawn(lost).traces
    assert accelerometer.invalid == ((pytest.approx(11.0), pytest.approx(12.01)),)
    assert gyroscope.invalid == ()
    assert isnan(accelerometer.values[0][50])
    assert not isnan(accelerometer.values[0][49])
    # Half of the samples behind this point are there: it is their mean.
    half = take.imu[0].values[2402:2404, 0].astype(np.float64).mean()
    assert accelerometer.values[0][100] == pytest.approx(half, abs=1e-3)


def test_a_sensor_that_was_never_there_is_not_drawn() -> None:
    take = aligned_take()
    quality = take.imu[0].quality.copy()
    quality[:, 1] = Quality.INVALID
    without = replace(take, imu=(replace(take.imu[0], quality=quality),))
    assert [trace.kind for trace in drawn(without).traces] == ["accelerometer"]


def test_a_window_that_begins_before_the_grid_is_drawn_from_there() -> None:
    take = aligned_take(start_s=12.0)
    (trace, _) = drawn(take).traces
    assert trace.start_s == pytest.approx(12.0 + (trace.step_s * 200 - 1) / 2 / 200)
    assert drawn(take).take_start_s == 12.0
    assert drawn(take, 1.0).traces == ()


def test_the_pose_is_that_of_the_middle() -> None:
    take = aligned_take()
    assert take.mocap is not None
    quality = take.mocap.quality.copy()
    quality[125, 1] = Quality.INVALID
    skeleton = drawn(replace(take, mocap=replace(take.mocap, quality=quality))).skeleton
    assert skeleton is not None
    assert skeleton.points[0] == pytest.approx(take.mocap.values[125, 0], abs=1e-3)
    assert skeleton.points[1] is None
    assert drawn(take, 60.0).skeleton is None
    assert drawn(replace(take, mocap=None)).skeleton is None


def test_texts_are_told_with_their_place() -> None:
    text = {"source": "atomic", "text": "turns", "offset_ms": -120.0004}
    (shown,) = drawn(aligned_take(), texts=[text]).texts
    assert (shown.source, shown.text, shown.offset_ms) == ("atomic", "turns", -120.0)
    assert drawn(aligned_take(), texts=None).texts == ()


def test_three_frames_are_named_and_none_is_decoded() -> None:
    frames = drawn(aligned_take()).frames
    assert [(frame.camera, frame.jpeg) for frame in frames] == [("aria01", None)] * 3
    assert [frame.time_s for frame in frames] == pytest.approx([10.8, 12.5, 14.2], abs=0.05)
    assert drawn(aligned_take(), 100.0).frames == ()


def test_a_strip_says_what_each_stretch_is() -> None:
    take = aligned_take()
    quality = take.imu[0].quality.copy()
    quality[2000:4000, 0] = Quality.RETIMED
    quality[6000:, 0] = Quality.INVALID
    accelerometer, gyroscope, mocap = strips_of(
        replace(take, imu=(replace(take.imu[0], quality=quality),)), ()
    )
    assert accelerometer.name == "head/accelerometer"
    assert [code for code, _, _ in accelerometer.runs] == ["valid", "retimed", "valid", "invalid"]
    assert [start for _, start, _ in accelerometer.runs] == pytest.approx([0, 10, 20, 30], abs=0.1)
    assert [code for code, _, _ in gyroscope.runs] == ["valid"]
    assert mocap.name == "mocap/annotation"


def test_a_strip_of_a_long_take_stays_short_and_loses_nothing_bad() -> None:
    take = aligned_take(seconds=600)
    quality = take.imu[0].quality.copy()
    quality[::100, 0] = Quality.INTERPOLATED
    quality[77_777, 0] = Quality.INVALID
    strip = strips_of(replace(take, imu=(replace(take.imu[0], quality=quality),)), ())[0]
    assert len(strip.runs) <= 500
    assert [code for code, _, _ in strip.runs].count("invalid") == 1
    stops = [stop for _, _, stop in strip.runs]
    assert [start for _, start, _ in strip.runs] == pytest.approx([0, *stops[:-1]])
    assert stops[-1] == pytest.approx(600)


def test_a_strip_of_a_camera() -> None:
    take = aligned_take()
    facts = frame_facts(400)
    facts.is_black[100:150] = True
    facts.is_frozen[200:250] = True
    facts.is_decoded[300:310] = False
    rows = np.r_[0:350, 370:400]
    named = {name: array[rows] for name, array in facts.named.items()}
    camera = CameraMotion.of(take.videos[0], take.videos[0].pts[rows], named)
    runs = strips_of(take, (camera,))[-1].runs
    assert [code for code, _, _ in runs] == [
        "valid", "black", "valid", "frozen", "valid", "missing", "valid", "missing", "valid",
    ]  # fmt: skip
    assert [start for _, start, _ in runs] == pytest.approx([0, 10, 15, 20, 25, 30, 31, 35, 37])


@pytest.mark.parametrize(
    "take_id", ["pamap2/protocol/subject101", "realworld/../../x", "ego4d/…", "a/" + "b" * 300]
)
def test_the_page_of_a_take_is_a_plain_file_of_its_own(take_id: str) -> None:
    page = page_of(take_id)
    folder, _, name = page.rpartition("/")
    assert folder == "takes"
    assert name.isascii()
    assert len(name) < 120
    assert page_of(take_id.replace("/", "-")) != page


def test_frames_are_decoded_where_the_videos_are(tmp_path: Path) -> None:
    pytest.importorskip("av")
    take = aligned_take()
    ticks = replace(take.videos[0], pts=take.videos[0].pts * 3000, time_base=(1, 30_000))
    take = replace(take, videos=(ticks,))
    (tmp_path / "egoexo4d").mkdir()
    with (tmp_path / "egoexo4d/a.mp4").open("wb") as file:
        write_video(
            file, (np.full((48, 64, 3), level % 200, np.uint8) for level in range(400)), ticks.times_ns
        )
    (picture,) = draw(take, [to_draw(10.0)], tmp_path)
    jpegs = [frame.jpeg or b"" for frame in picture.frames]
    assert all(jpeg.startswith(b"\xff\xd8") for jpeg in jpegs)
    assert len(set(jpegs)) == 3
    (beside,) = draw(take, [to_draw(10.0)], tmp_path / "egoexo4d")
    assert beside == picture


def test_a_video_that_is_gone_or_broken_costs_its_pictures(tmp_path: Path) -> None:
    pytest.importorskip("av")
    assert [frame.jpeg for frame in draw(aligned_take(), [to_draw(10.0)], tmp_path)[0].frames] == [None] * 3
    (tmp_path / "a.mp4").write_bytes(b"no film")
    assert [frame.jpeg for frame in draw(aligned_take(), [to_draw(10.0)], tmp_path)[0].frames] == [None] * 3
