"""The protocol that every data set's reader fulfils, and the hand-written registry of them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from sensorloom.ingest.errors import LayoutError
from sensorloom.ingest.readers.ego4d import Ego4dReader
from sensorloom.ingest.readers.egoexo4d import EgoExo4dReader
from sensorloom.ingest.readers.pamap2 import Pamap2Reader
from sensorloom.ingest.readers.realworld import RealworldReader
from sensorloom.ingest.source import TakeSource
from sensorloom.ingest.take import Take

__all__ = ["READERS", "Reader", "get_reader"]


class Reader(Protocol):
    """Reads one data set as its users download it, and reports what was recorded.

    It may put rows in the order that the data set's own rule gives them, and leave out or mask what a known defect of
    the data set makes unusable; always with a `Finding`. It estimates, filters and fills nothing: that is `align`.
    """

    @property
    def dataset(self) -> str:
        """Name of the data set, also the first part of its take ids."""
        ...

    @property
    def code_version(self) -> int:
        """Raised by its author whenever `read` would return something else for the same bytes."""
        ...

    @property
    def positions(self) -> tuple[str, ...]:
        """Where on the body this data set has sensors."""
        ...

    def index(self, root: Path) -> list[TakeSource]:
        """List the takes under `root`, sorted by id, opening as little as possible.

        Raises `LayoutError` when nothing of the data set is there.
        """
        ...

    def absent(self, root: Path) -> tuple[str, ...]:
        """List the ids of takes that the data set's own metadata lists without a file of theirs under `root`.

        Empty for a data set whose files alone say what there is.
        """
        ...

    def read(self, root: Path, source: TakeSource) -> Take:
        """Read one take. Raises `RawFileError` where its files cannot be read at all."""
        ...


READERS: Mapping[str, Reader] = MappingProxyType(
    {
        "pamap2": Pamap2Reader(),
        "realworld": RealworldReader(),
        "ego4d": Ego4dReader(),
        "egoexo4d": EgoExo4dReader(),
    }
)


def get_reader(dataset: str) -> Reader:
    """Return the reader of `dataset`, or raise `LayoutError` that lists the known ones."""
    if dataset in READERS:
        return READERS[dataset]
    near = difflib.get_close_matches(dataset, READERS, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise LayoutError(f"unknown data set {dataset!r}{hint} Known: {', '.join(sorted(READERS))}.")
