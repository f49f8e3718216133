"""The words of the VRS container: its headers as numpy types, and bytes taken out of a file in bulk.

The format is that of github.com/facebookresearch/vrs (FileFormat.h, IndexRecord.h): a file header, then records, each
with a header that tells its size. Little-endian, packed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

__all__ = [
    "COMPRESSIONS",
    "CONFIGURATION",
    "DATA",
    "DESCRIPTION_VERSION",
    "FILE_HEADER",
    "FILE_MAGIC",
    "INDEX_VERSION",
    "RECORD_FORMAT",
    "RECORD_HEADER",
    "RECORD_INFO",
    "STATE",
    "Bytes",
    "decompress",
    "gather",
    "read_record_header",
]

Bytes = NDArray[np.uint8]

FILE_MAGIC = (b"VisionRe", b"cord")
FILE_HEADER = np.dtype(
    [
        ("magic", "S8"),
        ("creation_id", "<u8"),
        ("file_header_bytes", "<u4"),
        ("record_header_bytes", "<u4"),
        ("index_offset", "<i8"),
        ("description_offset", "<i8"),
        ("first_record_offset", "<i8"),
        ("reserved", "<u8", (3,)),
        ("magic_end", "S4"),
        ("format_version", "S4"),
    ]
)
RECORD_HEADER = np.dtype(
    [
        ("num_bytes", "<u4"),
        ("previous_bytes", "<u4"),
        ("type_id", "<i4"),
        ("format_version", "<u4"),
        ("timestamp_s", "<f8"),
        ("instance_id", "<u2"),
        ("record_type", "u1"),
        ("compression", "u1"),
        ("uncompressed_bytes", "<u4"),
    ]
)
"""`num_bytes` counts the header too."""
RECORD_INFO = np.dtype(
    [
        ("timestamp_s", "<f8"),
        ("num_bytes", "<u4"),
        ("record_type", "u1"),
        ("type_id", "<i4"),
        ("instance_id", "<u2"),
    ]
)
"""One entry of the index; a record's place is the sum of the sizes before it."""
RECORD_FORMAT = np.dtype([("version", "<u4"), ("compression", "<u4")])
"""Of a record's header, what tells how to read its content."""

STATE, CONFIGURATION, DATA = 1, 2, 3
COMPRESSIONS: Mapping[int, str] = {1: "lz4", 2: "zstd"}
INDEX_VERSION, DESCRIPTION_VERSION = 2, 2


def read_record_header(data: Bytes, offset: int, header_bytes: int) -> Any | None:
    """Return the `RECORD_HEADER` at `offset`, None where the file does not hold the whole record."""
    if not 0 < offset <= len(data) - header_bytes:
        return None
    header = data[offset : offset + RECORD_HEADER.itemsize].view(RECORD_HEADER)[0]
    fits = header_bytes <= int(header["num_bytes"]) <= len(data) - offset
    return header if fits else None


def gather(data: Bytes, offsets: NDArray[np.int64], num_bytes: int) -> NDArray[np.void]:
    """Copy `num_bytes` from each of `offsets` int64[N] of `data` uint8[L]: void[N], one item each."""
    # Items that begin at every byte and overlap: to index them is one memory copy an item.
    items = np.ndarray((len(data) - num_bytes + 1,), f"V{num_bytes}", data, strides=(1,))
    copied: NDArray[np.void] = items[offsets]
    return copied


def decompress(payload: bytes, compression: int, most_bytes: int) -> bytes:
    """Return the first `most_bytes` of a compressed payload, or all; raises `ValueError` where it is broken."""
    if compression not in COMPRESSIONS:
        raise ValueError(f"compression {compression} is unknown")
    try:
        with pa.input_stream(pa.BufferReader(payload), compression=COMPRESSIONS[compression]) as stream:
            return bytes(stream.read(most_bytes))
    except OSError as error:
        raise ValueError(str(error)) from error
