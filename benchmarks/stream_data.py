"""Write the same generated windows three times: as plain .npy, as a store, and as one of fewer bytes.

The stores are written through their own interface, with all arrays and columns that the build of a view with a camera
and texts writes.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from epochs import ARRAYS, CHANNELS, DIM, SAMPLES, Rows, bits, mark
from harness import emit
from numpy.typing import NDArray

from sensorloom.align.classes import PAMAP2_CLASSES
from sensorloom.align.view import View
from sensorloom.embed.build import MIN_COMPRESSED_ROW_BYTES
from sensorloom.embed.imu_types import convert_imu
from sensorloom.flows.tables import WINDOWS
from sensorloom.store.repository import Repository
from sensorloom.store.transaction import Put

BUCKETS, NAME, WORK, PER_TAKE, LENGTH_NS = 64, "generated", "0" * 64, 100, 5_000_000_000
VIEW = View(NAME, ("generated",), ("head",), PAMAP2_CLASSES, cameras=("ego",), texts=("atomic",))
HZ = 200
OFFSET, SWING, NOISE = (np.repeat(pair, CHANNELS // 2) for pair in ((5.6, 0.0), (2.0, 1.0), (0.02, 0.005)))
"""Of the three accelerometer and the three gyroscope channels: gravity, motion and noise, in m/s² and rad/s."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, required=True)
    parser.add_argument("--compressed", action="store_true", help="write the store of fewer bytes too")
    parser.add_argument("--work", type=Path, required=True)
    arguments = parser.parse_args()
    shapes = ((CHANNELS * SAMPLES, np.float32), (DIM, np.float16), (DIM, np.float16))
    plain = [
        np.lib.format.open_memmap(
            arguments.work / f"{name}.npy", "w+", dtype=kind, shape=(arguments.windows, size)
        )
        for name, (size, kind) in zip(ARRAYS, shapes, strict=True)
    ]
    totals: dict[str, int] = {}
    names = ("store", "compressed") if arguments.compressed else ("store",)
    stores = {name: Repository.open(str(arguments.work / name), create=True) for name in names}
    puts: dict[str, list[Put]] = {name: [] for name in names}
    for bucket, numbers in enumerate(np.array_split(np.arange(arguments.windows), BUCKETS)):
        rows = generate(numbers, bucket)
        for array, part in zip(plain, rows[:3], strict=True):
            array[numbers] = part
        totals = {key: totals.get(key, 0) + value for key, value in bits(rows).items()}
        for name, repo in stores.items():
            puts[name] += put(repo, f"{bucket:02d}", rows, is_compressed=name == "compressed")
    for name, repo in stores.items():
        repo.commit(
            lambda _, made=puts[name]: made, message="generated windows", provenance={"command": "bench"}
        )
    sizes = [_tensor_bytes(arguments.work / name) for name in names]
    emit({**totals, "compressed_share": sizes[-1] / sizes[0]})


def generate(numbers: NDArray[np.int64], seed: int) -> Rows:
    """Return smooth motion with a little noise and two vectors of noise, marked with the numbers of their windows."""
    random = np.random.default_rng(seed)
    count = len(numbers)
    imu = _motion(random, count).reshape(count, -1)
    vectors = (random.standard_normal((count, DIM), np.float32).astype(np.float16) for _ in range(2))
    rows = Rows(imu, *vectors, numbers)
    mark(rows)
    return rows


def _motion(random: np.random.Generator, count: int) -> NDArray[np.float32]:
    """Return IMU float32[count, 6, 1000]: gravity, a swing of some hertz with its first overtone, noise of a sensor."""
    offset, swing = (random.normal(0, scale, (count, CHANNELS)) for scale in (OFFSET, SWING))
    hertz, start = random.uniform(0.5, 3, (count, 1, 1)), random.uniform(0, 2 * np.pi, (count, CHANNELS, 1))
    phase = (2 * np.pi * hertz * np.arange(SAMPLES) / HZ + start).astype(np.float32)
    imu = np.sin(phase) + np.float32(0.3) * np.sin(2 * phase)
    imu *= swing[..., None].astype(np.float32)
    imu += random.standard_normal(imu.shape, np.float32) * NOISE[:, None].astype(np.float32)
    imu += offset[..., None].astype(np.float32)
    return imu


def put(repo: Repository, bucket: str, rows: Rows, *, is_compressed: bool) -> Iterator[Put]:
    count = len(rows.number)
    ids, order = _text_ids(rows.number)
    arrays: dict[str, NDArray[Any]] = {
        "imu": rows.imu.reshape(count, 1, CHANNELS, SAMPLES),
        "imu_valid": np.ones((count, 1, 2, SAMPLES), np.bool_),
        "imu_present": np.ones((count, 1, 2), np.bool_),
        "video": rows.video[:, None],
        "video_present": np.ones((count, 1), np.bool_),
        "frames": np.tile(np.arange(VIEW.slow_samples, dtype=np.int32), (count, 1, 1)),
        "text_ids": ids[order],
        "text_vectors": rows.text[order],
        "text_rows": np.argsort(order).astype(np.int32),
        "text_offsets": np.stack((np.arange(count), np.arange(1, count + 1)), axis=1),
    }
    view = replace(VIEW, imu_type="int16", layout="compressed") if is_compressed else VIEW
    stored, worst = convert_imu(arrays["imu"], view.imu_type)
    arrays |= stored
    large = [name for name, array in arrays.items() if array.nbytes >= MIN_COMPRESSED_ROW_BYTES * len(array)]
    attributes: dict[str, Any] = {
        "view": asdict(view),
        "bucket": bucket,
        "imu_worst_error": {"accelerometer_m_s2": float(worst[0]), "gyroscope_rad_s": float(worst[1])},
        "encoder": "generated",
        "fingerprint": {"model": "generated"},
        "video_slots": ["ego"],
        "text_sources": ["atomic"],
    }
    tensors = repo.write_arrays(
        bucket,
        arrays,
        rows=count,
        attributes=attributes,
        work=WORK,
        compress=large if is_compressed else (),
    )
    table = pa.Table.from_pylist([_row(number) for number in rows.number.tolist()], schema=WINDOWS)
    yield Put(f"tensors:{NAME}", tensors)
    yield Put(f"windows:{NAME}", repo.write_table(bucket, table, work=WORK))


def _text_ids(numbers: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the digests uint8[n, 32] of one text a window, and the order in which a shard keeps them."""
    digests = [hashlib.sha256(_words(number).encode()).digest() for number in numbers.tolist()]
    order = np.array(sorted(range(len(digests)), key=digests.__getitem__), np.int64)
    return np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32), order


def _words(number: int) -> str:
    return f"The wearer does thing {number} (generated)."


def _tensor_bytes(store: Path) -> int:
    return sum(path.stat().st_size for path in store.rglob("*.zarr/**/*") if path.is_file())


def _row(number: int) -> dict[str, Any]:
    take, at = divmod(number, PER_TAKE)
    label = at % len(PAMAP2_CLASSES)
    text = {
        "slot": 0,
        "source": "atomic",
        "text": _words(number),
        "text_id": hashlib.sha256(_words(number).encode()).hexdigest(),
        "annotator": "generated",
        "offset_ms": 12.5,
        "uncertainty_ms": 2000.0,
    }
    return {
        "window_id": f"generated/{take}@{at * LENGTH_NS}",
        "take_id": f"generated/{take}",
        "dataset": "generated",
        "participant_id": f"generated/{take % 20}",
        "capture_id": f"generated/{take // 2}",
        "official_split": "train",
        "start_ns": at * LENGTH_NS,
        "stop_ns": (at + 1) * LENGTH_NS,
        "label": PAMAP2_CLASSES[label],
        "label_index": label,
        "split": "train",
        "coverage": [1.0, 1.0],
        "valid_share": 1.0,
        "retimed_share": 0.0,
        "interpolated_share": 0.0,
        "video_present": [True],
        "mocap_share": None,
        "texts": [text],
    }


if __name__ == "__main__":
    main()
