"""A labelled view as a pretrained run sees it: its windows, what the run makes of them, and who is judged on them.

Axes: B windows of a batch · N windows · D width of the features.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from sensorloom.training.batch import Batch
from sensorloom.training.configs import RunConfig
from sensorloom.training.errors import RunError
from sensorloom.training.evaluation.class_texts import SayClasses
from sensorloom.training.evaluation.embeddings import EmbeddedSplit, embed_split
from sensorloom.training.evaluation.fitting import Examples, FeatureRows
from sensorloom.training.loaded import LoadedRun, open_split
from sensorloom.training.objective import features
from sensorloom.training.stream import TripletStream

__all__ = ["Bench", "LabelledView", "labelled_rows", "open_labelled", "without_sensors"]

_CPU = torch.device("cpu")
_ROLES = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class LabelledView:
    """A view with classes as a run sees it: by role (train, val, test) its windows, and the features of them.

    `features` and `streams` have the windows of a split in the same order, that of storage.
    """

    view: str
    classes: tuple[str, ...]
    features: Mapping[str, EmbeddedSplit]
    streams: Mapping[str, TripletStream]


@dataclass(frozen=True, slots=True)
class Bench:
    """Who is judged, on what: a run, a labelled view, how its classes are said, and where it is computed.

    `say` is None where no encoder of texts is at hand.
    """

    loaded: LoadedRun
    labelled: LabelledView
    say: SayClasses | None = None
    device: torch.device = _CPU

    @property
    def config(self) -> RunConfig:
        """The configuration of the run."""
        return self.loaded.record.config

    @property
    def width(self) -> int:
        """Width D of the features."""
        return self.labelled.features["test"].vectors["imu"][0].shape[1]

    def examples(self, role: str, *, whole: bool, chosen: Tensor | None = None) -> Examples:
        """Return the labelled windows of a split: features, or whole windows; of `chosen` rows int64 where given."""
        split = self.labelled.features[role]
        row_N = labelled_rows(split) if chosen is None else chosen
        label_N = split.label_N[row_N]
        if whole:
            return _Windows(self.labelled.streams[role], row_N, label_N, self.device)
        return FeatureRows(split.vectors["imu"][0][row_N].to(self.device), label_N)


def open_labelled(
    loaded: LoadedRun,
    view: str,
    *,
    splits: tuple[str, str, str] = ("train", "val", "test"),
    snapshot: str | None = None,
    device: torch.device = _CPU,
) -> LabelledView:
    """Open the splits to learn from, to choose by and to score on, and take the run's features of them.

    Raises RunError where the view has no classes, and as `open_split` and `embed_split` do: where the run's encoder
    cannot take these windows, or it is a classifier itself.
    """
    streams = {
        role: open_split(loaded, view, split, snapshot=snapshot)
        for role, split in zip(_ROLES, splits, strict=True)
    }
    classes = streams["test"].classes
    if not classes:
        raise RunError(
            f"view {view!r} has no classes to tell apart; choose a labelled view (har-…, crossl-…)"
        )
    objective = copy.deepcopy(loaded.objective).to(device)
    found = {role: embed_split(objective, stream, device, by=features) for role, stream in streams.items()}
    return LabelledView(view, classes, found, streams)


def labelled_rows(split: EmbeddedSplit) -> Tensor:
    """Return the rows of a split that have a label and any sensor, int64[N] rising.

    Without a sensor the feature is the zero vector, whatever the label: nothing to learn from, and nothing to judge.
    """
    return ((split.label_N >= 0) & split.vectors["imu"][1]).nonzero()[:, 0]


def without_sensors(split: EmbeddedSplit) -> int:
    """Return how many windows of a split have a label and no sensor, which `labelled_rows` leaves out."""
    return int(((split.label_N >= 0) & ~split.vectors["imu"][1]).sum())


@dataclass(frozen=True, slots=True)
class _Windows:
    """Windows of a stream by row, as batches on a device."""

    stream: TripletStream
    index_N: Tensor
    labels: Tensor
    device: torch.device

    def take(self, row_B: Tensor) -> Batch:
        """Return the batch of these rows."""
        index_B = self.index_N[row_B].numpy()
        return self.stream.collate(index_B, 0, index_B).to(self.device)
