"""What alignment has to say about a take: repairs, losses and doubts, as findings with their numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from sensorloom.align.retime import Retimed
from sensorloom.align.runs import find_runs
from sensorloom.align.timeline import GRID_RATE_HZ, GRID_STEP_NS, AlignedTake, ImuTrack, Quality
from sensorloom.align.video import frame_interval_ns
from sensorloom.ingest.take import NS_PER_MS, NS_PER_S, Finding, Interval, counted

__all__ = ["SENSORS", "find_doubts"]

SENSORS = ("accelerometer", "gyroscope")

MAX_APART_S = 1.0
"""A position or camera that begins or ends further than this from where the take does is told of."""


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
    findings += _modality_findings(aligned)
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
            f"{counted(len(aligned.breaks), 'break')}, {seconds:.1f} s in all: nothing is filtered, interpolated"
            " or windowed across them"
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
        sentence = (
            f"{counted(len(stamps.stalls), 'stall')} of up to {numbers['longest_ms']:.0f} ms re-timed:"
            f" {numbers['samples']} samples that came in bursts were spread back over {numbers['total_s']:.2f} s"
        )
        yield Finding(target, "stall-retimed", "warning", sentence, numbers)
    if stamps.retimed.any():
        moved = int(stamps.retimed.sum())
        sentence = (
            f"{counted(moved, 'stamp')} ({moved / len(stamps.retimed):.1%}) late or out of order, moved between their"
            " neighbours, those in stalls included"
        )
        yield Finding(
            target,
            "stamp-retimed",
            "note",
            sentence,
            {"samples": moved, "share": moved / len(stamps.retimed)},
        )
    if stamps.lost.any():
        lost = int(stamps.lost.sum())
        sentence = f"the clock was set back: the time of {counted(lost, 'sample')} cannot be told; counted as missing"
        yield Finding(target, "stamp-lost", "warning", sentence, {"samples": lost})


def _loss_findings(
    target: str, quality: NDArray[np.uint8], in_break: NDArray[np.bool_], max_gap_ms: float
) -> Iterator[Finding]:
    usable = np.flatnonzero(quality)
    if len(usable) == 0:
        yield Finding(
            target, "sensor-unusable", "error", "not one sample of this sensor could be placed on the grid"
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
        sentence = (
            f"{counted(len(lengths), 'gap')} longer than {max_gap_ms:g} ms, up to {numbers['longest_ms']:.0f} ms,"
            f" left invalid: {numbers['total_s']:.2f} s in all"
        )
        yield Finding(target, "gap-invalid", "warning", sentence, numbers)
    bridged = int((quality == Quality.INTERPOLATED).sum())
    if bridged:
        numbers = {"share": bridged / len(usable), "total_s": bridged / GRID_RATE_HZ}
        sentence = (
            f"{numbers['total_s']:.2f} s ({numbers['share']:.2%}) lost within the limit and bridged by lines"
        )
        yield Finding(target, "samples-interpolated", "note", sentence, numbers)


def _span_findings(
    take_id: str, track: ImuTrack, stamps: Mapping[str, Retimed], max_gap_ms: float
) -> Iterator[Finding]:
    names = [f"{track.position}/{kind}" for kind in SENSORS]
    target = f"{take_id}#{track.position}"
    for name in names:
        if name not in stamps:
            return  # the reader has said so: it knows which file lacks
    one, other = (stamps[name].times_ns for name in names)
    starts, stops = (float(abs(one[end] - other[end])) / NS_PER_MS for end in (0, -1))
    if max(starts, stops) > max_gap_ms:
        sentence = (
            f"accelerometer and gyroscope start {starts:.0f} ms and stop {stops:.0f} ms apart; where one is alone"
            " the other is invalid"
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
    shares = " and ".join(f"{kind} {numbers[f'{kind}_share']:.1%}" for kind in SENSORS)
    sentence = f"usable on the take's grid of {numbers['total_s']:.1f} s: {shares}"
    return Finding(f"{aligned.take_id}#{track.position}", "position-coverage", "note", sentence, numbers)


def _modality_findings(aligned: AlignedTake) -> Iterator[Finding]:
    """Tell which positions and cameras begin or end over a second away from where the take does."""
    spans = [_usable_span(aligned, track) for track in aligned.imu if track.quality.any()]
    cameras = [video for video in aligned.videos if len(video.times_ns)]
    if not spans or not cameras:
        return
    spans += [
        (video.name, int(video.times_ns[0]), int(video.times_ns[-1]) + frame_interval_ns(video.times_ns))
        for video in cameras
    ]
    first, last = min(start for _, start, _ in spans), max(stop for _, _, stop in spans)
    late = {name: (start - first) / NS_PER_S for name, start, _ in spans}
    early = {name: (last - stop) / NS_PER_S for name, _, stop in spans}
    apart = [name for name in late if max(late[name], early[name]) > MAX_APART_S]
    numbers = {f"{name}_starts_late_s": late[name] for name in apart}
    numbers |= {f"{name}_stops_early_s": early[name] for name in apart}
    if apart:
        words = [
            f"{name} starts {late[name]:.1f} s late and stops {early[name]:.1f} s early" for name in apart
        ]
        sentence = f"IMU and video do not cover the same time: {', '.join(words)}; there it is masked"
        yield Finding(aligned.take_id, "modality-spans-differ", "warning", sentence, numbers)


def _usable_span(aligned: AlignedTake, track: ImuTrack) -> tuple[str, int, int]:
    usable = np.flatnonzero(track.quality[:, 0] | track.quality[:, 1])
    start_ns, step = aligned.grid.start_ns, GRID_STEP_NS
    return track.position, start_ns + int(usable[0]) * step, start_ns + (int(usable[-1]) + 1) * step
