from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorloom.align.clock import ClockMap
from sensorloom.align.video import align_video, frame_interval_ns, select_frames
from sensorloom.ingest.take import VideoStream

MS = 1_000_000
S = 1_000_000_000


def video(times_ns, name="cam01", view="exo"):
    times = np.asarray(times_ns, np.int64)
    return VideoStream(
        name,
        view,
        f"{name}.mp4",
        "448",
        f"{name}/pts",
        times,
        np.arange(len(times)) * 512,
        (1, 15360),
        796,
        448,
    )


def test_frames_are_carried_to_the_take_clock_with_all_that_finds_them():
    stream = video(np.arange(10) * 33 * MS)
    track, findings = align_video(stream, ClockMap("cam01/pts", "take", offset_ns=5), "t")
    assert np.array_equal(track.times_ns, stream.times_ns + 5)
    assert np.array_equal(track.pts, stream.pts)
    assert (track.name, track.view, track.uri, track.rendition) == ("cam01", "exo", "cam01.mp4", "448")
    assert (track.time_base, track.width_px, track.height_px, track.is_stereo) == (
        (1, 15360),
        796,
        448,
        False,
    )
    assert findings == ()


def test_frames_shown_no_later_than_the_one_before_are_left_out_and_told():
    track, (finding,) = align_video(
        video([0, 40 * MS, 20 * MS, 30 * MS, 40 * MS, 80 * MS]), ClockMap("cam01/pts", "take"), "t"
    )
    assert track.times_ns.tolist() == [0, 40 * MS, 80 * MS]
    assert track.pts.tolist() == [0, 512, 2560]
    assert (finding.target, finding.rule, finding.severity) == ("t#cam01", "frame-times-repeat", "warning")
    assert finding.numbers == {"frames": 3, "share": 0.5, "first_s": 0.02}


def test_a_video_without_frames_stays_one():
    track, findings = align_video(video([]), ClockMap("cam01/pts", "take"), "t")
    assert (len(track.times_ns), findings) == (0, ())
    assert (frame_interval_ns(track.times_ns), frame_interval_ns(np.array([3, 5, 9, 11]))) == (0, 2)


FRAMES = st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=40, unique=True).map(sorted)


@given(FRAMES, st.lists(st.integers(-(2 * 10**9), 2 * 10**9), max_size=20), st.integers(0, 10**9))
def test_the_nearest_frame_is_chosen_or_none(times, instants, tolerance):
    chosen = select_frames(np.array(times, np.int64), np.array(instants, np.int64), tolerance)
    for instant, frame in zip(instants, chosen.tolist(), strict=True):
        distance, nearest = min((abs(time - instant), index) for index, time in enumerate(times))
        assert frame == (nearest if distance <= tolerance else -1)


def test_a_frame_at_30_a_second_stands_for_every_tenth_of_a_second():
    times = np.rint(np.arange(300) * 1e9 / 30).astype(np.int64)
    assert select_frames(times, np.arange(100) * 100 * MS).tolist() == list(range(0, 300, 3))


@pytest.mark.parametrize(("away_ms", "frame"), [(50, 0), (51, -1)])
def test_a_frame_stands_for_an_instant_up_to_50_ms_away(away_ms, frame):
    assert select_frames(np.array([S]), np.array([S + away_ms * MS])).tolist() == [frame]


def test_of_two_frames_equally_near_the_earlier_stands():
    assert select_frames(np.array([0, 40 * MS]), np.array([20 * MS])).tolist() == [0]


def test_no_frames_stand_for_nothing():
    assert select_frames(np.empty(0, np.int64), np.arange(3)).tolist() == [-1, -1, -1]
