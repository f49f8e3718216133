from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorloom.ingest.frames import OffRate, frame_numbers, frame_times_ns, off_rate
from sensorloom.ingest.video_table import VideoTable


def table(frames: list[float], start_ns: int = 0, **doubts: int) -> VideoTable:
    """Return a file whose pictures are shown at these frames' times, fractions of a frame included."""
    times_ns = np.rint(np.array(frames) * 1e9 / 30).astype(np.int64) + start_ns
    told = {"lost_frames": 0, "missing_bytes": 0, "undecodable_frames": 0, "repeated_frames": 0} | doubts
    return VideoTable("a.mp4", "h264", 32, 32, (1, 10**9), times_ns, times_ns, **told)


@given(st.integers(0, 10**9))
def test_a_frames_time_is_the_nearest_nanosecond(frame: int) -> None:
    (time_ns,) = frame_times_ns(np.array([frame], np.int64)).tolist()
    assert abs(time_ns - Fraction(frame * 10**9, 30)) <= Fraction(1, 2)


def test_three_frames_are_a_tenth_of_a_second_for_ever() -> None:
    frames = np.arange(0, 30 * 3600 * 24, 3)
    assert (frame_times_ns(frames) == np.arange(len(frames)) * 100_000_000).all()


def test_frames_of_a_whole_file_are_counted_whatever_their_stamps() -> None:
    assert frame_numbers(table([0, 1, 3.7, 4.1])).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("doubt", ["lost_frames", "repeated_frames"])
@pytest.mark.parametrize("start_ns", [0, 500_000_000])
def test_where_frames_are_missing_between_others_stamps_tell_which(doubt: str, start_ns: int) -> None:
    shown = table([0, 1.2, 3, 3.8, 7], start_ns, **{doubt: 2})
    assert frame_numbers(shown).tolist() == [0, 1, 3, 4, 7]
    assert off_rate(shown) is None


def test_stamps_that_put_two_pictures_on_one_number_are_not_asked() -> None:
    assert frame_numbers(table([0, 1, 1.4, 5], lost_frames=2)).tolist() == [0, 1, 2, 3]


def test_frames_before_the_first_that_decodes_have_numbers() -> None:
    assert frame_numbers(table([0, 1, 2], undecodable_frames=4)).tolist() == [4, 5, 6]
    assert frame_numbers(table([0, 2], undecodable_frames=4, lost_frames=1)).tolist() == [4, 6]


def test_half_a_frame_off_is_the_limit() -> None:
    assert off_rate(table([0, 1.499, 2, 2.501])) is None
    found = off_rate(table([0, 1.4, 2.75, 2.9], undecodable_frames=2, start_ns=10**9))
    assert found == OffRate(pytest.approx(750 / 30), 2)
    assert off_rate(table([0, 0.25])) == OffRate(pytest.approx(750 / 30), 1)
