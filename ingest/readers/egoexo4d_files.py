"""Which of a take's files are on disk, and which of several copies is read.

Any subset of parts may have been downloaded. Nothing of a file is opened here; every path that JSON gives is kept
inside the raw root.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from sensorloom.ingest.inside import uri_inside
from sensorloom.ingest.jsonfile import Node
from sensorloom.ingest.source import FileRef

__all__ = [
    "DiskListing",
    "Listing",
    "Rendition",
    "SourceListing",
    "TakeFiles",
    "TakePaths",
    "find_files",
    "why_no_vrs",
]

_SMALL = "downscaled/448"
_POSE_SPLITS = ("train", "val", "test")
_POSE_SOURCES = ("annotation", "automatic")
_COMMENTARY_NAMES = ("data.json", "transcriptions.json")
_TRAJECTORY = "trajectory/closed_loop_trajectory.csv"


class Listing(Protocol):
    """Tells what there is below the raw root."""

    def has(self, uri: str) -> bool:
        """Tell whether there is a file `uri`."""
        ...

    def below(self, folder: str) -> list[str]:
        """Return the files one folder deeper than `folder`, sorted."""
        ...


@dataclass(frozen=True, slots=True)
class DiskListing:
    """What is on disk now."""

    root: Path

    def has(self, uri: str) -> bool:
        """Tell whether there is a file `uri` on disk."""
        return os.path.isfile(os.path.join(self.root, uri))  # noqa: PTH113, PTH118 - asked ten thousands of times

    def below(self, folder: str) -> list[str]:
        """Return the files one folder deeper than `folder` on disk."""
        found = (self.root / folder).glob("*/*") if (self.root / folder).is_dir() else ()
        return sorted(path.relative_to(self.root).as_posix() for path in found if path.is_file())


@dataclass(frozen=True, slots=True)
class SourceListing:
    """What was there when the take was indexed: reading depends on this alone."""

    uris: frozenset[str]

    @classmethod
    def of(cls, files: Iterable[FileRef]) -> SourceListing:
        """Return the listing of a take's own files."""
        return cls(frozenset(file.uri for file in files))

    def has(self, uri: str) -> bool:
        """Tell whether `uri` was there."""
        return uri in self.uris

    def below(self, folder: str) -> list[str]:
        """Return what was there one folder deeper than `folder`."""
        depth = folder.count("/") + 2
        return sorted(uri for uri in self.uris if uri.startswith(f"{folder}/") and uri.count("/") == depth)


@dataclass(frozen=True, slots=True)
class TakePaths:
    """Where a take's entry says its files are; `folder` is the data set's below the root, `""` or `name/`."""

    folder: str
    take_name: str
    take_uid: str
    root_dir: Node
    capture_name: Node
    aria: str | None
    videos: Mapping[str, Node]
    vrs_paths: Sequence[Node]


@dataclass(frozen=True, slots=True)
class Rendition:
    """A camera's file that is read: `448` (short side in px) or `full`."""

    uri: str
    name: str


@dataclass(frozen=True, slots=True)
class TakeFiles:
    """The files of a take that are there and are read; poses by source, commentary one or two files an expert."""

    videos: dict[str, Rendition]
    vrs: str | None
    timesync: str | None
    poses: dict[str, str]
    commentary: tuple[str, ...]
    trajectory: str | None

    @property
    def is_absent(self) -> bool:
        """Whether nothing of the take itself was downloaded; texts alone are none of it."""
        return not (self.videos or self.vrs or self.poses)

    def uris(self) -> tuple[str, ...]:
        """Return all of them that are read, sorted; the trajectory is not."""
        single = (self.vrs, self.timesync)
        videos = (rendition.uri for rendition in self.videos.values())
        found = (*videos, *(uri for uri in single if uri), *self.poses.values(), *self.commentary)
        return tuple(sorted(found))


def find_files(paths: TakePaths, listing: Listing) -> TakeFiles:
    """Return what `listing` has of a take: small renditions before full ones, a VRS without images before a full one.

    Raises `RawFileError` where a path would lead out of the root.
    """
    take_folder = _take_folder(paths)
    capture = uri_inside(paths.capture_name, f"{paths.folder}captures")
    vrs = (uri for uri in _vrs_candidates(paths, take_folder) if listing.has(uri))
    return TakeFiles(
        videos=dict(_videos(paths, take_folder, listing)),
        vrs=next(vrs, None),
        timesync=_if_there(f"{capture}/timesync.csv", listing),
        poses=dict(_poses(paths, listing)),
        commentary=_commentary(paths, listing),
        trajectory=_if_there(f"{take_folder}/{_TRAJECTORY}", listing),
    )


def _take_folder(paths: TakePaths) -> str:
    """Return the take's folder; older releases give `root_dir` without `takes/`."""
    has_prefix = paths.root_dir.text().removeprefix("./").startswith("takes/")
    return uri_inside(paths.root_dir, paths.folder if has_prefix else f"{paths.folder}takes")


def _videos(paths: TakePaths, take_folder: str, listing: Listing) -> Iterator[tuple[str, Rendition]]:
    for name, relative in paths.videos.items():
        full = uri_inside(relative, take_folder)
        parent, file = PurePosixPath(full).parent, PurePosixPath(full).name
        small = f"{parent.as_posix()}/{_SMALL}/{file}"
        for uri, rendition in ((small, "448"), (full, "full")):
            if listing.has(uri):
                yield name, Rendition(uri, rendition)
                break


def _vrs_candidates(paths: TakePaths, take_folder: str) -> Iterator[str]:
    named = [uri_inside(node, take_folder) for node in paths.vrs_paths]
    usual = [f"{take_folder}/{paths.aria}{suffix}.vrs" for suffix in ("_noimagestreams", "") if paths.aria]
    mine = [uri for uri in named if paths.aria and not _is_anothers(uri, paths.aria)]
    yield from sorted(dict.fromkeys((*mine, *usual)), key=lambda uri: not uri.endswith("_noimagestreams.vrs"))


def _is_anothers(uri: str, aria: str) -> bool:
    """Tell whether a VRS file is named after another Aria than the wearer's: that would be the wrong head."""
    name = PurePosixPath(uri).name
    return name.startswith("aria") and re.match(re.escape(aria) + r"(?![A-Za-z0-9])", name) is None


def why_no_vrs(paths: TakePaths) -> str:
    """Say why a take has no VRS file that could be read."""
    anothers = [
        node.text() for node in paths.vrs_paths if paths.aria and _is_anothers(node.text(), paths.aria)
    ]
    if anothers:
        return f"takes.json names {anothers[0]} for {paths.aria}, another's file, which is not read"
    if paths.aria is None:
        return "no VRS file is read, as no camera is the wearer's Aria"
    return f"no VRS file of {paths.aria} was downloaded (`egoexo --parts take_vrs_noimagestream`)"


def _poses(paths: TakePaths, listing: Listing) -> Iterator[tuple[str, str]]:
    for source in _POSE_SOURCES:
        for split in _POSE_SPLITS:
            uri = f"{paths.folder}annotations/ego_pose/{split}/body/{source}/{paths.take_uid}.json"
            if listing.has(uri):
                yield source, uri
                break


def _commentary(paths: TakePaths, listing: Listing) -> tuple[str, ...]:
    folder = f"{paths.folder}annotations/expert_commentary/{paths.take_name}"
    return tuple(uri for uri in listing.below(folder) if uri.rpartition("/")[2] in _COMMENTARY_NAMES)


def _if_there(uri: str, listing: Listing) -> str | None:
    return uri if listing.has(uri) else None
