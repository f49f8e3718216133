"""What lies between two snapshots, as plain records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sensorloom.flows.changes import Changes

__all__ = ["NUM_EXAMPLES", "Difference", "Kind", "TakeChange", "ViewDifference", "WindowChanges"]

Kind = Literal["added", "removed", "changed"]
NUM_EXAMPLES = 5
"""At most so many windows of a reason are named."""


@dataclass(frozen=True, slots=True)
class TakeChange:
    """One take that came, went or was made anew, and the reasons, strongest first."""

    take_id: str
    change: Kind
    why: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WindowChanges:
    """Windows of a view with one fate for one reason; `fields` of their rows differ (`tensors`: their arrays)."""

    change: Kind
    why: str
    fields: tuple[str, ...]
    windows: int
    takes: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ViewDifference:
    """One view: the fields of recipe, encoder and split policy that differ, before and after, and its windows."""

    view: str
    change: Kind
    recipe: Changes
    encoder: Changes
    split: Changes
    windows: tuple[WindowChanges, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """Takes in the order of their ids, views in that of their names; what is equal is left out."""

    takes: tuple[TakeChange, ...]
    views: tuple[ViewDifference, ...]
