from __future__ import annotations

import numpy as np
import pytest

from sensorloom.align.sync.signal import MotionSignal


def signal(**changes):
    fields = {
        "name": "head/gyroscope",
        "start_ns": 7,
        "step_ns": 5_000_000,
        "values": np.zeros((4, 3), np.float32),
        "valid": np.ones(4, np.bool_),
    }
    return MotionSignal(**(fields | changes))


def test_a_signal_stops_after_its_last_step():
    assert signal().stop_ns == 7 + 4 * 5_000_000


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"step_ns": 0}, "head/gyroscope: step_ns is 0; a signal needs a step above 0 ns"),
        (
            {"values": np.zeros((4, 4), np.float32)},
            "head/gyroscope: values have 4 channels; give one to three",
        ),
        ({"values": np.full((4, 3), np.nan, np.float32)}, "head/gyroscope: a valid value is not finite"),
        ({"valid": np.ones(3, np.bool_)}, "valid"),
    ],
)
def test_a_signal_that_is_none_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        signal(**changes)


def test_values_that_are_not_valid_may_be_anything():
    signal(values=np.full((4, 3), np.nan, np.float32), valid=np.zeros(4, np.bool_))


def test_the_type_of_values_is_not_coerced():
    with pytest.raises(TypeError, match="values"):
        signal(values=np.zeros((4, 3)))
