"""The streams of one generated REALWORLD part: sampled at true times, stamped by a stalling phone. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sensorloom.ingest.miniature.activities import ACTIVITIES
from sensorloom.ingest.miniature.motion import evaluate, mount_rotation, plan_body, plan_motion
from sensorloom.ingest.miniature.realworld_schedule import Part
from sensorloom.ingest.miniature.seeding import generator
from sensorloom.ingest.miniature.spec import Truth
from sensorloom.ingest.miniature.stalls import Stalls, delays_ns, plan_stalls, stamps_ms
from sensorloom.ingest.take import NS_PER_MS, NS_PER_S

__all__ = ["ACC_LIMIT_M_S2", "STEP_MS", "Stream", "plan_streams"]

ACC_LIMIT_M_S2 = 19.6133
"""The phone's accelerometer ends at 2 g."""

STEP_MS = 20
"""Nominal distance of samples; a stream ends this long after its last stamp."""

# Steps of the analogue-to-digital converters, as the real file shows them.
_ACC_STEP, _GYR_STEP = ACC_LIMIT_M_S2 / 32768, 3.0543262e-4
_MAX_OFFSET_MS = 200
_PERIOD_NS = 20_020_000
_GAP_MS = 100

Floats32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Stream:
    """One sensor (acc, gyr, mag) at one position: float32[N, 3] `values` in sample order.

    `true_ns` int64[N] is when they were sampled and `due_ns` when the app, if awake, would have stamped them, both
    on the body's clock; `stamps_ms` int64[N] is what the device
    wrote, late and on its own clock, which runs `offset_ms` ahead.
    """

    sensor: str
    position: str
    true_ns: NDArray[np.int64]
    due_ns: NDArray[np.int64]
    stamps_ms: NDArray[np.int64]
    values: Floats32
    offset_ms: int
    stalls: Stalls

    @property
    def name(self) -> str:
        """Name inside the take, `position/kind`."""
        kinds = {"acc": "accelerometer", "gyr": "gyroscope", "mag": "magnetometer"}
        return f"{self.position}/{kinds[self.sensor]}"

    def every_second(self) -> Stream:
        """Return the stream at half its rate."""
        true_ns, due_ns, stamps = (array[::2] for array in (self.true_ns, self.due_ns, self.stamps_ms))
        return replace(self, true_ns=true_ns, due_ns=due_ns, stamps_ms=stamps, values=self.values[::2])

    def truth(self) -> Truth:
        """Return what is known of the stream, all counts taken from its arrays."""
        facts: Truth = {
            "rows": len(self.true_ns),
            "true_start_ns": int(self.true_ns[0]),
            "true_stop_ns": int(self.true_ns[-1]) + _PERIOD_NS,
            "first_stamp_ms": int(self.stamps_ms[0]),
            "last_stamp_ms": int(self.stamps_ms[-1]),
            "clock_offset_ms": self.offset_ms,
            "gaps_over_100_ms": int(np.count_nonzero(np.diff(self.stamps_ms) > _GAP_MS)),
            "stalls": self.stalls.reported(self.due_ns),
        }
        if self.sensor == "acc":
            facts["saturated_values"] = int(
                np.count_nonzero(np.abs(self.values) == np.float32(ACC_LIMIT_M_S2))
            )
        return facts


def plan_streams(seed: int, part: Part) -> Iterator[Stream]:
    """Yield the streams of `part`, position by position, accelerometer before gyroscope.

    Positions share the body's motion; each is a device with a clock offset of its own, the same in all its
    recordings.
    """
    recording, key = part.recording, ("realworld", seed, part.take_id)
    activity = ACTIVITIES[recording.activity]
    body = plan_body(generator(*key, "body"), activity)
    for position in sorted({*recording.positions("acc"), *recording.positions("gyr")}):
        device = generator("realworld", seed, recording.proband, "device", position)
        offset_ms = int(device.integers(-_MAX_OFFSET_MS, _MAX_OFFSET_MS + 1))
        mount = mount_rotation(device, position)
        motion = plan_motion(generator(*key, "motion", position), body, activity, position, mount)
        rng = generator(*key, "timing", position)
        ticks, stalls, late = _ticks(rng, part)
        moved = evaluate(motion, (ticks - part.start_ns) / NS_PER_S)
        signals = {
            "acc": _quantise(
                moved.acceleration_m_s2 + rng.normal(0, 0.04, (len(ticks), 3)), _ACC_STEP, ACC_LIMIT_M_S2
            ),
            "gyr": _quantise(moved.rotation_rad_s + rng.normal(0, 0.012, (len(ticks), 3)), _GYR_STEP, 34.9),
        }
        for sensor, rows in (("acc", slice(None)), ("gyr", slice(1, len(ticks) - int(rng.integers(0, 3))))):
            own = np.where(rng.random(len(ticks)) < 0.3, delays_ns(rng, len(ticks)), late)
            if position in recording.positions(sensor):
                due = (ticks + own)[rows]
                stamps = stamps_ms(stalls.release(due) + offset_ms * NS_PER_MS)
                yield Stream(
                    sensor, position, ticks[rows], due, stamps, signals[sensor][rows], offset_ms, stalls
                )


def _ticks(rng: np.random.Generator, part: Part) -> tuple[NDArray[np.int64], Stalls, NDArray[np.int64]]:
    """True sample times of a device, its stalls, and the lateness that its sensors share."""
    period = _PERIOD_NS + int(rng.integers(-8_000, 8_001))
    start = part.start_ns + int(rng.integers(0, NS_PER_S))
    stop = part.start_ns + round(part.seconds * NS_PER_S) - int(rng.integers(0, NS_PER_S // 2))
    ticks = np.arange(start, stop, period, dtype=np.int64)
    return ticks, plan_stalls(rng, start, (stop - start) / NS_PER_S), delays_ns(rng, len(ticks))


def _quantise(values: NDArray[np.float64], step: float, limit: float) -> Floats32:
    return np.clip(np.rint(values / step) * step, -limit, limit).astype(np.float32)
