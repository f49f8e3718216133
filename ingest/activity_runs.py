"""Runs of a per-row class id as intervals of time. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["ActivityRun", "activity_runs"]


@dataclass(frozen=True, slots=True)
class ActivityRun:
    """Consecutive rows of one class, over `[start_ns, stop_ns)`; reversed where stamps run back."""

    class_id: int
    start_ns: int
    stop_ns: int


def activity_runs(
    times_ns: NDArray[np.int64], class_ids: NDArray[np.int64], step_ns: int
) -> tuple[ActivityRun, ...]:
    """Return the runs of `class_ids` int64[N] at `times_ns` int64[N], in row order.

    A run stops where the next one starts, the last one `step_ns` after its last row.
    """
    if not len(class_ids):
        return ()
    first_rows = np.append(0, np.flatnonzero(np.diff(class_ids)) + 1)
    starts = times_ns[first_rows]
    stops = np.append(starts[1:], times_ns[-1] + step_ns)
    return tuple(
        ActivityRun(int(class_id), int(start), int(stop))
        for class_id, start, stop in zip(class_ids[first_rows], starts, stops, strict=True)
    )
