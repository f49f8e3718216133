"""What all contenders of the stream bench measure in the same way: epochs, and what came in them."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from harness import emit, warm
from numpy.typing import NDArray

BATCH, CHANNELS, SAMPLES, DIM, LATER_EPOCHS = 256, 6, 1000, 512, 4
ARRAYS = ("imu", "video", "text")
# A window's number stands in two values of each array. Whole numbers up to 2,048 are exact in float16; hundredths of
# them are no larger than the signal of the IMU, so they coarsen no scale of a store of int16.
_DIGITS, _IMU_STEP = 200, 0.01


class Rows(NamedTuple):
    """The windows of a batch: imu float32[b, 6000], two vectors float16[b, 512] and numbers int64[b].

    The rows of the arrays may have any shape; only the first values of each are looked at.
    """

    imu: NDArray[np.float32]
    video: NDArray[np.float16]
    text: NDArray[np.float16]
    number: NDArray[np.int64]


def parse(description: str | None, *options: str) -> argparse.Namespace:
    """Parse what every contender takes, and read its data through: what lay idle for a while comes slowly once.

    `options` are further ones with a value.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--windows", type=int, default=0, help="of the data's windows only so many, if given")
    for option in options:
        parser.add_argument(option)
    arguments = parser.parse_args()
    for path in arguments.data.rglob("*"):
        if path.is_file():
            warm(path)
    return arguments


def parse_peer(description: str | None, write: Callable[[Rows, Path], None]) -> argparse.Namespace:
    """Parse what a contender of another format takes too: asked to write that, it does so with `write`, and ends."""
    arguments = parse(description, "--write", "--workers")
    if arguments.write:
        write(load(arguments.data, arguments.windows), Path(arguments.write))
        emit({})
        sys.exit()
    return arguments


def load(data: Path, windows: int = 0) -> Rows:
    """Map the arrays of the first `windows` windows (0: all), rows flat."""
    imu, video, text = (np.load(data / f"{name}.npy", mmap_mode="r") for name in ARRAYS)
    number = np.arange(windows or len(imu))
    return Rows(*(array.reshape(len(array), -1)[: len(number)] for array in (imu, video, text)), number)


def mark(rows: Rows) -> None:
    """Write the numbers of the windows into all three arrays, so that rows that do not belong together show."""
    number, imu, video, text = rows.number, *(array.reshape(len(array), -1) for array in rows[:3])
    digits = np.stack((number // _DIGITS, number % _DIGITS), axis=1)
    imu[:, :2], video[:, :2], text[:, :2] = digits * _IMU_STEP, digits, digits


def bits(rows: Rows) -> dict[str, int]:
    """Return the sum of all values of each array read as whole numbers: exact, and the same in any order."""
    return {f"bits_{name}": _bits(array) for name, array in zip(ARRAYS, rows[:3], strict=True)}


def _bits(array: NDArray[Any]) -> int:
    array = np.ascontiguousarray(array)
    return int(array.view(np.uint32).sum(dtype=np.uint64))


def measure(epoch: Callable[[], Iterable[Rows]], windows: int, later: int = LATER_EPOCHS) -> dict[str, float]:
    """Time the first epoch and `later` ones in windows/s; count windows that came not exactly once an epoch, or whose
    arrays do not belong together.

    A batch's markers are copied out inside the timed part (a thousandth of the batch, for every contender),
    and compared outside. One more epoch, not timed, sums all the bytes.
    """
    rates, misplaced = [], 0
    for _ in range(1 + later):
        markers = []
        started = time.perf_counter()
        for batch in epoch():
            markers.append(_markers(batch))
            del batch
        rates.append(windows / (time.perf_counter() - started))
        misplaced += _misplaced(markers, windows)
    sums = total(epoch())
    return {"first": rates[0], "later": float(np.median(rates[1:])), "misplaced": misplaced, **sums}


def total(epoch: Iterable[Rows]) -> Mapping[str, int]:
    """Return the sums of `bits` over the batches of an epoch."""
    sums = dict.fromkeys((f"bits_{name}" for name in ARRAYS), 0)
    for batch in epoch:
        for name, value in bits(batch).items():
            sums[name] += value
    return sums


def cold(epoch: Callable[[], Iterable[Rows]], windows: int) -> dict[str, float]:
    """Time one epoch, whatever `epoch` does first included, and check it as `measure` does."""
    started = time.perf_counter()
    markers = [_markers(batch) for batch in epoch()]
    seconds = time.perf_counter() - started
    return {"cold": windows / seconds, "misplaced": _misplaced(markers, windows)}


def _markers(batch: Rows) -> list[NDArray[Any]]:
    imu, video, text = (array.reshape(len(array), -1) for array in batch[:3])
    return [imu[:, :2].copy(), video[:, :2].copy(), text[:, :2].copy(), batch.number.copy()]


def _misplaced(markers: list[list[NDArray[Any]]], windows: int) -> int:
    imu, video, text, number = (np.concatenate(column) for column in zip(*markers, strict=True))
    counts = np.bincount(number.astype(np.int64), minlength=windows)
    strangers = np.zeros(len(number), np.bool_)
    for digits in (imu / _IMU_STEP, video, text):
        strangers |= np.rint(digits).astype(np.int64) @ np.array([_DIGITS, 1]) != number
    return int(np.count_nonzero(counts != 1)) + int(np.count_nonzero(strangers))
