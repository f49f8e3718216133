"""What a reader's index says of a take: which raw files it is made of, before any of them is read."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

__all__ = ["FileRef", "TakeSource"]


@dataclass(frozen=True, slots=True)
class FileRef:
    """A raw file, by its POSIX path relative to the raw root."""

    uri: str
    num_bytes: int


@dataclass(frozen=True, slots=True)
class TakeSource:
    """What a reader's index says of one take before any of it is read.

    `files` are the take's own. `records` is what files that many takes share say of this one: canonical JSON,
    empty where a data set has none, so that a change to another take's entry does not touch this take.
    """

    dataset: str
    take_id: str
    files: tuple[FileRef, ...]
    records: str = ""

    @property
    def num_bytes(self) -> int:
        """Raw bytes of all its files."""
        return sum(file.num_bytes for file in self.files)

    @property
    def records_sha256(self) -> str:
        """The digest of `records`, which enters the key of the work beside those of the files."""
        return hashlib.sha256(self.records.encode()).hexdigest()
