"""Which row of `timesync.csv` is a take's frame 0: the data set's own sources disagree by one (formats.md §4.5). Pure.

takes.md and the gaze and pose tutorials begin at `timesync_start_idx + 1`; others find as many frames as rows from
`timesync_start_idx`. The number of decoded frames tells which of the two a take follows; where it cannot, the exo
cameras' own stamps may; else the tutorials' rule is used and the doubt, one frame, is told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorloom.ingest.take import NS_PER_S, Finding

__all__ = ["ExoCamera", "TakeRows", "decide_rows", "likeliest_counts"]

_RULES = {0: "start+i", 1: "start+1+i"}
_TUTORIALS = 1
_FRAME_MS = 1000 / 30
# Stamps of a file that were taken over from the camera agree with the table's to a tick; 1/30 s apart is no agreement.
_AGREE_NS = NS_PER_S / 300


@dataclass(frozen=True, slots=True)
class ExoCamera:
    """What `timesync.csv` says of an exo camera from row `timesync_start_idx` on, and when its file's frames are shown.

    `pts` int64[R] in unknown ticks, `present` bool[R] where pts and frame number are given; `times_ns` int64[F], empty
    where the file is not there. `has_begun` where it has a frame in a row before.
    """

    pts: NDArray[np.int64]
    present: NDArray[np.bool_]
    times_ns: NDArray[np.int64]
    has_begun: bool = False


@dataclass(frozen=True, slots=True)
class TakeRows:
    """`first_row` is the row of frame 0, None where no rule fits; `num_frames` those of the take; what decided."""

    first_row: int | None
    num_frames: int
    findings: tuple[Finding, ...]


def decide_rows(
    target: str,
    row_range: tuple[int, int],
    frame_counts: Mapping[str, int],
    read_exo: Callable[[], Sequence[ExoCamera]],
) -> TakeRows:
    """Decide by the frames that most files claim to show, of `frame_counts`, then by what `read_exo` gives."""
    start, end = row_range
    rows = end - start
    counts = likeliest_counts(frame_counts)
    fitting = [skip for skip in _RULES if rows - skip in counts]
    if counts and not fitting:
        return _reject(target, rows, counts)
    if len(fitting) == 1:
        return _decided(target, row_range, fitting[0], f"{rows - fitting[0]} frames decode")
    exo = read_exo()
    fits = [skip for skip in _RULES if all(_has_begun(camera, skip) for camera in exo)]
    why = "an exo camera has not begun in the other row"
    if len(fits) != 1:
        fits = [skip for skip in _RULES if any(_stamps_agree(camera, skip) for camera in exo)]
        why = "the exo files' stamps agree with pts there"
    if len(fits) == 1:
        return _decided(target, row_range, fits[0], why)
    return _doubted(target, row_range, counts)


def likeliest_counts(frame_counts: Mapping[str, int]) -> list[int]:
    """Return the frames that most of a take's files claim to show, sorted: several where as many claim either."""
    votes = Counter(frame_counts.values())
    most = max(votes.values(), default=0)
    return sorted(count for count, number in votes.items() if number == most)


def _has_begun(camera: ExoCamera, skip: int) -> bool:
    """Tell whether the camera runs by the row that would be frame 0; its file could show nothing there otherwise.

    An empty cell behind a frame is a cell that was lost: it says nothing of the file.
    """
    return camera.has_begun or bool(camera.present[: skip + 1].any())


def _stamps_agree(camera: ExoCamera, skip: int) -> bool:
    """Tell whether the file's stamps step as the table's do from row `skip` on; even steps do from any.

    Rows with an empty cell are passed over.
    """
    count = min(len(camera.times_ns), len(camera.pts) - skip)
    frames = np.flatnonzero(camera.present[skip : skip + max(0, count)])
    if len(frames) < 3:
        return False
    times_ns, pts = camera.times_ns[frames], camera.pts[frames + skip]
    shown_ns, ticks = (times_ns - times_ns[0]).astype(np.float64), (pts - pts[0]).astype(np.float64)
    if ticks[-1] <= 0:
        return False
    return bool(np.abs(ticks * (shown_ns[-1] / ticks[-1]) - shown_ns).max() < _AGREE_NS)


def _decided(target: str, row_range: tuple[int, int], skip: int, why: str) -> TakeRows:
    start, end = row_range
    num_frames = end - start - skip
    sentence = (
        f"frame i is row {_RULES[skip]} of timesync.csv: {why}, and the metadata gives {end - start} rows"
    )
    finding = Finding(target, "take-rows", "note", sentence, _numbers(row_range, skip, num_frames))
    return TakeRows(start + skip, num_frames, (finding,))


def _doubted(target: str, row_range: tuple[int, int], counts: list[int]) -> TakeRows:
    start, end = row_range
    told = f"files of {' and '.join(map(str, counts))} frames fit both" if counts else "no video tells"
    sentence = (
        f"{told}, so frame i is taken to be row {_RULES[_TUTORIALS]} of timesync.csv, as the data set's tutorials do;"
        f" it may be one frame off, ±{_FRAME_MS:.0f} ms"
    )
    num_frames = end - start - (0 if len(counts) == 2 else _TUTORIALS)
    numbers = {**_numbers(row_range, _TUTORIALS, num_frames), "doubt_ms": _FRAME_MS}
    finding = Finding(target, "take-rows", "warning", sentence, numbers)
    return TakeRows(start + _TUTORIALS, num_frames, (finding,))


def _reject(target: str, rows: int, counts: list[int]) -> TakeRows:
    sentence = (
        f"{' and '.join(map(str, counts))} frames decode, but the metadata's range of {rows} rows allows {rows} or"
        f" {rows - 1}: no row of timesync.csv is known to be frame 0"
    )
    numbers = {"num_rows": rows, "num_frames": counts[-1]}
    return TakeRows(None, counts[-1], (Finding(target, "take-rows", "error", sentence, numbers),))


def _numbers(row_range: tuple[int, int], skip: int, num_frames: int) -> dict[str, float]:
    return {
        "first_row": row_range[0] + skip,
        "num_rows": row_range[1] - row_range[0],
        "num_frames": num_frames,
    }
