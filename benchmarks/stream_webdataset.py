"""Contender: WebDataset in so many workers, tar files of `.npy` members whose times are 0, which spares it a header
each.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import webdataset
from epochs import BATCH, Rows, measure, parse_peer
from harness import emit

PER_TAR, LEAST_TARS, SHUFFLED = 625, 4, 1000
MEMBERS = ("imu.npy", "video.npy", "text.npy", "number.cls")


def main() -> None:
    arguments = parse_peer(__doc__, _write)
    tars = sorted(map(str, arguments.data.glob("*.tar")))
    windows = webdataset.WebDataset(tars, shardshuffle=len(tars)).shuffle(SHUFFLED, initial=SHUFFLED)
    batches = windows.decode().to_tuple(*MEMBERS).batched(BATCH, partial=True)
    workers = int(arguments.workers)
    if workers:
        batches = webdataset.WebLoader(batches, batch_size=None, num_workers=workers, persistent_workers=True)

    def epoch() -> Iterator[Rows]:
        for imu, video, text, number in batches:
            yield Rows(*map(np.asarray, (imu, video, text, number)))

    emit({**measure(epoch, arguments.windows, later=1), "workers": workers})


def _write(rows: Rows, folder: Path) -> None:
    folder.mkdir(parents=True)
    most = min(PER_TAR, -(-len(rows.number) // LEAST_TARS))  # every worker needs a file
    with webdataset.ShardWriter(str(folder / "%03d.tar"), maxcount=most, mtime=0, verbose=0) as tars:
        for *arrays, number in zip(*rows, strict=True):
            members = zip(MEMBERS, (*map(_npy, arrays), int(number)), strict=True)
            tars.write({"__key__": f"{number:06d}", **dict(members)})


def _npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


if __name__ == "__main__":
    main()
