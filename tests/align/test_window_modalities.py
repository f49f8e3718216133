"""Windows of views that ask for video, mocap, or for whatever is there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sensorloom.align.extract import extract
from sensorloom.align.named_views import VIEWS
from sensorloom.align.timeline import Quality
from sensorloom.align.view import CAMERA_SLOTS, View
from sensorloom.align.window import cut_windows
from sensorloom.ingest.take import Interval

S = 1_000_000_000
ALL = VIEWS["all-modalities"]
MOTION = VIEWS["aura-mocap"]
VIDEO = View("v", ("egoexo4d",), ("head",), (), requires=("video",), cameras=CAMERA_SLOTS)


def starts(cut):
    return [window.start_ns / S for window in cut.windows]


def reasons(cut):
    return {drop.rule: dict(drop.numbers) for drop in cut.drops}


def lost_samples(seconds, first_s, last_s):
    quality = np.full((round(seconds * 200), 2), Quality.VALID, np.uint8)
    quality[round(first_s * 200) : round(last_s * 200)] = Quality.INVALID
    return quality


def test_all_modalities_masks_what_is_not_there(make_aligned, make_video, make_mocap, make_event):
    aligned = make_aligned(
        seconds=25,
        quality=lost_samples(25, 0, 9),
        videos=(make_video(seconds=15.0), make_video("cam01", "exo", 20.0), make_video("cam02", "exo", 25.0)),
        mocap=make_mocap(5.0, start_ns=10 * S),
        events=(make_event("atomic", 6.0),),
    )
    cut = cut_windows(aligned, ALL)
    arrays = extract(aligned, ALL, cut.windows)
    assert starts(cut) == [0, 5, 10, 15, 20]
    assert arrays.present[:, 0, 0].tolist() == [False, False, True, True, True]
    assert not arrays.present[:, 1].any()
    assert arrays.video_present[:, :3].T.tolist() == [
        [True, True, True, False, False], [True, True, True, True, False], [True] * 5,
    ]  # fmt: skip
    assert not arrays.video_present[:, 3:].any()
    assert [window.mocap_share for window in cut.windows] == [0, 0, 1, 0, 0]
    assert arrays.mocap_valid.any(axis=(1, 2)).tolist() == [False, False, True, False, False]
    assert [len(window.texts) for window in cut.windows] == [0, 1, 0, 0, 0]
    # The second window has a fifth of its samples: too little, so none is shown.
    assert cut.windows[1].coverage[0] == pytest.approx(0.2)
    assert not arrays.valid[:2].any()
    assert not arrays.imu[:2].any()
    assert arrays.valid[2:, 0].all()
    assert reasons(cut) == {
        "window-position-missing": {"missing": 1, "windows": 0, "total_s": 0.0},
        "window-imu-masked": {"windows": 2},
    }


def test_a_take_without_imu_keeps_its_windows_where_none_is_required(make_aligned, make_video):
    aligned = make_aligned(positions=(), videos=(make_video(),), dataset="ego4d")
    cut = cut_windows(aligned, ALL)
    arrays = extract(aligned, ALL, cut.windows)
    assert starts(cut) == [0, 5, 10, 15]
    assert not arrays.present.any()
    assert {(window.valid_share, window.mocap_share) for window in cut.windows} == {(0.0, 0.0)}
    assert arrays.mocap.shape == (4, 50, 17, 3)
    assert not arrays.mocap_valid.any()
    assert cut_windows(aligned, VIEWS["aura-video"]).windows == ()


def test_windows_that_hold_nothing_are_dropped(make_aligned, make_video, make_mocap, make_event):
    aligned = make_aligned(
        quality=lost_samples(20, 0, 20),
        videos=(make_video(seconds=5),),
        mocap=make_mocap(6, start_ns=14 * S),
        events=(make_event("atomic", 12),),
    )
    cut = cut_windows(aligned, ALL)
    assert starts(cut) == [0, 15]
    assert cut.windows[1].mocap_share == 1.0
    assert reasons(cut)["window-empty"] == {"windows": 2, "total_s": 10.0}


def test_a_flat_accelerometer_is_masked_where_imu_is_not_required(make_aligned, make_video):
    aligned = make_aligned(videos=(make_video(),))
    values = aligned.imu[0].values.copy()
    values[1100:1400, :3] = 9.81
    flat = replace(aligned, imu=(replace(aligned.imu[0], values=values),))
    cut = cut_windows(flat, ALL)
    arrays = extract(flat, ALL, cut.windows)
    assert arrays.present[:, 0].tolist() == [[True, True], [False, True], [True, True], [True, True]]
    assert not arrays.imu[1, 0, :3].any()
    assert arrays.imu[1, 0, 3:].all()
    assert reasons(cut)["window-imu-masked"] == {"windows": 1}


def test_a_view_that_requires_video_needs_one_camera(make_aligned, make_video):
    videos = (make_video(seconds=5), make_video("cam01", "exo", 5, start_s=10))
    cut = cut_windows(make_aligned(videos=videos), VIDEO)
    assert [window.video_present for window in cut.windows] == [
        (True, False, False, False, False), (False, True, False, False, False),
    ]  # fmt: skip
    assert starts(cut) == [0, 10]
    assert reasons(cut) == {"window-lacks-video": {"windows": 2, "total_s": 10.0}}


@pytest.mark.parametrize(("share", "present"), [(0.88, False), (0.9, True), (1.0, True)])
def test_a_camera_is_present_where_enough_instants_have_a_frame(make_aligned, make_video, share, present):
    video = make_video(seconds=5 * share - 0.04)
    (window, *_) = cut_windows(make_aligned(videos=(video,)), replace(VIDEO, requires=())).windows
    assert window.video_present[0] == present


def test_exo_cameras_stand_in_the_order_of_their_names(make_aligned, make_video):
    videos = (make_video("gp03", "exo", 1), make_video("gp01", "exo", 2), make_video("aria02", "ego", 3))
    aligned = make_aligned(videos=videos)
    view = replace(VIDEO, requires=())
    (first, *_) = extract(aligned, view, cut_windows(aligned, view).windows).frames
    assert (first >= 0).sum(axis=1).tolist() == [31, 21, 11, 0, 0]


def test_windows_of_motion_begin_with_the_annotated_row(make_aligned, make_mocap):
    quality = np.full((170, 17), Quality.VALID, np.uint8)
    quality[60:80] = Quality.INVALID
    aligned = make_aligned(mocap=make_mocap(17, start_ns=2_033_333_333, quality=quality))
    cut = cut_windows(aligned, MOTION)
    assert starts(cut) == [2.03, 10.03]
    assert [window.mocap_share for window in cut.windows] == [1.0, 1.0]
    arrays = extract(aligned, MOTION, cut.windows)
    rows_s = arrays.mocap[:, :, 0, 0]
    assert rows_s == pytest.approx(np.array([[2.033333], [10.033333]]) + 0.1 * np.arange(50), abs=1e-5)
    assert reasons(cut) == {
        "window-lacks-mocap": {"windows": 1, "total_s": 5.0},
        "window-outside-run": {"windows": 1, "total_s": 5.0},
    }


def test_windows_of_motion_cross_no_break(make_aligned, make_mocap):
    aligned = make_aligned(mocap=make_mocap(20, start_ns=0), breaks=(Interval(7 * S, 8 * S),))
    assert starts(cut_windows(aligned, MOTION)) == [0, 10, 15]
    assert cut_windows(make_aligned(), MOTION).windows == ()


def test_nested_lengths_show_the_same_samples(make_aligned, make_video, make_mocap, make_event):
    aligned = make_aligned(
        positions=("head", "head-left"),
        start_ns=25_000_000,
        videos=(make_video(rate_hz=29.97),),
        mocap=make_mocap(15.0),
        events=tuple(make_event("atomic", at, f"at {at}") for at in (3, 3.3, 8, 17)),
    )
    for rate_hz in (200, 50):
        parts = {}
        for length_s in (1, 2.5, 5, 10):
            view = replace(ALL, length_s=length_s, stride_s=length_s, rate_hz=rate_hz)
            cut = cut_windows(aligned, view)
            parts[length_s] = (cut.windows, extract(aligned, view, cut.windows))
        windows, whole = parts[10]
        for length_s in (1, 2.5, 5):
            pieces, arrays = parts[length_s]
            count = round(10 / length_s)
            assert pieces[0].start_ns == windows[0].start_ns
            assert np.array_equal(np.concatenate(list(arrays.imu[:count]), axis=-1), whole.imu[0])
            assert np.array_equal(np.concatenate(list(arrays.frames[:count]), axis=-1), whole.frames[0])
            assert np.array_equal(np.concatenate(list(arrays.mocap[:count])), whole.mocap[0])
            texts = [text.text for window in pieces[:count] for text in window.texts]
            assert texts == [text.text for text in windows[0].texts]
