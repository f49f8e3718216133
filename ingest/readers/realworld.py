"""REALWORLD (Sztyler & Stuckenschmidt 2016, Mannheim): 15 participants, 8 activities, 7 body positions.

For research use. `probandN/data/{acc,gyr}_<activity>_csv.zip` with one CSV per position:
`id,attr_time,attr_x,attr_y,attr_z`, `id` the true order of samples, `attr_time` epoch milliseconds, m/s² with
gravity and rad/s, about 50 Hz. Known defects: stamps stall and then burst; accelerometer and gyroscope have
stamps and row counts of their own; every position is a device with its own clock; accelerometers clip at
±19.61 m/s²; some recordings come in parts, some zips in zips, and part 1 often has no number.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sensorloom.ingest.checks import check_take
from sensorloom.ingest.errors import ArchiveError, LayoutError, RawFileError
from sensorloom.ingest.rawtree import Listing, RawTree, preferred
from sensorloom.ingest.readers.realworld_names import (
    Kind,
    RawName,
    capture_of_container,
    may_hold_takes,
    parse_name,
)
from sensorloom.ingest.source import FileRef, TakeSource
from sensorloom.ingest.tabular import Column, Table, TextFormat, read_header, read_table
from sensorloom.ingest.take import NS_PER_MS, NS_PER_S, Finding, LabelInterval, SensorStream, Take

__all__ = ["ACTIVITIES", "POSITIONS", "RealworldReader"]

NOMINAL_RATE_HZ = 50.0
ACTIVITIES = ("climbingdown", "climbingup", "jumping", "lying", "running", "sitting", "standing", "walking")
POSITIONS = ("chest", "forearm", "head", "shin", "thigh", "upperarm", "waist")
_STEP_NS = round(NS_PER_S / NOMINAL_RATE_HZ)
_LATEST_MS = (2**63 - 1) // NS_PER_MS

_Slot = tuple[str, Kind]
_UNITS: dict[Kind, str] = {"accelerometer": "m/s²", "gyroscope": "rad/s"}
_AXES = ("x", "y", "z")
_CELLS: tuple[tuple[str, Literal["float32", "int64"]], ...] = (
    ("id", "int64"),
    ("attr_time", "int64"),
    ("attr_x", "float32"),
    ("attr_y", "float32"),
    ("attr_z", "float32"),
)


@dataclass(frozen=True, slots=True)
class RealworldReader:
    """Reads REALWORLD from its folder, its parent or its zip, with zips or extracted files anywhere in it."""

    dataset: str = "realworld"
    positions: tuple[str, ...] = tuple(POSITIONS)
    code_version: int = 2

    def index(self, root: Path) -> list[TakeSource]:
        """List one take per participant, activity and part, sorted by id; of zips only the directory is read.

        An archive or folder that cannot be listed, and a sensor's zip without a CSV, belongs to the takes its name
        tells, or is a source of its own, and fails them when read. Raises `LayoutError` when there is nothing,
        `ArchiveError` when there is nothing but a broken archive.
        """
        root_name = root.resolve().name
        found = _listing(root, root_name)
        takes = _group_by_take(found.files, root_name)
        empty = [file for file in found.barren if capture_of_container(file.uri, root_name)]
        for file in (*found.broken, *empty):
            capture_id = (
                capture_of_container(file.uri, root_name) or f"{self.dataset}/{file.uri or root_name}"
            )
            hit = [take_id for take_id in takes if f"{take_id}/".startswith(f"{capture_id}/")]
            for take_id in hit or [capture_id]:
                takes[take_id].append(file)
        return [TakeSource(self.dataset, take_id, tuple(files)) for take_id, files in sorted(takes.items())]

    def absent(self, root: Path) -> tuple[str, ...]:  # noqa: ARG002
        """Return none: the data set has no list of takes beside its files."""
        return ()

    def read(self, root: Path, source: TakeSource) -> Take:
        """Read one take: accelerometer and gyroscope of every position, one label, findings.

        A CSV that cannot be read is an error finding of its stream. Raises `RawFileError` where none can,
        `ArchiveError` where an archive is unsafe or broken.
        """
        with RawTree(root) as tree:
            root_name = root.resolve().name
            names = [
                parse_name(file.uri, root_name) or _not_listed(tree, file, root_name) for file in source.files
            ]
            copies: dict[_Slot, list[FileRef]] = defaultdict(list)
            for name, file in zip(names, source.files, strict=True):
                copies[name.position, name.kind].append(file)
            streams, findings = _read_streams(tree, source.take_id, names[0].proband, copies)
        if not streams:
            raise RawFileError(f"{source.take_id}: none of its files can be read; {findings[0].sentence}")
        findings += _copy_findings(source.take_id, copies)
        findings += _slot_findings(source.take_id, set(copies), names[0].activity)
        return _take(source, names[0], tuple(streams), tuple(findings))


def _listing(root: Path, root_name: str) -> Listing:
    with RawTree(root) as tree:
        found = tree.list(lambda uri: parse_name(uri, root_name) is not None, may_hold_takes)
        if found.files:
            return found
        for file in found.broken:
            tree.check(file.uri)
    raise LayoutError(
        f"{root}: no probandN folder with acc_<activity>_<position>.csv or Gyroscope_… in it, zipped or not;"
        " point to realworld2016_dataset, its parent, or the zip as downloaded"
    )


def _group_by_take(files: tuple[FileRef, ...], root_name: str) -> dict[str, list[FileRef]]:
    takes: dict[str, list[FileRef]] = defaultdict(list)
    for file in files:
        name = parse_name(file.uri, root_name)
        if name is not None:
            takes[name.take_id].append(file)
    return takes


def _not_listed(tree: RawTree, file: FileRef, root_name: str) -> RawName:
    inside = tree.list_archive(file.uri, lambda uri: parse_name(uri, root_name) is not None, may_hold_takes)
    if not inside.files:
        raise RawFileError(
            f"{file.uri}: holds no CSV named as a sensor's, acc_<activity>_<position>.csv or Gyroscope_…;"
            " download it again"
        )
    raise RawFileError(f"{file.uri}: could not be listed before and now can; run again")


def _read_streams(
    tree: RawTree, take_id: str, proband: int, copies: Mapping[_Slot, list[FileRef]]
) -> tuple[list[SensorStream], list[Finding]]:
    """Read one file for every slot; one that cannot be read becomes a finding of its stream."""
    streams: list[SensorStream] = []
    findings: list[Finding] = []
    for slot, files in sorted(copies.items()):
        target = f"{take_id}#{slot[0]}/{slot[1]}"
        file = preferred(files)
        try:
            table = _read_csv(tree, file)
            streams.append(_stream(table, file.uri, slot, proband))
        except ArchiveError:
            raise
        except RawFileError as error:
            findings.append(Finding(target, "unreadable-file", "error", str(error)))
        else:
            findings += _order_findings(table, target)
    return streams, findings


def _read_csv(tree: RawTree, file: FileRef) -> Table:
    with io.BufferedReader(tree.open(file.uri)) as text:
        header = read_header(text, tuple(cell for cell, _ in _CELLS), file.uri)
        columns = tuple(Column(header.index(cell), cell, dtype) for cell, dtype in _CELLS)
        return read_table(text, TextFormat(",", len(header), columns), file.uri, first_line=2)


def _stream(table: Table, uri: str, slot: _Slot, proband: int) -> SensorStream:
    position, kind = slot
    return SensorStream(
        kind=kind,
        position=position,
        device=f"device-{position}",
        clock=f"realworld/proband{proband}/{position}/epoch",
        times_ns=_times_ns(table, uri),
        values=table.block(("attr_x", "attr_y", "attr_z")),
        channels=_AXES,
        unit=_UNITS[kind],
        nominal_rate_hz=NOMINAL_RATE_HZ,
    )


def _times_ns(table: Table, where: str) -> NDArray[np.int64]:
    stamps_ms: NDArray[np.int64] = table.column("attr_time")
    # Not by np.abs, which leaves the least int64 negative.
    beyond = np.flatnonzero((stamps_ms > _LATEST_MS) | (stamps_ms < -_LATEST_MS))
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
            target, "id-not-consecutive", "warning", sentence, {"count": len(jumps), "first_line": line}
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


def _copy_findings(take_id: str, copies: Mapping[_Slot, list[FileRef]]) -> Iterator[Finding]:
    twice = [files for files in copies.values() if len(files) > 1]
    if twice:
        used = preferred(twice[0])
        other = next(file for file in twice[0] if file != used)
        example = f"{used.uri}, not {other.uri}"
        sentence = f"{len(twice)} files lie in several places; one copy of each is read: {example}"
        yield Finding(take_id, "duplicate-file", "note", sentence, {"files": len(twice)})


def _slot_findings(take_id: str, slots: set[_Slot], activity: str) -> Iterator[Finding]:
    """Tell what the names say: sensors or positions without a file, words that the data set does not use."""
    positions = {position for position, _ in slots}
    for position in sorted(positions):
        for kind in _UNITS:
            if (position, kind) not in slots:
                sentence = f"no {kind} file at {position}, where the other sensor has one"
                yield Finding(f"{take_id}#{position}/{kind}", "missing-sensor", "warning", sentence)
    missing = sorted(set(POSITIONS) - positions)
    if missing:
        sentence = f"{len(missing)} of the {len(POSITIONS)} positions have no file: {', '.join(missing)}"
        yield Finding(take_id, "missing-position", "warning", sentence, {"count": len(missing)})
    unknown = sorted(positions - set(POSITIONS)) + sorted({activity} - set(ACTIVITIES))
    if unknown:
        sentence = f"not the data set's words, kept as they are: {', '.join(unknown)}"
        yield Finding(take_id, "unknown-name", "warning", sentence, {"count": len(unknown)})
