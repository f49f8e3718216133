"""Write files under one folder and remember them; make zips whose bytes do not depend on the clock."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

__all__ = ["Tree", "member_info", "pack_zip"]

_EPOCH = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
_REGULAR_FILE = 0o100644 << 16


class Tree:
    """A folder being filled. `files` maps each POSIX path relative to `root` to its size in bytes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files: dict[str, int] = {}

    def write(self, uri: str, data: bytes) -> None:
        """Write one whole file."""
        with self.open(uri) as file:
            file.write(data)

    @contextmanager
    def open(self, uri: str) -> Iterator[BinaryIO]:
        """Open a new file to be written by pieces; its size is taken when it closes."""
        path = self.root / uri
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            yield file
        self.files[uri] = path.stat().st_size


def pack_zip(members: Iterable[tuple[str, bytes]]) -> bytes:
    """Return a deflated zip of `(name, data)` members; the same members give the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members:
            archive.writestr(member_info(name), data)
    return buffer.getvalue()


def member_info(name: str) -> zipfile.ZipInfo:
    """Return the header of a deflated member `name` that says the same on any day and any system."""
    info = zipfile.ZipInfo(name, _EPOCH)
    info.create_system = _UNIX
    info.external_attr = _REGULAR_FILE
    info.compress_type = zipfile.ZIP_DEFLATED
    return info
