"""Contender: MosaicML Streaming (MDS) in so many workers; in none it is pinned to one core, on which it is faster than
on two.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from epochs import BATCH, Rows, measure, parse_peer
from harness import emit
from streaming import MDSWriter, StreamingDataset
from torch.utils.data import DataLoader

COLUMNS = {"imu": "ndarray:float32:6000", "video": "ndarray:float16:512", "text": "ndarray:float16:512"}


def main() -> None:
    arguments = parse_peer(__doc__, _write)
    workers = int(arguments.workers)
    if not workers and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-1:])
    dataset = StreamingDataset(
        local=str(arguments.data), shuffle=True, batch_size=BATCH, num_canonical_nodes=1
    )
    loader = DataLoader(dataset, batch_size=BATCH, num_workers=workers, persistent_workers=workers > 0)

    def epoch() -> Iterator[Rows]:
        for batch in loader:
            yield Rows(*(batch[name].numpy() for name in Rows._fields))

    emit({**measure(epoch, dataset.num_samples, later=1), "workers": workers})


def _write(rows: Rows, folder: Path) -> None:
    with MDSWriter(out=str(folder), columns={**COLUMNS, "number": "int"}) as writer:
        for imu, video, text, number in zip(*rows, strict=True):
            writer.write({"imu": imu, "video": video, "text": text, "number": int(number)})


if __name__ == "__main__":
    main()
