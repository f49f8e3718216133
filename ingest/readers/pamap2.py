"""PAMAP2 Physical Activity Monitoring (Reiss & Stricker 2012): three IMUs, a heart-rate belt, 9 participants.

Source: UCI repository 231, CC BY 4.0. `PAMAP2_Dataset/{Protocol,Optional}/subject10N.dat`: text, no header,
54 columns, one row every 10 ms, missing = the literal NaN. Accelerometers in m/s² with gravity, gyroscopes in
rad/s. Known defects: the ±6 g accelerometer saturates and the orientation is invalid by the authors' word, so
neither is read; packets drop per IMU (a block of NaN, the row stays); aborted sessions were joined inside
activity 0 without a trace in the stamps.
"""

from __future__ import annotations

import io
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from sensorloom.ingest.activity_runs import ActivityRun, activity_runs
from sensorloom.ingest.checks import check_take
from sensorloom.ingest.errors import LayoutError, RawFileError
from sensorloom.ingest.rawtree import Listing, RawTree, preferred
from sensorloom.ingest.source import FileRef, TakeSource
from sensorloom.ingest.tabular import Column, Table, TextFormat, read_table
from sensorloom.ingest.take import NS_PER_S, Finding, Interval, LabelInterval, SensorStream, Take

__all__ = ["ACTIVITIES", "SUBJECTS", "Pamap2Reader"]

NOMINAL_RATE_HZ = 100.0
NOMINAL_HEART_RATE_HZ = 9.0
_STEP_NS = round(NS_PER_S / NOMINAL_RATE_HZ)
_NS_PER_US = 1000
_US_PER_S = 1_000_000
_LATEST_S = 9.2e9  # beyond it int64 nanoseconds overflow

# The data set's own words (readme.pdf); 0 is "other", to be discarded, and 8, 14, 15, 21 to 23 never occur.
OTHER = 0
ACTIVITIES: Mapping[int, str] = MappingProxyType(
    {
        1: "lying", 2: "sitting", 3: "standing", 4: "walking", 5: "running", 6: "cycling",
        7: "Nordic walking", 9: "watching TV", 10: "computer work", 11: "car driving", 12: "ascending stairs",
        13: "descending stairs", 16: "vacuum cleaning", 17: "ironing", 18: "folding laundry",
        19: "house cleaning", 20: "playing soccer", 24: "rope jumping",
    }
)  # fmt: skip

# subjectInformation.pdf. The IMUs of the dominant side sit on the left of 108: their axes are mirrored.
_FACTS = (
    "sex",
    "age_years",
    "height_cm",
    "weight_kg",
    "resting_heart_rate_bpm",
    "max_heart_rate_bpm",
    "dominant_hand",
)
SUBJECTS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        subject: dict(zip(_FACTS, facts.split(), strict=True))
        for subject, facts in {
            "101": "male 27 182 83 75 193 right",
            "102": "female 25 169 78 74 195 right",
            "103": "male 31 187 92 68 189 right",
            "104": "male 24 194 95 58 196 right",
            "105": "male 26 180 73 70 194 right",
            "106": "male 26 183 69 60 194 right",
            "107": "male 23 173 86 60 197 right",
            "108": "male 32 179 87 66 188 left",
            "109": "male 31 168 65 54 189 right",
        }.items()
    }
)

_AXES = ("x", "y", "z")
# First column of each 17-column IMU block; within it the ±16 g accelerometer stands at 1, the gyroscope at 7.
_BLOCKS = {"hand": 3, "chest": 20, "ankle": 37}
_SENSORS = {"accelerometer": (1, "m/s²"), "gyroscope": (7, "rad/s")}
_NUM_COLUMNS = 54
_FILE = re.compile(r"subject(\d+)\.dat", re.IGNORECASE)
_PARTS = ("protocol", "optional")


def _layout() -> TextFormat:
    columns = [
        Column(0, "time", "float64"),
        Column(1, "activity", "int64"),
        Column(2, "heart_rate", "float32"),
    ]
    for position, block in _BLOCKS.items():
        for kind, (offset, _) in _SENSORS.items():
            names = _names(position, kind)
            columns += [Column(block + offset + place, name, "float32") for place, name in enumerate(names)]
    return TextFormat(" ", _NUM_COLUMNS, tuple(columns))


def _names(position: str, kind: str) -> tuple[str, ...]:
    return tuple(f"{position}/{kind}/{axis}" for axis in _AXES)


_LAYOUT = _layout()


@dataclass(frozen=True, slots=True)
class Pamap2Reader:
    """Reads PAMAP2 from its folder, its parent, a folder that holds its zip, or the zip, also zip in zip."""

    dataset: str = "pamap2"
    positions: tuple[str, ...] = tuple(_BLOCKS)
    code_version: int = 1

    def index(self, root: Path) -> list[TakeSource]:
        """List one take per `.dat` file, sorted by id; copies of one file make one take.

        An archive that cannot be listed stands as a source of its own, which fails when read. Raises
        `LayoutError` when there is nothing, `ArchiveError` when there is nothing but a broken archive.
        """
        root_name = root.resolve().name
        found = _listing(root, root_name)
        takes: dict[str, list[FileRef]] = defaultdict(list)
        for file in found.files:
            if parsed := _parse_uri(file.uri, root_name):
                takes[f"{self.dataset}/{parsed[0]}/subject{parsed[1]}"].append(file)
        for file in found.broken:
            takes[f"{self.dataset}/{file.uri or root_name}"].append(file)
        return [TakeSource(self.dataset, take_id, tuple(files)) for take_id, files in sorted(takes.items())]

    def absent(self, root: Path) -> tuple[str, ...]:  # noqa: ARG002
        """Return none: the data set has no list of takes beside its files."""
        return ()

    def read(self, root: Path, source: TakeSource) -> Take:
        """Read one take: six IMU streams and heart rate, activity runs, breaks, findings.

        Raises `RawFileError` with file, line and what was expected, `ArchiveError` for an unsafe archive.
        """
        file = preferred(source.files)
        with RawTree(root) as tree:
            if not _FILE.search(file.uri):
                tree.check(file.uri)
                raise RawFileError(f"{file.uri}: could not be listed before and now can; run again")
            with io.BufferedReader(tree.open(file.uri)) as stream:
                table = read_table(stream, _LAYOUT, file.uri)
        return _take(source, file, table)


def _listing(root: Path, root_name: str) -> Listing:
    def is_take(uri: str) -> bool:
        return _parse_uri(uri, root_name) is not None

    def may_hold_takes(uri: str) -> bool:
        return "/" not in uri or "!" in uri or "pamap" in uri.lower()

    with RawTree(root) as tree:
        found = tree.list(is_take, may_hold_takes)
        if found.files:
            return found
        for file in found.broken:
            tree.check(file.uri)
    raise LayoutError(
        f"{root}: no Protocol/subject10N.dat or Optional/subject10N.dat in it, nor in a zip at its top;"
        " point to PAMAP2_Dataset, its parent, or the zip as downloaded"
    )


def _parse_uri(uri: str, root_name: str) -> tuple[str, str] | None:
    """Return (protocol or optional, subject number) of a `.dat` file's address, None for any other file."""
    *folders, name = re.split("[/!]", uri)
    match = _FILE.fullmatch(name)
    if match is None:
        return None
    folder = (folders[-1] if folders and folders[-1] else root_name).lower().removesuffix(".zip")
    return (folder, match[1]) if folder in _PARTS else None


def _take(source: TakeSource, file: FileRef, table: Table) -> Take:
    take_id, subject = source.take_id, source.take_id.rpartition("subject")[2]
    times_ns = _times_ns(table, file.uri)
    runs = activity_runs(times_ns, table.column("activity"), _STEP_NS)
    forward = [run for run in runs if run.start_ns < run.stop_ns]
    take = Take(
        take_id=take_id,
        dataset=source.dataset,
        capture_id=take_id,
        participant_id=f"{source.dataset}/{subject}",
        official_split=None,
        files=source.files,
        streams=tuple(_streams(take_id, times_ns, table)),
        labels=tuple(
            LabelInterval(run.start_ns, run.stop_ns, _text(run)) for run in forward if run.class_id != OTHER
        ),
        breaks=tuple(Interval(run.start_ns, run.stop_ns) for run in forward if run.class_id == OTHER),
        facts=SUBJECTS.get(subject, {}),
        findings=(*_copies(source, file), *_mirrored(take_id, subject), *_activity_findings(take_id, runs)),
    )
    return take.with_findings(*check_take(take))


def _times_ns(table: Table, where: str) -> NDArray[np.int64]:
    """Return the stamps, exact: decimal seconds survive as float64 and are rounded to the microsecond."""
    seconds: NDArray[np.float64] = table.column("time")
    if np.abs(seconds).max() > _LATEST_S:
        row = int(np.argmax(np.abs(seconds)))
        raise RawFileError(
            f"{where}: line {row + 1}: time stamp {seconds[row]:g} s lies beyond {_LATEST_S:g} s"
        )
    return np.rint(seconds * _US_PER_S).astype(np.int64) * np.int64(_NS_PER_US)


def _streams(take_id: str, times_ns: NDArray[np.int64], table: Table) -> Iterator[SensorStream]:
    clock = f"{take_id}/session"
    for position in _BLOCKS:
        for kind in ("accelerometer", "gyroscope"):
            values, unit = table.block(_names(position, kind)), _SENSORS[kind][1]
            device = f"imu-{position}"
            yield SensorStream(kind, position, device, clock, times_ns, values, _AXES, unit, NOMINAL_RATE_HZ)
    beats = table.block(("heart_rate",))
    there = ~np.isnan(beats[:, 0])
    if there.any():
        yield SensorStream(
            "heart_rate",
            "chest",
            "heart-rate-belt",
            clock,
            times_ns[there],
            beats[there],
            ("bpm",),
            "bpm",
            NOMINAL_HEART_RATE_HZ,
        )


def _text(run: ActivityRun) -> str:
    return ACTIVITIES.get(run.class_id, f"activity {run.class_id}")


def _copies(source: TakeSource, file: FileRef) -> Iterator[Finding]:
    if len(source.files) > 1:
        others = ", ".join(other.uri for other in source.files if other != file)
        sentence = f"{file.uri} is read; the same file also lies at {others}"
        yield Finding(source.take_id, "duplicate-file", "note", sentence, {"copies": len(source.files)})


def _mirrored(take_id: str, subject: str) -> Iterator[Finding]:
    if SUBJECTS.get(subject, {}).get("dominant_hand") == "left":
        sentence = f"participant {subject} is left-handed: hand and ankle are mirrored against the others'"
        yield Finding(take_id, "mirrored-axes", "note", sentence)


def _activity_findings(take_id: str, runs: tuple[ActivityRun, ...]) -> Iterator[Finding]:
    other = [run for run in runs if run.class_id == OTHER]
    if other:
        seconds = sum(run.stop_ns - run.start_ns for run in other) / NS_PER_S
        sentence = (
            f"{len(other)} stretches of activity 0 ({seconds:.2f} s) carry no class and may hide a joined"
            " session: nothing may cross them"
        )
        yield Finding(take_id, "activity-0", "note", sentence, {"count": len(other), "total_s": seconds})
    unknown = sorted({run.class_id for run in runs} - {OTHER, *ACTIVITIES})
    if unknown:
        ids = ", ".join(map(str, unknown))
        sentence = f"activity ids {ids} are not in the data set's list; their runs keep the id as name"
        yield Finding(take_id, "unknown-activity", "warning", sentence, {"count": len(unknown)})
    backward = sum(run.stop_ns <= run.start_ns for run in runs)
    if backward:
        sentence = (
            f"{backward} activity runs end no later than they start, as stamps step back; they are left out"
        )
        yield Finding(take_id, "run-without-length", "error", sentence, {"count": backward})
