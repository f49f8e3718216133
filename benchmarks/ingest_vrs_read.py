"""Contender: read both IMUs of an Aria recording to stamps int64[N] and values float32[N, 6], with one library."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable

import numpy as np
from harness import emit, stopwatch

Arrays = list[tuple[np.ndarray, np.ndarray]]
LABELS = ("imu-right", "imu-left")


def read_ours(path: str, *, calibrated: bool = False) -> Arrays:
    from sensorloom.ingest.vrs import open_vrs

    file = open_vrs(path)
    return [file.read_imu(label, calibrated=calibrated) for label in LABELS]


def read_projectaria(path: str) -> Arrays:
    from projectaria_tools.core import data_provider

    provider = data_provider.create_vrs_data_provider(path)
    arrays = []
    for label in LABELS:
        stream = provider.get_stream_id_from_label(label)
        times_ns, values = [], []
        for row in range(provider.get_num_data(stream)):
            record = provider.get_imu_data_by_index(stream, row)
            times_ns.append(record.capture_timestamp_ns)
            values += record.accel_msec2
            values += record.gyro_radsec
        arrays.append((np.array(times_ns, np.int64), np.array(values, np.float32).reshape(-1, 6)))
    return arrays


def read_pyvrs(path: str) -> Arrays:
    from pyvrs import SyncVRSReader

    arrays = []
    with SyncVRSReader(path) as reader:
        for stream in ("1202-1", "1202-2"):  # it knows no labels
            times_ns, values = [], []
            for record in reader.filtered_by_fields(stream_ids={stream}, record_types={"data"}):
                block = record.metadata_blocks[0]
                times_ns.append(block["capture_timestamp_ns"])
                values += list(block["accelerometer"])
                values += list(block["gyroscope"])
            arrays.append((np.array(times_ns, np.int64), np.array(values, np.float32).reshape(-1, 6)))
    return arrays


LIBRARIES: dict[str, Callable[[str], Arrays]] = {
    "ours": read_ours,
    "calibrated": lambda path: read_ours(path, calibrated=True),
    "projectaria": read_projectaria,
    "pyvrs": read_pyvrs,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reader", choices=LIBRARIES, required=True)
    parser.add_argument("--file", required=True)
    parser.add_argument("--warm-up", required=True, help="a short recording, read first")
    parser.add_argument("--work", required=True)
    arguments = parser.parse_args()
    read = LIBRARIES[arguments.reader]
    read(arguments.warm_up)
    numbers: dict[str, float] = {}
    with stopwatch(numbers, "seconds"):
        arrays = read(arguments.file)
    digest = hashlib.sha256(b"".join(part.tobytes() for pair in arrays for part in pair)).digest()
    numbers["records"] = sum(len(times_ns) for times_ns, _ in arrays)
    numbers["digest"] = int.from_bytes(digest[:6], "little")  # six bytes are exact in a JSON number
    emit(numbers)


if __name__ == "__main__":
    main()
