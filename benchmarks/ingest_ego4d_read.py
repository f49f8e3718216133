"""Contender: an Ego4D IMU file to sorted arrays, by this project or by pandas."""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from harness import emit, stopwatch

ReadArrays = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Canonical stamps int64[N] ns, accelerometer and gyroscope float32[N, 3]."""

STAMP_MARGIN_MS, OFFSET_SPREAD_MS = 60e3, 1.0
AXES = "xyz"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--file", type=Path, required=True)
    parser.add_argument(
        "--warm-up", type=Path, required=True, help="a short file of the same kind, read first"
    )
    parser.add_argument("--seconds", type=float, required=True, help="length of the video")
    parser.add_argument("--reader", choices=list(LIBRARIES), required=True)
    parser.add_argument("--work", type=Path, required=True)
    arguments = parser.parse_args()
    read = LIBRARIES[arguments.reader]
    read(arguments.warm_up, arguments.seconds)
    numbers: dict[str, float] = {}
    with stopwatch(numbers, "seconds"):
        times_ns, accelerometer, gyroscope = read(arguments.file, arguments.seconds)
    emit(
        {
            **numbers,
            "rows": len(times_ns),
            "missing": int(np.isnan(accelerometer).any(axis=1).sum()),
            "stamp_mean_ms": float(times_ns.mean() / 1e6),
            "largest_step_ms": float(np.diff(times_ns).max() / 1e6),
            "accelerometer_mean": float(np.nanmean(accelerometer, dtype=np.float64)),
            "gyroscope_first": float(gyroscope[:1000].mean(dtype=np.float64)),
        }
    )


def ours(file: Path, seconds: float) -> ReadArrays:
    from sensorloom.ingest.readers.ego4d_imu import read_imu_table

    with io.BufferedReader(file.open("rb", buffering=0)) as stream:
        imu = read_imu_table(stream, file.name, seconds, "bench")
    return imu.times_ns, imu.accelerometer, imu.gyroscope


def by_pandas(file: Path, seconds: float, engine: str = "c", *, is_lean: bool = False) -> ReadArrays:
    """Do the same with pandas, as a careful script would; lean: without comparing the two stamps of a row."""
    import pandas as pd

    signals = [f"{sensor}_{axis}" for sensor in ("gyro", "accl") for axis in AXES]
    own, stamp = "component_timestamp_ms", "canonical_timestamp_ms"
    types = {"component_idx": np.int64, stamp: np.float64, **dict.fromkeys(signals, np.float32)}
    if not is_lean:
        types[own] = np.float64
    frame = pd.read_csv(file, usecols=list(types), dtype=types, engine=engine)
    frame = frame[frame[stamp].between(-STAMP_MARGIN_MS, seconds * 1e3 + STAMP_MARGIN_MS)]
    parts, end_ms = [], -np.inf
    groups = (part for _, part in frame.groupby("component_idx"))
    ordered = (part.sort_values(stamp, kind="stable") for part in groups)
    for part in sorted(ordered, key=lambda part: part[stamp].iloc[0]):
        kept = part[part[stamp] > end_ms]
        if not is_lean and np.ptp(part[stamp] - part[own]) > OFFSET_SPREAD_MS:
            raise SystemExit("the offset of a component varies, which was not planted")
        if len(kept):
            parts.append(kept)
            end_ms = kept[stamp].iloc[-1]
    whole = pd.concat(parts)
    times_ns = np.rint(whole[stamp].to_numpy() * 1e6).astype(np.int64)
    return times_ns, whole[signals[3:]].to_numpy(), whole[signals[:3]].to_numpy()


def by_pandas_lean(file: Path, seconds: float) -> ReadArrays:
    return by_pandas(file, seconds, is_lean=True)


def by_pandas_arrow(file: Path, seconds: float) -> ReadArrays:
    return by_pandas(file, seconds, engine="pyarrow")


LIBRARIES: dict[str, Callable[[Path, float], ReadArrays]] = {
    "ours": ours,
    "pandas": by_pandas,
    "pandas-lean": by_pandas_lean,
    "pandas-arrow": by_pandas_arrow,
}


if __name__ == "__main__":
    main()
