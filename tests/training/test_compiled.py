"""Encoders under torch.compile: which, and that a run learns with them what it would without."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from sensorloom.store.repository import Repository
from sensorloom.training.assemble import build_for, columns_for
from sensorloom.training.checkpoint import load_checkpoint
from sensorloom.training.compiled import compile_encoders
from sensorloom.training.run import train
from sensorloom.training.stream import TripletStream
from tests.training.killed_runs import Killed, kill_at, metrics
from tests.training.learnable_triplets import write_learnable
from tests.training.test_recipes_train import small

COMPILED = {
    "primus": ["encoder"],
    "simclr": ["encoder"],
    "multitask": ["encoder"],
    "standard-pamap2": ["encoder"],
    "aura-mocap": ["encoders.imu", "encoders.mocap"],
    "all-modalities": ["encoders.imu", "encoders.mocap"],
    "crossl-pamap2": ["encoders", "aggregator"],
    "jepa": ["encoder", "predictor", "target_encoder"],
}


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return write_learnable(str(tmp_path_factory.mktemp("compiled") / "store"))


@pytest.fixture
def light(monkeypatch: pytest.MonkeyPatch) -> list[nn.Module]:
    """Trace as torch.compile does and run what was traced as it is: no C++ compiler, no minute of waiting."""
    compiled: list[nn.Module] = []
    whole = nn.Module.compile

    def compile_light(module: nn.Module, *args: Any, **kwargs: Any) -> None:
        compiled.append(module)
        whole(module, *args, backend="eager", **kwargs)

    monkeypatch.setattr(nn.Module, "compile", compile_light)
    torch._dynamo.reset()
    return compiled


@pytest.mark.parametrize("name", COMPILED)
def test_the_encoders_of_every_objective_are_compiled_and_keep_their_names(
    repo: Repository, light: list[nn.Module], name: str
) -> None:
    config = small(name)
    stream = TripletStream(repo, view="learnable", split="train", batch_size=4, columns=columns_for(config))
    objective = build_for(config, stream)
    before = list(objective.state_dict())
    assert compile_encoders(objective) == COMPILED[name]
    assert len(light) == len(COMPILED[name])
    assert list(objective.state_dict()) == before


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_a_compiled_run_learns_the_same_and_resumes(
    repo: Repository, light: list[nn.Module], tmp_path: Path
) -> None:
    config = {"encoder": "tpn", "epochs": 2, "checkpoint_every": 1}
    train(small("imu2clip", **config), repo, tmp_path / "plain")
    assert not light
    with pytest.raises(Killed):
        train(small("imu2clip", compile=True, **config), repo, tmp_path / "run", progress=kill_at(3))
    train(small("imu2clip", compile=True, **config), repo, tmp_path / "run", resume=True)
    assert light
    losses, plain = (
        [line["loss"] for line in metrics(tmp_path / run) if "loss" in line] for run in ("run", "plain")
    )
    assert losses == pytest.approx(plain, rel=1e-4)
    best, other = (
        load_checkpoint(tmp_path / run / "checkpoints" / "best").tensors for run in ("run", "plain")
    )
    assert best.keys() == other.keys()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_a_compiled_jepa_learns_the_same(repo: Repository, light: list[nn.Module], tmp_path: Path) -> None:
    losses = {}
    for compiled in (False, True):
        train(small("jepa", epochs=2, compile=compiled), repo, tmp_path / f"{compiled}")
        losses[compiled] = [line["loss"] for line in metrics(tmp_path / f"{compiled}") if "loss" in line]
    assert losses[True] == pytest.approx(losses[False], rel=1e-4)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_what_the_compiler_makes_trains_to_nearly_the_same_losses(repo: Repository, tmp_path: Path) -> None:
    torch._dynamo.reset()
    losses = {}
    for compiled in (False, True):
        train(small("primus", epochs=1, compile=compiled), repo, tmp_path / f"{compiled}")
        losses[compiled] = [line["loss"] for line in metrics(tmp_path / f"{compiled}") if "loss" in line]
    assert losses[True] == pytest.approx(losses[False], rel=1e-3)
