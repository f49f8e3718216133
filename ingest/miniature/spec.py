"""What to generate, and the shape that every generated data set has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sensorloom.ingest.errors import IngestError
from sensorloom.ingest.miniature.tree import Tree

__all__ = [
    "FINDING",
    "MIN_MINUTES",
    "UNREADABLE",
    "MiniatureDataset",
    "Order",
    "SampleError",
    "SampleSpec",
    "Truth",
    "assign_faults",
]

MIN_MINUTES = 0.1

FINDING, UNREADABLE = "finding", "unreadable"
"""Outcomes of a fault: the take is read and a finding tells of it, or the take cannot be read at all."""

Truth = dict[str, Any]
"""JSON-able facts about what was written."""


class SampleError(IngestError):
    """A sample cannot be generated as asked; the message says which option to change."""


@dataclass(frozen=True, slots=True)
class SampleSpec:
    """What a sample holds. `takes` bounds the takes of each data set, `minutes` sets the length of each.

    For PAMAP2 a take is one `.dat` file, for REALWORLD one (proband, activity) recording. Left out, both
    follow the data set's defaults, made to be quick. `faults` are names of `FAULTS`, each planted in one
    take of its own.
    """

    datasets: tuple[str, ...]
    seed: int = 0
    takes: int | None = None
    minutes: float | None = None
    faults: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.datasets:
            raise SampleError("a sample needs at least one data set")
        if self.takes is not None and self.takes < 1:
            raise SampleError(f"takes must be at least 1, got {self.takes}")
        if self.minutes is not None and not self.minutes >= MIN_MINUTES:
            raise SampleError(f"minutes must be at least {MIN_MINUTES}, got {self.minutes}")


@dataclass(frozen=True, slots=True)
class Order:
    """The part of a `SampleSpec` that concerns one data set."""

    seed: int
    takes: int | None
    minutes: float | None
    faults: tuple[str, ...]
    progress: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class MiniatureDataset:
    """A data set that can be generated: `write` fills its folder and returns the truth of each take id."""

    name: str
    faults: Mapping[str, str]
    write: Callable[[Tree, Order], dict[str, Truth]]


def assign_faults(faults: Sequence[str], targets: Sequence[str]) -> dict[str, str]:
    """Give each fault a target of its own, both in order: `{target: fault}`.

    Raises `SampleError` when there are fewer targets than faults.
    """
    if len(faults) > len(targets):
        raise SampleError(
            f"{len(faults)} faults ({', '.join(faults)}) need a take each, but only {len(targets)} can carry "
            f"one; raise takes or ask for fewer faults"
        )
    return dict(zip(targets, faults, strict=False))
