"""Where an Ego4D accelerometer has one axis twice: the third was not recorded, and the component is masked. Pure.

`accl_z` may be a copy of `accl_y` (the sample of docs/data/imu.md is one). Judged component by component, as each is a
recording of its own: a check of the whole file does not see the one component of several.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sensorloom.ingest.checks_values import copied_axes
from sensorloom.ingest.take import NS_PER_S, Finding, SensorStream, Take

__all__ = ["CopiedAxes", "find_copied", "mask_copied"]

FEWEST_SAMPLES = 10
"""A component of fewer may show equal values by chance."""


@dataclass(frozen=True, slots=True)
class CopiedAxes:
    """Rows `[start, stop)` of the accelerometer of one component, in which axes `first` and `second` are equal."""

    component: int
    start: int
    stop: int
    first: str
    second: str
    equal_share: float


def find_copied(
    accelerometer: NDArray[np.float32], components: Sequence[tuple[int, int]]
) -> tuple[CopiedAxes, ...]:
    """Judge float32[N, 3]; `components` are (index, rows) in the order of the rows. Zeros are no copy of zeros."""
    copied: list[CopiedAxes] = []
    start = 0
    for index, rows in components:
        stop = start + rows
        values = accelerometer[start:stop]
        present = values[~np.isnan(values).any(axis=1)]
        if len(present) >= FEWEST_SAMPLES and present.any():
            found = copied_axes(np.ascontiguousarray(present.T))
            copied += [
                CopiedAxes(index, start, stop, "xyz"[first], "xyz"[second], share)
                for first, second, share in found[:1]
            ]
        start = stop
    return tuple(copied)


def mask_copied(take: Take, copied: Sequence[CopiedAxes]) -> Take:
    """Return a checked take without the accelerometer of the `copied` components, each told of."""
    if not copied:
        return take
    target = f"{take.take_id}#head/accelerometer"
    is_told = any(finding.target == target and finding.rule == "identical-axes" for finding in take.findings)
    streams = tuple(
        _masked(stream, copied) if stream.kind == "accelerometer" else stream for stream in take.streams
    )
    (stream,) = (stream for stream in take.streams if stream.kind == "accelerometer")
    findings = [finding for part in copied for finding in _findings(part, stream, target, is_told)]
    return replace(take, streams=streams).with_findings(*findings)


def _masked(stream: SensorStream, copied: Sequence[CopiedAxes]) -> SensorStream:
    values = stream.values.copy()
    for part in copied:
        values[part.start : part.stop] = np.nan
    return replace(stream, values=values)


def _findings(part: CopiedAxes, stream: SensorStream, target: str, is_told: bool) -> list[Finding]:
    """Tell of one component: the copy, unless the check of the whole stream told of it, and that it was masked."""
    seconds = int(stream.times_ns[part.stop - 1] - stream.times_ns[part.start]) / NS_PER_S
    numbers = {"component": part.component, "total_s": seconds}
    findings = []
    if not is_told:
        sentence = (
            f"component {part.component}: axes {part.first} and {part.second} carry the same value in"
            f" {part.equal_share:.0%} of the samples"
        )
        told = {"component": part.component, "equal_share": part.equal_share}
        findings.append(Finding(target, "identical-axes", "error", sentence, told))
    sentence = (
        f"component {part.component}: an axis is the copy of another: the accelerometer was not recorded whole, all"
        f" {seconds:g} s of it count as missing"
    )
    return [*findings, Finding(target, "accelerometer-masked", "error", sentence, numbers)]
