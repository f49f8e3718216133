"""Where an Ego4D download keeps what: files by video, and each video's own part of the JSON that all share.

The command line tool writes `<out>/ego4d.json` and `<out>/v2/{ego4d.json,imu,full_scale,video_540ss,annotations}`; a
user may point to `<out>`, `<out>/v2` or a folder above. A file is known by the last two parts of its path.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

from sensorloom.ingest.digest import Stamp, stamp
from sensorloom.ingest.errors import LayoutError, RawFileError
from sensorloom.ingest.jsonfile import Node, canonical_json, read_json
from sensorloom.ingest.rawtree import RawTree
from sensorloom.ingest.source import FileRef

__all__ = [
    "IMU",
    "RENDITIONS",
    "Entries",
    "Narrations",
    "Tree",
    "files_to_read",
    "read_entries",
    "read_narrations",
    "read_tree",
]

IMU = "imu"
RENDITIONS = ("video_540ss", "full_scale")
"""Folders of the same videos in different sizes, the one that is read before the others."""

_FOLDERS = {IMU: ".csv", **dict.fromkeys(RENDITIONS, ".mp4")}
_LIST_OF_FILES = "manifest.csv"  # lies in each folder, also among the IMU files
_METADATA = "ego4d.json"
_NARRATIONS = ("narration.json", "narrations.json", "all_narrations_redacted.json")
_VERSIONS = ("v2", "v1")
_VIDEO_UID = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Tree:
    """What lies under a raw root: `videos` maps a uid to its files by folder, several where there are copies."""

    metadata: FileRef
    narrations: FileRef | None
    videos: Mapping[str, Mapping[str, tuple[FileRef, ...]]]
    broken: tuple[FileRef, ...]


@dataclass(frozen=True, slots=True)
class Entries:
    """What `ego4d.json` lists: canonical JSON and JSON path by uid; `problems` are elements that have no sound uid."""

    entries: Mapping[str, tuple[str, str]]
    twice: frozenset[str]
    problems: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Narrations:
    """The narration file as one node, or the `problem` that kept it from being read; neither where there is none."""

    videos: Node | None = None
    problem: str = ""


def read_tree(root: Path) -> Tree:
    """List the files of the data set under `root`. Raises `LayoutError` where there is no `ego4d.json`."""
    with RawTree(root) as tree:
        found = tree.list(lambda uri: _place(uri) is not None, lambda _: False)
    files = [file for file in found.files if not file.uri.startswith("!")]
    metadata = [file for file in files if PurePosixPath(file.uri).name == _METADATA]
    if not metadata:
        raise LayoutError(
            f"{root}: no {_METADATA} in it, beside the folders imu, full_scale or video_540ss or one above;"
            " point to the folder that the download was written to, or to v1 or v2 inside"
        )
    narrations = [file for file in files if PurePosixPath(file.uri).name in _NARRATIONS]
    videos: dict[str, dict[str, list[FileRef]]] = defaultdict(lambda: defaultdict(list))
    for file in sorted(files, key=_rank):
        place = _place(file.uri)
        if place is not None and place[0]:
            videos[place[1]][place[0]].append(file)
    return Tree(
        metadata=min(metadata, key=_rank),
        narrations=min(narrations, key=_rank, default=None),
        videos={
            uid: {folder: tuple(copies) for folder, copies in folders.items()}
            for uid, folders in videos.items()
        },
        broken=found.broken,
    )


def _place(uri: str) -> tuple[str, str] | None:
    """Return folder and video uid of a video's file, two empty strings for shared JSON, None for anything else."""
    path = PurePosixPath(uri)
    folder = path.parent.name
    if path.name == _METADATA or path.name in _NARRATIONS:
        return "", ""
    is_own = path.suffix == _FOLDERS.get(folder) and path.name != _LIST_OF_FILES
    return (folder, path.stem) if is_own else None


def _rank(file: FileRef) -> tuple[int, int, int, str]:
    """Order copies: the later version first, then by the documented name, then what lies less deep."""
    path = PurePosixPath(file.uri)
    version = next((place for place, name in enumerate(_VERSIONS) if name in path.parts), len(_VERSIONS))
    name = _NARRATIONS.index(path.name) if path.name in _NARRATIONS else 0
    return version, name, len(path.parts), file.uri


def read_entries(root: Path, metadata: FileRef) -> Entries:
    """Read what `ego4d.json` lists; parsed once for each state of the file. Raises `RawFileError`."""
    path = root / metadata.uri
    return _read_entries(path, metadata.uri, stamp(path))


@lru_cache(maxsize=1)
def _read_entries(path: Path, uri: str, _: Stamp) -> Entries:
    entries: dict[str, tuple[str, str]] = {}
    problems: dict[str, str] = {}
    twice: set[str] = set()
    for place, node in enumerate(read_json(path, uri).get("videos").items()):
        try:
            uid = node.get("video_uid").text()
            if not _VIDEO_UID.fullmatch(uid):
                node.get("video_uid").fail("letters, digits, - and _")
        except RawFileError as error:
            problems[f"videos[{place}]"] = str(error)
            continue
        entry = canonical_json(node.value), node.where
        if entries.setdefault(uid, entry)[0] != entry[0]:
            twice.add(uid)
    return Entries(entries, frozenset(twice), problems)


def read_narrations(root: Path, file: FileRef | None) -> Narrations:
    """Read the narration file, with or without the wrapper `{"videos": …}`; a problem with it is told, not raised."""
    if file is None:
        return Narrations()
    try:
        node = read_json(root / file.uri, file.uri)
        wrapped = node.optional("videos")
        videos = wrapped if wrapped is not None else node
        _ = next(iter(videos.members()), None)
    except RawFileError as error:
        return Narrations(problem=str(error))
    return Narrations(videos=videos)


def files_to_read(folders: Mapping[str, tuple[FileRef, ...]]) -> Iterator[tuple[str, FileRef]]:
    """Yield folder and file of a video: its IMU, and one rendition."""
    if IMU in folders:
        yield IMU, folders[IMU][0]
    for rendition in RENDITIONS:
        if rendition in folders:
            yield rendition, folders[rendition][0]
            return
