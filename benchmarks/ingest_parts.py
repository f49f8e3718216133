"""Contender: the parts of this project's ingest one after the other, by their public functions."""

from __future__ import annotations

import argparse
from pathlib import Path

from harness import emit, stopwatch

from sensorloom.align.alignment import AlignSettings, align
from sensorloom.align.extract import extract
from sensorloom.align.named_views import VIEWS
from sensorloom.align.window import cut_windows
from sensorloom.ingest.digest import file_digest, on_disk
from sensorloom.ingest.reader import get_reader
from sensorloom.store.repository import Repository


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--raw", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    arguments = parser.parse_args()
    reader = get_reader("pamap2")
    (source,) = reader.index(arguments.raw)
    repo = Repository.open(str(arguments.work / "store"), create=True)
    numbers: dict[str, float] = {}
    with stopwatch(numbers, "hash_seconds"):
        file_digest(on_disk(arguments.raw, source.files)[0])
    with stopwatch(numbers, "parse_seconds"):
        take = reader.read(arguments.raw, source)
    with stopwatch(numbers, "align_seconds"):
        aligned = align(take, AlignSettings())
    del take
    arrays = {
        f"{track.position}/{name}": getattr(track, name)
        for track in aligned.imu
        for name in ("values", "quality")
    }
    with stopwatch(numbers, "write_seconds"):
        repo.write_arrays(
            aligned.take_id, arrays, rows=aligned.grid.num_samples, attributes={}, work="0" * 64
        )
    view = VIEWS["har-pamap2"]
    with stopwatch(numbers, "cut_seconds"):
        extract(aligned, view, cut_windows(aligned, view).windows)
    emit(numbers)


if __name__ == "__main__":
    main()
