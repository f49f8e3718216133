"""A run opened for use: its best weights in evaluation mode, its data, and other views that its encoder can take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch
from torch import nn

from sensorloom.store.errors import UnknownSnapshotError
from sensorloom.store.repository import Repository
from sensorloom.training.assemble import build_unbound, columns_for
from sensorloom.training.carry import unpack_model
from sensorloom.training.checkpoint import checkpoint_state, latest_checkpoint, load_checkpoint
from sensorloom.training.columns import ARRAYS
from sensorloom.training.configs import CrosslConfig, JepaConfig, RunConfig
from sensorloom.training.errors import RunError, UnfitError
from sensorloom.training.evaluate import BEST, finished_record
from sensorloom.training.facts import facts_of
from sensorloom.training.record import RunRecord
from sensorloom.training.stream import TripletStream
from sensorloom.training.streaming.shards import OpenView

__all__ = ["LoadedRun", "load_run", "open_longer", "open_split", "snapshots_of_views"]

_FROZEN = {"text", "video"}
_ID_LENGTH = 64  # of a snapshot id, and of no ref


@dataclass(frozen=True, slots=True)
class LoadedRun:
    """A run with its best weights, on the CPU in evaluation mode.

    `unfinished` says how far it was trained where it was stopped before its end, "" where it was not. `rate_hz` is
    that of the windows it was trained on, `vectors_of` the fingerprint of the encoder of its texts and videos, None
    where it has neither.
    """

    run_dir: Path
    record: RunRecord
    objective: nn.Module
    repo: Repository
    rate_hz: int | None
    vectors_of: Mapping[str, Any] | None
    unfinished: str = ""

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return next(self.objective.parameters()).device


def load_run(run_dir: Path | str, *, store: str | Repository | None = None) -> LoadedRun:
    """Open the run in `run_dir` with its best weights; `store` overrides where its snapshot lies.

    Raises NoRunError if the folder holds no run, RunError if it holds no finished epoch or weights of another make,
    UnfitError if the store lacks the run's snapshot, CheckpointError if the weights are damaged, StreamError if the
    view is not there.
    """
    run_dir = Path(run_dir)
    record = finished_record(run_dir)
    repo = store if isinstance(store, Repository) else Repository.open(store or record.store)
    config = record.config
    try:
        stream = TripletStream(
            repo,
            view=config.view,
            split=config.train_split,
            batch_size=1,
            snapshot=record.snapshot_id,
            columns=columns_for(config),
            shuffle="none",
            last="keep",
            rank=0,
            num_ranks=1,
        )
    except UnknownSnapshotError as error:
        raise UnfitError(
            f"the run in {run_dir} was trained on snapshot {record.snapshot_id[:12]} of store {record.store}, and "
            f"{repo.url} has no such snapshot; name the store that has it, or train a run from this one"
        ) from error
    objective = build_unbound(config, facts_of(stream))
    tensors = load_checkpoint(run_dir / BEST).tensors
    try:
        unpack_model(tensors, objective)
    except RuntimeError as error:
        raise RunError(
            f"the weights in {run_dir / BEST} do not fit the model of its config.json: {shorten(str(error), 400)}; "
            "train the run anew"
        ) from error
    objective.eval()
    vectors_of = stream.encoder if _FROZEN & {*columns_for(config)} else None
    return LoadedRun(
        run_dir, record, objective, repo, stream.rate_hz, vectors_of, _unfinished(run_dir, config.epochs)
    )


def _unfinished(run_dir: Path, epochs: int) -> str:
    last = latest_checkpoint(run_dir / BEST.parent)
    done = epochs if last is None else checkpoint_state(last)["stream"]["epoch"]
    return "" if done == epochs else f"trained for {done} of {epochs} epochs; `train … --resume` goes on"


def open_split(
    loaded: LoadedRun, view: str, split: str, *, batch_size: int = 256, snapshot: str | None = None
) -> TripletStream:
    """Open a split of a view, in storage order, with the columns of the run that this view has, and labels.

    `snapshot` is a ref or an id; by default the run's own. Raises UnfitError if the run's encoder cannot take the
    windows of this view, or its vectors of texts or videos are of another encoder; StreamError if it is not there.
    """
    snapshot = snapshot or loaded.record.snapshot_id
    asked = columns_for(loaded.record.config)
    if view != loaded.record.config.view:
        there = OpenView(loaded.repo, snapshot, view).roots[0].arrays
        asked = ("imu", *(name for name in asked if name != "imu" and there.keys() >= {*ARRAYS[name]}))
    stream = _open(loaded, view, split, asked, batch_size, snapshot)
    _check_fits(loaded, stream)
    return stream


def open_longer(loaded: LoadedRun, view: str, split: str, snapshot: str) -> tuple[TripletStream, int]:
    """Open sensors and texts of a split whose windows are several times as long as the run's, and how many times.

    Raises as `open_split`.
    """
    stream = _open(loaded, view, split, ("imu", "imu_valid", "text"), 256, snapshot)
    times = stream.window_shape[2] // loaded.record.window_shape[2]
    _check_fits(loaded, stream, times)
    return stream, times


def snapshots_of_views(loaded: LoadedRun) -> dict[str, str]:
    """Return the snapshot of each view: the run's own, or where that lacks it the head of the ref it came from."""
    record = loaded.record
    later = [] if len(record.config.snapshot) == _ID_LENGTH else [record.config.snapshot]
    found: dict[str, str] = {}
    for revision in (record.snapshot_id, *later):
        snapshot = loaded.repo.resolve(revision)
        for table in snapshot.tables:
            kind, _, view = table.partition(":")
            if kind == "windows" and f"tensors:{view}" in snapshot.tables:
                found.setdefault(view, snapshot.id)
    return found


def _open(
    loaded: LoadedRun, view: str, split: str, columns: tuple[str, ...], batch_size: int, snapshot: str
) -> TripletStream:
    return TripletStream(
        loaded.repo,
        view=view,
        split=split,
        batch_size=batch_size,
        snapshot=snapshot,
        seed=loaded.record.config.seed,
        columns=columns,
        shuffle="none",
        last="keep",
        rank=0,
        num_ranks=1,
    )


def _check_fits(loaded: LoadedRun, stream: TripletStream, times: int = 1) -> None:
    """Raise UnfitError unless the run's encoder was made for windows as those of the stream, or parts of them."""
    config, (slots, channels, samples) = loaded.record.config, loaded.record.window_shape
    found = stream.window_shape
    wanted = (slots if _has_fixed_slots(config) else found[0], channels, samples * times)
    if found != wanted or stream.rate_hz != loaded.rate_hz:
        raise UnfitError(
            f"the run in {loaded.run_dir} was trained on windows {list(loaded.record.window_shape)} at "
            f"{loaded.rate_hz} Hz (view {config.view!r}) and cannot take those of view {stream.view!r}, {list(found)} "
            f"at {stream.rate_hz} Hz; build a view with the rate and the length"
            f"{', and as many positions,' if _has_fixed_slots(config) else ''} of the former"
        )
    if _FROZEN & {*stream.columns} and stream.encoder != loaded.vectors_of:
        raise UnfitError(
            f"the run in {loaded.run_dir} was trained on vectors of texts and videos by {loaded.vectors_of} and view "
            f"{stream.view!r} has those of {stream.encoder}; embed and build it with the encoder of the run"
        )


def _has_fixed_slots(config: RunConfig) -> bool:
    return isinstance(config, CrosslConfig | JepaConfig)
