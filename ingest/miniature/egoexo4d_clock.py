"""The clocks of a generated Ego-Exo4D capture: `timesync.csv`, and the Aria's device time of a take. Pure.

Row r of `timesync.csv` is one instant of all cameras, 1/30 s after row r - 1. The Aria's clock says `device_ns` of it,
a GoPro its own frame number and presentation stamp. The file has the flaws of the real one: a camera's cells stay
empty until it starts, one inner cell is empty, one stamp is repeated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorloom.ingest.miniature.egoexo4d_takes import FRAMES_PER_S, Capture, Skew, TakePlan
from sensorloom.ingest.miniature.seeding import generator
from sensorloom.ingest.take import NS_PER_S

__all__ = ["CaptureClock", "capture_clock", "repeated_frame", "timesync_csv"]

_FIRST_DEVICE_NS = 284_324_000_000
_ARIA_STREAMS = ("214-1", "1201-1", "1201-2", "211-1")
_ARIA_START_ROW, _GOPRO_START_ROW = 12, 20
_STAMP_JITTER_NS = 20_000
_REPEAT_AFTER_EMPTY = 4
_TAIL_ROWS = 40
_GOPRO_TICKS, _GOPRO_RATE = 1001, 30_000 / 1001
_RECORDED_S = 1_676_000_000
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class CaptureClock:
    """How device time runs: row r is at `first_ns` + r × `row_ns`."""

    first_ns: int
    row_ns: float

    def device_ns(self, plan: TakePlan, take_s: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the device time int64[n] of take seconds float64[n]; frame i is at i/30 s."""
        rows = plan.first_row + take_s * FRAMES_PER_S
        return self.first_ns + np.round(rows * self.row_ns).astype(np.int64)

    def take_s(self, plan: TakePlan, device_ns: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the take seconds float64[n] of device times int64[n], what `timesync.csv` claims of them."""
        rows = (device_ns - self.first_ns) / self.row_ns
        return (rows - plan.first_row) / FRAMES_PER_S

    def unclaimed(self, plan: TakePlan, first_ns: int) -> Skew:
        """Return how wrong it is to take the device stamp `first_ns` for frame 0 and the clock to be without drift.

        Nothing better can be claimed of a take without `timesync.csv`.
        """
        first_s = float(self.take_s(plan, np.array([first_ns]))[0])
        return Skew(first_s * 1e3, (NS_PER_S / FRAMES_PER_S / self.row_ns - 1) * 1e6)


def capture_clock(seed: int, capture: Capture) -> CaptureClock:
    """Draw when a capture's Aria was started and how fast its clock runs (within 30 ppm)."""
    rng = generator("egoexo4d", seed, capture.name, "clock")
    first_ns = _FIRST_DEVICE_NS + capture.index * 7_000_000_000 + int(rng.integers(0, NS_PER_S))
    return CaptureClock(first_ns, NS_PER_S / FRAMES_PER_S * (1 + 1e-6 * rng.uniform(-30, 30)))


def repeated_frame(plan: TakePlan) -> int | None:
    """Return the frame of a take whose picture and stamp are those of the frame before; only a first take has one."""
    return plan.num_frames // 2 + _REPEAT_AFTER_EMPTY if plan.is_first_of_capture else None


def timesync_csv(seed: int, plans: Sequence[TakePlan]) -> bytes:
    """Return `timesync.csv` of a capture, up to some rows behind the last of its takes `plans`.

    Halfway through the first take are an empty cell and, a little later, a repeated stamp.
    """
    capture, first = plans[0].capture, plans[0]
    inner_row = first.first_row + first.num_frames // 2
    count = plans[-1].end_row + _TAIL_ROWS
    columns = {**_aria_columns(seed, capture, count, inner_row), **_gopro_columns(seed, capture, count)}
    lines = [",".join(columns), *(",".join(row) for row in zip(*columns.values(), strict=True))]
    return ("\n".join(lines) + "\n").encode()


def _aria_columns(seed: int, capture: Capture, count: int, inner_row: int) -> dict[str, list[str]]:
    clock = capture_clock(seed, capture)
    columns = {}
    for number, stream in enumerate(_ARIA_STREAMS):
        rng = generator("egoexo4d", seed, capture.name, stream)
        jitter_ns = rng.integers(-_STAMP_JITTER_NS, _STAMP_JITTER_NS + 1, count)
        stamps = clock.first_ns + np.round(np.arange(count) * clock.row_ns).astype(np.int64) + jitter_ns
        repeated = inner_row + _REPEAT_AFTER_EMPTY
        stamps[repeated] = stamps[repeated - 1]
        cells = [str(stamp) for stamp in stamps.tolist()]
        start_row = _ARIA_START_ROW + number
        cells[:start_row] = [""] * start_row
        cells[inner_row] = ""
        columns[f"{capture.aria}_{stream}_capture_timestamp_ns"] = cells
    return columns


def _gopro_columns(seed: int, capture: Capture, count: int) -> dict[str, list[str]]:
    columns = {}
    extra = (capture.head_gopro,) if capture.head_gopro else ()
    for number, camera in enumerate((*capture.exo, *extra)):
        rng = generator("egoexo4d", seed, capture.name, camera)
        start_row, first_frame = _GOPRO_START_ROW + 3 * number, int(rng.integers(0, 900))
        rows = np.arange(count - start_row)
        # A GoPro's 29.97 frames/s against the 30 rows/s: it repeats a frame every 33 s.
        frames = first_frame + np.floor(rows * _GOPRO_RATE / FRAMES_PER_S + 1e-9).astype(np.int64)
        global_s = _RECORDED_S + capture.index * _DAY_S + (start_row + rows) / FRAMES_PER_S
        empty = [""] * start_row
        columns[f"{camera}_pts"] = empty + [str(frame * _GOPRO_TICKS) for frame in frames.tolist()]
        columns[f"{camera}_frame_number"] = empty + [str(frame) for frame in frames.tolist()]
        columns[f"{camera}_global_time"] = empty + [f"{value:.6f}" for value in global_s.tolist()]
    return columns
