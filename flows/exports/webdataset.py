"""WebDataset: tar files with one sample a window, read in order by https://github.com/webdataset/webdataset."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

from webdataset import TarWriter

from sensorloom.flows.exports.windows import Windows

__all__ = ["TarFile", "sample_key"]


def sample_key(window_id: str) -> str:
    """Return the `__key__` of a window: its id, with what a key cannot hold as in a URL (`unquote` gives it back).

    A sample's key ends at the first dot of the file name; leading and doubled slashes would not survive unpacking.
    """
    parts = (quote(part, safe="@+").replace(".", "%2E") for part in window_id.split("/"))
    key = "/".join(parts)
    return key if all(key.split("/")) else key.replace("/", "%2F")


class TarFile:
    """One tar file; equal windows give equal bytes.

    A sample has `<array>.npy` for every array, `text_vectors.npy` float16[texts, D] in the order of the texts,
    and `json` with the row.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        # PAX headers only where a name is too long for the older kind, so that no window id is refused.
        self._tar = TarWriter(
            self._file, user="sensorloom", group="sensorloom", mtime=0, format="PAX_FORMAT", compress=False
        )

    def write(self, windows: Windows) -> None:
        """Add one sample a window."""
        for place, row in enumerate(windows.rows):
            self._tar.write(_sample(windows, place, row))

    def close(self) -> None:
        """Write the end of the archive."""
        self._tar.close()
        self._file.close()


def _sample(windows: Windows, place: int, row: dict[str, Any]) -> dict[str, Any]:
    sample: dict[str, Any] = {
        "__key__": sample_key(row["window_id"]),
        "json": json.dumps(row, ensure_ascii=False, allow_nan=False).encode(),
    }
    sample |= {f"{name}.npy": array[place] for name, array in windows.arrays.items()}
    if windows.text_vectors is not None and windows.text_offsets is not None:
        first, stop = windows.text_offsets[place : place + 2].tolist()
        sample["text_vectors.npy"] = windows.text_vectors[first:stop]
    return sample
