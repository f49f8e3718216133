"""Count what goes into a generated PAMAP2 file, chunk by chunk, as it is written."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sensorloom.ingest.miniature.pamap2_rows import ACC6_LIMIT_M_S2, POSITIONS, Chunk, Session
from sensorloom.ingest.miniature.pamap2_schedule import ACTIVITY_IDS, Recording
from sensorloom.ingest.miniature.spec import Truth

__all__ = ["Tally", "subject_truth"]

_CENTI_NS = 10_000_000
_ACC6 = slice(4, 7)


class Tally:
    """Gathers the facts of one file: small arrays only, a few bytes a row."""

    def __init__(self) -> None:
        self._centis: list[NDArray[np.int64]] = []
        self._activity: list[NDArray[np.int8]] = []
        self._lost: dict[str, list[NDArray[np.bool_]]] = {position: [] for position in POSITIONS}
        self._saturated = dict.fromkeys(POSITIONS, 0)
        self._heart_rows = 0

    def add(self, chunk: Chunk) -> None:
        """Count `chunk`, which is being written."""
        self._centis.append(chunk.centis)
        self._activity.append(chunk.activity.astype(np.int8))
        self._heart_rows += int(np.count_nonzero(~np.isnan(chunk.heart_rate)))
        for position, block in chunk.blocks.items():
            self._lost[position].append(np.isnan(block[:, 0]))
            self._saturated[position] += int(np.count_nonzero(np.abs(block[:, _ACC6]) == ACC6_LIMIT_M_S2))

    def truth(self, recording: Recording, session: Session) -> Truth:
        """Return the facts of the whole file."""
        centis, activity = np.concatenate(self._centis), np.concatenate(self._activity)
        lost = {position: np.concatenate(parts) for position, parts in self._lost.items()}
        imu = {
            position: {"rows": len(centis), "missing_rows": int(lost[position].sum())}
            for position in POSITIONS
        }
        streams: Truth = {
            f"{position}/{kind}": imu[position]
            for position in POSITIONS
            for kind in ("accelerometer", "gyroscope")
        }
        streams["chest/heart_rate"] = {"rows": self._heart_rows}
        intervals = _intervals(centis, activity)
        jump = next(stretch for stretch in session.stretches if stretch.resumed)
        return subject_truth(recording) | {
            "start_ns": int(centis[0]) * _CENTI_NS,
            "stop_ns": int(centis[-1] + 1) * _CENTI_NS,
            "seconds": float(centis[-1] + 1 - centis[0]) / 100,
            "streams": streams,
            "labels": [item for item in intervals if item["activity"] in ACTIVITY_IDS],
            "breaks": [item for item in intervals if item["activity"] == 0],
            "missing_runs": {position: _runs(lost[position]) for position in POSITIONS},
            "acc6_saturated_values": self._saturated,
            "resumed_at_ns": (session.first_centis + jump.middle_row) * _CENTI_NS,
        }


def subject_truth(recording: Recording) -> Truth:
    """Return what holds of a file whatever its rows."""
    return {
        "dataset": "pamap2",
        "participant_id": f"pamap2/{recording.subject}",
        "files": [recording.uri],
        "left_handed": recording.left_handed,
    }


def _runs(marks: NDArray[np.bool_]) -> list[list[int]]:
    """Runs of True as [first row, number of rows], in order."""
    edges = np.flatnonzero(np.diff(marks.astype(np.int8), prepend=0, append=0))
    return [[int(start), int(stop - start)] for start, stop in edges.reshape(-1, 2)]


def _intervals(centis: NDArray[np.int64], activity: NDArray[np.int8]) -> list[Truth]:
    """Runs of one activity id as half-open intervals of time, in row order."""
    starts = np.flatnonzero(np.diff(activity, prepend=-1))
    stops = np.append(starts[1:], len(activity))
    return [
        {
            "activity": int(activity[start]),
            "text": ACTIVITY_IDS.get(int(activity[start]), ""),
            "start_ns": int(centis[start]) * _CENTI_NS,
            "stop_ns": int(centis[stop - 1] + 1) * _CENTI_NS,
            "rows": int(stop - start),
        }
        for start, stop in zip(starts, stops, strict=True)
    ]
