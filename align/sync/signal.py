"""A motion signal on a uniform grid, as the estimator of offsets takes it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorloom.ingest.take import check_array

__all__ = ["MotionSignal"]


@dataclass(frozen=True, slots=True)
class MotionSignal:
    """Motion `values` float32[N, C] every `step_ns` from `start_ns` of the take clock on, `valid` bool[N].

    One channel is an energy or a magnitude, three are axes; the axes of two signals may stand in any unknown
    rotation to one another. Values where `valid` is False are never looked at.
    """

    name: str
    start_ns: int
    step_ns: int
    values: NDArray[np.float32]
    valid: NDArray[np.bool_]

    def __post_init__(self) -> None:
        check_array("values", self.values, np.float32, (None, None))
        check_array("valid", self.valid, np.bool_, (len(self.values),))
        if self.step_ns <= 0:
            raise ValueError(f"{self.name}: step_ns is {self.step_ns}; a signal needs a step above 0 ns")
        if not 1 <= self.values.shape[1] <= 3:
            raise ValueError(f"{self.name}: values have {self.values.shape[1]} channels; give one to three")
        if not np.isfinite(self.values[self.valid]).all():
            raise ValueError(f"{self.name}: a valid value is not finite; mark such samples as not valid")

    @property
    def stop_ns(self) -> int:
        """Return the end of the last sample's step."""
        return self.start_ns + len(self.values) * self.step_ns
