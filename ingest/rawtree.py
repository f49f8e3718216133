"""A raw root as users have it: a folder, a zip, zips in folders, zips in zips. Only ever read.

An address (uri) is a POSIX path relative to the root; a member of an archive stands after `!`, as in
`proband4/data/acc_climbingup_csv.zip!acc_climbingup_2_csv.zip!acc_climbingup_2_chest.csv`. When the root
is itself an archive the address starts with `!`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from sensorloom.ingest.archive import LIMITS, Archive, Limits, RawStream
from sensorloom.ingest.errors import ArchiveError, LayoutError, RawFileError
from sensorloom.ingest.source import FileRef

__all__ = ["Listing", "RawTree", "preferred"]

_MAX_FOLDERS = 8
_RESOURCE_FORK_FOLDER = "__MACOSX"
_RECOVERY_FOLDER = "lost+found"  # a file system's own, at the top of a disk


@dataclass(frozen=True, slots=True)
class Listing:
    """What a raw root holds, sorted by address: the `files` asked for, and what may hide more of them.

    `broken` are archives and folders that cannot be listed, `barren` archives that can and hold none of the files.
    """

    files: tuple[FileRef, ...]
    broken: tuple[FileRef, ...]
    barren: tuple[FileRef, ...]


@dataclass(frozen=True, slots=True)
class _Asked:
    """Which addresses a listing is to `keep`, which archives to `expand`, and what it came upon."""

    keep: Callable[[str], bool]
    expand: Callable[[str], bool]
    files: list[FileRef] = field(default_factory=list)
    broken: list[FileRef] = field(default_factory=list)
    barren: list[FileRef] = field(default_factory=list)

    def listing(self) -> Listing:
        files, broken, barren = (
            tuple(sorted(found, key=_uri)) for found in (self.files, self.broken, self.barren)
        )
        return Listing(files, broken, barren)


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
        is wrong. An archive or folder that cannot be listed is reported as broken; `check` says why. Raises
        `LayoutError` where the root itself cannot be listed.
        """
        asked = _Asked(keep, expand)
        if self._root.is_dir():
            self._walk("", _entries(self._root), {_identity(self._root)}, asked)
        else:
            self._expand("", _size(self._root), None, asked)
        return asked.listing()

    def list_archive(self, uri: str, keep: Callable[[str], bool], expand: Callable[[str], bool]) -> Listing:
        """List one archive below the root as `list` does; raises what `check` raises."""
        self.check(uri)
        asked = _Asked(keep, expand)
        self._list_members(uri, self._archive(uri), asked)
        return asked.listing()

    def open(self, uri: str) -> RawStream:
        """Open a file or member for reading; raises `RawFileError` or `ArchiveError` naming it."""
        container, _, name = uri.rpartition("!")
        if container or uri.startswith("!"):
            return self._archive(container).open(name)
        return _open_on_disk(self._root / uri, uri)

    def check(self, uri: str) -> None:
        """Raise the error that kept an archive or a folder from being listed; return where an archive now opens."""
        if uri and (self._root / uri).is_dir():
            raise RawFileError(
                f"{uri}: this folder could not be listed; give the right to read it, or move it away"
            )
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

    def _walk(
        self, prefix: str, entries: Iterable[os.DirEntry[str]], seen: set[tuple[int, int]], asked: _Asked
    ) -> None:
        for entry in entries:
            uri = prefix + entry.name
            if asked.keep(uri):
                asked.files.append(FileRef(_plain(uri), _size(self._root / uri)))
            elif _is_folder(entry):
                if prefix.count("/") < _MAX_FOLDERS:
                    self._walk_folder(uri, seen, asked)
            elif uri.lower().endswith(".zip") and asked.expand(uri):
                self._expand(_plain(uri), _size(self._root / uri), None, asked)

    def _walk_folder(self, uri: str, seen: set[tuple[int, int]], asked: _Asked) -> None:
        """List a folder, unless a link led back to one already `seen`; one that cannot be listed is broken."""
        try:
            identity, entries = _identity(self._root / uri), _entries(self._root / uri)
        except LayoutError:
            asked.broken.append(FileRef(_plain(uri), 0))
            return
        if identity not in seen:
            seen.add(identity)
            self._walk(f"{uri}/", entries, seen, asked)

    def _expand(self, uri: str, num_bytes: int, outer: Archive | None, asked: _Asked) -> None:
        """List an archive and let it go again: a listing holds one chain of archives open at a time."""
        try:
            archive = self._open_archive(uri, outer)
        except RawFileError:
            asked.broken.append(FileRef(uri, num_bytes))
            return
        found_before = len(asked.files) + len(asked.broken)
        with closing(archive):
            self._list_members(uri, archive, asked)
        if len(asked.files) + len(asked.broken) == found_before:
            asked.barren.append(FileRef(uri, num_bytes))

    def _list_members(self, uri: str, archive: Archive, asked: _Asked) -> None:
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


def _is_foreign(name: str) -> bool:
    return name == _RECOVERY_FOLDER or _is_resource_fork(name)


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


def _identity(folder: Path) -> tuple[int, int]:
    """Return what tells a folder whatever link led to it; raises `LayoutError` where it cannot be reached."""
    try:
        status = folder.stat()
    except OSError as error:
        raise LayoutError(f"{folder}: cannot be listed: {error.strerror}") from error
    return status.st_dev, status.st_ino


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return the entries of `folder` by name; raises `LayoutError` where it cannot be listed."""
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        raise LayoutError(f"{folder}: cannot be listed: {error.strerror}") from error
    return [entry for entry in entries if not _is_foreign(entry.name)]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Tell whether a folder stands there; a link that leads to itself leads to none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _size(path: Path) -> int:
    """Return the bytes of a file; 0 where a folder, a dangling link or nothing that may be read stands there."""
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:  # whoever reads it is told why
        return 0


def _open_on_disk(path: Path, uri: str) -> RawStream:
    try:
        return RawStream(path.open("rb", buffering=0), uri)
    except OSError as error:
        raise RawFileError(f"{uri}: cannot be read: {error.strerror}") from error
