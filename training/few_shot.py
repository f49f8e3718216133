"""Few-shot curves: how well classes are told apart after a few labelled windows of each, over five trials.

Axes: N windows · C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from sensorloom.training.classification import HeadFacts, Tune
from sensorloom.training.embeddings import EmbeddedSplit
from sensorloom.training.fitting import FitProgress
from sensorloom.training.metrics import Chance
from sensorloom.training.protocols import Bench, Paper, ProtocolName

__all__ = ["SHOTS", "TRIALS", "FewShotCurve", "FewShotPoint", "choose_shots", "few_shot_curves"]

SHOTS = (5, 10, 20, 50, 100, 200, 500)
"""Labelled windows a class: PRIMUS prints no grid but "500 per class" and "<100" [methods §1.7]."""
TRIALS = 5


@dataclass(frozen=True, slots=True)
class FewShotPoint:
    """What so many `shots` a class give: means over trials and the standard errors of these means, None of one trial.

    `train_windows` are those that it learned from, `short` the classes that have fewer than `shots` in the training
    split, of which all were taken. `trials` are the accuracies of each trial.
    """

    shots: int
    accuracy: float
    accuracy_error: float | None
    macro_f1: float
    macro_f1_error: float | None
    train_windows: int
    short: tuple[str, ...]
    trials: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class FewShotCurve:
    """The points of one protocol with one head, and what guessing scores on the same windows."""

    protocol: ProtocolName
    paper: Paper
    view: str
    split: str
    classes: tuple[str, ...]
    head: HeadFacts
    points: tuple[FewShotPoint, ...]
    chance: Chance
    windows: int

    def facts(self) -> dict[str, Any]:
        """Return the curve as plain JSON values."""
        return asdict(self)


def choose_shots(split: EmbeddedSplit, shots: int, trial: int) -> Tensor:
    """Return up to `shots` rows of each class of a split, int64 rising.

    The choice depends on the trial and on the ids of windows alone, not on their order; that of fewer shots lies within
    that of more. Raises ValueError for fewer than one.
    """
    raise NotImplementedError


def few_shot_curves(
    bench: Bench,
    protocol: ProtocolName = "linear-probe",
    *,
    shots: Sequence[int] = SHOTS,
    trials: int = TRIALS,
    tune: Tune | None = None,
    progress: FitProgress | None = None,
) -> tuple[FewShotCurve, ...]:
    """Return the curve of each head of a protocol, by the validation windows as a whole and the same scored windows.

    Trial t takes its own windows and is fitted with seed t. A point whose windows are all that there are is that of the
    point before, as "all if fewer" has it. Raises as `score_protocol`, and RunError for zero-shot, which learns nothing.
    """
    raise NotImplementedError
