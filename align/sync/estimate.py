"""Offset and drift of two motion signals, with what can be believed of them."""

from __future__ import annotations

from dataclasses import dataclass

from sensorloom.align.sync.segments import SegmentLag

__all__ = ["SyncEstimate"]


@dataclass(frozen=True, slots=True)
class SyncEstimate:
    """How late signal `second` is stamped against `first`: what `first` shows at t, `second` shows at t + offset.

    `offset_ms` is the offset in the middle of what both cover, `drift_ppm` its growth in µs a second, each with
    the half width of its 95 % interval. Drift is None where the span is too short to tell, all are None where
    nothing can be told and `reason` says why. `jump_ms` is the largest sure step of the offset, None without one.
    """

    first: str
    second: str
    method: str
    offset_ms: float | None = None
    offset_ci_ms: float | None = None
    drift_ppm: float | None = None
    drift_ci_ppm: float | None = None
    jump_ms: float | None = None
    reason: str = ""
    segments: tuple[SegmentLag, ...] = ()
    residual_ms: float | None = None
