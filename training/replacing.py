"""Files that are written whole or not at all, be the program killed or the power cut."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["replacing", "sync", "write_whole"]


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a place beside `path` to write to; it moves over `path` at the end, so that nobody ever reads half a file.

    Where the body raises, `path` stays as it was.
    """
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_whole(path: Path, text: str) -> None:
    """Write `text` to `path` as UTF-8 with the ends of its lines as they are, whole or not at all.

    It is on the disk before it gets its name: else a cut of the power could leave the name with nothing in it.
    """
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")
        sync(partial)
    sync(path.parent)


def sync(path: Path) -> None:
    """Make a file's bytes, or a folder's names, survive a cut of the power."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
