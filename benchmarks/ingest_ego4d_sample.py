"""Generate one Ego4D IMU file: four components at 198 and 201 Hz, with the defects that real files have."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from harness import emit

from sensorloom.ingest.miniature.ego4d_imu import ImuRows, csv_bytes

COMPONENTS, GAP_S, HEAD_S, EXTREME_MS = 4, 1.5, 0.4, 1e12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--work", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.out.write_bytes(csv_bytes(rows(arguments.minutes * 60)))
    emit({})


def rows(seconds: float) -> ImuRows:
    """Return rows of a recording whose signals are noise about gravity."""
    rng = np.random.default_rng(0)
    own_s, start_s, index = [], [], []
    for component in range(COMPONENTS):
        rate_hz = (198.0, 201.0)[component % 2]
        own_s.append(np.arange(0.0, seconds / COMPONENTS - GAP_S, 1 / rate_hz))
        start_s.append(np.full(len(own_s[-1]), component * seconds / COMPONENTS - HEAD_S))
        index.append(np.full(len(own_s[-1]), component, np.int64))
    own, start, component = (np.concatenate(parts) for parts in (own_s, start_s, index))
    count = len(own)
    canonical_ms = np.where(own < HEAD_S, np.nan, (own + start) * 1e3)
    accelerometer = rng.normal([0, 9.8, 0], 1.5, (count, 3)).astype(np.float32)
    accelerometer[rng.integers(0, count, count // 500)] = np.nan
    canonical_ms[count // 3] = EXTREME_MS
    order = np.arange(count)
    for packet in range(1000, count - 500, 20_000):
        order[packet : packet + 400] = np.roll(order[packet : packet + 400], 200)
    gyroscope = rng.normal(0, 0.6, (count, 3)).astype(np.float32)
    return ImuRows(
        component[order], own[order] * 1e3, canonical_ms[order], gyroscope[order], accelerometer[order]
    )


if __name__ == "__main__":
    main()
