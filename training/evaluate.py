"""Evaluate a classifier on a split: accuracy, macro-F1, confusion, chance, and what data that was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from sensorloom.ingest.take import counted
from sensorloom.store.repository import Repository
from sensorloom.training.assemble import build_supervised
from sensorloom.training.carry import unpack_model
from sensorloom.training.checkpoint import load_checkpoint
from sensorloom.training.configs import SupervisedConfig
from sensorloom.training.errors import RunError
from sensorloom.training.metrics import Chance, accuracy, chance_levels, class_f1, confusion_matrix, macro_f1
from sensorloom.training.objectives.supervised import Supervised
from sensorloom.training.record import RunRecord, read_record
from sensorloom.training.stream import TripletStream

__all__ = [
    "BEST",
    "ClassScore",
    "EvalResult",
    "SplitData",
    "describe_split",
    "evaluate",
    "finished_record",
    "score",
]

BEST = Path("checkpoints") / "best"


@dataclass(frozen=True, slots=True)
class ClassScore:
    """One class: how many windows of it the split has, and how well they were told apart."""

    name: str
    support: int
    f1: float


@dataclass(frozen=True, slots=True)
class EvalResult:
    """The scores of a run on one split.

    `macro_f1` is over the classes that occur, `macro_f1_all` counts absent ones as 0. `confusion` int64[N, N]
    has true classes in rows. `data` says in words what was measured on; `shared_participants` counts those of
    this split's participants who are also in the training split (a leak, unless it is meant). `untaught` are the
    classes of this split that no window of the training split is of.
    """

    run_dir: Path
    record: RunRecord
    split: str
    num_examples: int
    accuracy: float
    macro_f1: float
    macro_f1_all: float
    classes: tuple[ClassScore, ...]
    confusion: NDArray[np.int64]
    chance: Chance
    data: str
    shared_participants: int
    untaught: tuple[str, ...] = ()

    def facts(self) -> dict[str, Any]:
        """Return the result as plain JSON values."""
        numbers = {name: getattr(self, name) for name in ("accuracy", "macro_f1", "macro_f1_all")}
        return {
            "run": str(self.run_dir),
            "recipe": self.record.config.recipe,
            "view": self.record.config.view,
            "snapshot_id": self.record.snapshot_id,
            "split": self.split,
            "data": self.data,
            "windows": self.num_examples,
            **numbers,
            "chance": asdict(self.chance),
            "shared_participants": self.shared_participants,
            "untaught": list(self.untaught),
            "classes": [asdict(item) for item in self.classes],
            "confusion": self.confusion.tolist(),
        }


def evaluate(
    run_dir: Path | str, split: str = "test", *, store: str | Repository | None = None
) -> EvalResult:
    """Score the best checkpoint of a run on `split` of the snapshot that it was trained on.

    `store` overrides where that snapshot lies. Raises RunError if the folder holds no finished epoch,
    StreamError if the split is empty, CheckpointError if the weights are damaged.
    """
    run_dir = Path(run_dir)
    record = finished_record(run_dir)
    repo = store if isinstance(store, Repository) else Repository.open(store or record.store)
    stream = _split_stream(repo, record, split)
    confusion = score(_load(run_dir, record), stream, torch.device("cpu"))
    scores = class_f1(confusion)
    support = confusion.sum(axis=1)
    learned = _split_stream(repo, record, record.config.train_split)
    data = describe_split(repo, stream, learned)
    taught = set() if learned.labels is None else {*learned.labels.tolist()}
    return EvalResult(
        run_dir=run_dir,
        record=record,
        split=split,
        num_examples=int(support.sum()),
        accuracy=accuracy(confusion),
        macro_f1=macro_f1(confusion),
        macro_f1_all=macro_f1(confusion, count_absent=True),
        classes=tuple(
            ClassScore(name, int(support[at]), float(scores[at])) for at, name in enumerate(record.classes)
        ),
        confusion=confusion,
        chance=chance_levels(confusion),
        data=data.words,
        shared_participants=data.shared_participants,
        untaught=tuple(name for at, name in enumerate(record.classes) if support[at] and at not in taught),
    )


def finished_record(run_dir: Path) -> RunRecord:
    """Read what a run with at least one finished epoch says about itself.

    Raises NoRunError for a folder without a run, RunError for a run without such an epoch.
    """
    record = read_record(run_dir)
    if not (run_dir / BEST).is_dir():
        raise RunError(f"the run in {run_dir} has not finished an epoch yet; resume it first")
    return record


def score(objective: Supervised, stream: TripletStream, device: torch.device) -> NDArray[np.int64]:
    """Return the confusion matrix int64[N, N] of one whole epoch of `stream`.

    Windows without a label do not count. Raises RunError if no window of the split has a label.
    """
    if stream.labels is None:
        raise RunError(f"split {stream.split!r} of view {stream.view!r} has no labels to evaluate against")
    was_training = objective.training
    objective.eval()
    stream.set_epoch(0)
    labels, predictions = [], []
    with torch.no_grad():
        for batch in stream:
            labels.append(stream.labels[batch.index_B.numpy()])
            predictions.append(objective.predict(batch.to(device)).argmax(dim=1).cpu().numpy())
    objective.train(was_training)
    label, prediction = np.concatenate(labels), np.concatenate(predictions)
    return confusion_matrix(label[label >= 0], prediction[label >= 0], len(stream.classes))


def _split_stream(repo: Repository, record: RunRecord, split: str) -> TripletStream:
    return TripletStream(
        repo,
        view=record.config.view,
        split=split,
        batch_size=256,
        snapshot=record.snapshot_id,
        shuffle="none",
        last="keep",
        rank=0,
        num_ranks=1,
    )


def _load(run_dir: Path, record: RunRecord) -> Supervised:
    config = record.config
    if not isinstance(config, SupervisedConfig):
        raise RunError(
            f"the run in {run_dir} was trained without labels ({config.objective}), so there is no classifier to score"
        )
    objective = build_supervised(config, record.window_shape[2], len(record.classes))
    tensors = load_checkpoint(run_dir / BEST).tensors
    unpack_model(tensors, objective)
    return objective


@dataclass(frozen=True, slots=True)
class SplitData:
    """What data a split is, in words and in counts.

    `shared_participants` are in both splits that were compared, `shared_takes` likewise; the latter are windows of the
    very recordings.
    """

    words: str
    windows: int
    shared_participants: int
    shared_takes: int


def describe_split(repo: Repository, stream: TripletStream, *learned: TripletStream) -> SplitData:
    """Say what data the split of `stream` is, and what it shares with any split that something was `learned` from.

    Each is described by the takes of its own snapshot.
    """
    here, *others = (_takes_of(repo, each) for each in (stream, *learned))
    people, takes = {take.participant_id for take in here}, {take.take_id for take in here}
    kinds = {(take.origin, take.dataset) for take in here}
    words = " and ".join(f"{_ORIGIN.get(origin, origin)} {dataset}" for origin, dataset in sorted(kinds))
    return SplitData(
        words=f"{words}, {stream.num_examples} windows of {counted(len(people), 'participant')}",
        windows=stream.num_examples,
        shared_participants=len(people & {take.participant_id for there in others for take in there}),
        shared_takes=len(takes & {take.take_id for there in others for take in there}),
    )


_ORIGIN: Mapping[str, str] = {"generated": "generated miniature of"}


class _Take(NamedTuple):
    take_id: str
    participant_id: str
    origin: str
    dataset: str


def _takes_of(repo: Repository, stream: TripletStream) -> list[_Take]:
    """Return the takes that the stream's windows come from; a window id is `<take_id>@…`.

    Without polars, whose threads do not outlive a fork.
    """
    ids = {window.rpartition("@")[0] for window in stream.window_ids(torch.arange(stream.num_examples))}
    shards = repo.manifest(repo.resolve(stream.snapshot_id), "takes").shards
    rows = (row for table in repo.read_tables(shards, _Take._fields) for row in table.to_pylist())
    return [_Take(**row) for row in rows if row["take_id"] in ids]
