"""Clock maps from anchors: one robust line, and knots where no one line holds.

Anchors are what a data set says of two clocks (the frames of a synchronised recording, each with the stamp of its
camera). They repeat where a frame was shown twice, and single ones are wrong. A run of them that is off together is
believed: a frame was lost or shown twice there, and all after it are shifted.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from sensorloom.align.clock import ClockMap
from sensorloom.ingest.take import NS_PER_MS, NS_PER_S, ClockAnchors

__all__ = ["TOLERANCE_NS", "ClockFit", "fit_clock"]

TOLERANCE_NS = NS_PER_MS // 4
"""A map with knots stays this close to every anchor that it is made of, or within three deviations of their scatter."""

_SCATTER = 3.0  # deviations: knots follow what anchors say together, not the noise of each
_ROUNDING_NS = 2  # of a knot, and of what is read between knots
_NEIGHBOURS = (
    15  # anchors among which one is judged: seven in a row may be wrong (a quarter second of frames)
)
_STRAY_NS = 5 * NS_PER_MS  # off its neighbours by more, an anchor contradicts them
_STRAY_DEVIATIONS = 6.0  # unless they scatter so widely themselves
_SIGMA = 1.4826  # standard deviations per median absolute deviation
_SHORTEST_NS = NS_PER_S  # anchors over less than this tell an offset and no drift
_FARTHEST_NS = 600 * NS_PER_S  # no two clocks of a take, a day long at most, drift this far apart
_MAX_SLOPE = 0.01  # no clock is a hundredth too fast: such anchors tell of no drift

Floats = NDArray[np.float64]
Times = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ClockFit:
    """A map, how many anchors repeated an instant of another, and how many contradicted their neighbours."""

    clock: ClockMap
    repeated: int
    contradictory: int


def fit_clock(anchors: ClockAnchors) -> ClockFit:
    """Fit a clock map to `anchors`, in any order; one anchor gives an offset.

    Offset, drift and residual are those of the least-squares line through the anchors that agree with their
    neighbours. Where the line leaves one of them by more than `TOLERANCE_NS` and more than they scatter, the map has
    knots too, as few as a single pass finds, and stays that close to all of them.
    """
    near = _near_the_others(anchors.source_ns, anchors.target_ns)
    source, target = _distinct(anchors.source_ns[near], anchors.target_ns[near])
    repeated = int(near.sum()) - len(source)
    off = _off_neighbours(source, target)
    agree = _agree(target, off)
    contradictory = int((~near).sum()) + len(source) - int(agree.sum())
    source, target = source[agree], target[agree]
    tolerance = max(float(TOLERANCE_NS), _SCATTER * _SIGMA * float(np.median(off[agree])))
    line = _fit_line(anchors, source, target)
    residual = (target - line.apply(source)).astype(np.float64)
    rms_ms = float(np.sqrt(np.mean(residual**2))) / NS_PER_MS
    knots = _thin(source, residual, tolerance - _ROUNDING_NS) if np.abs(residual).max() > tolerance else ()
    fitted = ClockMap(
        source=anchors.source,
        target=anchors.target,
        offset_ns=line.offset_ns,
        drift_ppm=line.drift_ppm,
        reference_ns=line.reference_ns,
        residual_rms_ms=rms_ms,
        num_anchors=len(source),
        rule=anchors.rule,
        knots=_on_line(line, knots),
    )
    return ClockFit(fitted, repeated, contradictory)


def _near_the_others(source: Times, target: Times) -> NDArray[np.bool_]:
    """Return bool[N], False for anchors whose shift lies further from the median one than clocks of a take drift."""
    shift = target - source
    middle = np.sort(shift)[len(shift) // 2]
    near: NDArray[np.bool_] = np.abs(shift - middle) <= _FARTHEST_NS
    return near


def _distinct(source: Times, target: Times) -> tuple[Times, Times]:
    """Sort by source; of anchors that share an instant on either clock keep the earliest on the other.

    A stamp is repeated for frames that a camera did not deliver, so the first one is the frame's own.
    """
    order = np.lexsort((target, source))
    source, target = source[order], target[order]
    first = np.append(True, source[1:] != source[:-1])
    source, target = source[first], target[first]
    _, kept = np.unique(target, return_index=True)
    kept.sort()
    return source[kept], target[kept]


def _off_neighbours(source: Times, target: Times) -> Floats:
    """Return how far each anchor lies off the median of its neighbours, float64[N] ns, the drift aside."""
    if len(source) < 2:
        return np.zeros(len(source))
    gain = _gain(source, target)
    residual = gain - _robust_slope(source, gain) * _since(source)
    off: Floats = np.abs(residual - median_filter(residual, _NEIGHBOURS, mode="mirror"))
    return off


def _agree(target: Times, off: Floats) -> NDArray[np.bool_]:
    """Return bool[N], False for anchors that are off their neighbours, and for as few as keep the rest increasing."""
    agree = off <= max(_STRAY_NS, _STRAY_DEVIATIONS * _SIGMA * float(np.median(off)))
    kept = np.flatnonzero(agree)
    agree[kept] = False
    agree[kept[_longest_increasing(target[kept])]] = True
    return agree


def _longest_increasing(values: Times) -> Times:
    """Return where the longest strictly increasing subsequence of int64[N] stands (patience sorting)."""
    if (np.diff(values) > 0).all():
        return np.arange(len(values))
    smallest: list[int] = []  # of the last values of increasing runs of each length
    place: list[int] = []  # where each of them stands
    before = [-1] * len(values)
    for index, value in enumerate(values.tolist()):
        length = bisect_left(smallest, value)
        before[index] = place[length - 1] if length else -1
        smallest[length : length + 1] = [value]
        place[length : length + 1] = [index]
    chain = [place[-1]]
    while before[chain[-1]] >= 0:
        chain.append(before[chain[-1]])
    return np.array(chain[::-1], np.int64)


def _since(source: Times) -> Floats:
    elapsed: Floats = (source - source[0]).astype(np.float64)
    return elapsed


def _gain(source: Times, target: Times) -> Floats:
    """Return what the target clock gains on the source clock from the first anchor on, float64[N] ns."""
    shift = target - source
    gain: Floats = (shift - shift[0]).astype(np.float64)
    return gain


def _robust_slope(source: Times, gain: Floats) -> float:
    """Return the median slope over pairs half the anchors apart, which a quarter of them cannot upset."""
    half = len(source) // 2
    elapsed = _since(source)
    slopes: Floats = (gain[half:] - gain[:-half]) / (elapsed[half:] - elapsed[:-half])
    return float(np.median(slopes))


def _fit_line(anchors: ClockAnchors, source: Times, target: Times) -> ClockMap:
    """Return the least-squares line through increasing anchors, its reference at the middle one."""
    reference = int(source[len(source) // 2])
    away = (source - reference).astype(np.float64)
    gain = _gain(source, target)
    slope = 0.0
    if source[-1] - source[0] >= _SHORTEST_NS:
        centred = away - away.mean()
        slope = float(centred @ (gain - gain.mean()) / (centred @ centred))
        slope = slope if abs(slope) <= _MAX_SLOPE else 0.0
    offset = int(target[0] - source[0]) + round(float(np.mean(gain - slope * away)))
    return ClockMap(anchors.source, anchors.target, offset, slope * 1e6, reference)


def _thin(source: Times, residual: Floats, within_ns: float) -> tuple[tuple[int, float], ...]:
    """Return knots (source, residual) of lines that pass every anchor within `within_ns`, in one pass.

    From each knot the slopes that still pass all anchors since form a cone; where it closes, the next knot lies at the
    last anchor before, as near to it as the cone allows (the swing filter of Elmeleegy et al., VLDB 2009).
    """
    at, left, off = int(source[0]), float(residual[0]), residual.tolist()
    knots = [(at, left)]
    low, high = -math.inf, math.inf
    stamps = source.tolist()
    for index in range(1, len(stamps)):
        away = stamps[index] - at
        below, above = (off[index] - within_ns - left) / away, (off[index] + within_ns - left) / away
        if below > high or above < low:
            knots.append(_end_of_cone(knots[-1], (stamps[index - 1], off[index - 1]), (low, high)))
            at, left = knots[-1]
            away = stamps[index] - at
            low, high = (off[index] - within_ns - left) / away, (off[index] + within_ns - left) / away
        else:
            low, high = max(low, below), min(high, above)
    knots.append(_end_of_cone(knots[-1], (stamps[-1], off[-1]), (low, high)))
    return tuple(knots)


def _end_of_cone(
    start: tuple[int, float], anchor: tuple[int, float], cone: tuple[float, float]
) -> tuple[int, float]:
    """Return the point of the cone from `start` that is nearest to `anchor`, at its source stamp."""
    away = anchor[0] - start[0]
    return anchor[0], start[1] + min(max(anchor[1] - start[1], cone[0] * away), cone[1] * away)


def _on_line(line: ClockMap, knots: tuple[tuple[int, float], ...]) -> tuple[tuple[int, int], ...]:
    """Return knots (source, target) whose residuals count from `line`; one that would turn time back is left out."""
    placed: list[tuple[int, int]] = []
    for source, residual in knots:
        target = line.apply(source) + round(residual)
        if not placed or target > placed[-1][1]:
            placed.append((source, target))
    return tuple(placed)
