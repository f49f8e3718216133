"""Checks of what an IMU measured: units, saturation, dead or copied axes, missing samples."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from sensorloom.ingest.take import NS_PER_S, Finding, SensorStream, Severity, counted

__all__ = ["copied_axes", "value_findings"]

# Limit                              unit     source
MISSING_WARNING = 0.05  #            share    PAMAP2 loses up to 0.4 % of its packets
MISSING_ERROR = 0.5  #               share    less than half a stream cannot be resampled
SATURATION_FLOOR = {  #              unit of the stream; the least full scale sold is ±2 g and ±250 °/s
    "accelerometer": 14.7,  #        m/s²     1.5 g
    "gyroscope": 4.0,  #             rad/s    229 °/s
}
SATURATION_SHARE = (
    0.01  #           share    of samples at the exact extreme; REALWORLD's ±19.61 m/s² holds 1.5 %
)
SATURATION_RUN = 3  #                samples  at the exact extreme in a row: noise does not repeat a maximum
STUCK_AXIS_S = (
    5.0  #                s        bit-equal values of one axis; quantised signals at rest stay below
)
FROZEN_S = 1.0  #                    s        bit-equal values of all axes, which no worn sensor produces
DEAD_SHARE = 0.9  #                  share    of equal samples that makes an axis dead, or the copy of another
GRAVITY_SAMPLES = 20_000  #          samples  evenly spread, enough for a median of |a|
GRAVITY_M_S2 = (6.0, 20.0)  #        m/s²     median |a| of worn sensors, from lying (9.8) to jumping
GRAVITY_G = (0.6, 2.0)  #            g        the same in g
GYROSCOPE_MAX_RAD_S = 40.0  #        rad/s    the widest sensors end at 2000 °/s = 34.9 rad/s
GYROSCOPE_UNIT_SHARE = 0.001  #      share    of samples beyond it that speaks of °/s, not of an outlier

_SYMBOL = {"accelerometer": "m_s2", "gyroscope": "rad_s"}


def value_findings(
    stream: SensorStream, times_ns: NDArray[np.int64], values: NDArray[np.float32], target: str
) -> Iterator[Finding]:
    """Judge the samples `values` float32[N, C] at `times_ns` int64[N]; rows with a NaN are left out."""
    yield from _missing(stream, len(stream.times_ns) - len(values), target)
    if len(values) < 2:
        return
    axes = np.ascontiguousarray(values.T)
    lowest, highest = axes.min(axis=1), axes.max(axis=1)
    if not lowest.any() and not highest.any():
        yield Finding(
            target, "all-zero", "error", f"all {len(values)} samples are zero", {"num_samples": len(values)}
        )
        return
    for name, axis, low, high in zip(stream.channels, axes, lowest, highest, strict=True):
        for extreme in (low, high):
            yield from _saturation(stream, name, axis, float(extreme), target)
    yield from _stuck(stream, times_ns, axes, target)
    yield from _identical(stream, axes, target)
    yield from _gravity(axes, target) if stream.kind == "accelerometer" else _rotation(axes, target)


def _missing(stream: SensorStream, missing: int, target: str) -> Iterator[Finding]:
    if not missing:
        return
    share = missing / len(stream.times_ns)
    severity: Severity = (
        "error" if share > MISSING_ERROR else "warning" if share > MISSING_WARNING else "note"
    )
    sentence = f"{missing} of {counted(len(stream.times_ns), 'sample')} missing ({share:.2%})"
    yield Finding(target, "missing-samples", severity, sentence, {"count": missing, "share": share})


def _saturation(
    stream: SensorStream, name: str, axis: NDArray[np.float32], extreme: float, target: str
) -> Iterator[Finding]:
    if abs(extreme) < SATURATION_FLOOR[stream.kind]:
        return
    at_limit = np.flatnonzero(axis == np.float32(extreme))
    starts, stops = _runs(at_limit)
    longest, share = int((stops - starts).max()), len(at_limit) / len(axis)
    if share < SATURATION_SHARE and longest < SATURATION_RUN:
        return
    sentence = (
        f"axis {name} stands at its limit of {extreme:.4g} {stream.unit} in {counted(len(at_limit), 'sample')},"
        f" up to {longest} in a row"
    )
    numbers = {
        f"limit_{_SYMBOL[stream.kind]}": extreme,
        "count": len(at_limit),
        "share": share,
        "longest_run_samples": longest,
    }
    yield Finding(target, "saturation", "warning", sentence, numbers)


def _stuck(
    stream: SensorStream, times_ns: NDArray[np.int64], axes: NDArray[np.float32], target: str
) -> Iterator[Finding]:
    equal = axes[:, 1:] == axes[:, :-1]
    for name, same in zip(stream.channels, equal, strict=True):
        yield from _constant(
            np.flatnonzero(same), times_ns, target, ("stuck-axis", f"axis {name} is", STUCK_AXIS_S)
        )
    together = np.flatnonzero(equal.all(axis=0))
    yield from _constant(together, times_ns, target, ("frozen-sensor", "all axes are", FROZEN_S))


def _constant(
    same: NDArray[np.int64], times_ns: NDArray[np.int64], target: str, rule: tuple[str, str, float]
) -> Iterator[Finding]:
    """Report runs of samples equal to the next one (rows `same`) that last as long as the rule's limit."""
    name, subject, limit_s = rule
    if not len(same):
        return
    starts, stops = _runs(same)
    seconds = (times_ns[stops] - times_ns[starts]) / NS_PER_S
    long = seconds[seconds >= limit_s]
    if not len(long):
        return
    share = len(same) / (len(times_ns) - 1)
    sentence = (
        f"{subject} constant for {limit_s:g} s or more in {counted(len(long), 'place')}, up to {long.max():.2f} s,"
        f" {long.sum():.2f} s in all"
    )
    numbers = {
        "count": len(long),
        "longest_s": float(long.max()),
        "total_s": float(long.sum()),
        "equal_share": share,
    }
    yield Finding(target, name, "error" if share > DEAD_SHARE else "warning", sentence, numbers)


def copied_axes(axes: NDArray[np.float32]) -> list[tuple[int, int, float]]:
    """Return pairs of axes of float32[C, N] that are copies, each with the share of samples in which they agree."""
    shares = (
        (first, second, float(np.count_nonzero(axes[first] == axes[second])) / axes.shape[1])
        for first, second in combinations(range(len(axes)), 2)
    )
    return [(first, second, share) for first, second, share in shares if share > DEAD_SHARE]


def _identical(stream: SensorStream, axes: NDArray[np.float32], target: str) -> Iterator[Finding]:
    for first, second, share in copied_axes(axes):
        names = f"{stream.channels[first]} and {stream.channels[second]}"
        sentence = f"axes {names} carry the same value in {share:.0%} of the samples"
        yield Finding(target, "identical-axes", "error", sentence, {"equal_share": share})


def _gravity(axes: NDArray[np.float32], target: str) -> Iterator[Finding]:
    some = axes[:, :: max(1, axes.shape[1] // GRAVITY_SAMPLES)].astype(np.float64)
    norm = float(np.sqrt(np.median((some * some).sum(axis=0))))
    low, high = GRAVITY_M_S2
    if low <= norm <= high:
        return
    measured = f"the median of |a| is {norm:.3g}, expected were {low:g} to {high:g} m/s²"
    if GRAVITY_G[0] <= norm <= GRAVITY_G[1]:
        yield Finding(
            target, "accelerometer-in-g", "error", f"{measured}: the values are in g", {"median_norm": norm}
        )
    else:
        sentence = f"{measured}: gravity is not in it, or its unit is another"
        yield Finding(target, "gravity-doubtful", "warning", sentence, {"median_norm": norm})


def _rotation(axes: NDArray[np.float32], target: str) -> Iterator[Finding]:
    squared = (axes * axes).sum(axis=0)
    beyond = int(np.count_nonzero(squared > GYROSCOPE_MAX_RAD_S**2))
    if not beyond:
        return
    share, largest = beyond / len(squared), float(np.sqrt(squared.max()))
    in_degrees = share > GYROSCOPE_UNIT_SHARE
    verdict = "the values are in °/s, not rad/s" if in_degrees else "single outliers"
    sentence = f"{counted(beyond, 'sample')} faster than {GYROSCOPE_MAX_RAD_S:g} rad/s, up to {largest:.4g}: {verdict}"
    numbers = {"count": beyond, "share": share, "largest_norm": largest}
    if in_degrees:
        yield Finding(target, "gyroscope-in-degrees", "error", sentence, numbers)
    else:
        yield Finding(target, "gyroscope-outliers", "warning", sentence, numbers)


def _runs(rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return starts and stops (one past the last) of the consecutive runs in sorted, non-empty `rows`."""
    edges = np.flatnonzero(np.diff(rows) != 1)
    return rows[np.append(0, edges + 1)], rows[np.append(edges, len(rows) - 1)] + 1
