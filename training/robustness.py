"""What is left of a run where sensors are missing, and on body positions that a classifier was not fitted on.

Axes: B examples · S sensor slots · C six channels · K two sensors of a slot · T samples · N windows of a split ·
D embedding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from sensorloom.training.batch import Batch
from sensorloom.training.metrics import Chance
from sensorloom.training.retrieval import RetrievalScores
from sensorloom.training.stream import TripletStream

__all__ = ["Absence", "MissingScores", "PositionScores", "absences", "missing_scores", "position_scores"]


@dataclass(frozen=True, slots=True)
class Absence:
    """Sensors that are made missing, by `change`: a slot ("chest") or a sensor of one ("chest.gyroscope")."""

    name: str
    change: Callable[[Batch], Batch]


@dataclass(frozen=True, slots=True)
class MissingScores:
    """What is left without `absent`, "" for nothing: retrieval with one right, and how near the features stay.

    `agreement` is the mean cosine of a window's feature with that of the whole window.
    """

    absent: str
    agreement: float
    retrieval: tuple[RetrievalScores, ...]


@dataclass(frozen=True, slots=True)
class PositionScores:
    """Windows told apart at one `position` alone, by the nearest mean feature of each class at the other positions.

    `seen_*` the same with means of the very position, as what a fit on it would give.
    """

    position: str
    windows: int
    accuracy: float
    macro_f1: float
    seen_accuracy: float
    seen_macro_f1: float
    chance: Chance


def absences(stream: TripletStream) -> tuple[Absence, ...]:
    """Return what can be missing of the stream's windows: each sensor, and each slot where there are several."""
    raise NotImplementedError(stream)


def missing_scores(
    objective: nn.Module, stream: TripletStream, device: torch.device
) -> tuple[MissingScores, ...]:
    """Embed the split whole, and once more for each of its `absences`."""
    raise NotImplementedError(objective, stream, device)


def position_scores(
    objective: nn.Module, fit: TripletStream, test: TripletStream, device: torch.device
) -> tuple[PositionScores, ...]:
    """Hold out one body position of a labelled view with several at a time."""
    raise NotImplementedError(objective, fit, test, device)
