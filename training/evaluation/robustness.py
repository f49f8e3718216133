"""What is left of a run where sensors are missing, and on body positions that a classifier was not fitted on.

Axes: B examples · S sensor slots · C six channels · K two sensors of a slot · T samples · N windows of a split ·
Y classes · D embedding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from sensorloom.training.batch import Batch
from sensorloom.training.errors import RunError
from sensorloom.training.evaluation.embeddings import EmbeddedSplit, embed_split
from sensorloom.training.evaluation.retrieval import RetrievalScores, one_right_scores
from sensorloom.training.metrics import Chance, accuracy, chance_levels, confusion_matrix, macro_f1
from sensorloom.training.models.slots import known_sensors
from sensorloom.training.stream import TripletStream

__all__ = ["Absence", "MissingScores", "PositionScores", "absences", "missing_scores", "position_scores"]

_SENSORS = ("accelerometer", "gyroscope")
_IMU = "imu"


@dataclass(frozen=True, slots=True)
class Absence:
    """Sensors that are made missing, by `change`: a slot ("chest") or a sensor of one ("chest.gyroscope")."""

    name: str
    change: Callable[[Batch], Batch]


@dataclass(frozen=True, slots=True)
class MissingScores:
    """What is left without `absent`, "" for nothing: retrieval with one right, and how near the features stay.

    `agreement` is the mean cosine of a window's feature with that of the whole window, over the `windows` that have a
    sensor left; 0 where none has. Retrieval is among those windows.
    """

    absent: str
    agreement: float
    retrieval: tuple[RetrievalScores, ...]
    windows: int = 0


@dataclass(frozen=True, slots=True)
class PositionScores:
    """Windows told apart by their sensors at one `position` alone, which nothing was fitted on.

    A window is of the class whose mean feature at the other positions, each alone too, is nearest. `seen_*` the same by
    the means of the very position, what there is to be had. Nothing else is trained.
    """

    position: str
    windows: int
    accuracy: float
    macro_f1: float
    seen_accuracy: float
    seen_macro_f1: float
    chance: Chance


def absences(stream: TripletStream) -> tuple[Absence, ...]:
    """Return what can be missing of the stream's windows: each sensor, and each slot where there are several.

    What is missing is masked, and its values are 0.
    """
    found = []
    for slot, name in enumerate(stream.slots):
        for sensor, kind in enumerate(_SENSORS):
            found.append(Absence(f"{name}.{kind}", _without(stream, [(slot, sensor)])))
        if len(stream.slots) > 1:
            found.append(Absence(name, _without(stream, _sensors_of([slot]))))
    return tuple(found)


def missing_scores(
    objective: nn.Module, stream: TripletStream, whole: EmbeddedSplit, device: torch.device
) -> tuple[MissingScores, ...]:
    """Embed the split, which is `whole` with nothing missing, once more for each of its `absences`.

    Raises RunError for a classifier.
    """
    cut = (
        (each.name, embed_split(objective, stream, device, change=each.change)) for each in absences(stream)
    )
    return (_compared("", whole, whole), *(_compared(name, split, whole) for name, split in cut))


def position_scores(
    objective: nn.Module, fit: TripletStream, test: TripletStream, device: torch.device
) -> tuple[PositionScores, ...]:
    """Hold out one body position of a labelled view with several at a time; of each one pass over either split.

    A position is left out if no labelled window of `test` has it, or none of `fit` has it or another. Raises RunError
    for a view without labels or with one position, and for a classifier.
    """
    if len(fit.slots) < 2:
        raise RunError(
            f"view {fit.view!r} has the position {', '.join(fit.slots) or 'of nobody'} alone, so none can be held out "
            "from the others; choose one with several"
        )
    for stream in (fit, test):
        if stream.labels is None:
            raise RunError(
                f"split {stream.split!r} of view {stream.view!r} has no labels to tell positions by"
            )
    classes = len(fit.classes)
    alone = [_labelled(objective, fit, device, slot) for slot in range(len(fit.slots))]
    found = []
    for slot, position in enumerate(fit.slots):
        asked = _labelled(objective, test, device, slot)
        others = _joined(alone[:slot] + alone[slot + 1 :])
        if len(asked[1]) and len(others[1]) and len(alone[slot][1]):
            found.append(_held_out(position, asked, others, alone[slot], classes))
    return tuple(found)


_Labelled = tuple[Tensor, Tensor]
"""Features of labelled windows, float32[N, D], and their labels, int64[N]."""


def _held_out(
    position: str, asked: _Labelled, others: _Labelled, same: _Labelled, classes: int
) -> PositionScores:
    unseen, seen = (
        confusion_matrix(asked[1].numpy(), _nearest_class(asked[0], known, classes).numpy(), classes)
        for known in (others, same)
    )
    return PositionScores(
        position=position,
        windows=len(asked[1]),
        accuracy=accuracy(unseen),
        macro_f1=macro_f1(unseen),
        seen_accuracy=accuracy(seen),
        seen_macro_f1=macro_f1(seen),
        chance=chance_levels(unseen),
    )


def _nearest_class(feature_ND: Tensor, known: _Labelled, classes: int) -> Tensor:
    """Return the class with the nearest mean direction, int64[N], of those that have a window."""
    known_ND, label_N = known
    sum_YD = known_ND.new_zeros(classes, known_ND.shape[1]).index_add(0, label_N, known_ND)
    unknown_Y = label_N.bincount(minlength=classes) == 0
    cosine_NY = (feature_ND @ normalize(sum_YD, dim=1).T).masked_fill(unknown_Y, -torch.inf)
    return cosine_NY.argmax(dim=1)


def _labelled(objective: nn.Module, stream: TripletStream, device: torch.device, slot: int) -> _Labelled:
    """Return the features of the labelled windows of a stream by the sensors of one slot alone."""
    others = [other for other in range(len(stream.slots)) if other != slot]
    split = embed_split(objective, stream, device, change=_without(stream, _sensors_of(others)))
    feature_ND, there_N = split.vectors[_IMU]
    kept_N = there_N & (split.label_N >= 0)
    return feature_ND[kept_N].nan_to_num(), split.label_N[kept_N]


def _joined(parts: Iterable[_Labelled]) -> _Labelled:
    features, labels = zip(*parts, strict=True)
    return torch.cat(features), torch.cat(labels)


def _compared(absent: str, split: EmbeddedSplit, whole: EmbeddedSplit) -> MissingScores:
    (feature_ND, left_N), (whole_ND, there_N) = split.vectors[_IMU], whole.vectors[_IMU]
    both_N = left_N & there_N
    cosine_N = (feature_ND[both_N] * whole_ND[both_N]).sum(dim=1)
    windows = int(both_N.sum())
    agreement = cosine_N.nan_to_num().mean().item() if windows else 0.0
    retrieval = (found for found in one_right_scores(split.vectors) if _IMU in (found.query, found.key))
    return MissingScores(absent, agreement, tuple(retrieval), windows)


def _sensors_of(slots: Iterable[int]) -> list[tuple[int, int]]:
    return [(slot, sensor) for slot in slots for sensor in range(len(_SENSORS))]


def _without(stream: TripletStream, gone: list[tuple[int, int]]) -> Callable[[Batch], Batch]:
    """Return a function that masks these sensors of these slots in a batch, (slot, sensor) each."""
    kept_SK = torch.ones(len(stream.slots), len(_SENSORS), dtype=torch.bool)
    for slot, sensor in gone:
        kept_SK[slot, sensor] = False

    def change(batch: Batch) -> Batch:
        imu_BSCT, present_BSK = batch.imu_BSCT, batch.imu_present_BSK
        if imu_BSCT is None or present_BSK is None:
            raise ValueError(
                f"sensors can only be missing of batches with the column 'imu', this one is {batch!r}"
            )
        kept_BSK = present_BSK & kept_SK.to(present_BSK.device)
        valid_BSKT = batch.imu_valid_BSKT
        return replace(
            batch,
            imu_BSCT=known_sensors(imu_BSCT, kept_BSK),
            imu_present_BSK=kept_BSK,
            imu_valid_BSKT=None if valid_BSKT is None else valid_BSKT & kept_BSK[..., None],
        )

    return change
