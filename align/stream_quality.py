"""Quality of whole streams: what rate a sensor's signal was recorded at, and poses that have lost an axis."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sensorloom.align.parts import IMU_KINDS
from sensorloom.align.rules import Rule
from sensorloom.align.spectrum import recorded_rate_hz
from sensorloom.align.timeline import GRID_RATE_HZ, AlignedTake, Quality
from sensorloom.ingest.take import Finding

__all__ = ["find_streams"]


def find_streams(aligned: AlignedTake, rules: Mapping[str, Rule]) -> tuple[Finding, ...]:
    """Return what the rules find in the streams of a take as wholes."""
    findings: list[Finding] = []
    if (rule := rules.get("sensor-upsampled")) is not None:
        findings += _upsampled(aligned, rule)
    if (rule := rules.get("mocap-axis-lost")) is not None:
        findings += _axes_lost(aligned, rule)
    return tuple(findings)


def _upsampled(aligned: AlignedTake, rule: Rule) -> Iterator[Finding]:
    for track in aligned.imu:
        for sensor, kind in enumerate(IMU_KINDS):
            codes = track.quality[:, sensor]
            sound = (codes == Quality.VALID) | (codes == Quality.RETIMED)
            rate_hz = recorded_rate_hz(track.values[:, 3 * sensor : 3 * sensor + 3], sound)
            if rate_hz is not None and rate_hz <= rule.limit:
                sentence = (
                    f"the signal on the {GRID_RATE_HZ} Hz grid was recorded at about {rate_hz:.0f} Hz: above"
                    f" {rate_hz / 2:.0f} Hz there is nothing of its own"
                )
                numbers = {"recorded_rate_hz": rate_hz, "grid_rate_hz": float(GRID_RATE_HZ)}
                yield rule.finding(f"{aligned.take_id}#{track.position}/{kind}", sentence, numbers)


def _axes_lost(aligned: AlignedTake, rule: Rule) -> Iterator[Finding]:
    mocap = aligned.mocap
    if mocap is None:
        return
    there = mocap.quality != Quality.INVALID
    if there.sum() < 2:
        return
    for axis, name in enumerate("xyz"):
        values = mocap.values[:, :, axis][there]
        spread_m = float(values.max() - values.min())
        if spread_m < rule.limit:
            sentence = (
                f"{name} of all {mocap.values.shape[1]} joints stays within {spread_m:g} m of"
                f" {float(values[0]):g} m over the whole take"
            )
            numbers = {"spread_m": spread_m, "axis": axis, "samples": int(there.sum())}
            yield rule.finding(f"{aligned.take_id}#mocap/{mocap.source}", sentence, numbers)
