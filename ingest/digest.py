"""Content digests of raw files, remembered by size and times so that an unchanged tree costs no reading.

A digest is remembered the way version control remembers its index: by path, size, inode and the times of the last
modification and of the last change of any kind (which no program can set back) in nanoseconds. A file modified less
than two seconds before it was read is not remembered, since a second write could hide inside the clock's step.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sensorloom.ingest.errors import CacheError, RawFileError
from sensorloom.ingest.source import FileRef

__all__ = ["DigestCache", "FileDigest", "Stamp", "check_unchanged", "file_digest", "on_disk", "stamp"]

_RACY_NS = 2_000_000_000
Stamp = tuple[int, int, int, int]
"""Size in bytes, modification and change time in ns, inode: together they tell one state of a file."""


@dataclass(frozen=True, slots=True)
class FileDigest:
    """The sha256 of a file, and the stamp the file bore when its bytes were read.

    `settled` is False when the file had been modified less than two seconds before: a later write need not show in
    the stamp.
    """

    sha256: str
    stamp: Stamp
    settled: bool = True


def on_disk(root: Path, files: tuple[FileRef, ...]) -> tuple[Path, ...]:
    """Return the distinct files on disk behind `files`; a member `a.zip!b.csv` lies in `a.zip`."""
    return tuple(root / uri for uri in dict.fromkeys(file.uri.partition("!")[0] for file in files))


def stamp(path: Path) -> Stamp:
    """Return the stamp of a file as it is now. Raises `RawFileError` when there is no such file."""
    try:
        status = path.stat()
    except OSError as error:
        raise RawFileError(f"{path}: cannot be read: {error.strerror}") from error
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def file_digest(path: Path) -> FileDigest:
    """Return the digest of a file, or raise `RawFileError` when it cannot be read or changes meanwhile."""
    before = stamp(path)
    settled = time.time_ns() - before[1] > _RACY_NS
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise RawFileError(f"{path}: cannot be read: {error.strerror}") from error
    digest = FileDigest(sha256, before, settled)
    check_unchanged(path, digest)
    return digest


def check_unchanged(path: Path, digest: FileDigest) -> None:
    """Raise `RawFileError` where the file no longer is what `digest` was taken of."""
    if stamp(path) != digest.stamp:
        raise RawFileError(
            f"{path}: changed while it was being read; run again when the download is complete"
        )


class DigestCache:
    """A small SQLite file of remembered digests. Losing it costs one reading of the raw tree, nothing else."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @classmethod
    def default(cls) -> DigestCache:
        """Open the user's cache: `$XDG_CACHE_HOME/sensorloom/digests.sqlite`."""
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        return cls(home / "sensorloom" / "digests.sqlite")

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self._path, timeout=30.0)) as database, database:
                database.execute(
                    "CREATE TABLE IF NOT EXISTS file_digests (path BLOB PRIMARY KEY, sha256 TEXT,"
                    " size_bytes INTEGER, mtime_ns INTEGER, ctime_ns INTEGER, inode INTEGER)"
                )
                yield database
        except (sqlite3.Error, OSError) as error:
            raise CacheError(
                f"{self._path}: cannot be used ({error}); it only remembers digests of raw files: delete it, or set"
                " XDG_CACHE_HOME to a folder that can be written"
            ) from error

    def find(self, paths: tuple[Path, ...]) -> dict[Path, FileDigest]:
        """Return the digests of those `paths` that are remembered and have not changed since.

        Raises `CacheError` where the cache cannot be opened.
        """
        found: dict[Path, FileDigest] = {}
        with self._open() as database:
            for path in paths:
                query = (
                    "SELECT sha256, size_bytes, mtime_ns, ctime_ns, inode FROM file_digests WHERE path = ?"
                )
                row = database.execute(query, (_key(path),)).fetchone()
                if row is not None and path.exists() and stamp(path) == row[1:]:
                    found[path] = FileDigest(row[0], row[1:])
        return found

    def remember(self, digests: Mapping[Path, FileDigest]) -> None:
        """Keep the settled ones of `digests`. Raises `CacheError` where the cache cannot be written."""
        rows = [
            (_key(path), digest.sha256, *digest.stamp) for path, digest in digests.items() if digest.settled
        ]
        with self._open() as database:
            database.executemany("INSERT OR REPLACE INTO file_digests VALUES (?, ?, ?, ?, ?, ?)", rows)


def _key(path: Path) -> bytes:
    """Return the path as bytes: a file's name need not be text."""
    return os.fsencode(path.resolve())
