"""Quality of whole streams: what rate a sensor's signal was recorded at, and poses that have lost an axis."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sensorloom.align.parts import IMU_KINDS
from sensorloom.align.rules import Rule
from sensorloom.align.spectrum import recorded_rate_hz
from sensorloom.align.timeline import GRID_RATE_HZ, AlignedTake, Quality
from sensorloom.ingest.take import Finding, counted

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
    rates = {name: rate for name, rate in _recorded_rates(aligned) if rate <= rule.limit}
    if not rates:
        return
    slowest, fastest = min(rates.values()), max(rates.values())
    low, high = f"{slowest:.0f}", f"{fastest:.0f}"
    sentence = (
        f"{counted(len(rates), 'signal')} on the {GRID_RATE_HZ} Hz grid recorded at about"
        f" {low if low == high else f'{low} to {high}'} Hz, and with nothing of their own above half of it:"
        f" {', '.join(rates)}"
    )
    numbers = {
        "streams": len(rates),
        "recorded_rate_hz": slowest,
        "fastest_recorded_rate_hz": fastest,
        "grid_rate_hz": float(GRID_RATE_HZ),
    }
    target = f"{aligned.take_id}#{next(iter(rates))}" if len(rates) == 1 else aligned.take_id
    yield rule.finding(target, sentence, numbers)


def _recorded_rates(aligned: AlignedTake) -> Iterator[tuple[str, float]]:
    """Yield the sensors whose signal tells of the rate at which it was recorded, with that rate in Hz."""
    for track in aligned.imu:
        for sensor, kind in enumerate(IMU_KINDS):
            codes = track.quality[:, sensor]
            sound = (codes == Quality.VALID) | (codes == Quality.RETIMED)
            rate_hz = recorded_rate_hz(track.values[:, 3 * sensor : 3 * sensor + 3], sound)
            if rate_hz is not None:
                yield f"{track.position}/{kind}", rate_hz


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
