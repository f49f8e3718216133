"""Run folders that hold a record and best weights, as if a run of them had finished."""

from __future__ import annotations

from pathlib import Path

import torch

from sensorloom.store.repository import Repository
from sensorloom.training.assemble import build_for, columns_for
from sensorloom.training.carry import model_tensors
from sensorloom.training.checkpoint import Checkpoint, save_checkpoint
from sensorloom.training.configs import RunConfig
from sensorloom.training.evaluate import BEST
from sensorloom.training.record import RunRecord, environment, save_record
from sensorloom.training.stream import TripletStream

__all__ = ["save_run"]


def save_run(config: RunConfig, repo: Repository, folder: Path) -> Path:
    """Save the objective of `config` as it begins, and return its folder."""
    stream = TripletStream(
        repo,
        view=config.view,
        split=config.train_split,
        batch_size=config.batch_size,
        columns=columns_for(config),
        last="keep",
    )
    torch.manual_seed(config.seed)
    objective = build_for(config, stream)
    record = RunRecord(
        config=config,
        store=repo.url,
        snapshot_id=stream.snapshot_id,
        classes=stream.classes,
        window_shape=stream.window_shape,
        parameters=sum(parameter.numel() for parameter in objective.parameters()),
        environment=environment(torch.device("cpu")),
    )
    save_record(folder, record)
    save_checkpoint(folder / BEST, Checkpoint(model_tensors(objective), {"epoch": 0}))
    return folder
