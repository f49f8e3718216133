"""What an audit is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["Asked"]


@dataclass(frozen=True, slots=True)
class Asked:
    """Which part of a snapshot is audited, and what is shown of it.

    Only `views` and the data sets in them, or all where none is named; with `raw`, the parent of the data sets'
    folders, three frames of each window that is shown; pages of as many takes as the configuration says, or that of
    `take` alone.
    """

    views: tuple[str, ...] = ()
    raw: Path | None = None
    take: str | None = None
