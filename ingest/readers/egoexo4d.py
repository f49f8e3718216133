"""Ego-Exo4D v2 (Grauman et al. 2024): skilled activities seen by the wearer's Aria glasses and by fixed GoPros.

Licensed by signature. The tree that `egoexo -o <out>` leaves, any subset of its parts: JSON about takes, captures,
participants and annotations, frame-aligned MP4s, the Aria's VRS file, `timesync.csv`. Take time 0 is frame 0 of the
frame-aligned videos. Known traps, each told where it is read: the ego camera is not always aria01 (`egoexo4d_entry`),
sources disagree by one on the take's rows (`egoexo4d_timesync_rows`), a few takes are misaligned by whole frames (Ego4d
issue 347; left for the audit to measure), commentary looks back (`egoexo4d_text`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sensorloom.ingest.checks import check_take
from sensorloom.ingest.errors import RawFileError
from sensorloom.ingest.frames import frame_times_ns
from sensorloom.ingest.jsonfile import Node
from sensorloom.ingest.readers.egoexo4d_entry import TakeEntry, identify, parse_entry
from sensorloom.ingest.readers.egoexo4d_facts import official_split, record_facts, record_findings
from sensorloom.ingest.readers.egoexo4d_files import (
    DiskListing,
    SourceListing,
    TakeFiles,
    TakePaths,
    find_files,
    why_no_vrs,
)
from sensorloom.ingest.readers.egoexo4d_imu import (
    POSITIONS,
    Imus,
    assumed_anchors,
    coverage_findings,
    device_clock,
    read_imus,
)
from sensorloom.ingest.readers.egoexo4d_index import (
    TakeRecords,
    find_folder,
    parse_records,
    problem_record,
    read_shared,
)
from sensorloom.ingest.readers.egoexo4d_labels import read_keysteps, whole_take_labels
from sensorloom.ingest.readers.egoexo4d_listing import list_takes
from sensorloom.ingest.readers.egoexo4d_pose import read_poses
from sensorloom.ingest.readers.egoexo4d_text import Texts, read_folders, read_lists
from sensorloom.ingest.readers.egoexo4d_timesync import TakeClock, read_take_clock
from sensorloom.ingest.readers.egoexo4d_video import CameraFile, Videos, read_videos
from sensorloom.ingest.source import FileRef, TakeSource
from sensorloom.ingest.take import NS_PER_S, ClockAnchors, Finding, LabelInterval, Take

__all__ = ["EgoExo4dReader"]


@dataclass(frozen=True, slots=True)
class EgoExo4dReader:
    """Reads Ego-Exo4D from the folder given to `egoexo -o`, or from its parent."""

    dataset: str = "egoexo4d"
    positions: tuple[str, ...] = POSITIONS
    code_version: int = 2

    def index(self, root: Path) -> list[TakeSource]:
        """List one take per entry of `takes.json` of which a video, a VRS file or a body pose is there, sorted by id.

        An entry that is not as documented, whose paths would leave the root, or without a name of its own, is a source
        that fails when read. Raises `LayoutError` when there is no `takes.json`, `RawFileError` when it cannot be read.
        """
        folder = find_folder(root)
        shared, listed = read_shared(root, folder), list_takes(root, folder, identify)
        sources = []
        for name, entry in listed.entries.items():
            files = _files_on_disk(root, folder, entry)
            if files is None or not files.is_absent:
                records = shared.of_take(entry, listed.uri, bool(files and files.trajectory))
                sources.append(self._source(root, name, files.uris() if files else (), records))
        for place, problem in listed.problems.items():
            sources.append(self._source(root, place, (listed.uri,), problem_record(problem)))
        return sorted(sources, key=lambda source: source.take_id)

    def _source(self, root: Path, name: str, uris: tuple[str, ...], records: str) -> TakeSource:
        files = tuple(FileRef(uri, (root / uri).stat().st_size) for uri in uris)
        return TakeSource(self.dataset, f"{self.dataset}/{name}", files, records)

    def absent(self, root: Path) -> tuple[str, ...]:
        """List the ids of takes that `takes.json` lists and of which nothing is under `root`; reads no other JSON."""
        folder = find_folder(root)
        listed = list_takes(root, folder, identify).entries
        files = {name: _files_on_disk(root, folder, entry) for name, entry in listed.items()}
        return tuple(
            sorted(f"{self.dataset}/{name}" for name, found in files.items() if found and found.is_absent)
        )

    def read(self, root: Path, source: TakeSource) -> Take:
        """Read one take: videos, IMUs, poses, texts, labels, and how their clocks become take time.

        A file that cannot be read is an error finding where another can. Raises `RawFileError` where none can, where
        the take's entry is not as documented, and where one of its paths would leave the root.
        """
        records = parse_records(source.records)
        entry = parse_entry(records.entry, source.take_id)
        files = find_files(_paths(records.folder, entry), SourceListing.of(source.files))
        return _TakeReading(root, source, records, entry, files).read()


@dataclass(frozen=True, slots=True)
class _TakeReading:
    """One take while it is read."""

    root: Path
    source: TakeSource
    records: TakeRecords
    entry: TakeEntry
    files: TakeFiles

    @property
    def take_id(self) -> str:
        return self.source.take_id

    def read(self) -> Take:
        videos = read_videos(self.root, self._camera_files(), self.take_id)
        clock = self._clock(videos)
        imus = self._imus()
        mocap, mocap_findings = read_poses(
            self.root, self.files.poses, clock.num_frames, f"{self.take_id}#mocap"
        )
        if not (videos.streams or imus.streams or mocap):
            first = next(iter((*videos.findings, *imus.findings, *mocap_findings)))
            raise RawFileError(f"{self.take_id}: none of its files can be read; {first.sentence}")
        take_ns = self._take_ns(clock)
        texts = self._texts(take_ns)
        labels, label_findings = self._labels(take_ns)
        anchors, clock_findings = self._device_anchors(clock, imus, take_ns)
        findings = (
            *self.entry.findings,
            *record_findings(self.records.nodes, self.records.errors, self.take_id),
            *self._doubt_findings(),
            *videos.findings,
            *clock.findings,
            *imus.findings,
            *clock_findings,
            *mocap_findings,
            *texts.findings(f"{self.take_id}#text"),
            *label_findings,
            *self._absence_findings(),
        )
        take = Take(
            take_id=self.take_id,
            dataset=self.source.dataset,
            capture_id=f"{self.source.dataset}/{self.entry.capture_name.text()}",
            participant_id=f"{self.source.dataset}/{self.entry.participant or f'unknown-{self.entry.take_name}'}",
            official_split=official_split(self.records.nodes),
            files=self.source.files,
            streams=imus.streams,
            videos=videos.streams,
            mocap=mocap,
            events=tuple(texts.events),
            anchors=(*videos.anchors, *anchors),
            labels=labels,
            facts=self._facts(imus),
            findings=findings,
        )
        told = {(finding.target, finding.rule) for finding in findings}
        checked = (doubt for doubt in check_take(take) if (doubt.target, doubt.rule) not in told)
        return take.with_findings(*checked)

    def _camera_files(self) -> list[CameraFile]:
        found = self.files.videos
        return [
            CameraFile(camera.name, camera.view, found[camera.name].uri, found[camera.name].name)
            for camera in self.entry.cameras
            if camera.name in found
        ]

    def _clock(self, videos: Videos) -> TakeClock:
        uri = self.files.timesync
        file = None if uri is None else (self.root / uri, uri)
        told = (videos.frame_counts, videos.streams)
        return read_take_clock(file, self.entry.row_range, self.entry.aria, told, self.take_id)

    def _imus(self) -> Imus:
        if self.files.vrs is None or self.entry.aria is None:
            return Imus((), None, ())
        return read_imus(self.root, self.files.vrs, self.entry.aria, self.take_id)

    def _take_ns(self, clock: TakeClock) -> int | None:
        """Return the take's length: of its frames, else as the metadata says."""
        if clock.num_frames is not None:
            return int(frame_times_ns(np.array([clock.num_frames], np.int64))[0])
        return None if self.entry.duration_s is None else round(self.entry.duration_s * NS_PER_S)

    def _texts(self, take_ns: int | None) -> Texts:
        texts = Texts(take_ns)
        of_kind = self.records.of_kind
        read_lists(of_kind("atomic_descriptions"), of_kind("expert_commentary"), texts)
        read_folders(self.root, self.files.commentary, self.entry.facts.get("task_name"), texts)
        return texts

    def _labels(self, take_ns: int | None) -> tuple[tuple[LabelInterval, ...], list[Finding]]:
        steps, findings = read_keysteps(self.records.of_kind("keystep"), take_ns, self.take_id)
        task = self.entry.facts.get("parent_task_name")
        whole = () if take_ns is None else whole_take_labels(take_ns, self.entry.take_name, task)
        return (*whole, *steps), findings

    def _device_anchors(
        self, clock: TakeClock, imus: Imus, take_ns: int | None
    ) -> tuple[tuple[ClockAnchors, ...], list[Finding]]:
        """Return what carries the Aria's clock to the take's, and how much of the take the IMU does not cover."""
        aria = self.entry.aria
        if aria is None or imus.span_ns is None:
            return (), []
        if len(clock.device_ns):
            rule = "timesync.csv: the row of frame i is take time i/30 s"
            anchors = ClockAnchors(device_clock(aria), "take", clock.device_ns, clock.take_ns, rule)
            findings: list[Finding] = []
        else:
            anchors, finding = assumed_anchors(imus.span_ns[0], aria, clock.problem, self.take_id)
            findings = [finding]
        if take_ns is not None:
            start_ns = int(anchors.source_ns[0] - anchors.target_ns[0])
            findings += coverage_findings(imus.span_ns, (start_ns, start_ns + take_ns), self.take_id)
        return (anchors,), findings

    def _doubt_findings(self) -> Iterator[Finding]:
        for doubt in sorted(self.records.doubts):
            yield Finding(self.take_id, "metadata-malformed", "warning", doubt)

    def _absence_findings(self) -> Iterator[Finding]:
        """Tell what the metadata does not say or the download does not hold."""
        if self.entry.participant is None:
            sentence = "takes.json names no participant; the take counts as one of its own"
            yield Finding(self.take_id, "participant-unknown", "note", sentence)
        if self.records.absent:
            sentence = (
                f"not downloaded: annotations {', '.join(self.records.absent)} (`egoexo --parts annotations`)"
            )
            yield Finding(self.take_id, "annotations-absent", "note", sentence)
        if self.files.vrs is None:
            sentence = f"{why_no_vrs(_paths(self.records.folder, self.entry))}; the take has no IMU"
            yield Finding(f"{self.take_id}#head", "imu-absent", "note", sentence)
        names = [camera.name for camera in self.entry.cameras if camera.name not in self.files.videos]
        if names:
            sentence = f"no video was downloaded of {', '.join(names)}"
            yield Finding(self.take_id, "video-absent", "note", sentence, {"count": len(names)})

    def _facts(self, imus: Imus) -> dict[str, str]:
        renditions = sorted({rendition.name for rendition in self.files.videos.values()})
        facts = {**self.entry.facts, **record_facts(self.records.nodes)}
        facts |= {"capture_name": self.entry.capture_name.text()}
        facts |= {"trajectory": str(self.records.has_trajectory).lower()}
        if self.entry.aria:
            facts["ego_camera"] = self.entry.aria
        if renditions:
            facts["rendition"] = "+".join(renditions)
        if imus.is_calibrated is not None:
            facts["imu_calibrated"] = str(imus.is_calibrated).lower()
        return facts


def _paths(folder: str, entry: TakeEntry) -> TakePaths:
    return TakePaths(
        folder=folder,
        take_name=entry.take_name,
        take_uid=entry.take_uid,
        root_dir=entry.root_dir,
        capture_name=entry.capture_name,
        aria=entry.aria,
        videos={camera.name: camera.relative_path for camera in entry.cameras},
        vrs_paths=entry.vrs_paths,
    )


def _files_on_disk(root: Path, folder: str, node: Node) -> TakeFiles | None:
    """Return a take's files; None where its entry or a path of it is refused, of which reading it tells."""
    try:
        return find_files(_paths(folder, parse_entry(node, "")), DiskListing(root))
    except RawFileError:
        return None
