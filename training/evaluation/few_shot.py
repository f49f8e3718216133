"""Few-shot curves: how well classes are told apart after a few labelled windows of each, over five trials.

Axes: N windows · C classes.
"""

from __future__ import annotations

import hashlib
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from sensorloom.training.errors import RunError
from sensorloom.training.evaluation.classification import (
    HeadFacts,
    Tune,
    fit_contender,
    head_facts,
    standard_error,
)
from sensorloom.training.evaluation.embeddings import EmbeddedSplit
from sensorloom.training.evaluation.fitting import FitProgress, Scored
from sensorloom.training.evaluation.labelled import Bench, labelled_rows
from sensorloom.training.evaluation.protocols import Contender, Paper, ProtocolName, contenders, paper_of
from sensorloom.training.metrics import Chance, chance_levels

__all__ = ["SHOTS", "TRIALS", "FewShotCurve", "FewShotPoint", "choose_shots", "few_shot_curves"]

SHOTS = (5, 10, 20, 50, 100, 200, 500)
"""Labelled windows a class: PRIMUS prints no grid but "500 per class" and "<100" [methods §1.7]."""
TRIALS = 5
_NO_PLACE = -1


@dataclass(frozen=True, slots=True)
class FewShotPoint:
    """What so many `shots` a class give: means over trials and the standard errors of these means.

    None of one trial, and where `is_all` tells that every trial took all labels there are: those say nothing of the
    choice of labels. `train_windows` are those that it learned from, `short` the classes that have fewer than `shots`
    in the training split, of which all were taken. `trials` are the accuracies of each trial.
    """

    shots: int
    accuracy: float
    accuracy_error: float | None
    macro_f1: float
    macro_f1_error: float | None
    train_windows: int
    short: tuple[str, ...]
    trials: tuple[float, ...]
    is_all: bool = False

    def words(self) -> str:
        """Return how many labels that is: a number a class, or all, whatever that is in some store."""
        return "all labels" if self.is_all else f"{self.shots} labels a class"


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
    if shots < 1:
        raise ValueError(f"shots must be at least 1 a class, got {shots}")
    return _first(_places(split, trial), shots)


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

    Trial t takes its own windows and is fitted with seed t. Where a class has fewer windows than `shots` all are taken,
    and where that holds of every class the curve ends: more shots are the same windows. Raises as `score_protocol`, and
    RunError for zero-shot, which learns nothing.
    """
    if protocol == "zero-shot":
        raise RunError("zero-shot learns from no window, so it has no few-shot curve; its score is one line")
    if trials < 1 or not shots or min(shots) < 1:
        raise RunError(
            f"a few-shot curve needs shots of at least 1 and one trial at least, got shots {[*shots]} and {trials} "
            "trials"
        )
    places = [_places(bench.labelled.features["train"], trial) for trial in range(trials)]
    return tuple(
        _curve(bench, protocol, _Trials(bench, contender, places, tune, progress), sorted({*shots}))
        for contender in contenders(bench, protocol)
    )


class _Trials:
    """The fits of one contender."""

    def __init__(
        self,
        bench: Bench,
        contender: Contender,
        places: Sequence[Tensor],
        tune: Tune | None,
        progress: FitProgress | None,
    ) -> None:
        self.bench, self.contender, self.places = bench, contender, places
        self.head = head_facts(contender, tune)
        self.tune, self.progress = tune, progress

    def take_all(self, shots: int) -> bool:
        """Return whether no class has more windows than `shots`, so that every trial takes the same."""
        return bool((self.places[0] < shots).all())

    def at(self, shots: int) -> list[Scored]:
        """Return the score of each trial."""
        found: list[Scored] = []
        for trial, place_N in enumerate(self.places):
            chosen = _first(place_N, shots)
            found += fit_contender(self.bench, self.contender, seed=trial, chosen=chosen, tune=self.tune)[:1]
            if self.progress:
                line = f"{self.contender.head}, {shots} shots: {found[-1].accuracy:.1%} right"
                self.progress(line, trial + 1, len(self.places))
        return found


def _curve(bench: Bench, protocol: ProtocolName, trials: _Trials, shots: Sequence[int]) -> FewShotCurve:
    labelled = bench.labelled
    enough = next((count for count in shots if trials.take_all(count)), shots[-1])
    found = {count: trials.at(count) for count in shots if count <= enough}
    confusion = found[shots[0]][0].confusion
    return FewShotCurve(
        protocol=protocol,
        paper=paper_of(bench.config, labelled.view),
        view=labelled.view,
        split=labelled.features["test"].split,
        classes=labelled.classes,
        head=trials.head,
        points=tuple(
            _point(labelled.features["train"], count, trials, scored) for count, scored in found.items()
        ),
        chance=chance_levels(confusion),
        windows=int(confusion.sum()),
    )


def _point(train: EmbeddedSplit, shots: int, trials: _Trials, found: Sequence[Scored]) -> FewShotPoint:
    accuracies, f1s = [each.accuracy for each in found], [each.macro_f1 for each in found]
    chosen, is_all = _first(trials.places[0], shots), trials.take_all(shots)
    taken = torch.bincount(train.label_N[chosen], minlength=len(train.classes)).tolist()
    return FewShotPoint(
        shots=shots,
        accuracy=statistics.fmean(accuracies),
        accuracy_error=None if is_all else standard_error(accuracies),
        macro_f1=statistics.fmean(f1s),
        macro_f1_error=None if is_all else standard_error(f1s),
        train_windows=len(chosen),
        short=tuple(name for name, count in zip(train.classes, taken, strict=True) if count < shots),
        trials=tuple(accuracies),
        is_all=is_all,
    )


def _places(split: EmbeddedSplit, trial: int) -> Tensor:
    """Return the place of each window within its class, int64[N] from 0, in an order of the trial; -1 where none.

    Windows have one by `labelled_rows`: with a label and a sensor.
    """
    keys = [_key(f"{trial}/{window}") for window in split.window_ids]
    order_N = torch.tensor(sorted(range(len(keys)), key=keys.__getitem__), dtype=torch.int64)
    place_N = torch.full_like(order_N, _NO_PLACE)
    order_N = order_N[torch.isin(order_N, labelled_rows(split))]
    for number in range(len(split.classes)):
        of_class = order_N[split.label_N[order_N] == number]
        place_N[of_class] = torch.arange(len(of_class))
    return place_N


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _first(place_N: Tensor, shots: int) -> Tensor:
    return ((place_N > _NO_PLACE) & (place_N < shots)).nonzero()[:, 0]
