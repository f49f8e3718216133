"""Write the same generated windows twice: as a store, through its own interface, and as one plain .npy."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa
from epochs import CHANNELS, SAMPLES, bits
from harness import emit

from sensorloom.flows.tables import WINDOWS
from sensorloom.store.repository import Repository
from sensorloom.store.transaction import Put

BUCKETS, VIEW, WORK = 64, "generated", "0" * 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, required=True)
    parser.add_argument("--work", type=Path, required=True)
    arguments = parser.parse_args()
    repo = Repository.open(str(arguments.work / "store"), create=True)
    plain = np.lib.format.open_memmap(
        arguments.work / "windows.npy", "w+", np.float32, (arguments.windows, 1, CHANNELS, SAMPLES)
    )
    puts, total = [], 0
    for bucket, numbers in enumerate(np.array_split(np.arange(arguments.windows), BUCKETS)):
        imu = generate(numbers, bucket)
        plain[numbers] = imu
        total += bits(imu)
        puts += list(put(repo, f"{bucket:02d}", numbers, imu))
    plain.flush()
    repo.commit(lambda _: puts, message="generated windows", provenance={"command": "bench"})
    emit({"bits": total})


def generate(numbers: np.ndarray, seed: int) -> np.ndarray:
    """Return noise float32[n, 1, 6, 1000] whose first sample is the window's own number."""
    imu = np.random.default_rng(seed).standard_normal((len(numbers), 1, CHANNELS, SAMPLES), np.float32)
    imu[:, 0, 0, 0] = numbers
    return imu


def put(repo: Repository, bucket: str, numbers: np.ndarray, imu: np.ndarray) -> tuple[Put, Put]:
    present = np.ones((len(numbers), 1, 2), np.bool_)
    tensors = repo.write_arrays(
        bucket, {"imu": imu, "imu_present": present}, rows=len(numbers), attributes={}, work=WORK
    )
    rows = pa.Table.from_pylist([row(number) for number in numbers.tolist()], schema=WINDOWS)
    return Put(f"tensors:{VIEW}", tensors), Put(f"windows:{VIEW}", repo.write_table(bucket, rows, work=WORK))


def row(number: int) -> dict[str, object]:
    return {
        "window_id": f"generated/{number}",
        "take_id": f"generated/{number % 100}",
        "label_index": number % 18,
        "split": "train",
    }


if __name__ == "__main__":
    main()
