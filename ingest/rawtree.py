"""A raw root as users have it: a folder, a zip, zips in folders, zips in zips. Only ever read.

An address (uri) is a POSIX path relative to the root; a member of an archive stands after `!`, as in
`proband4/data/acc_climbingup_csv.zip!acc_climbingup_2_csv.zip!acc_climbingup_2_chest.csv`. When the root
is itself an archive the address starts with `!`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from sensorloom.ingest.archive import LIMITS, Archive, Limits, RawStream
from sensorloom.ingest.errors import ArchiveError, LayoutError, RawFileError
from sensorloom.ingest.take import FileRef

__all__ = ["Listing", "RawTree", "preferred"]

_MAX_FOLDERS = 8
_RESOURCE_FORK_FOLDER = "__MACOSX"


@dataclass(frozen=True, slots=True)
class Listing:
    """What a raw root holds: the `files` asked for and the archives that are `broken`, sorted by address."""

    files: tuple[FileRef, ...]
    broken: tuple[FileRef, ...]


@dataclass(frozen=True, slots=True)
class _Asked:
    """Which addresses a listing is to `keep`, which archives to `expand`, and what it came upon."""

    keep: Callable[[str], bool]
    expand: Callable[[str], bool]
    files: list[FileRef]
    broken: list[FileRef]


def preferred(files: Iterable[FileRef]) -> FileRef:
    """Return which of several copies of a file is read: the one on disk, else the least nested."""
    return min(files, key=lambda file: (file.uri.count("!"), len(file.uri), file.uri))


class RawTree:
    """Reads below `root`, a folder or a zip; raises `LayoutError` where it is neither.

    Archives that `open` went through stay open until the tree is closed.
    """

    def __init__(self, root: Path, limits: Limits = LIMITS) -> None:
        if not root.is_dir() and root.suffix.lower() != ".zip":
            raise LayoutError(
                f"{root}: is neither a folder nor a .zip file; point to the data set as downloaded"
            )
        self._root, self._limits = root, limits
        self._stack = ExitStack()
        self._archives: dict[str, Archive] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._archives.clear()
        self._stack.close()

    def list(self, keep: Callable[[str], bool], expand: Callable[[str], bool]) -> Listing:
        """List the files whose address `keep` accepts, looking into the zips whose address `expand` accepts.

        Sizes are unpacked bytes. A kept name is listed whatever stands there, so that reading it can say what
        is wrong. An archive that cannot be listed is reported as broken; `check_archive` says why.
        """
        asked = _Asked(keep, expand, [], [])
        if self._root.is_dir():
            self._walk(self._root, "", set(), asked)
        else:
            self._expand("", _size(self._root), None, asked)
        return Listing(tuple(sorted(asked.files, key=_uri)), tuple(sorted(asked.broken, key=_uri)))

    def open(self, uri: str) -> RawStream:
        """Open a file or member for reading; raises `RawFileError` or `ArchiveError` naming it."""
        container, _, name = uri.rpartition("!")
        if container or uri.startswith("!"):
            return self._archive(container).open(name)
        return _open_on_disk(self._root / uri, uri)

    def check_archive(self, uri: str) -> None:
        """Raise the `ArchiveError` that kept an archive from being listed; return where it now opens."""
        self._archive(uri)

    def _archive(self, uri: str) -> Archive:
        if uri not in self._archives:
            container, inside, _ = uri.rpartition("!")
            archive = self._open_archive(uri, self._archive(container) if inside else None)
            self._stack.callback(archive.close)
            self._archives[uri] = archive
        return self._archives[uri]

    def _open_archive(self, uri: str, outer: Archive | None) -> Archive:
        where = uri or self._root.name
        if uri.count("!") + 1 > self._limits.depth:
            raise ArchiveError(
                f"{where}: archives are nested deeper than {self._limits.depth}; unpack the outer ones"
            )
        if outer is not None:
            return Archive(outer.open_seekable(uri.rpartition("!")[2]), where, self._limits)
        path = self._root / uri if uri else self._root
        try:
            file = path.open("rb")
        except OSError as error:
            raise RawFileError(f"{where}: cannot be read: {error.strerror}") from error
        return Archive(file, where, self._limits)

    def _walk(self, folder: Path, prefix: str, seen: set[tuple[int, int]], asked: _Asked) -> None:
        for entry in _entries(folder, seen):
            uri = prefix + entry.name
            if asked.keep(uri):
                asked.files.append(FileRef(_plain(uri), _size(folder / entry.name)))
            elif entry.is_dir():
                if prefix.count("/") < _MAX_FOLDERS:
                    self._walk(folder / entry.name, f"{uri}/", seen, asked)
            elif uri.lower().endswith(".zip") and asked.expand(uri):
                self._expand(_plain(uri), _size(folder / entry.name), None, asked)

    def _expand(self, uri: str, num_bytes: int, outer: Archive | None, asked: _Asked) -> None:
        """List an archive and let it go again: a listing holds one chain of archives open at a time."""
        try:
            archive = self._open_archive(uri, outer)
        except RawFileError:
            asked.broken.append(FileRef(uri, num_bytes))
            return
        with closing(archive):
            for name, size in archive.sizes.items():
                member = f"{uri}!{name}"
                if _is_resource_fork(name):
                    continue
                if asked.keep(member):
                    asked.files.append(FileRef(member, size))
                elif name.lower().endswith(".zip") and asked.expand(member):
                    self._expand(member, size, archive, asked)


def _uri(file: FileRef) -> str:
    return file.uri


def _is_resource_fork(name: str) -> bool:
    parts = name.split("/")
    return _RESOURCE_FORK_FOLDER in parts or parts[-1].startswith("._")


def _plain(uri: str) -> str:
    """Return `uri` if it can be an address, else raise `LayoutError`."""
    try:
        uri.encode()
    except UnicodeEncodeError as error:
        raise LayoutError(f"{uri!r}: the name is not UTF-8 text; rename the file or folder") from error
    if "!" in uri:
        raise LayoutError(
            f"{uri}: '!' stands between an archive and its member in addresses; rename the file or folder"
        )
    return uri


def _entries(folder: Path, seen: set[tuple[int, int]]) -> Iterator[os.DirEntry[str]]:
    """Yield the entries of `folder` by name, unless a link led back to a folder already `seen`."""
    try:
        status = folder.stat()
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        raise LayoutError(f"{folder}: cannot be listed: {error.strerror}") from error
    if (status.st_dev, status.st_ino) in seen:
        return
    seen.add((status.st_dev, status.st_ino))
    yield from (entry for entry in entries if not _is_resource_fork(entry.name))


def _size(path: Path) -> int:
    """Return the bytes of a file; 0 where a folder or a dangling link stands in its place."""
    return path.stat().st_size if path.is_file() else 0


def _open_on_disk(path: Path, uri: str) -> RawStream:
    try:
        return RawStream(path.open("rb", buffering=0), uri)
    except OSError as error:
        raise RawFileError(f"{uri}: cannot be read: {error.strerror}") from error
