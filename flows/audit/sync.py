"""What the takes tell of the clocks of their streams, gathered by pairs of streams, and as a table of all of it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from sensorloom.flows.audit.report_takes import (
    MAX_POINTS,
    PairFacts,
    PairPoint,
    ShiftFacts,
    SyncFacts,
    SyncVerdict,
    TakeSync,
)
from sensorloom.flows.audit.take import TakeAudit
from sensorloom.flows.take_ids import dataset_of

__all__ = ["SYNC", "Pairs", "sync_of", "sync_rows"]

_F64 = pa.float64()
SYNC = pa.schema(
    {
        "take_id": pa.string(),
        "dataset": pa.string(),
        "first": pa.string(),
        "second": pa.string(),
        "method": pa.string(),
        "verdict": pa.string(),
        "offset_ms": _F64,
        "offset_ci_ms": _F64,
        "drift_ppm": _F64,
        "drift_ci_ppm": _F64,
        "jump_ms": _F64,
        "residual_ms": _F64,
        "reason": pa.string(),
        "segments": pa.list_(
            pa.struct([("time_s", _F64), ("lag_ms", _F64), ("sigma_ms", _F64), ("strength", _F64)])
        ),
    }
)
"""One row for each pair of streams of each take."""

_WORST: tuple[SyncVerdict, ...] = ("drifting", "shifted")
_MIDDLE_PERCENTILES = (16.0, 84.0)
_DIGITS = 4
_MIN_SPREAD = 3
"""Of fewer offsets the middle 68 % is none."""


def sync_of(syncs: Sequence[SyncFacts]) -> TakeSync:
    """Return the verdict on a take: the worst of its pairs, `aligned` only where a pair between devices is.

    That the sensors of one device agree with one another says nothing of any other clock: where nothing can be told
    between devices the verdict is `unknown`, and `none` where there are no two.
    """
    there = {sync.verdict for sync in syncs}
    between = {sync.verdict for sync in syncs if not sync.is_within}
    for verdict in _WORST:
        if verdict in there:
            return verdict
    if not between:
        return "none"
    return "aligned" if "aligned" in between else "unknown"


def sync_rows(audit: TakeAudit) -> Iterator[dict[str, Any]]:
    """Yield the rows of the table `SYNC` of one take."""
    dataset = dataset_of(audit.take_id)
    for sync in audit.syncs:
        row = {
            name: getattr(sync, name) for name in SYNC.names if name not in ("take_id", "dataset", "segments")
        }
        segments = [
            {"time_s": lag.time_s, "lag_ms": lag.lag_ms, "sigma_ms": lag.sigma_ms, "strength": lag.strength}
            for lag in sync.segments
        ]
        yield {"take_id": audit.take_id, "dataset": dataset, **row, "segments": segments}


class Pairs:
    """The pairs of streams of many takes, by data set, method and the streams' roles, gathered one take at a time."""

    def __init__(self) -> None:
        self._points: dict[tuple[str, str, str, str], list[PairPoint]] = defaultdict(list)

    def add(self, audit: TakeAudit) -> None:
        """Add the pairs of one take."""
        dataset = dataset_of(audit.take_id)
        for sync in audit.syncs:
            first, second = (audit.roles.get(name, name) for name in (sync.first, sync.second))
            self._points[dataset, sync.method, first, second].append(
                PairPoint(
                    audit.take_id,
                    sync.offset_ms,
                    sync.offset_ci_ms,
                    sync.drift_ppm,
                    sync.drift_ci_ppm,
                    sync.verdict,
                    sync.second,
                )
            )

    def facts(self) -> tuple[PairFacts, ...]:
        """Return the facts of every pair."""
        return tuple(_facts(pair, points) for pair, points in sorted(self._points.items()))


def _facts(pair: tuple[str, str, str, str], points: list[PairPoint]) -> PairFacts:
    dataset, method, first, second = pair
    counts = Counter(point.verdict for point in points)
    offsets = _offsets(points, ("aligned", "shifted", "drifting"))
    low, high = np.percentile(offsets, _MIDDLE_PERCENTILES) if len(offsets) >= _MIN_SPREAD else (None, None)
    drifts = [abs(point.drift_ppm) for point in points if point.verdict == "drifting" and point.drift_ppm]
    return PairFacts(
        dataset=dataset,
        method=method,
        first=first,
        second=second,
        takes=len(points),
        aligned=counts["aligned"],
        shifted=counts["shifted"],
        drifting=counts["drifting"],
        unknown=counts["unknown"],
        median_offset_ms=round(float(np.median(offsets)), _DIGITS) if offsets else None,
        spread_ms=None if high is None or low is None else round(float(high - low) / 2, _DIGITS),
        points=tuple(sorted(points, key=_far_first)[:MAX_POINTS]),
        shift=_shift(_offsets(points, ("shifted",))),
        most_drift_ppm=max(drifts, default=None),
    )


def _offsets(points: Sequence[PairPoint], verdicts: Sequence[SyncVerdict]) -> list[float]:
    """Return the offsets of the points of these verdicts."""
    return [point.offset_ms for point in points if point.verdict in verdicts and point.offset_ms is not None]


def _shift(offsets: Sequence[float]) -> ShiftFacts | None:
    if not offsets:
        return None
    sizes = np.abs(offsets)
    early = sum(offset < 0 for offset in offsets)
    told = (round(float(size), _DIGITS) for size in (sizes.min(), np.median(sizes), sizes.max()))
    return ShiftFacts(early, len(offsets) - early, *told)


def _far_first(point: PairPoint) -> tuple[bool, float, str]:
    return point.offset_ms is None, -abs(point.offset_ms or 0.0), point.take_id
