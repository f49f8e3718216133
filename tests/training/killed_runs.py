"""Runs that are killed and resumed, and what two runs must share to be the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from sensorloom.training.checkpoint import latest_checkpoint, load_checkpoint

__all__ = ["TIMES", "Killed", "assert_same_run", "kill_at", "metrics"]

TIMES = ("examples_per_s", "data_wait_share")


class Killed(Exception):
    """Stands for a signal that nobody can catch: it comes from outside the loop."""


def kill_at(step: int) -> Callable[[str, int, int], None]:
    def progress(headline: str, done: int, total: int) -> None:
        if done == step:
            raise Killed(headline)

    return progress


def metrics(run_dir: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in TIMES} for line in lines]


def assert_same_run(left: Path, right: Path) -> None:
    """Hold every number of the metrics, and every tensor of the last checkpoint, to be the same to the last bit."""
    assert metrics(left) == metrics(right)
    ours, theirs = _final_tensors(left), _final_tensors(right)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def _final_tensors(run_dir: Path) -> dict[str, torch.Tensor]:
    path = latest_checkpoint(run_dir / "checkpoints")
    assert path is not None
    return dict(load_checkpoint(path).tensors)
