"""How an Aria's device time becomes take time: through the rows of its capture's `timesync.csv` that are the take's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sensorloom.ingest.errors import RawFileError
from sensorloom.ingest.frames import frame_times_ns
from sensorloom.ingest.readers.egoexo4d_timesync_rows import ExoCamera, TakeRows, decide_rows
from sensorloom.ingest.readers.egoexo4d_timesync_table import Stamps, Timesync, read_timesync, sound_stamps
from sensorloom.ingest.take import Finding, VideoStream, counted

__all__ = ["TakeClock", "read_take_clock"]

_NO_STAMPS = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class TakeClock:
    """`device_ns` int64[K] of an Aria at `take_ns` int64[K]; where K is 0, `problem` says why.

    `num_frames` are those of the take, None where nothing tells.
    """

    device_ns: NDArray[np.int64]
    take_ns: NDArray[np.int64]
    num_frames: int | None
    problem: str = ""
    findings: tuple[Finding, ...] = ()

    @classmethod
    def unknown(cls, problem: str, num_frames: int | None, *findings: Finding) -> TakeClock:
        """Return the clock of a take of whose device time nothing is known."""
        return cls(_NO_STAMPS, _NO_STAMPS, num_frames, problem, findings)


def read_take_clock(
    file: tuple[Path, str] | None,
    row_range: tuple[int, int] | None,
    aria: str | None,
    videos: tuple[Mapping[str, int], tuple[VideoStream, ...]],
    take_id: str,
) -> TakeClock:
    """Read the take's rows of the `file` (path and uri); `videos` are the frame counts and streams that were read.

    What cannot be told is a finding, never an exception.
    """
    frame_counts, streams = videos
    counts = list(frame_counts.values())
    likeliest = max(set(counts), key=lambda count: (counts.count(count), count)) if counts else None
    if row_range is None:
        return TakeClock.unknown("takes.json gives no rows of timesync.csv", likeliest)
    if file is None:
        frames = likeliest or row_range[1] - row_range[0] - 1
        return TakeClock.unknown("timesync.csv was not downloaded", frames)
    try:
        timesync = read_timesync(*file, (row_range[0], row_range[1] + 1))
        rows = decide_rows(take_id, row_range, frame_counts, partial(_exo_cameras, timesync, streams))
        return _clock(timesync, rows, aria, take_id)
    except RawFileError as error:
        finding = Finding(f"{take_id}#head", "unreadable-file", "error", str(error))
        return TakeClock.unknown("timesync.csv cannot be used", likeliest, finding)


def _exo_cameras(timesync: Timesync, streams: tuple[VideoStream, ...]) -> list[ExoCamera]:
    """Return what the table says of the exo cameras: all that it has where no video is there, else those with one."""
    shown = {stream.name: stream.times_ns for stream in streams if stream.view == "exo"}
    named = [name.removesuffix("_frame_number") for name in timesync.names if name.endswith("_frame_number")]
    cameras = []
    for name in sorted(shown or named):
        if timesync.has(f"{name}_pts") and timesync.has(f"{name}_frame_number"):
            pts, has_pts = timesync.column(f"{name}_pts")
            _, has_number = timesync.column(f"{name}_frame_number")
            cameras.append(ExoCamera(pts, has_pts & has_number, shown.get(name, _NO_STAMPS)))
    return cameras


def _clock(timesync: Timesync, rows: TakeRows, aria: str | None, take_id: str) -> TakeClock:
    if aria is None:
        return TakeClock.unknown("no camera is the wearer's Aria", rows.num_frames, *rows.findings)
    if rows.first_row is None:
        problem = "no row of timesync.csv is known to be frame 0"
        return TakeClock.unknown(problem, rows.num_frames, *rows.findings)
    stop_row = rows.first_row + rows.num_frames
    stamps = sound_stamps(timesync, f"{aria}_214-1_capture_timestamp_ns", (rows.first_row, stop_row))
    findings = (*rows.findings, *_stamp_findings(stamps, stop_row - timesync.stop_row, f"{take_id}#head"))
    if not len(stamps.rows):
        return TakeClock.unknown(
            f"{timesync.uri}: no stamp of {aria} in the take", rows.num_frames, *findings
        )
    take_ns = frame_times_ns(stamps.rows - rows.first_row)
    return TakeClock(stamps.stamps_ns, take_ns, rows.num_frames, "", findings)


def _stamp_findings(stamps: Stamps, num_beyond: int, target: str) -> Iterator[Finding]:
    if stamps.num_empty or stamps.num_repeated:
        sentence = (
            f"of the take's rows of timesync.csv {stamps.num_empty} have no stamp and {stamps.num_repeated} that of the"
            " row before; they anchor nothing"
        )
        numbers = {"empty": stamps.num_empty, "repeated": stamps.num_repeated}
        yield Finding(target, "timesync-cells", "note", sentence, numbers)
    if stamps.num_disordered:
        sentence = (
            f"{counted(stamps.num_disordered, 'row')} of timesync.csv out of order; they anchor nothing"
        )
        yield Finding(target, "timesync-disorder", "warning", sentence, {"count": stamps.num_disordered})
    if num_beyond > 0:
        sentence = f"timesync.csv ends {counted(num_beyond, 'row')} before the take does"
        yield Finding(target, "timesync-short", "warning", sentence, {"missing_rows": num_beyond})
