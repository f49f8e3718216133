"""Contender: this project's stream, as a training script would use it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
from epochs import BATCH, measure, parse
from harness import emit
from numpy.typing import NDArray

from sensorloom.training.stream import TripletStream


def main() -> None:
    arguments = parse(__doc__)
    url = str(arguments.data / "store")
    started = time.perf_counter()
    first = TripletStream(url, view="generated", split="train", batch_size=BATCH, seed=0, drop_last=False)
    next(iter(first))
    first_batch_ms = 1e3 * (time.perf_counter() - started)
    del first
    # A stream of its own, whose store is mapped but not touched yet: its first epoch pays for every page.
    stream = TripletStream(url, view="generated", split="train", batch_size=BATCH, seed=1, drop_last=False)

    def epoch() -> Iterator[NDArray[np.float32]]:
        for batch in stream:
            yield batch.imu_BSCT.numpy()

    emit({**measure(epoch, stream.num_examples), "first_batch_ms": first_batch_ms})


if __name__ == "__main__":
    main()
