"""Generate an Aria recording without images: imu-right at 1000 Hz and imu-left at 800 Hz, index compressed."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from harness import emit

from sensorloom.ingest.miniature.vrs import ImuRecords, write_vrs
from sensorloom.ingest.vrs_calibration import ImuCalibration, Rectification

rng = np.random.default_rng(0)


def imu(label: str, stream_id: str, rate_hz: float, seconds: float) -> ImuRecords:
    count = int(seconds * rate_hz)
    steps_ns = np.rint(1e9 / rate_hz + rng.uniform(-6e4, 6e4, count)).astype(np.int64)
    values = rng.normal(0, 3, (count, 6)).astype(np.float32)
    return ImuRecords(label, stream_id, rate_hz, 284_324_000_123 + np.cumsum(steps_ns), values)


def rectification(bias: float) -> Rectification:
    return Rectification(np.eye(3) + rng.normal(0, 0.01, (3, 3)), rng.normal(0, bias, 3))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--work", type=Path, required=True)
    arguments = parser.parse_args()
    seconds = 60 * arguments.minutes
    imus = [imu("imu-right", "1202-1", 1000.0, seconds), imu("imu-left", "1202-2", 800.0, seconds)]
    models = {one.label: ImuCalibration(rectification(0.1), rectification(0.003)) for one in imus}
    partial = arguments.work / "partial.vrs"
    with partial.open("wb") as file:
        write_vrs(file, imus, calibration=models, compress_index=True)
    partial.replace(arguments.out)
    emit({})


if __name__ == "__main__":
    main()
