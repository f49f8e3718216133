"""Content digests of raw files, remembered by size and time so that an unchanged tree costs no reading.

A digest is remembered the way version control remembers its index: by path, size, inode and modification time in
nanoseconds. A file modified within the last two seconds is not remembered, since a second write could
hide inside the clock's step.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from sensorloom.ingest.errors import RawFileError
from sensorloom.ingest.take import FileRef

__all__ = ["DigestCache", "file_digest", "on_disk", "stamp"]

_RACY_NS = 2_000_000_000
_Stamp = tuple[int, int, int]


def on_disk(root: Path, files: tuple[FileRef, ...]) -> tuple[Path, ...]:
    """Return the distinct files on disk behind `files`; a member `a.zip!b.csv` lies in `a.zip`."""
    return tuple(root / uri for uri in dict.fromkeys(file.uri.partition("!")[0] for file in files))


def stamp(path: Path) -> tuple[int, int, int]:
    """Return size in bytes, modification time in ns and inode. Raises `RawFileError` when there is no such file."""
    try:
        status = path.stat()
    except OSError as error:
        raise RawFileError(f"{path}: cannot be read: {error.strerror}") from error
    return status.st_size, status.st_mtime_ns, status.st_ino


def file_digest(path: Path) -> str:
    """Return the sha256 of a file, or raise `RawFileError` when it cannot be read or changes meanwhile."""
    before = stamp(path)
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise RawFileError(f"{path}: cannot be read: {error.strerror}") from error
    if stamp(path) != before:
        raise RawFileError(
            f"{path}: changed while it was being read; run again when the download is complete"
        )
    return digest


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
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self._path, timeout=30.0)) as database, database:
            database.execute(
                "CREATE TABLE IF NOT EXISTS digests"
                " (path TEXT PRIMARY KEY, size INTEGER, mtime_ns INTEGER, inode INTEGER, sha256 TEXT)"
            )
            yield database

    def find(self, paths: tuple[Path, ...]) -> dict[Path, str]:
        """Return the digests of those `paths` that are remembered and have not changed since."""
        found: dict[Path, str] = {}
        with self._open() as database:
            for path in paths:
                query = "SELECT size, mtime_ns, inode, sha256 FROM digests WHERE path = ?"
                row = database.execute(query, (str(path.resolve()),)).fetchone()
                if row is not None and path.exists() and stamp(path) == row[:3]:
                    found[path] = row[3]
        return found

    def remember(self, digests: Mapping[Path, str]) -> None:
        """Keep `digests` for the files as they are now."""
        now = time.time_ns()
        rows: list[tuple[str, int, int, int, str]] = []
        for path, digest in digests.items():
            size, mtime_ns, inode = stamp(path)
            if now - mtime_ns > _RACY_NS:
                rows.append((str(path.resolve()), size, mtime_ns, inode, digest))
        with self._open() as database:
            database.executemany("INSERT OR REPLACE INTO digests VALUES (?, ?, ?, ?, ?)", rows)
