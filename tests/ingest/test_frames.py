from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sensorloom.ingest.frames import frame_times_ns


@given(st.integers(0, 10**9))
def test_a_frames_time_is_the_nearest_nanosecond(frame: int) -> None:
    (time_ns,) = frame_times_ns(np.array([frame], np.int64)).tolist()
    assert abs(time_ns - Fraction(frame * 10**9, 30)) <= Fraction(1, 2)


def test_three_frames_are_a_tenth_of_a_second_for_ever() -> None:
    frames = np.arange(0, 30 * 3600 * 24, 3)
    assert (frame_times_ns(frames) == np.arange(len(frames)) * 100_000_000).all()
