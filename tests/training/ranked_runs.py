"""Runs of `train` in float64 and without dropout, alone and on ranks, and how near two of them are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sensorloom.store.repository import Repository
from sensorloom.training import run as loop
from sensorloom.training.assemble import build_for
from sensorloom.training.batch import Batch
from sensorloom.training.checkpoint import latest_checkpoint, load_checkpoint
from sensorloom.training.configs import RunConfig
from sensorloom.training.stream import TripletStream
from tests.training.gloo_ranks import on_ranks
from tests.training.killed_runs import Killed, metrics

__all__ = ["last_tensors", "metrics_gap", "on", "weights_gap", "widen"]


def widen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `train` compute in float64, without dropout."""
    plain_to = Batch.to

    def to(batch: Batch, device: torch.device | str) -> Batch:
        return plain_to(batch, device)._each(lambda part: part.double() if part.is_floating_point() else part)

    monkeypatch.setattr(Batch, "to", to)
    monkeypatch.setattr(loop, "build_for", _wide)


def _wide(config: RunConfig, stream: TripletStream) -> nn.Module:
    objective = build_for(config, stream).double()
    for module in objective.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if isinstance(getattr(module, "dropout", None), float):
            module.dropout = 0.0  # type: ignore[assignment]
    return objective


def on(num_ranks: int, meeting: Path, config: RunConfig, repo: Repository, out: Path, **options: Any) -> None:
    """Train on so many real ranks of a gloo group, or for 1 in this process; a kill ends all of them."""
    url, is_wide = repo.url, loop.build_for is _wide

    def work(rank: int) -> int:
        with pytest.MonkeyPatch.context() as patched:
            if is_wide and num_ranks > 1:
                widen(patched)
            try:
                return loop.train(config, url, out, **options).steps
            except Killed:
                return -1

    torch.set_num_threads(1)
    if num_ranks == 1:
        work(0)
    else:
        assert len(set(on_ranks(meeting, num_ranks, work))) == 1


def last_tensors(run_dir: Path) -> dict[str, Tensor]:
    path = latest_checkpoint(run_dir / "checkpoints")
    assert path is not None
    return dict(load_checkpoint(path).tensors)


def weights_gap(left: Path, right: Path) -> float:
    """The largest distance of a tensor of the model from its like, over its length; or, of one next to 0, over 1e-3.

    A bias whose gradient is 0 but for rounding gets of Adam, whose ε is 1e-8, steps of about 1e-12.
    """
    ours, theirs = (
        {name: tensor for name, tensor in last_tensors(run_dir).items() if name.startswith("model/")}
        for run_dir in (left, right)
    )
    assert ours.keys() == theirs.keys()
    return max(_gap(ours[name], theirs[name], 1e-3) for name in ours)


def metrics_gap(left: Path, right: Path, keep: Callable[[str], bool] = lambda name: True) -> float:
    """The largest relative distance of a number of the metrics from its like."""
    pairs = list(zip(metrics(left), metrics(right), strict=True))
    assert all(ours.keys() == theirs.keys() for ours, theirs in pairs)
    return max(
        _gap(torch.tensor(float(ours[name])), torch.tensor(float(theirs[name])))
        for ours, theirs in pairs
        for name, value in ours.items()
        if isinstance(value, int | float) and keep(name)
    )


def _gap(ours: Tensor, theirs: Tensor, least: float = 1e-9) -> float:
    ours, theirs = ours.double(), theirs.double()
    return float((ours - theirs).norm() / ours.norm().clamp(min=least))
