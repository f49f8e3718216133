"""Contender: LitData, an item decoded at a time (`batch_decode=0`), which is its fastest here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from epochs import BATCH, Rows, measure, parse_peer
from harness import emit
from litdata import StreamingDataLoader, StreamingDataset
from litdata.streaming import Cache

CHUNK_BYTES = "64MB"


def main() -> None:
    arguments = parse_peer(__doc__, _write)
    dataset = StreamingDataset(str(arguments.data), shuffle=True, batch_decode=0)
    loader = StreamingDataLoader(dataset, batch_size=BATCH, num_workers=0)

    def epoch() -> Iterator[Rows]:
        for batch in loader:
            yield Rows(*(batch[name].numpy() for name in Rows._fields))

    emit(measure(epoch, len(dataset)))


def _write(rows: Rows, folder: Path) -> None:
    cache = Cache(str(folder), chunk_bytes=CHUNK_BYTES)
    for at, (imu, video, text, number) in enumerate(zip(*rows, strict=True)):
        cache[at] = {"imu": imu, "video": video, "text": text, "number": int(number)}
    cache.done()
    cache.merge()


if __name__ == "__main__":
    main()
