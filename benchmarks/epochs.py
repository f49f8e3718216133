"""What all contenders of the stream bench measure in the same way: epochs, and what came in them."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

BATCH, CHANNELS, SAMPLES, LATER_EPOCHS = 256, 6, 1000, 4


def parse(description: str | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--work", type=Path, required=True)
    return parser.parse_args()


def bits(imu: NDArray[np.float32]) -> int:
    """Return the sum of all values read as whole numbers: exact, and the same in any order."""
    return int(imu.view(np.uint32).sum(dtype=np.uint64))


def measure(epoch: Callable[[], Iterable[NDArray[np.float32]]], windows: int) -> dict[str, float]:
    """Time the first epoch and the later ones in windows/s; count windows that came not exactly once an
    epoch.

    A batch's markers are copied out inside the timed part (a thousandth of the batch, for every contender),
    and compared outside. One more epoch, not timed, sums all the bytes.
    """
    rates, misplaced = [], 0
    for _ in range(1 + LATER_EPOCHS):
        markers = []
        started = time.perf_counter()
        for batch in epoch():
            markers.append(batch[:, 0, 0, 0].copy())
            del batch
        rates.append(windows / (time.perf_counter() - started))
        counts = np.bincount(np.concatenate(markers).astype(np.int64), minlength=windows)
        misplaced += int(np.count_nonzero(counts != 1))
    total = sum(bits(batch) for batch in epoch())
    return {"first": rates[0], "later": float(np.median(rates[1:])), "misplaced": misplaced, "bits": total}
