"""The lag between two motion signals, segment by segment."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SegmentLag"]


@dataclass(frozen=True, slots=True)
class SegmentLag:
    """How late the second signal is around `time_s` of the take clock, the middle of a segment.

    `lag_ms` with standard deviation `sigma_ms`; `strength` 0 to 1, the share of the motion that both show.
    """

    time_s: float
    lag_ms: float
    sigma_ms: float
    strength: float
