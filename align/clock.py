"""Clock maps: how one clock is carried to another, and the rule that says so."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import overload

import numpy as np
from numpy.typing import NDArray

__all__ = ["ClockMap"]

_PPM = 1_000_000


@dataclass(frozen=True, slots=True)
class ClockMap:
    """A map `target = source + offset + drift * (source - reference)`, in nanoseconds, or piecewise so between knots.

    `reference_ns` lies on the source clock, so `offset_ns` is the shift at that instant. `drift_ppm` is how much
    faster the target clock runs. `residual_rms_ms` and `num_anchors` say how well anchors support it (0 and 0
    for a rule that is taken on trust), `rule` names where it comes from. `knots`, pairs of one instant on source
    and target that increase on both, are there where no one drift fits: the map is a line from knot to knot, and
    goes on at `drift_ppm` beyond the first and the last.
    """

    source: str
    target: str
    offset_ns: int = 0
    drift_ppm: float = 0.0
    reference_ns: int = 0
    residual_rms_ms: float = 0.0
    num_anchors: int = 0
    rule: str = "identity"
    knots: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        for (source, target), (next_source, next_target) in pairwise(self.knots):
            if next_source <= source or next_target <= target:
                raise ValueError(
                    f"clock map {self.source}→{self.target}: knots must increase on both clocks,"
                    f" ({next_source}, {next_target}) ns follows ({source}, {target}) ns"
                )

    @overload
    def apply(self, times_ns: int) -> int: ...
    @overload
    def apply(self, times_ns: NDArray[np.int64]) -> NDArray[np.int64]: ...
    def apply(self, times_ns: int | NDArray[np.int64]) -> int | NDArray[np.int64]:
        """Carry times int64[...] ns from the source clock to the target clock; exact where drift is 0.

        What drift or a knot adds is computed from a near instant, so that it is right to the nanosecond however
        large the stamps are.
        """
        if isinstance(times_ns, int):
            return int(self.apply(np.array(times_ns, np.int64))) if self.knots else self._shift(times_ns)
        return self._bend(times_ns) if self.knots else self._shift(times_ns)

    def _shift(self, times_ns: int | NDArray[np.int64]) -> int | NDArray[np.int64]:
        if self.drift_ppm == 0.0:
            return times_ns + self.offset_ns
        away = np.asarray(times_ns) - self.reference_ns
        drift = np.rint(away * (self.drift_ppm / _PPM)).astype(np.int64)
        return times_ns + self.offset_ns + (int(drift) if isinstance(times_ns, int) else drift)

    def _bend(self, times_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """Follow the knots: from each the line to the next, before the first and from the last one the drift."""
        source, target = np.array(self.knots, np.int64).T
        spans = np.diff(source)
        # What the target gains on the source is small: as float64 it keeps its nanoseconds, a product would not.
        inner = (np.diff(target) - spans) / spans
        outer = [self.drift_ppm / _PPM]
        gains = np.concatenate((outer, inner, outer))
        piece = np.searchsorted(source, times_ns, side="right")
        near = np.maximum(piece - 1, 0)
        away = times_ns - source[near]
        bent: NDArray[np.int64] = target[near] + away + np.rint(away * gains[piece]).astype(np.int64)
        return bent

    def inverse(self) -> ClockMap:
        """Return the map from target to source; a round trip is exact to 1 ns for clocks of about one speed."""
        rate = self.drift_ppm / _PPM
        return ClockMap(
            source=self.target,
            target=self.source,
            offset_ns=-self.offset_ns,
            drift_ppm=-rate / (1 + rate) * _PPM,
            reference_ns=self.reference_ns + self.offset_ns,
            residual_rms_ms=self.residual_rms_ms,
            num_anchors=self.num_anchors,
            rule=f"inverse of {self.rule}",
            knots=tuple((target, source) for source, target in self.knots),
        )

    def then(self, after: ClockMap) -> ClockMap:
        """Return the map that applies this one and then `after`.

        Raises `ValueError` unless this map's target is the other's source.
        """
        if self.target != after.source:
            first, second = f"{self.source}→{self.target}", f"{after.source}→{after.target}"
            raise ValueError(f"cannot chain {first} with {second}: clocks differ")
        rate, further = self.drift_ppm / _PPM, after.drift_ppm / _PPM
        reference = self.reference_ns
        return ClockMap(
            source=self.source,
            target=after.target,
            offset_ns=after.apply(self.apply(reference)) - reference,
            drift_ppm=(rate + further + rate * further) * _PPM,
            reference_ns=reference,
            residual_rms_ms=float(np.hypot(self.residual_rms_ms, after.residual_rms_ms)),
            num_anchors=min(self.num_anchors, after.num_anchors),
            rule=f"{self.rule}; {after.rule}",
            knots=self._chained_knots(after),
        )

    def _chained_knots(self, after: ClockMap) -> tuple[tuple[int, int], ...]:
        """Return a knot wherever either map has one."""
        back = self.inverse()
        sources = {source for source, _ in self.knots} | {back.apply(source) for source, _ in after.knots}
        knots: list[tuple[int, int]] = []
        for source in sorted(sources):
            target = after.apply(self.apply(source))
            if not knots or target > knots[-1][1]:
                knots.append((source, target))
        return tuple(knots)
