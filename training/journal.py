"""The metrics of a run as JSON lines, cut back to the last checkpoint when a run resumes."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sensorloom.training.errors import RunError

__all__ = ["Journal"]


class Journal:
    """Append records to a file; `position` is its length in bytes, to be stored in a checkpoint.

    Opened at a position, it forgets what was written after that, so a killed and resumed run has every step
    once. Raises RunError if the file is shorter than the position: somebody cut or removed it.
    """

    def __init__(self, path: Path, position: int = 0) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab")
        length = self._file.tell()
        if length < position:
            self._file.close()
            raise RunError(
                f"{path} has {length} bytes, the checkpoint to resume from was written after {position}; "
                "the file was cut: start the run anew in another folder"
            )
        self._file.truncate(position)
        self._file.seek(position)

    @property
    def position(self) -> int:
        """Bytes written so far."""
        return self._file.tell()

    def write(self, record: Mapping[str, Any]) -> None:
        """Append one record as a line and hand it to the operating system."""
        self._file.write(json.dumps(record, allow_nan=False).encode() + b"\n")
        self._file.flush()

    def flush(self) -> None:
        """Make what was written survive a power cut, as the checkpoint that counts on it does."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()
