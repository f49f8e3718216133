"""Clock maps: how one clock is carried to another, and the rule that says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import NDArray

__all__ = ["ClockMap"]

_PPM = 1_000_000


@dataclass(frozen=True, slots=True)
class ClockMap:
    """An affine map `target = source + offset + drift * (source - reference)`, in nanoseconds.

    `reference_ns` lies on the source clock, so `offset_ns` is the shift at that instant. `drift_ppm` is how much
    faster the target clock runs. `residual_rms_ms` and `num_anchors` say how well anchors support it (0 and 0
    for a rule that is taken on trust), `rule` names where it comes from.
    """

    source: str
    target: str
    offset_ns: int = 0
    drift_ppm: float = 0.0
    reference_ns: int = 0
    residual_rms_ms: float = 0.0
    num_anchors: int = 0
    rule: str = "identity"

    @overload
    def apply(self, times_ns: int) -> int: ...
    @overload
    def apply(self, times_ns: NDArray[np.int64]) -> NDArray[np.int64]: ...
    def apply(self, times_ns: int | NDArray[np.int64]) -> int | NDArray[np.int64]:
        """Carry times int64[...] ns from the source clock to the target clock; exact where drift is 0."""
        return times_ns + self.offset_ns + self._drift_ns(times_ns)

    def _drift_ns(self, times_ns: int | NDArray[np.int64]) -> int | NDArray[np.int64]:
        if self.drift_ppm == 0.0:
            return 0
        drift = np.rint((np.asarray(times_ns) - self.reference_ns) * (self.drift_ppm / _PPM)).astype(np.int64)
        return int(drift) if isinstance(times_ns, int) else drift

    def inverse(self) -> ClockMap:
        """Return the map from target to source; a round trip is exact to 1 ns."""
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
        )
