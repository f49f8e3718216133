"""The layout of a stream's records, as the file itself describes it, to a numpy type.

VRS writes a DataLayout as JSON into the tag `DL:<record type>:<version>:<block>`, each piece with its type and byte
offset, and the blocks of a record into `RF:<record type>:<version>`. Pieces of a fixed size lie first.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["IMU_PIECES", "RATE_PIECE", "parse_layout"]

Pieces = Mapping[str, tuple[str, int]]
"""Name of each piece that is needed: its VRS type and number of elements."""

IMU_PIECES: Pieces = {
    "accelerometer_valid": ("DataPieceValue<Bool>", 1),
    "gyroscope_valid": ("DataPieceValue<Bool>", 1),
    "capture_timestamp_ns": ("DataPieceValue<int64_t>", 1),
    "accelerometer": ("DataPieceArray<float>", 3),
    "gyroscope": ("DataPieceArray<float>", 3),
}
RATE_PIECE: Pieces = {"nominal_rate": ("DataPieceValue<double>", 1)}

_ELEMENTS = {"Bool": "u1", "int64_t": "<i8", "float": "<f4", "double": "<f8"}
_LARGEST_BYTES = 1 << 20


def parse_layout(
    tags: Mapping[str, str], record_type: str, version: int, pieces: Pieces
) -> np.dtype[np.void]:
    """Return the type of a record's payload with a field for each of `pieces`, as the tags of its stream say.

    `itemsize` is the payload's fixed size. Raises `ValueError` where the tags lack the record, a piece, or give it
    another type.
    """
    blocks = tags.get(f"RF:{record_type}:{version}")
    text = tags.get(f"DL:{record_type}:{version}:0")
    if blocks is None or text is None:
        raise ValueError(f"the file describes no {record_type} record of version {version}")
    told = re.fullmatch(r"data_layout(?:/size=(\d{1,7}))?", blocks)
    if told is None or (told[1] is None and record_type == "Data"):
        raise ValueError(f"its {record_type} records are {blocks!r}, where data_layout/size=N is read")
    entries = _entries(text)
    fields = [_field(entries, name, *piece) for name, piece in pieces.items()]
    ends = [offset + np.dtype(kind).itemsize for kind, offset in fields]
    size = int(told[1]) if told[1] else max(ends)
    if max(ends) > size or size > _LARGEST_BYTES:
        raise ValueError(f"its {record_type} records have {size} bytes, its pieces reach to byte {max(ends)}")
    kinds, offsets = zip(*fields, strict=True)
    return np.dtype(
        {"names": list(pieces), "formats": list(kinds), "offsets": list(offsets), "itemsize": size}
    )


def _entries(text: str) -> Mapping[str, Any]:
    try:
        return {entry["name"]: entry for entry in json.loads(text)["data_layout"]}
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(f"the description of its layout is broken ({error!r})") from error


def _field(entries: Mapping[str, Any], name: str, kind: str, count: int) -> tuple[str, int]:
    """Return numpy format and byte offset of one piece."""
    entry = entries.get(name)
    if entry is None:
        raise ValueError(f"its layout has no {name}, only {', '.join(map(str, entries))}")
    offset = entry.get("offset")
    if entry.get("type") != kind or entry.get("size", 1) != count:
        raise ValueError(
            f"{name} is {entry.get('type')} of {entry.get('size', 1)} in its layout, {kind} of {count} is read"
        )
    if type(offset) is not int or not 0 <= offset < _LARGEST_BYTES:
        raise ValueError(f"{name} has no place in its layout: offset {offset!r}")
    element = _ELEMENTS[kind.partition("<")[2].rstrip(">")]
    return (f"({count},){element}" if count > 1 else element), offset
