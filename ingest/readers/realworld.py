"""REALWORLD (Sztyler & Stuckenschmidt 2016, Mannheim): 15 participants, 8 activities, 7 body positions.

For research use. `probandN/data/{acc,gyr}_<activity>_csv.zip`, one CSV per position: `id,attr_time,attr_x,attr_y,attr_z`, `id` the true
order of samples, `attr_time` epoch milliseconds, m/s² with gravity and rad/s, about 50 Hz. Known defects: stamps stall and
then burst; accelerometer and gyroscope have stamps and row counts of their own; every position is a device with its
own clock; accelerometers clip at ±19.61 m/s²; some recordings come in parts, some zips in zips, and part 1 often has no number.
"""

from __future__ import annotations

import io
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sensorloom.ingest.checks import check_take
from sensorloom.ingest.errors import ArchiveError, LayoutError, RawFileError
from sensorloom.ingest.rawtree import Listing, RawTree, preferred
from sensorloom.ingest.tabular import Column, Table, TextFormat, read_header, read_table
from sensorloom.ingest.take import (
    NS_PER_MS,
    NS_PER_S,
    FileRef,
    Finding,
    LabelInterval,
    SensorStream,
    Take,
    TakeSource,
)

__all__ = ["ACTIVITIES", "POSITIONS", "RawName", "RealworldReader", "parse_name"]

Kind = Literal["accelerometer", "gyroscope"]

NOMINAL_RATE_HZ = 50.0
ACTIVITIES = ("climbingdown", "climbingup", "jumping", "lying", "running", "sitting", "standing", "walking")
POSITIONS = ("chest", "forearm", "head", "shin", "thigh", "upperarm", "waist")
_STEP_NS = round(NS_PER_S / NOMINAL_RATE_HZ)
_LATEST_MS = (2**63 - 1) // NS_PER_MS

# The zips say acc_ and gyr_, the CSVs inside acc_ and Gyroscope_.
_KINDS: dict[str, Kind] = {
    "acc": "accelerometer",
    "accelerometer": "accelerometer",
    "gyr": "gyroscope",
    "gyroscope": "gyroscope",
}
_UNITS: dict[Kind, str] = {"accelerometer": "m/s²", "gyroscope": "rad/s"}
_AXES = ("x", "y", "z")
_CELLS: tuple[tuple[str, Literal["float32", "int64"]], ...] = (
    ("id", "int64"),
    ("attr_time", "int64"),
    ("attr_x", "float32"),
    ("attr_y", "float32"),
    ("attr_z", "float32"),
)
_PREFIX = rf"({'|'.join(_KINDS)})_([a-z]+)(?:_(\d{{1,3}}))?"
_CSV = re.compile(rf"{_PREFIX}_([a-z]+)\.csv", re.IGNORECASE | re.ASCII)
_CONTAINER = re.compile(rf"{_PREFIX}_csv(?:\.zip)?", re.IGNORECASE | re.ASCII)
_SENSOR_ZIP = re.compile(r"[a-z]+_.+_(csv|sqlite)\.zip", re.IGNORECASE)
_PROBAND = re.compile(r"proband(\d{1,4})(?:\.zip)?", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class RawName:
    """What the address of a CSV says; `part` is None where neither the file nor its container carries a number."""

    proband: int
    activity: str
    part: int | None
    position: str
    kind: Kind

    @property
    def capture_id(self) -> str:
        """Id of the recording session, which all parts share."""
        return f"realworld/proband{self.proband}/{self.activity}"


@dataclass(frozen=True, slots=True)
class RealworldReader:
    """Reads REALWORLD from its folder, its parent or its zip, with sensor zips or extracted files wherever they lie."""

    dataset: str = "realworld"
    code_version: int = 1

    def index(self, root: Path) -> list[TakeSource]:
        """List one take per participant, activity and part, sorted by id, opening the directories of zips only.

        An archive that cannot be listed belongs to the takes its name tells, or is a source of its own, and fails them when
        read. Raises `LayoutError` when there is nothing, `ArchiveError` when there is nothing but a broken archive.
        """
        found = _listing(root)
        takes = _group_by_take(found.files, root)
        for file in found.broken:
            capture_id = _capture_of_container(file.uri, root) or f"{self.dataset}/{file.uri or root.name}"
            hit = [take_id for take_id in takes if f"{take_id}/".startswith(f"{capture_id}/")]
            for take_id in hit or [capture_id]:
                takes[take_id].append(file)
        return [TakeSource(self.dataset, take_id, tuple(files)) for take_id, files in sorted(takes.items())]

    def read(self, root: Path, source: TakeSource) -> Take:
        """Read one take: accelerometer and gyroscope of every position, each on its own clock, one label, findings.

        A CSV that cannot be read is an error finding of its stream. Raises `RawFileError` where none can,
        `ArchiveError` where an archive is unsafe or broken.
        """
        copies: dict[RawName, list[FileRef]] = defaultdict(list)
        streams: list[SensorStream] = []
        findings: list[Finding] = []
        with RawTree(root) as tree:
            for file in source.files:
                copies[parse_name(file.uri, root) or _not_listed(tree, file)].append(file)
            for name, files in sorted(copies.items(), key=lambda item: (item[0].position, item[0].kind)):
                try:
                    stream, doubts = _read_stream(tree, preferred(files), name, source.take_id)
                except ArchiveError:
                    raise
                except RawFileError as error:
                    target = f"{source.take_id}#{name.position}/{name.kind}"
                    findings.append(Finding(target, "unreadable_file", "error", str(error)))
                else:
                    streams.append(stream)
                    findings += doubts
        if not streams:
            raise RawFileError(f"{source.take_id}: none of its files can be read; {findings[0].sentence}")
        findings += _layout_findings(source.take_id, copies)
        return _take(source, next(iter(copies)), tuple(streams), tuple(findings))


def parse_name(uri: str, root: Path = Path()) -> RawName | None:
    """Return what the address of a sensor CSV below `root` says, or None for any other file.

    Names are read from both ends: sensor first, position last, activity second, between them an optional part number,
    which may stand in the name of the containing folder or zip instead.
    """
    *folders, name = re.split("[/!]", uri)
    match, proband = _CSV.fullmatch(name), _proband(folders, root)
    if match is None or proband is None:
        return None
    numbers = [
        match[3],
        *(found[3] for folder in reversed(folders) if (found := _CONTAINER.fullmatch(folder))),
    ]
    part = next((int(number) for number in numbers if number is not None), None)
    return RawName(proband, match[2].lower(), part, match[4].lower(), _KINDS[match[1].lower()])


def _proband(folders: list[str], root: Path) -> int | None:
    for folder in (*reversed(folders), root.resolve().name):
        if match := _PROBAND.fullmatch(folder):
            return int(match[1])
    return None


def _capture_of_container(uri: str, root: Path) -> str | None:
    *folders, name = re.split("[/!]", uri)
    match, proband = _CONTAINER.fullmatch(name), _proband(folders, root)
    return None if match is None or proband is None else f"realworld/proband{proband}/{match[2].lower()}"


def _may_hold_takes(uri: str) -> bool:
    """Tell whether a zip is worth opening: any but those of other sensors and of SQLite."""
    name = re.split("[/!]", uri)[-1]
    return _CONTAINER.fullmatch(name) is not None or _SENSOR_ZIP.fullmatch(name) is None


def _listing(root: Path) -> Listing:
    with RawTree(root) as tree:
        found = tree.list(lambda uri: parse_name(uri, root) is not None, _may_hold_takes)
        if found.files:
            return found
        for file in found.broken:
            tree.check_archive(file.uri)
    raise LayoutError(
        f"{root}: no probandN folder with acc_<activity>_<position>.csv or Gyroscope_… in it, zipped or not;"
        " point to realworld2016_dataset, its parent, or the zip as downloaded"
    )


def _group_by_take(files: tuple[FileRef, ...], root: Path) -> dict[str, list[FileRef]]:
    captures: dict[str, list[tuple[RawName, FileRef]]] = defaultdict(list)
    for file in files:
        name = parse_name(file.uri, root)
        if name is not None:
            captures[name.capture_id].append((name, file))
    takes: dict[str, list[FileRef]] = defaultdict(list)
    for capture_id, members in captures.items():
        is_numbered = any(name.part is not None for name, _ in members)
        for name, file in members:
            takes[f"{capture_id}/{name.part or 1}" if is_numbered else capture_id].append(file)
    return takes


def _not_listed(tree: RawTree, file: FileRef) -> RawName:
    tree.check_archive(file.uri)
    raise RawFileError(f"{file.uri}: could not be listed before and now can; run again")


def _read_stream(
    tree: RawTree, file: FileRef, name: RawName, take_id: str
) -> tuple[SensorStream, list[Finding]]:
    with io.BufferedReader(tree.open(file.uri)) as text:
        header = read_header(text, tuple(cell for cell, _ in _CELLS), file.uri)
        columns = tuple(Column(header.index(cell), cell, dtype) for cell, dtype in _CELLS)
        table = read_table(text, TextFormat(",", len(header), columns), file.uri, first_line=2)
    stream = SensorStream(
        kind=name.kind,
        position=name.position,
        device=f"device-{name.position}",
        clock=f"realworld/proband{name.proband}/{name.position}/epoch",
        times_ns=_times_ns(table, file.uri),
        values=table.block(("attr_x", "attr_y", "attr_z")),
        channels=_AXES,
        unit=_UNITS[name.kind],
        nominal_rate_hz=NOMINAL_RATE_HZ,
    )
    return stream, list(_order_findings(table, f"{take_id}#{stream.name}"))


def _times_ns(table: Table, where: str) -> NDArray[np.int64]:
    stamps_ms: NDArray[np.int64] = table.column("attr_time")
    beyond = np.flatnonzero(np.abs(stamps_ms) > _LATEST_MS)
    if len(beyond):
        row = int(beyond[0])
        raise RawFileError(
            f"{where}: line {row + 2}: attr_time {stamps_ms[row]} ms lies beyond {_LATEST_MS} ms since 1970"
        )
    return stamps_ms * NS_PER_MS


def _order_findings(table: Table, target: str) -> Iterator[Finding]:
    jumps = np.flatnonzero(np.diff(table.column("id")) != 1)
    if len(jumps):
        line = int(jumps[0]) + 3
        sentence = (
            f"id, the true order of samples, is not consecutive in {len(jumps)} places, first at line {line}"
        )
        yield Finding(
            target, "id_not_consecutive", "warning", sentence, {"count": len(jumps), "first_line": line}
        )


def _take(
    source: TakeSource, name: RawName, streams: tuple[SensorStream, ...], findings: tuple[Finding, ...]
) -> Take:
    start_ns = min(int(stream.times_ns.min()) for stream in streams)
    stop_ns = max(int(stream.times_ns.max()) for stream in streams) + _STEP_NS
    take = Take(
        take_id=source.take_id,
        dataset=source.dataset,
        capture_id=name.capture_id,
        participant_id=f"{source.dataset}/proband{name.proband}",
        official_split=None,
        files=source.files,
        streams=streams,
        labels=(LabelInterval(start_ns, stop_ns, name.activity),),
        findings=findings,
    )
    return take.with_findings(*check_take(take))


def _layout_findings(take_id: str, copies: dict[RawName, list[FileRef]]) -> Iterator[Finding]:
    """Tell what the set of files says: copies, sensors or positions that are missing, unknown names."""
    twice = [files for files in copies.values() if len(files) > 1]
    if twice:
        used = preferred(twice[0])
        other = next(file for file in twice[0] if file != used)
        sentence = f"{len(twice)} files lie in several places, one copy of each is read: {used.uri}, not {other.uri}, and so on"
        yield Finding(take_id, "duplicate_file", "note", sentence, {"files": len(twice)})
    there = {(name.position, name.kind) for name in copies}
    positions = {position for position, _ in there}
    for position in sorted(positions):
        for kind in _UNITS:
            if (position, kind) not in there:
                sentence = f"no {kind} file at {position}, where the other sensor has one"
                yield Finding(f"{take_id}#{position}/{kind}", "missing_sensor", "warning", sentence)
    missing = sorted(set(POSITIONS) - positions)
    if missing:
        sentence = (
            f"{len(missing)} of the data set's {len(POSITIONS)} positions have no file: {', '.join(missing)}"
        )
        yield Finding(take_id, "missing_position", "warning", sentence, {"count": len(missing)})
    name = next(iter(copies))
    unknown = sorted(positions - set(POSITIONS)) + (
        [name.activity] if name.activity not in ACTIVITIES else []
    )
    if unknown:
        sentence = (
            f"names that are not in the data set's list: {', '.join(unknown)}; they are kept as they are"
        )
        yield Finding(take_id, "unknown_name", "warning", sentence, {"count": len(unknown)})
