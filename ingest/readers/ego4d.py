"""Ego4D (Grauman et al. 2022): canonical head-camera videos, their IMU at about 200 Hz, narrations by two annotators.

Licensed by signature. `imu/<video_uid>.csv`, `video_540ss/` or `full_scale/<video_uid>.mp4`, `ego4d.json` and
`annotations/narration.json`, v1 or v2. All times are canonical: seconds of the video that components were joined to.
Known defects: see `ego4d_imu`; besides, `accl_z` may be a copy of `accl_y`, and in about half of the videos the IMU is
0.5 to 1 s off the picture (facebookresearch/Ego4d issue 158), which is left for the audit to measure.
"""

from __future__ import annotations

import io
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from sensorloom.ingest.checks import check_take
from sensorloom.ingest.errors import RawFileError
from sensorloom.ingest.jsonfile import Node, canonical_json
from sensorloom.ingest.rawtree import RawTree
from sensorloom.ingest.readers.ego4d_components import (
    component_findings,
    presence_findings,
    seam_findings,
)
from sensorloom.ingest.readers.ego4d_imu import ImuTable, read_imu_table
from sensorloom.ingest.readers.ego4d_imu_copied import mask_copied
from sensorloom.ingest.readers.ego4d_metadata import (
    VideoEntry,
    metadata_findings,
    official_split,
    read_video_entry,
    redacted_findings,
)
from sensorloom.ingest.readers.ego4d_text import read_texts
from sensorloom.ingest.readers.ego4d_tree import (
    IMU,
    RENDITIONS,
    Narrations,
    Tree,
    files_to_read,
    read_entries,
    read_narrations,
    read_tree,
)
from sensorloom.ingest.readers.ego4d_video import ClaimedVideo, VideoRead, read_video
from sensorloom.ingest.source import FileRef, TakeSource
from sensorloom.ingest.take import NS_PER_S, Finding, LabelInterval, Take, TextEvent, counted

__all__ = ["POSITIONS", "Ego4dReader"]

POSITIONS = ("head",)


@dataclass(frozen=True, slots=True)
class Ego4dReader:
    """Reads Ego4D from the folder that its command line tool filled, from `v1` or `v2` inside, or from one above."""

    dataset: str = "ego4d"
    positions: tuple[str, ...] = POSITIONS
    code_version: int = 2

    def index(self, root: Path) -> list[TakeSource]:
        """List one take per video of which an IMU file or a rendition is there, sorted by id.

        A file whose video is not listed, an entry without a sound uid and a folder that cannot be listed are sources
        of their own, and fail when read. Raises `LayoutError` when nothing of the data set is there, `RawFileError`
        when `ego4d.json` cannot be read.
        """
        tree = read_tree(root)
        entries = read_entries(root, tree.metadata)
        narrations = read_narrations(root, tree.narrations)
        sources = []
        for uid, folders in tree.videos.items():
            files = tuple(file for _, file in files_to_read(folders))
            if uid in entries.twice:
                records = _problem(f"{tree.metadata.uri}: lists {uid} twice, with different entries")
            elif uid in entries.entries:
                records = _records(uid, tree, entries.entries[uid], narrations)
            else:
                records = _problem(
                    f"{files[0].uri}: {tree.metadata.uri} does not list this video; download the metadata again, or"
                    " move the file away"
                )
            sources.append(TakeSource(self.dataset, f"{self.dataset}/{uid}", files, records))
        for place, problem in entries.problems.items():
            sources.append(
                TakeSource(self.dataset, f"{self.dataset}/{place}", (tree.metadata,), _problem(problem))
            )
        for folder in tree.broken:
            problem = (
                f"{folder.uri}: this folder could not be listed; give the right to read it, or move it away"
            )
            sources.append(
                TakeSource(self.dataset, f"{self.dataset}/{folder.uri}", (folder,), _problem(problem))
            )
        return sorted(sources, key=lambda source: source.take_id)

    def absent(self, root: Path) -> tuple[str, ...]:
        """List the ids of videos that `ego4d.json` lists and of which no file is under `root`, sorted."""
        tree = read_tree(root)
        listed = read_entries(root, tree.metadata).entries
        return tuple(sorted(f"{self.dataset}/{uid}" for uid in listed if uid not in tree.videos))

    def read(self, root: Path, source: TakeSource) -> Take:
        """Read one video: its IMU, when its frames are shown, its texts, at most one label.

        A file that cannot be read is an error finding where the other can. Raises `RawFileError` where neither can,
        or where the metadata is not as documented.
        """
        records = json.loads(source.records)
        if "problem" in records:
            raise RawFileError(records["problem"])
        entry = read_video_entry(Node(records["video"], f"{records['metadata']}: {source.take_id}"))
        findings: list[Finding] = []
        imu = _read_imu(root, source, entry, findings)
        video = _read_video(root, source, entry, findings)
        if imu is None and video is None:
            problem = next(finding.sentence for finding in findings if finding.severity == "error")
            raise RawFileError(f"{source.take_id}: none of its files can be read; {problem}")
        findings += _doubts(source, entry, imu)
        findings += metadata_findings(entry, source.take_id)
        findings += redacted_findings(entry, video.num_blank if video else None, source.take_id)
        return _take(source, entry, _Parts(imu, video, records), findings)


@dataclass(frozen=True, slots=True)
class _Parts:
    """What was read of one take's files, and its part of the shared ones."""

    imu: ImuTable | None
    video: VideoRead | None
    records: Mapping[str, Any]


def _problem(message: str) -> str:
    return canonical_json({"problem": message})


def _records(uid: str, tree: Tree, entry: tuple[str, str], narrations: Narrations) -> str:
    """Return what the shared JSON says of one video; where its entry cannot be read, what is wrong with it."""
    video, where = entry
    node = Node(json.loads(video), where)
    try:
        read_video_entry(node)
    except RawFileError as error:
        return _problem(str(error))
    copies = [file.uri for files in tree.videos[uid].values() for file in files[1:]]
    told = narrations.videos.optional(uid) if narrations.videos else None
    return canonical_json(
        {
            "metadata": tree.metadata.uri,
            "video": node.value,
            "narrations": told.value if told else None,
            "narrations_where": told.where if told else "",
            "narrations_problem": narrations.problem,
            "copies": copies,
        }
    )


def _find(source: TakeSource, folders: Collection[str]) -> FileRef | None:
    return next((file for file in source.files if PurePosixPath(file.uri).parent.name in folders), None)


def _read_imu(root: Path, source: TakeSource, entry: VideoEntry, findings: list[Finding]) -> ImuTable | None:
    """Read the IMU file; None where there is none, where it cannot be read or where no row of it is usable."""
    file = _find(source, (IMU,))
    if file is None:
        return None
    target = f"{source.take_id}#head"
    try:
        with RawTree(root) as tree, io.BufferedReader(tree.open(file.uri)) as text:
            imu = read_imu_table(text, file.uri, entry.duration_s, target)
    except RawFileError as error:
        findings.append(Finding(target, "unreadable-file", "error", str(error)))
        return None
    findings += imu.findings
    if not len(imu.times_ns):
        sentence = f"{file.uri}: no row has a canonical stamp that makes sense"
        findings.append(Finding(target, "imu-empty", "error", sentence))
        return None
    return imu


def _read_video(
    root: Path, source: TakeSource, entry: VideoEntry, findings: list[Finding]
) -> VideoRead | None:
    file = _find(source, RENDITIONS)
    if file is None:
        return None
    rendition = PurePosixPath(file.uri).parent.name
    claimed = ClaimedVideo(rendition, entry.duration_s, entry.num_frames, entry.is_stereo, entry.redacted)
    try:
        video = read_video(root / file.uri, file.uri, claimed, source.take_id)
    except RawFileError as error:
        findings.append(Finding(f"{source.take_id}#ego", "unreadable-file", "error", str(error)))
        return None
    findings += video.findings
    if not len(video.stream.pts):
        sentence = (
            f"{file.uri}: all {counted(video.num_blank, 'frame')} lie in redacted intervals; none is used"
        )
        findings.append(Finding(f"{source.take_id}#ego", "redacted", "error", sentence))
        return None
    return video


def _doubts(source: TakeSource, entry: VideoEntry, imu: ImuTable | None) -> Iterator[Finding]:
    """Compare what is there with what the metadata promises."""
    folders = {PurePosixPath(file.uri).parent.name for file in source.files}
    yield from presence_findings(source.take_id, entry.has_imu, folders)
    if imu:
        listed_s = {part.index: part.length_s for part in entry.components}
        yield from component_findings(listed_s, imu.components, source.take_id)
        yield from seam_findings(imu.breaks, source.take_id)


def _take(source: TakeSource, entry: VideoEntry, parts: _Parts, findings: list[Finding]) -> Take:
    duration_ns = round(entry.duration_s * NS_PER_S)
    records, video = parts.records, parts.video
    events, text_findings = _texts(source.take_id, records, duration_ns)
    participant = f"unknown-{entry.uid}" if entry.participant is None else str(entry.participant)
    labels = tuple(LabelInterval(0, duration_ns, scenario, "scenario") for scenario in entry.scenarios)
    take = Take(
        take_id=source.take_id,
        dataset=source.dataset,
        capture_id=source.take_id,
        participant_id=f"{source.dataset}/{participant}",
        official_split=official_split(entry),
        files=source.files,
        streams=parts.imu.streams(entry.facts.get("device", "unknown")) if parts.imu else (),
        videos=(video.stream,) if video else (),
        events=events,
        anchors=(video.anchors,) if video else (),
        labels=labels if len(labels) == 1 else (),
        breaks=parts.imu.breaks if parts.imu else (),
        facts=_facts(entry, video),
        findings=(*findings, *_record_findings(source.take_id, records), *text_findings),
    )
    return mask_copied(take.with_findings(*check_take(take)), parts.imu.copied if parts.imu else ())


def _texts(
    take_id: str, records: Mapping[str, Any], duration_ns: int
) -> tuple[tuple[TextEvent, ...], tuple[Finding, ...]]:
    """Read the texts; of a file that cannot be read nobody knows whether it has an entry of the video."""
    if problem := records["narrations_problem"]:
        return (), (Finding(f"{take_id}#text", "unreadable-file", "error", problem),)
    told = records["narrations"]
    node = None if told is None else Node(told, records["narrations_where"])
    return read_texts(node, duration_ns, take_id)


def _facts(entry: VideoEntry, video: VideoRead | None) -> dict[str, str]:
    facts = {**entry.facts, "scenarios": "; ".join(entry.scenarios)}
    if entry.has_imu is not None:
        facts["has_imu"] = str(entry.has_imu).lower()
    if video:
        facts |= {"rendition": video.stream.rendition, "is_stereo": str(entry.is_stereo).lower()}
    if entry.redacted:
        spans = (f"{part.start_ns / NS_PER_S:g} to {part.stop_ns / NS_PER_S:g}" for part in entry.redacted)
        facts["redacted_s"] = ", ".join(spans)
    return facts


def _record_findings(take_id: str, records: Mapping[str, Any]) -> Iterator[Finding]:
    if copies := records["copies"]:
        sentence = (
            f"{counted(len(copies), 'file')} lie in another version's folder too; not read: {copies[0]}"
        )
        yield Finding(take_id, "duplicate-file", "note", sentence, {"files": len(copies)})
