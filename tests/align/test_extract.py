"""Frames and joints of windows, against the plainest way of finding them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorloom.align.extract import WindowArrays, extract
from sensorloom.align.instants import frames_of, joints_of
from sensorloom.align.timeline import MocapTrack, Quality, VideoTrack
from sensorloom.align.view import View
from sensorloom.align.window import cut_windows

S = 1_000_000_000
STEP = 100_000_000
VIEW = View("v", ("egoexo4d",), ("head",), (), cameras=("ego", "exo1"), mocap="world")


def video_at(times_ns):
    times = np.array(times_ns, np.int64)
    return VideoTrack("a", "ego", "a.mp4", "full", (1, 30), 1, 1, False, times, np.arange(len(times)))


@settings(max_examples=60, deadline=None)
@given(
    gaps=st.lists(st.sampled_from([33, 34, 50, 51, 100, 101, 700]), max_size=60),
    first_ms=st.integers(-500, 2000),
    starts_ms=st.lists(st.integers(-600, 600).map(lambda step: step * 5), min_size=1, max_size=4),
    count=st.integers(1, 12),
)
def test_each_instant_has_the_nearest_frame_within_50_ms(gaps, first_ms, starts_ms, count):
    times = (first_ms + np.cumsum([0, *gaps])) * 1_000_000
    frames = frames_of(video_at(times), np.array(starts_ms, np.int64) * 1_000_000, count)
    for start_ms, row in zip(starts_ms, frames.tolist(), strict=True):
        instants = [ms for ms in range(start_ms, start_ms + 100 * count) if ms % 100 == 0]
        assert len(instants) == count
        for instant, frame in zip(instants, row, strict=True):
            away = [abs(int(time) - instant * 1_000_000) for time in times]
            assert frame == (away.index(min(away)) if min(away) <= 50_000_000 else -1)


def test_a_video_without_frames_shows_none():
    assert frames_of(video_at([]), np.array([0, S], np.int64), 3).tolist() == [[-1] * 3] * 2


@settings(max_examples=100, deadline=None)
@given(
    codes=st.lists(st.sampled_from([0, 1, 2]), min_size=1, max_size=40),
    phase_ms=st.integers(0, 250),
    start_step=st.integers(-300, 900),
    count=st.integers(1, 30),
)
def test_lines_between_annotated_rows_count_inside_the_window_only(codes, phase_ms, start_step, count):
    quality = np.array(codes, np.uint8)[:, None]
    mocap = MocapTrack(
        "annotation", ("j",), phase_ms * 1_000_000, np.zeros((len(codes), 1, 3), np.float32), quality
    )
    start = start_step * 5_000_000
    rows, valid = joints_of(mocap, np.array([start], np.int64), count)
    times = [phase_ms * 1_000_000 + STEP * row for row in range(-60, 120)]
    expected_rows = [row for row, time in zip(range(-60, 120), times, strict=True) if time >= start][:count]
    inside = [codes[row] if 0 <= row < len(codes) else 0 for row in expected_rows]
    seen = [place for place, code in enumerate(inside) if code == 1]
    for place, code in enumerate(inside):
        good = code == 1 or (code == 2 and any(s < place for s in seen) and any(s > place for s in seen))
        assert valid[0, place, 0] == good
        if good:
            assert rows[0, place] == expected_rows[place]


def test_joints_of_a_window_are_those_of_its_rows_and_zero_where_not_valid(make_aligned, make_mocap):
    quality = np.full((200, 17), Quality.VALID, np.uint8)
    quality[30:60, 4] = Quality.INTERPOLATED
    quality[70:80, 5] = Quality.INVALID
    mocap = make_mocap(quality=quality)
    aligned = make_aligned(mocap=mocap)
    arrays = extract(aligned, VIEW, cut_windows(aligned, VIEW).windows)
    assert arrays.mocap.shape == (4, 50, 17, 3)
    assert np.array_equal(arrays.mocap[0, :30], mocap.values[:30])
    # The line from row 29 to row 60 leaves the first window, and the second begins on it.
    assert (~arrays.mocap_valid[:, :, 4]).sum(axis=1).tolist() == [20, 10, 0, 0]
    assert (~arrays.mocap_valid[:, :, 5]).sum(axis=1).tolist() == [0, 10, 0, 0]
    assert not arrays.mocap[~arrays.mocap_valid].any()
    assert arrays.mocap[arrays.mocap_valid].all()
    longer = replace(VIEW, length_s=10.0, stride_s=10.0)
    assert extract(aligned, longer, cut_windows(aligned, longer).windows).mocap_valid[0, :, 4].all()


def test_root_centred_joints_are_relative_to_the_hips(make_aligned, make_mocap):
    quality = np.full((200, 17), Quality.VALID, np.uint8)
    quality[10:20, 1] = Quality.INVALID
    quality[:, 6] = Quality.INVALID
    aligned = make_aligned(mocap=make_mocap(quality=quality))
    view = replace(VIEW, mocap="root-centred")
    windows = cut_windows(aligned, view).windows
    centred, world = (extract(aligned, each, windows) for each in (view, VIEW))
    assert not centred.mocap_valid[0, 10:20].any()
    assert not centred.mocap_valid[:, :, 6].any()
    assert not centred.mocap[~centred.mocap_valid].any()
    valid = centred.mocap_valid
    root = world.mocap[:, :, :2].mean(axis=2, keepdims=True)
    assert centred.mocap[valid] == pytest.approx((world.mocap - root)[valid], abs=1e-5)


@pytest.mark.parametrize("exo", ["best", "mean"])
def test_exo_cameras_that_share_a_slot_are_there_where_one_of_them_is(make_aligned, make_video, exo):
    videos = (make_video("cam01", "exo", 5), make_video("cam02", "exo", 10), make_video(seconds=15.0))
    aligned = make_aligned(videos=videos)
    view = replace(VIEW, cameras=("exo2", "ego", "exo1", "exo3"), exo=exo, mocap="none")
    windows = cut_windows(aligned, view).windows
    arrays = extract(aligned, view, windows)
    assert arrays.video_present.T.tolist() == [[True, True, False, False], [True, True, True, False]]
    # Frames, and what a window says of itself, stay those of each camera.
    assert arrays.frames.shape == (4, 4, 50)
    assert windows[1].video_present == (True, True, False, False)
    separate = extract(aligned, replace(view, exo="separate"), windows)
    assert np.array_equal(separate.frames, arrays.frames)
    assert separate.video_present.shape == (4, 4)


def test_a_view_without_cameras_and_mocap_has_the_arrays_of_the_imu_alone(make_aligned, make_video):
    view = replace(VIEW, cameras=(), mocap="none")
    aligned = make_aligned(videos=(make_video(),))
    cut = cut_windows(aligned, view)
    assert set(extract(aligned, view, cut.windows).named) == {"imu", "imu_valid", "imu_present"}
    assert {(window.video_present, window.mocap_share) for window in cut.windows} == {((), None)}


def test_no_windows_give_empty_arrays_of_every_kind(make_aligned, make_video, make_mocap):
    for aligned in (make_aligned(), make_aligned(videos=(make_video(),), mocap=make_mocap())):
        arrays = extract(aligned, VIEW, ())
        shapes = {name: array.shape for name, array in arrays.named.items()}
        assert shapes["frames"] == (0, 2, 50)
        assert shapes["video_present"] == (0, 2)
        assert shapes["mocap"] == (0, 50, 17, 3)
        assert shapes["mocap_valid"] == (0, 50, 17)


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        ("frames", np.zeros((4, 2, 50), np.int64), "frames must be int32"),
        ("video_present", np.zeros((3, 2), np.bool_), r"video_present must have shape \[4, any\]"),
        ("mocap", np.zeros((4, 50, 17, 2), np.float32), r"mocap must have shape \[4, 50, 17, 3\]"),
        ("mocap_valid", np.zeros((4, 50, 16), np.bool_), r"mocap_valid must have shape \[4, 50, 17\]"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(make_aligned, name, wrong, message):
    aligned = make_aligned()
    arrays = extract(aligned, VIEW, cut_windows(aligned, VIEW).windows)
    fields = {field: getattr(arrays, field) for field in WindowArrays.__dataclass_fields__}
    with pytest.raises((TypeError, ValueError), match=message):
        WindowArrays(**{**fields, name: wrong})
