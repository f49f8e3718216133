"""The rows of raw files behind a window: the take is read again, its stamps carried to the take's clock."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sensorloom.align.mocap import choose_mocap
from sensorloom.align.take_clock import map_clocks
from sensorloom.flows.errors import ConfigError
from sensorloom.flows.trace_facts import RowRange, Trace
from sensorloom.ingest.digest import file_digest, on_disk
from sensorloom.ingest.reader import get_reader

__all__ = ["with_rows"]


def with_rows(trace: Trace, root: Path) -> Trace:
    """Return `trace` with the rows of each raw stream in the window, read from the data set's folder `root`.

    `root` may be the parent of the data sets' folders, too.
    Rows are counted as the reader gives them, before stall-and-burst stamps are spread back: those whose stamp,
    carried to the take's clock, lies in the window. Raises `ConfigError` where `root` lacks the take, and where a file
    of it is not the one that was ingested; `RawFileError` where it cannot be read.
    """
    reader = get_reader(trace.dataset)
    root = root / trace.dataset if (root / trace.dataset).is_dir() else root
    source = next((one for one in reader.index(root) if one.take_id == trace.take_id), None)
    if source is None:
        raise ConfigError(
            f"{root} has no take {trace.take_id}; name the folder of {trace.dataset} that it was ingested from"
        )
    paths = on_disk(root, source.files)
    told = {file.uri: file.sha256 for file in trace.files}
    for path in paths:
        found, known = file_digest(path).sha256, told.get(path.relative_to(root).as_posix(), "nothing")
        if found != known:
            raise ConfigError(
                f"{path} is not the file that {trace.take_id} was ingested from: its sha256 is {found[:12]}, the store"
                f" says {known[:12]}; `sensorloom ingest` takes up the change"
            )
    take = reader.read(root, source)
    joints, _ = choose_mocap(take.mocap, take.take_id)
    maps, _ = map_clocks(take, joints)
    streams = [(stream.name, stream.clock, stream.times_ns) for stream in take.streams]
    streams += [(f"mocap/{joints.source}", joints.clock, joints.times_ns)] if joints else []
    rows = [_range(name, clock, maps[clock].apply(times_ns), trace) for name, clock, times_ns in streams]
    return replace(trace, rows=tuple(row for row in rows if row.first < row.stop))


def _range(name: str, clock: str, times_ns: NDArray[np.int64], trace: Trace) -> RowRange:
    """Return the rows from the first to the last stamp in the window: stamps may be out of order."""
    held = np.flatnonzero((times_ns >= trace.start_ns) & (times_ns < trace.stop_ns))
    first, stop = (int(held[0]), int(held[-1]) + 1) if len(held) else (0, 0)
    return RowRange(name, clock, first, stop, len(times_ns))
