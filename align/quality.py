"""What alignment has to say about a take: repairs, losses and doubts, as findings with their numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from sensorloom.align.retime import Retimed
from sensorloom.align.runs import find_runs
from sensorloom.align.timeline import GRID_RATE_HZ, GRID_STEP_NS, AlignedTake, ImuTrack, Quality
from sensorloom.ingest.take import NS_PER_MS, NS_PER_S, Finding, Interval

__all__ = ["SENSORS", "find_doubts"]

SENSORS = ("accelerometer", "gyroscope")


def find_doubts(
    aligned: AlignedTake, stamps: Mapping[str, Retimed], max_gap_ms: float
) -> tuple[Finding, ...]:
    """Return the findings of one aligned take; `stamps` holds the re-timing of each IMU stream by name."""
    findings = [*_break_findings(aligned)]
    for name, retimed in stamps.items():
        findings += _stamp_findings(f"{aligned.take_id}#{name}", retimed)
    in_break = _inside(aligned, aligned.breaks)
    for track in aligned.imu:
        for sensor, kind in enumerate(SENSORS):
            if f"{track.position}/{kind}" in stamps:
                target = f"{aligned.take_id}#{track.position}/{kind}"
                findings += _loss_findings(target, track.quality[:, sensor], in_break, max_gap_ms)
        findings += _span_findings(aligned.take_id, track, stamps, max_gap_ms)
        findings.append(_coverage_finding(aligned, track))
    return tuple(findings)


def _inside(aligned: AlignedTake, intervals: tuple[Interval, ...]) -> NDArray[np.bool_]:
    """Return bool[T], True at the grid's instants inside any of the intervals."""
    inside = np.zeros(aligned.grid.num_samples, np.bool_)
    for interval in intervals:
        start, stop = (max(0, aligned.grid.index(time)) for time in (interval.start_ns, interval.stop_ns))
        inside[start:stop] = True
    return inside


def _break_findings(aligned: AlignedTake) -> Iterator[Finding]:
    seconds = float(_inside(aligned, aligned.breaks).sum() / GRID_RATE_HZ) if aligned.breaks else 0.0
    if seconds:
        sentence = (
            "These stretches break the take: nothing is filtered, interpolated or windowed across them."
        )
        yield Finding(
            aligned.take_id,
            "break-dropped",
            "note",
            sentence,
            {"breaks": len(aligned.breaks), "total_s": seconds},
        )


def _stamp_findings(target: str, stamps: Retimed) -> Iterator[Finding]:
    if stamps.stalls:
        partial = sum(not stall.explained for stall in stamps.stalls)
        longest = max(stall.gap_ns for stall in stamps.stalls)
        numbers = {
            "stalls": len(stamps.stalls),
            "partly_explained": partial,
            "samples": sum(stall.num_samples for stall in stamps.stalls),
            "longest_ms": longest / NS_PER_MS,
            "total_s": sum(stall.stop_ns - stall.start_ns for stall in stamps.stalls) / NS_PER_S,
        }
        sentence = "Delivery stalled and samples came in bursts; their stamps were spread back over the gaps."
        yield Finding(target, "stall-retimed", "warning", sentence, numbers)
    if stamps.retimed.any():
        moved = int(stamps.retimed.sum())
        sentence = (
            "Late or disordered stamps were moved between their neighbours; those in stalls are counted too."
        )
        yield Finding(
            target,
            "stamp-retimed",
            "note",
            sentence,
            {"samples": moved, "share": moved / len(stamps.retimed)},
        )
    if stamps.lost.any():
        sentence = "The clock was set back: these samples' time cannot be told and they count as missing."
        yield Finding(target, "stamp-lost", "warning", sentence, {"samples": int(stamps.lost.sum())})


def _loss_findings(
    target: str, quality: NDArray[np.uint8], in_break: NDArray[np.bool_], max_gap_ms: float
) -> Iterator[Finding]:
    usable = np.flatnonzero(quality)
    if len(usable) == 0:
        yield Finding(
            target, "sensor-unusable", "error", "Not one sample of this sensor could be placed on the grid."
        )
        return
    span = slice(usable[0], usable[-1] + 1)
    starts, stops = find_runs((quality[span] == Quality.INVALID) & ~in_break[span])
    # Shorter stretches lie between a break and the sample next to it: they belong to the break.
    lengths = (stops - starts) / GRID_RATE_HZ
    lengths = lengths[lengths > max_gap_ms / 1000 - 1 / GRID_RATE_HZ]
    if len(lengths):
        numbers = {
            "gaps": len(lengths),
            "total_s": float(lengths.sum()),
            "longest_ms": float(lengths.max() * 1000),
            "limit_ms": max_gap_ms,
        }
        yield Finding(
            target, "gap-invalid", "warning", "Gaps longer than the limit were left invalid.", numbers
        )
    bridged = int((quality == Quality.INTERPOLATED).sum())
    if bridged:
        numbers = {"share": bridged / len(usable), "total_s": bridged / GRID_RATE_HZ}
        yield Finding(
            target, "samples-interpolated", "note", "Losses within the limit were bridged by lines.", numbers
        )


def _span_findings(
    take_id: str, track: ImuTrack, stamps: Mapping[str, Retimed], max_gap_ms: float
) -> Iterator[Finding]:
    names = [f"{track.position}/{kind}" for kind in SENSORS]
    target = f"{take_id}#{track.position}"
    for name in names:
        if name not in stamps:
            kind = name.split("/")[1]
            yield Finding(
                target, "sensor-missing", "warning", f"This position has no {kind}; it is invalid throughout."
            )
            return
    one, other = (stamps[name].times_ns for name in names)
    starts, stops = (float(abs(one[end] - other[end])) / NS_PER_MS for end in (0, -1))
    if max(starts, stops) > max_gap_ms:
        sentence = (
            "Accelerometer and gyroscope cover different spans; where one is alone the other is invalid."
        )
        yield Finding(target, "sensor-spans-differ", "note", sentence, {"start_ms": starts, "stop_ms": stops})


def _coverage_finding(aligned: AlignedTake, track: ImuTrack) -> Finding:
    total = max(1, aligned.grid.num_samples)
    # Column by column: counting along an axis is ten times slower.
    counts = [np.count_nonzero(track.quality[:, sensor]) for sensor in range(len(SENSORS))]
    numbers: dict[str, float] = {
        f"{kind}_share": count / total for kind, count in zip(SENSORS, counts, strict=True)
    }
    numbers["total_s"] = aligned.grid.num_samples * GRID_STEP_NS / NS_PER_S
    sentence = "Share of the take's grid on which this position's sensors are usable."
    return Finding(f"{aligned.take_id}#{track.position}", "position-coverage", "note", sentence, numbers)
