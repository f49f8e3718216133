"""What the lock files of a cache tell of its shards: their bytes, their last use, who reads them."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sensorloom.store.locks import FileLock

__all__ = [
    "LOCK_SUFFIX",
    "SIZE_DIGITS",
    "CachedShard",
    "cached_shards",
    "idle_shards",
    "is_folder",
    "size_text",
]

LOCK_SUFFIX = ".lock"
SIZE_DIGITS = 19
# Others lock beside what they lock too (poetry.lock, uv.lock): theirs must never be taken for a shard.
_LOCK_NAME = re.compile(r"[0-9a-f]{64}\.lock")


@dataclass(frozen=True, slots=True)
class CachedShard:
    """What the lock file of one shard tells."""

    lock_file: Path
    num_bytes: int
    used_ns: int
    is_whole: bool

    @classmethod
    def read(cls, lock_file: Path) -> CachedShard:
        """Read a lock file; raise `FileNotFoundError` for one that is gone."""
        text = lock_file.read_bytes()
        num_bytes = int(text) if len(text) == SIZE_DIGITS and text.isdigit() else 0
        is_whole = is_folder(lock_file.with_suffix(""))
        return cls(lock_file, num_bytes, lock_file.stat().st_mtime_ns, is_whole)


def cached_shards(folder: Path) -> Iterator[CachedShard]:
    """Yield the shards that have a lock file in `folder`, in no particular order."""
    with os.scandir(folder) as files:
        names = [file.name for file in files if _LOCK_NAME.fullmatch(file.name)]
    for name in names:
        with contextlib.suppress(FileNotFoundError):
            yield CachedShard.read(folder / name)


def idle_shards(entries: Iterable[CachedShard], num_bytes: int) -> list[CachedShard]:
    """Return the first entries that nobody reads, as many as make up `num_bytes`, or all where these do not."""
    found: list[CachedShard] = []
    for entry in entries:
        if num_bytes <= 0:
            break
        if (lock := FileLock.take_idle(entry.lock_file)) is not None:
            lock.release()
            found.append(entry)
            num_bytes -= entry.num_bytes
    return found


def is_folder(path: Path) -> bool:
    """Tell whether a real folder is there: a link may lead anywhere, and what it leads to is not the cache's."""
    return path.is_dir() and not path.is_symlink()


def size_text(num_bytes: int) -> bytes:
    """Return how a lock file says how many bytes its shard takes."""
    return f"{num_bytes:0{SIZE_DIGITS}d}".encode()
