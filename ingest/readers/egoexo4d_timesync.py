"""How an Aria's device time becomes take time: through the rows of its capture's `timesync.csv` that are the take's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sensorloom.ingest.errors import RawFileError
from sensorloom.ingest.frames import frame_times_ns
from sensorloom.ingest.readers.egoexo4d_timesync_rows import (
    ExoCamera,
    TakeRows,
    decide_rows,
    likeliest_counts,
)
from sensorloom.ingest.readers.egoexo4d_timesync_table import Stamps, Timesync, read_timesync, sound_stamps
from sensorloom.ingest.take import Finding, VideoStream, counted

__all__ = ["TakeClock", "read_take_clock"]

_NO_STAMPS = np.empty(0, np.int64)
# Rows before the take, 1 s, that tell of a camera without a frame in the first ones whether it had begun.
_ROWS_BEFORE = 30


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
    likeliest = max(likeliest_counts(frame_counts), default=None)
    if row_range is None:
        return TakeClock.unknown("takes.json gives no rows of timesync.csv", likeliest)
    if file is None:
        frames = likeliest or row_range[1] - row_range[0] - 1
        return TakeClock.unknown("timesync.csv was not downloaded", frames)
    try:
        start, stop = row_range[0], row_range[1] + 1
        timesync = read_timesync(*file, (max(0, start - _ROWS_BEFORE), stop))
        exo = _ExoReading(timesync, start, streams)
        rows = decide_rows(take_id, row_range, frame_counts, exo.cameras)
        clock = _clock(timesync.since(start), rows, aria, take_id)
        return replace(clock, findings=(*clock.findings, *exo.findings(take_id)))
    except RawFileError as error:
        finding = Finding(f"{take_id}#head", "unreadable-file", "error", str(error))
        return TakeClock.unknown("timesync.csv cannot be used", likeliest, finding)


@dataclass(frozen=True, slots=True)
class _ExoReading:
    """What the table says of the exo cameras from row `start` on, read when it is asked; `problems` of their cells."""

    timesync: Timesync
    start: int
    streams: tuple[VideoStream, ...]
    problems: list[str] = field(default_factory=list)

    def cameras(self) -> list[ExoCamera]:
        """Return all cameras that the table has where no video is there, else those with one."""
        shown = {stream.name: stream.times_ns for stream in self.streams if stream.view == "exo"}
        suffix = "_frame_number"
        named = [name.removesuffix(suffix) for name in self.timesync.names if name.endswith(suffix)]
        cameras = []
        for name in sorted(shown or named):
            if self.timesync.has(f"{name}_pts") and self.timesync.has(f"{name}{suffix}"):
                try:
                    cameras.append(self._camera(name, shown.get(name, _NO_STAMPS)))
                except RawFileError as error:
                    self.problems.append(str(error))
        return cameras

    def _camera(self, name: str, times_ns: NDArray[np.int64]) -> ExoCamera:
        inside = self.timesync.since(self.start)
        pts, has_pts = inside.column(f"{name}_pts")
        _, has_number = inside.column(f"{name}_frame_number")
        has_begun = self.timesync.has_cell_before(self.start, f"{name}_frame_number")
        return ExoCamera(pts, has_pts & has_number, times_ns, has_begun)

    def findings(self, target: str) -> Iterator[Finding]:
        if self.problems:
            count = len(self.problems)
            sentence = (
                f"{counted(count, 'exo camera')} not asked for the take's first row: {self.problems[0]}"
            )
            yield Finding(target, "timesync-malformed", "warning", sentence, {"count": count})


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
