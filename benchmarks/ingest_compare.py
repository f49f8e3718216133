"""Compare what the two contenders of the ingest bench wrote: which windows, and their signals."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import polars as pl
from harness import emit

from sensorloom.store.repository import Repository

GUARD = 100  # samples at 200 Hz: half a second on either side of anything missing


def main() -> None:
    ours_folder, pandas_folder = Path(sys.argv[1]), Path(sys.argv[2])
    starts, ours, valid = _ours(ours_folder)
    index = pl.read_parquet(pandas_folder / "windows.parquet")
    theirs = dict(
        zip(index["start_ns"].to_list(), np.load(pandas_folder / "windows.npy", mmap_mode="r"), strict=True)
    )
    shared = [row for row, start in enumerate(starts) if start in theirs]
    emit(
        {
            "shared_starts": len(shared),
            "signal_difference": _difference(
                ours[shared], np.stack([theirs[starts[row]] for row in shared]), valid[shared]
            ),
        }
    )


def _ours(folder: Path) -> tuple[list[int], np.ndarray, np.ndarray]:
    repo = Repository.open(str(folder / "store"))
    snapshot = repo.resolve("main")
    starts, imu, valid = [], [], []
    for shard in repo.manifest(snapshot, "tensors:har-pamap2").shards:
        arrays = repo.open_arrays(shard)
        rows = repo.manifest(snapshot, "windows:har-pamap2").get(shard.key)
        starts += repo.read_table(rows)["start_ns"].to_pylist()
        imu.append(arrays["imu"])
        valid.append(arrays["imu_valid"])
    return starts, np.concatenate(imu), np.concatenate(valid)


def _difference(ours: np.ndarray, theirs: np.ndarray, valid: np.ndarray) -> float:
    """Return the largest rms difference of a channel, as a share of its deviation, in whole windows"""
    whole = valid.all(axis=(1, 2, 3))
    if not whole.any():
        raise SystemExit("no window without a gap: nothing to compare")
    inner = slice(GUARD, -GUARD)
    mine, other = (array[whole, 0, :, inner].astype(np.float64) for array in (ours, theirs))
    rms = np.sqrt(np.mean((mine - other) ** 2, axis=(0, 2)))
    return float(np.max(rms / mine.std(axis=(0, 2))))


if __name__ == "__main__":
    main()
