"""Checks of a stream's time stamps: rate, order, gaps, jitter, stall and burst.

Missing samples are left out first, so a dropped packet shows as the hole in time that it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from sensorloom.ingest.take import NS_PER_MS, NS_PER_S, Finding, Interval, SensorStream, Severity, counted

__all__ = ["timing_findings"]

# Limit                      unit      source
GAP_MS = 100.0  #            ms        five samples at 50 Hz; REALWORLD's stalls are counted from here
GAP_STEPS = 5.0  #           steps     the same for slower streams, in nominal intervals
RATE_TOLERANCE = 0.02  #     share     PAMAP2 arrives at 99.6 to 99.9 % and REALWORLD at 99.9 % of the claim
JITTER_TOLERANCE = 0.1  #    share     an interval further than this from the median is irregular
JITTER_SHARE = 0.1  #        share     of irregular intervals worth a note; REALWORLD has 36 %
BURST_STEP = 0.35  #         share     of the median interval, below which a sample was stamped in catching up
BURST_SAMPLES = 5  #         samples   the shortest burst told from chance
BURST_MATCH = 0.5  #         share     by which a burst's count may miss what its gap held back
DISORDER_SHARE = 0.01  #     share     of backward steps beyond which the order of samples is in doubt


def timing_findings(
    stream: SensorStream, times_ns: NDArray[np.int64], target: str, breaks: Sequence[Interval] = ()
) -> Iterator[Finding]:
    """Judge the stamps int64[N] of the recorded samples of `stream`; of `breaks` those without a row are no gaps."""
    if len(times_ns) < 2:
        samples, rows = counted(len(times_ns), "sample"), counted(len(stream.times_ns), "row")
        sentence = f"{samples} in {rows}; two are needed to tell a rate"
        yield Finding(target, "too-few-samples", "error", sentence, {"num_samples": len(times_ns)})
        return
    steps_ns = np.diff(times_ns)
    yield from _order(steps_ns, target)
    median_ns = _median(steps_ns)
    limit_ms = max(GAP_MS, GAP_STEPS * 1e3 / stream.nominal_rate_hz)
    yield from _gaps(steps_ns - _seams_ns(stream, times_ns, breaks), limit_ms, target)
    if stream.kind == "heart_rate" or median_ns <= 0:
        return
    yield from _rate(stream, steps_ns, median_ns, target)
    yield from _jitter(steps_ns, median_ns, target)
    yield from _stalls(steps_ns, median_ns, target)


def _median(steps_ns: NDArray[np.int64]) -> float:
    """Return the median; where most steps are equal, as on a steady clock, without sorting any."""
    usual = steps_ns[len(steps_ns) // 2]
    if 2 * np.count_nonzero(steps_ns == usual) > len(steps_ns):
        return float(usual)
    return float(np.median(steps_ns))


def _order(steps_ns: NDArray[np.int64], target: str) -> Iterator[Finding]:
    lowest_ns = int(steps_ns.min())
    if lowest_ns > 0:
        return
    duplicates = int(np.count_nonzero(steps_ns == 0))
    if duplicates:
        sentence = f"{counted(duplicates, 'sample')} stamped as the one before"
        numbers = {"count": duplicates, "share": duplicates / len(steps_ns)}
        yield Finding(target, "duplicate-stamps", "warning", sentence, numbers)
    backward = int(np.count_nonzero(steps_ns < 0))
    if backward:
        sentence = f"stamps step back {counted(backward, 'time')}, by up to {-lowest_ns / NS_PER_MS:g} ms"
        severity: Severity = "error" if backward > DISORDER_SHARE * len(steps_ns) else "warning"
        numbers = {"count": backward, "largest_step_back_ms": -lowest_ns / NS_PER_MS}
        yield Finding(target, "non-monotonic-stamps", severity, sentence, numbers)


def _rate(
    stream: SensorStream, steps_ns: NDArray[np.int64], median_ns: float, target: str
) -> Iterator[Finding]:
    """Measure outside gaps and the bursts that end them: a sensor that pauses still runs at its rate."""
    limit_ns = max(GAP_MS * NS_PER_MS, GAP_STEPS * median_ns)
    starts, stops = _gaps_and_bursts(steps_ns, median_ns, limit_ns)
    num_bounds = len(steps_ns) + 1
    depth = np.cumsum(np.bincount(starts, minlength=num_bounds) - np.bincount(stops, minlength=num_bounds))
    running_ns = steps_ns[(depth[:-1] == 0) & (steps_ns >= -limit_ns)]
    span_s = float(running_ns.sum()) / NS_PER_S
    measured_hz = len(running_ns) / span_s if span_s > 0 else 0.0
    claimed_hz = stream.nominal_rate_hz
    if abs(measured_hz - claimed_hz) > RATE_TOLERANCE * claimed_hz:
        sentence = (
            f"{measured_hz:.2f} Hz measured over the {span_s:.1f} s outside gaps, {claimed_hz:g} Hz claimed"
        )
        numbers = {"measured_hz": measured_hz, "claimed_hz": claimed_hz, "span_s": span_s}
        yield Finding(target, "rate-off-claim", "warning", sentence, numbers)


def _seams_ns(
    stream: SensorStream, times_ns: NDArray[np.int64], breaks: Sequence[Interval]
) -> NDArray[np.int64]:
    """Return how much of each step int64[N - 1] is a seam: a break without a row, where recordings were joined.

    A break that has rows is one between labels; what is missing in it was lost.
    """
    seams_ns = np.zeros(len(times_ns) - 1, np.int64)
    rows_ns = stream.times_ns
    for pause in breaks:
        if not ((rows_ns >= pause.start_ns) & (rows_ns < pause.stop_ns)).any():
            around = (times_ns[:-1] <= pause.start_ns) & (pause.stop_ns <= times_ns[1:])
            seams_ns[np.flatnonzero(around)[:1]] += pause.length_ns
    return seams_ns


def _gaps(steps_ns: NDArray[np.int64], limit_ms: float, target: str) -> Iterator[Finding]:
    gaps_ns = steps_ns[steps_ns > limit_ms * NS_PER_MS]
    if not len(gaps_ns):
        return
    longest_ms, total_s = float(gaps_ns.max()) / NS_PER_MS, float(gaps_ns.sum()) / NS_PER_S
    sentence = (
        f"{counted(len(gaps_ns), 'gap')} longer than {limit_ms:g} ms, {total_s:.2f} s in all,"
        f" the longest {longest_ms:g} ms"
    )
    numbers = {"count": len(gaps_ns), "longest_gap_ms": longest_ms, "total_s": total_s, "limit_ms": limit_ms}
    yield Finding(target, "gaps", "warning", sentence, numbers)


def _jitter(steps_ns: NDArray[np.int64], median_ns: float, target: str) -> Iterator[Finding]:
    irregular = np.abs(steps_ns - median_ns) > JITTER_TOLERANCE * median_ns
    share = int(np.count_nonzero(irregular)) / len(steps_ns)
    if share <= JITTER_SHARE:
        return
    low_ms, middle_ms, high_ms = (float(step) / NS_PER_MS for step in np.percentile(steps_ns, [1, 50, 99]))
    sentence = (
        f"{share:.0%} of the intervals lie more than {JITTER_TOLERANCE:.0%} from the median of"
        f" {middle_ms:g} ms (1st to 99th percentile: {low_ms:g} to {high_ms:g} ms)"
    )
    numbers = {"irregular_share": share, "p01_ms": low_ms, "p50_ms": middle_ms, "p99_ms": high_ms}
    yield Finding(target, "jitter", "note", sentence, numbers)


def _stalls(steps_ns: NDArray[np.int64], median_ns: float, target: str) -> Iterator[Finding]:
    """Find gaps that end in about as many squeezed samples as they held back: sound samples, stamped late."""
    gaps, stops = _gaps_and_bursts(steps_ns, median_ns, GAP_MS * NS_PER_MS)
    counts = stops - gaps
    held_back = steps_ns[gaps] / median_ns
    is_stall = (counts >= BURST_SAMPLES) & (np.abs(counts - held_back) <= BURST_MATCH * held_back)
    if not is_stall.any():
        return
    stalls_ns, samples = steps_ns[gaps[is_stall]], int(counts[is_stall].sum())
    longest_ms, total_s = float(stalls_ns.max()) / NS_PER_MS, float(stalls_ns.sum()) / NS_PER_S
    sentence = (
        f"{len(stalls_ns)} of {counted(len(gaps), 'gap')} over {GAP_MS:g} ms ended in a burst of {BURST_SAMPLES}"
        f" samples or more, up to {longest_ms:g} ms and {total_s:.2f} s in all: {samples} samples"
        " carry the time they were caught up with"
    )
    numbers = {
        "count": len(stalls_ns),
        "burst_samples": samples,
        "longest_gap_ms": longest_ms,
        "total_s": total_s,
    }
    yield Finding(target, "stall-and-burst", "warning", sentence, numbers)


def _gaps_and_bursts(
    steps_ns: NDArray[np.int64], median_ns: float, limit_ns: float
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return where gaps beyond the limit start, and where the burst that ends each stops: [start, stop) of steps.

    The sample that ends a gap is the first of its burst, so a stop less its start is the burst's samples.
    """
    gaps = np.flatnonzero(steps_ns > limit_ns)
    at_pace = np.append(np.flatnonzero(steps_ns >= BURST_STEP * median_ns), len(steps_ns))
    return gaps, at_pace[np.searchsorted(at_pace, gaps + 1)]
