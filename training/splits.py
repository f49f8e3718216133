"""The streams that a run reads: its training split and its validation split."""

from __future__ import annotations

from sensorloom.store.repository import Repository
from sensorloom.training.assemble import columns_for
from sensorloom.training.configs import RunConfig, SupervisedConfig
from sensorloom.training.parallel import Ranks
from sensorloom.training.rules import BatchRules
from sensorloom.training.stream import TripletStream

__all__ = ["open_training", "open_validation"]

_EVAL_BATCH = 256


def open_training(repo: Repository, config: RunConfig, snapshot: str, ranks: Ranks) -> TripletStream:
    """Open the training split, with one text of each slot by `config.text`; labels want whole batches."""
    return TripletStream(
        repo,
        view=config.view,
        split=config.train_split,
        batch_size=config.batch_size,
        snapshot=snapshot,
        seed=config.seed,
        columns=columns_for(config),
        last="drop" if isinstance(config, SupervisedConfig) else "keep",
        pin_memory=ranks.device.type == "cuda",
        text=config.text,
        rules=BatchRules(min_gap_s=config.min_gap_s, imu_only=getattr(config, "imu_only", 0.0)),
    )


def open_validation(repo: Repository, config: RunConfig, snapshot: str) -> TripletStream:
    """Open the validation split, all of it on every rank, though the first alone reads it."""
    return TripletStream(
        repo,
        view=config.view,
        split=config.val_split,
        rank=0,
        num_ranks=1,
        batch_size=_EVAL_BATCH,
        snapshot=snapshot,
        seed=config.seed,
        columns=columns_for(config),
        shuffle="none",
        last="keep",
    )
