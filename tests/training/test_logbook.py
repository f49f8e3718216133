"""What a run writes of its steps and epochs, for TensorBoard too."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from sensorloom.training.errors import RunError
from sensorloom.training.logbook import Logbook


def step(number: int, loss: float) -> dict[str, Any]:
    return {"kind": "step", "epoch": 0, "step": number, "loss": loss}


def test_a_rank_that_does_not_lead_writes_nothing(tmp_path: Path) -> None:
    book = Logbook(None, tensorboard=True)
    book.write(step(0, 1.0))
    assert book.flush() == 0
    book.close()


def test_without_the_package_the_setting_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(
        RunError, match=r"tensorboard=true needs a package .*`pip install 'sensorloom\[tensorboard\]'`"
    ):
        Logbook(tmp_path, tensorboard=True)
    assert not (tmp_path / "metrics.jsonl").exists()


def test_tensorboard_has_every_step_once_after_a_resume(tmp_path: Path) -> None:
    """Three steps, an epoch of two, a checkpoint after the second step: the third is written anew."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    book = Logbook(tmp_path, tensorboard=True)
    for number, loss in enumerate((4.0, 3.0)):
        book.write(step(number, loss))
    book.write({"kind": "epoch", "epoch": 0, "step": 2, "val_loss": 5.0, "alarm": "none"})
    position = book.flush()
    book.write(step(2, 99.0))
    book.close()
    book = Logbook(tmp_path, position=position, step=2, tensorboard=True)
    book.write(step(2, 2.0))
    book.flush()
    book.close()
    losses = [json.loads(line).get("loss") for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert losses == [4.0, 3.0, None, 2.0]
    board = accumulator.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(event.step, event.value) for event in board.Scalars("step/loss")] == [
        (0, 4.0),
        (1, 3.0),
        (2, 2.0),
    ]
    assert [(event.step, event.value) for event in board.Scalars("epoch/val_loss")] == [(1, 5.0)]
    assert set(board.Tags()["scalars"]) == {"step/loss", "epoch/val_loss"}
