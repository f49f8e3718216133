"""The boxes that an MP4 file is made of, read from their headers alone: is it whole, and is its index there?

ISO/IEC 14496-12 §4.2: a box is its length in bytes (32 bits; 1: 64 bits follow; 0: to the end of the file), a
type of four characters, and its content. `moov` holds the index of all frames; cameras write it last, so a file
cut in the middle usually has none and nothing of it can be found again.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sensorloom.ingest.errors import RawFileError

__all__ = ["Mp4Layout", "read_layout"]

_HEADER = struct.Struct(">I4s")
_LONG_SIZE = struct.Struct(">Q")
# What a file may open with; anything else is no MP4, whatever it is called.
_FIRST_TYPES = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp"}
_MOST_BOXES = 1_000_000


@dataclass(frozen=True, slots=True)
class Mp4Layout:
    """What the file's own box lengths say of it; `missing_bytes` is how much of its last box is not there."""

    num_bytes: int
    missing_bytes: int


def read_layout(path: Path, uri: str) -> Mp4Layout:
    """Return the layout of an MP4 whose index is whole; `uri` is its name in messages.

    Raises `RawFileError` when the file is absent, empty, not an MP4, or without a whole index.
    """
    try:
        num_bytes = path.stat().st_size
        with path.open("rb") as file:
            boxes = list(_boxes(file, num_bytes, uri))
    except OSError as error:
        raise RawFileError(f"{uri}: cannot be read: {error.strerror or error}") from error
    if not num_bytes:
        raise RawFileError(f"{uri}: is empty; download it again")
    if not boxes or boxes[0][0] not in _FIRST_TYPES:
        raise RawFileError(f"{uri}: is not an MP4: no box of that format at its start; download it again")
    missing_bytes = max(0, boxes[-1][1] - num_bytes)
    if not any(kind == b"moov" and stop <= num_bytes for kind, stop in boxes):
        cut = f"cut {missing_bytes} bytes before its end" if missing_bytes else "incomplete"
        raise RawFileError(
            f"{uri}: has no index of its frames (no whole moov box in {num_bytes} bytes): the file is {cut} and"
            " nothing of it can be read; download it again"
        )
    return Mp4Layout(num_bytes, missing_bytes)


def _boxes(file: BinaryIO, num_bytes: int, uri: str) -> Iterator[tuple[bytes, int]]:
    """Yield type and end of every box at the top of the file; what follows the last sound one is not read."""
    start = 0
    for _ in range(_MOST_BOXES):
        file.seek(start)
        header = file.read(_HEADER.size)
        if len(header) < _HEADER.size:
            return
        size, kind = _HEADER.unpack(header)
        least = _HEADER.size
        if size == 1:
            long_size = file.read(_LONG_SIZE.size)
            if len(long_size) < _LONG_SIZE.size:
                return
            (size,), least = _LONG_SIZE.unpack(long_size), least + _LONG_SIZE.size
        elif size == 0:
            size = num_bytes - start
        if size < least or not kind.strip().isalnum():
            return
        start += size
        yield kind, start
    raise RawFileError(f"{uri}: has more than {_MOST_BOXES} boxes, as no camera writes; it is not read")
