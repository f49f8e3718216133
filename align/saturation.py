"""Where an axis stands at its limit, on the 200 Hz grid.

The recorded plateau is flat; resampled, it rings by some percent. So a limit shows as a pile of samples at one level,
which what swings freely never has: peaks differ in height.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["FLOORS", "saturated"]

FLOORS = (14.7, 4.0)
"""The least full scale sold of accelerometers (±2 g, less a quarter; m/s²) and gyroscopes (±250 °/s; rad/s)."""

_BIN = 0.01  # of the level: a plateau of the narrowest kind rings by less
_RINGING = 0.99  # of a known limit: what resampling takes off
_PILE = 5.0  # times what lies as wide a band below: a swing of one amplitude has 2.6 times
_BELOW_BINS = 9
_LEAST_SAMPLES = 20  # a tenth of a second
_ABOVE_SHARE = 0.25  # of the pile: a filter overshoots at the plateau's ends
_USUAL_SHARE = 0.8  # of the limit: an axis that is there half of the time rests, at a wrong scale


def saturated(
    axis: NDArray[np.float32], usable: NDArray[np.bool_], floor: float, known: Sequence[float] = ()
) -> NDArray[np.bool_] | None:
    """Return bool[T], usable samples of `axis` float32[T] at or above its limit on either side; None without one.

    `known` are limits, with their sign, that the recorded samples told of: where single samples stand at the limit of
    a slow sensor, the grid shows no pile. No other limit is looked for below `floor`.
    """
    highest = max(float(axis.max()), -float(axis.min())) if len(axis) else 0.0
    if highest < min([floor, *(abs(limit) * _RINGING for limit in known)]):
        return None
    at_limit = None
    for sign in (1, -1):
        signed = axis if sign > 0 else -axis
        given = [abs(limit) * _RINGING for limit in known if limit * sign > 0]
        level = min(given) if given else _limit(signed[usable], floor)
        if level is not None and (signed >= np.float32(level)).any():
            high = usable & (signed >= np.float32(level))
            at_limit = high if at_limit is None else at_limit | high
    return at_limit


def _limit(values: NDArray[np.float32], floor: float) -> float | None:
    """Return the lower edge of the pile at the top of `values` [N], or None."""
    bottom = floor * 0.8
    top = values[values >= bottom]
    if len(top) < _LEAST_SAMPLES or float(top.max()) < floor:
        return None
    bins = np.log(top / np.float32(bottom)) / np.log1p(_BIN)
    counts = np.bincount(bins.astype(np.int64) + _BELOW_BINS + 1, minlength=_BELOW_BINS + 2)
    upto = np.concatenate(([0], np.cumsum(counts), [len(top)]))
    middle = np.arange(_BELOW_BINS + 1, len(counts))
    pile = upto[middle + 2] - upto[middle - 1]
    below = (upto[middle - 1] - upto[middle - 1 - _BELOW_BINS]) / _BELOW_BINS * 3
    above = len(top) - upto[middle + 2]
    is_limit = (pile >= np.maximum(_LEAST_SAMPLES, _PILE * below)) & (above <= _ABOVE_SHARE * pile)
    if not is_limit.any():
        return None
    mode = int(middle[np.argmax(pile * is_limit)]) - _BELOW_BINS - 1
    level = bottom * (1 + _BIN) ** (mode - 1)
    return None if float(np.median(values)) > _USUAL_SHARE * level else level
