"""Which frames are embedded: those that any window may ask for, and no others."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorloom.align.instants import frames_of
from sensorloom.align.timeline import SLOW_STEP_NS, VideoTrack
from sensorloom.embed.frames import CameraFrames, lattice_frames

MS = 1_000_000
S = 1_000_000_000


def track(times_ns, *, first_pts=100):
    times = np.asarray(times_ns, np.int64)
    pts = first_pts + 512 * np.arange(len(times))
    return VideoTrack("cam01", "exo", "a/cam01.mp4", "448", (1, 15360), 796, 448, False, times, pts)


def test_of_thirty_frames_a_second_ten_are_embedded():
    frames = lattice_frames(track(np.rint(np.arange(90) * S / 30)))
    # The last stands for 3.0 s, after the end of the film by less than 50 ms.
    assert frames.pts.tolist() == (100 + 512 * np.append(np.arange(0, 90, 3), 89)).tolist()
    assert (frames.name, frames.view, frames.uri, frames.rendition, frames.time_base) == (
        "cam01", "exo", "a/cam01.mp4", "448", (1, 15360),
    )  # fmt: skip


def test_a_slow_camera_gives_each_frame_once():
    """At 5 frames/s two instants share a frame or have none; at 8 some frames are nearest to none."""
    assert len(lattice_frames(track(np.arange(20) * 200 * MS)).pts) == 20
    assert len(lattice_frames(track(np.arange(20) * 150 * MS + 50 * MS)).pts) == 20


def test_frames_before_the_take_and_beyond_holes_are_embedded_too():
    frames = lattice_frames(track([-330 * MS, -295 * MS, 0, 10 * MS, 3600 * S, 10**17]))
    assert frames.pts.tolist() == [612, 1124, 2148, 2660]


def test_no_frames_give_none():
    assert lattice_frames(track([])).pts.shape == (0,)


def test_a_frame_tells_its_second_in_the_file():
    frames = CameraFrames("cam01", "exo", "a.mp4", "448", (1, 90_000), np.array([900, 45_900], np.int64))
    assert frames.seconds(1) == 0.51
    assert repr(frames) == "CameraFrames(cam01, exo, 2 frames)"


def test_stamps_are_whole_ticks():
    with pytest.raises(TypeError, match=r"cam01\.pts"):
        CameraFrames("cam01", "exo", "a.mp4", "448", (1, 90_000), np.array([0.5]))


steps_ms = st.lists(st.integers(1, 400), min_size=0, max_size=60)


@given(first_ms=st.integers(-500, 500), steps=steps_ms, starts=st.lists(st.integers(0, 20_000), max_size=8))
def test_every_frame_that_a_window_asks_for_is_embedded(first_ms, steps, starts):
    video = track((first_ms + np.cumsum([0, *steps])) * MS)
    embedded = set(lattice_frames(video).pts.tolist())
    asked = frames_of(video, np.array(starts, np.int64) * 5 * MS, 50)
    assert set(video.pts[asked[asked >= 0]].tolist()) <= embedded


@given(first_ms=st.integers(-500, 500), steps=steps_ms)
def test_every_frame_embedded_is_the_nearest_to_some_instant(first_ms, steps):
    video = track((first_ms + np.cumsum([0, *steps])) * MS)
    span = (
        np.arange(video.times_ns[0] // SLOW_STEP_NS - 1, video.times_ns[-1] // SLOW_STEP_NS + 2)
        * SLOW_STEP_NS
    )
    expected = set()
    for instant in span:
        distance = np.abs(video.times_ns - instant)
        if distance.min() <= 50 * MS:
            expected.add(int(video.pts[distance.argmin()]))
    frames = lattice_frames(video)
    assert frames.pts.tolist() == sorted(expected)
