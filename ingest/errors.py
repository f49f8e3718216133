"""What can go wrong with raw data.

SensorloomError
└── IngestError          a person must look at the raw files
    ├── LayoutError      the raw tree is not what the data set ships: fix `--raw` or the download
    ├── RawFileError     one file cannot be read; its take fails, the others go on
    ├── ArchiveError     an archive is unsafe or broken (path escape, bomb, truncated member)
    └── CacheError       the remembered digests cannot be used: fix the cache folder
"""

from __future__ import annotations

from sensorloom import SensorloomError

__all__ = ["ArchiveError", "CacheError", "IngestError", "LayoutError", "RawFileError"]


class IngestError(SensorloomError):
    """Raw data cannot be read as it stands."""


class LayoutError(IngestError):
    """The raw tree lacks what every download of this data set has."""


class RawFileError(IngestError):
    """A raw file is empty, cut, malformed or unreadable; the message names file and place."""


class ArchiveError(RawFileError):
    """An archive would escape its folder, unpacks beyond its bound, or is broken."""


class CacheError(IngestError):
    """The cache of digests cannot be opened or written."""
