"""Re-timing of stall-and-burst stamps.

A phone that stamps samples on delivery stops for a while and then hands over what it has queued: one long
interval, then a burst of samples squeezed together (REALWORLD: a gap of 947 ms, then 49 samples 1 ms apart;
48 such gaps in 640 s). No sample is lost, the order is true, and each stamp is at or after the truth. So
the latest schedule that the stamps allow, read backwards from each stamp at no less than a floor interval,
tells which samples are late; each late run is spread evenly between the last stamp before it and the stamp
that ends it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorloom.align.runs import find_runs
from sensorloom.ingest.take import NS_PER_MS, check_array

__all__ = ["STALL_NS", "Retimed", "Stall", "retime"]

STALL_NS = 100 * NS_PER_MS
"""An interval above this is a stall when a burst explains it, and a gap when none does."""

_FLOOR = 0.75  # samples closer than this share of the usual interval make the earlier one late
_SQUEEZED = 0.5  # a late run is a burst when two of its samples lie closer than this share
_EXPLAINED = 1.5  # spread out, a burst that explains its gap lies no wider than this share


@dataclass(frozen=True, slots=True)
class Stall:
    """A stall of more than 100 ms and the burst that ended it, in recorded stamps.

    `start_ns` is the last stamp before the gap, `stop_ns` the stamp that ends the burst, `gap_ns` the
    longest interval between, `num_samples` how many samples were moved. Unless `explained`, the burst was
    too short for the gap and a gap remains.
    """

    start_ns: int
    stop_ns: int
    gap_ns: int
    num_samples: int
    explained: bool


@dataclass(frozen=True, slots=True)
class Retimed:
    """Strictly increasing `times_ns` int64[N] for the samples in recorded order.

    `retimed` bool[N] marks samples whose stamp was moved; `lost` bool[N] those whose time cannot be told (a
    clock set back), whose values must count as missing. `stalls` lists the stalls above 100 ms.
    """

    times_ns: NDArray[np.int64]
    retimed: NDArray[np.bool_]
    lost: NDArray[np.bool_]
    stalls: tuple[Stall, ...] = ()


def retime(times_ns: NDArray[np.int64], nominal_rate_hz: float | None = None) -> Retimed:
    """Spread stall-and-burst stamps int64[N] back over their gaps, in linear time.

    Stamps that run backwards or repeat are repaired where the samples around leave room for them and marked
    lost where not. A gap that no burst explains stays a gap. `nominal_rate_hz` is believed only where most
    intervals are burst intervals and the mean rate agrees with it (a device that hands over its queue in
    regular batches).
    """
    check_array("times_ns", times_ns, np.int64, (None,))
    none = np.zeros(len(times_ns), np.bool_)
    intervals = np.diff(times_ns)
    if len(intervals) == 0 or 0 < intervals.min() == intervals.max():
        return Retimed(times_ns, none, none)
    if intervals.max() <= 0:
        return Retimed(times_ns[0] + np.arange(len(times_ns)), none, np.arange(len(times_ns)) > 0)
    usual = _usual_interval(intervals, nominal_rate_hz)
    if intervals.min() >= _SQUEEZED * usual and intervals.max() <= STALL_NS:
        return Retimed(times_ns, none, none)
    repaired, lost = _raise_early(times_ns, usual)
    kept = ~lost
    spread, stalls = _spread_late(repaired[kept], usual)
    times = (
        np.interp(np.arange(len(times_ns)), np.flatnonzero(kept), spread - spread[0]).astype(np.int64)
        + spread[0]
    )
    times[kept] = spread
    _strictly_increase_tail(times, lost, usual)
    return Retimed(times, (times != times_ns) & kept, lost, stalls)


def _usual_interval(intervals: NDArray[np.int64], nominal_rate_hz: float | None) -> int:
    """Return the median interval, or the mean where bursts make up the median and the claim agrees."""
    usual = int(np.median(intervals[intervals > 0]))
    if nominal_rate_hz:
        claimed, mean = 1e9 / nominal_rate_hz, float(intervals.mean())
        if usual < claimed / 2 and abs(mean - claimed) < claimed / 4:
            return round(mean)
    return usual


def _raise_early(times_ns: NDArray[np.int64], usual: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Move runs stamped before an earlier sample up between their neighbours, or mark them lost.

    Where fewer samples before such a run are too late than samples in it are too early, the run is left:
    the samples before it are the outliers, and spreading late samples puts them right.
    """
    times, lost = times_ns.copy(), np.zeros(len(times_ns), np.bool_)
    ceiling = np.maximum.accumulate(times_ns)
    for start, stop in zip(*find_runs(times_ns < ceiling), strict=True):
        num_above = int(start - np.searchsorted(ceiling[:start], times_ns[start:stop].min(), side="right"))
        room = times_ns[start] - times_ns[start - num_above - 1] if num_above < start else np.inf
        if num_above < stop - start and room >= _SQUEEZED * usual * (num_above + 1):
            continue
        before, count = ceiling[start], stop - start + 1
        after = times_ns[stop] if stop < len(times) else before + count * usual
        times[start:stop] = before + (np.arange(1, count) * ((after - before) / count)).astype(np.int64)
        lost[start:stop] = after - before < _SQUEEZED * usual * count
    return times, lost


def _spread_late(times_ns: NDArray[np.int64], usual: int) -> tuple[NDArray[np.int64], tuple[Stall, ...]]:
    """Spread every run of late samples that holds a burst; see the module's text for what late means."""
    floor = max(1, int(_FLOOR * usual))
    schedule = np.arange(len(times_ns)) * floor
    latest = np.minimum.accumulate((times_ns - schedule)[::-1])[::-1] + schedule
    starts, stops = find_runs(times_ns > latest)
    if len(starts) == 0:
        return times_ns, ()
    before = np.maximum(starts - 1, 0)
    # reduceat needs every index inside the array: the last interval gets a neutral successor.
    intervals = np.append(np.diff(times_ns), np.iinfo(np.int64).max)
    squeezed = np.minimum.reduceat(intervals, np.stack((starts, stops), axis=1).ravel())[::2]
    intervals[-1] = 0
    gaps = np.maximum.reduceat(intervals, np.stack((before, stops), axis=1).ravel())[::2]
    bursts = (squeezed < _SQUEEZED * usual) | (gaps > STALL_NS)
    starts, stops, before, gaps = starts[bursts], stops[bursts], before[bursts], gaps[bursts]

    counts, ends = stops - starts + 1, times_ns[stops]
    steps = (ends - times_ns[before]) / counts
    explained = (steps <= _EXPLAINED * usual) & (starts > 0)
    steps[~explained] = usual
    late = counts - 1
    remaining = np.repeat(np.cumsum(late), late) - np.arange(late.sum())
    times = times_ns.copy()
    times[np.repeat(stops, late) - remaining] = np.repeat(ends, late) - np.rint(
        remaining * np.repeat(steps, late)
    ).astype(np.int64)
    stalls = tuple(
        Stall(int(times_ns[before[i]]), int(ends[i]), int(gaps[i]), int(counts[i] - 1), bool(explained[i]))
        for i in np.flatnonzero(gaps > STALL_NS)
    )
    return times, stalls


def _strictly_increase_tail(times: NDArray[np.int64], lost: NDArray[np.bool_], usual: int) -> None:
    """Give lost samples after the last kept one stamps of their own, in place."""
    last = len(times) - 1 - int(np.argmax(~lost[::-1]))
    times[last + 1 :] = times[last] + usual * np.arange(1, len(times) - last)
