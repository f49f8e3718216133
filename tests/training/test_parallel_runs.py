"""`train` on two real ranks: the same losses and weights as on one at the same global batch, also after a kill."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from sensorloom.store.repository import Repository
from sensorloom.training.configs import RunConfig
from sensorloom.training.errors import RunError
from sensorloom.training.gathered import gathered
from sensorloom.training.parallel import Ranks, joined, pick_device
from sensorloom.training.run import train
from tests.training.forked import forks
from tests.training.gloo_ranks import on_ranks
from tests.training.killed_runs import assert_same_run, kill_at, metrics
from tests.training.learnable_triplets import write_learnable
from tests.training.ranked_runs import last_tensors, metrics_gap, on, weights_gap, widen
from tests.training.test_recipes_train import small

pytestmark = forks

# 31 windows in batches of 12: shares of 6 and 6, and at the end of an epoch of 3 and 4.
TRAIN, BATCH = 31, 12
SETTINGS: dict[str, dict[str, Any]] = {
    "primus": {"encoder": "tpn", "queue_length": 24, "term_norms_every": 2},
    "aura-mocap": {"encoder": "tpn", "weight_decay": 0.01},
    "crossl-pamap2": {"keep": 0.6},
    "jepa": {"semantic": "info_nce", "local_weight": 0.5},
    "imu2clip": {"encoder": "transformer", "weight_decay": 0.01},
    "all-modalities": {"encoder": "tpn"},
    "multitask": {"encoder": "tpn"},
    "standard-pamap2": {"encoder": "tpn", "class_weights": "balanced"},
}
QUICK = ("primus", "aura-mocap", "crossl-pamap2", "jepa")


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return write_learnable(str(tmp_path_factory.mktemp("ranked") / "store"), train=TRAIN)


def config_of(name: str, **changes: Any) -> RunConfig:
    return small(name, **{"batch_size": BATCH, "epochs": 2, **SETTINGS.get(name, {}), **changes})


@pytest.mark.parametrize(
    "name", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SETTINGS if name not in QUICK)]
)
def test_two_ranks_train_to_the_parameters_of_one(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Dropout 0, gathered batch statistics, the queue in global order: relative 1e-5 in float64; far nearer here."""
    widen(monkeypatch)
    on(2, tmp_path / "meeting", config_of(name), repo, tmp_path / "two")
    on(1, tmp_path / "none", config_of(name), repo, tmp_path / "one")
    assert weights_gap(tmp_path / "one", tmp_path / "two") < 1e-8
    assert metrics_gap(tmp_path / "one", tmp_path / "two") < 1e-6
    if name == "primus":
        steps = [line for line in metrics(tmp_path / "two") if line["kind"] == "step"]
        assert steps[-1]["nn_video"] > 0
        assert "gradient_norm/nn_imu" in steps[4]


@pytest.mark.parametrize(("first", "then"), [(2, 1), pytest.param(1, 2, marks=pytest.mark.slow)])
def test_a_killed_run_goes_on_on_another_number_of_ranks(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: int, then: int
) -> None:
    """6 steps of 3 an epoch, checkpoints at 2, 3, 4 and 6; killed after the fifth."""
    widen(monkeypatch)
    config = config_of("primus", checkpoint_every=2)
    on(1, tmp_path / "none", config, repo, tmp_path / "whole")
    on(first, tmp_path / "first", config, repo, tmp_path / "run", progress=kill_at(5))
    on(then, tmp_path / "then", config, repo, tmp_path / "run", resume=True)
    assert weights_gap(tmp_path / "whole", tmp_path / "run") < 1e-8
    assert metrics_gap(tmp_path / "whole", tmp_path / "run") < 1e-6
    on(1, tmp_path / "none", config_of("primus", seed=1), repo, tmp_path / "other")
    assert weights_gap(tmp_path / "whole", tmp_path / "other") > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("standard-pamap2", {"encoder": "transformer"}),  # ranks of equal shares draw equally often
        ("primus", {"preset": "repo", "view": "learnable", "clip_norm": 1}),
    ],
)
def test_killed_ranks_go_on_to_the_same_numbers(
    repo: Repository, tmp_path: Path, name: str, changes: dict[str, Any]
) -> None:
    """To the last bit, dropout and the queue that each rank of `repo` has for itself (methods.md §0 row 8) included."""
    config = small(name, **{"batch_size": BATCH, "epochs": 2, "checkpoint_every": 2, **changes})
    on(2, tmp_path / "a", config, repo, tmp_path / "whole")
    on(2, tmp_path / "b", config, repo, tmp_path / "killed", progress=kill_at(3))
    on(2, tmp_path / "c", config, repo, tmp_path / "killed", resume=True)
    assert_same_run(tmp_path / "whole", tmp_path / "killed")
    tensors = last_tensors(tmp_path / "whole")
    assert not torch.equal(tensors["random/cpu"], tensors["rank/1/random/cpu"])
    if name == "primus":
        assert not torch.equal(tensors["model/queue.imu_KD"], tensors["rank/1/model/queue.imu_KD"])


def test_an_ablation_leaves_parameters_without_gradients(repo: Repository, tmp_path: Path) -> None:
    """PRIMUS without terms of its head `ssl`: nothing to wait for on either rank."""
    config = config_of("primus", ss=0, nn_imu=0, epochs=1)
    on(2, tmp_path / "meeting", config, repo, tmp_path / "run")
    assert len(metrics(tmp_path / "run")) == 4


def test_what_the_first_rank_cannot_do_ends_all(repo: Repository, tmp_path: Path) -> None:
    config, url = config_of("simclr", epochs=1), repo.url
    train(config, url, tmp_path / "run")

    def heard(rank: int) -> str:
        with pytest.raises(RunError) as found:
            train(config, url, tmp_path / "run")
        return str(found.value)

    first, second = on_ranks(tmp_path / "meeting", 2, heard)
    assert "already holds a run; resume it" in first
    assert second == f"rank 0 cannot go on, so no rank can. There it was RunError: {first}"


def test_ranks_that_cannot_meet_say_how_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name in ("MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with (
        pytest.raises(
            RunError, match=r"rank 1 of 2 cannot meet the others: .* by `torchrun --nproc-per-node 2"
        ),
        joined(torch.device("cpu")),
    ):
        pass


def test_alone_there_is_nobody_to_ask() -> None:
    with joined(pick_device("cpu")) as ranks:
        assert ranks == Ranks(torch.device("cpu"))
        assert ranks.leads
        assert ranks.first(lambda: 3) == 3
        assert ranks.mean(torch.tensor([2.0])).tolist() == [2.0]
        model = torch.nn.Linear(1, 1)
        assert ranks.shared(model) is model
        before = torch.get_rng_state()
        ranks.seed(5)
        assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.slow
def test_torchrun_trains_by_the_command_line_and_one_process_speaks(repo: Repository, tmp_path: Path) -> None:
    settings = {"view": "learnable", "epochs": 1, "batch_size": BATCH, "encoder": "tpn", "device": "cpu"}
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command = [str(Path(sys.executable).parent / "sensorloom"), "train", "imu2clip", "--store", repo.url]
    given = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    ran = subprocess.run(
        [*launcher, *command, "--out", str(tmp_path / "run"), "--json", *given],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["steps"] == 3
    assert [line["step"] for line in metrics(tmp_path / "run")] == [0, 1, 2, 3]
    assert "rank/1/random/cpu" in last_tensors(tmp_path / "run")


def test_what_the_first_rank_does_by_itself_gathers_nothing(tmp_path: Path) -> None:
    def work(rank: int) -> list[list[float]]:
        ranks = Ranks(torch.device("cpu"), rank, 2)
        mine = torch.full((1,), float(rank))
        alone = ranks.first(lambda: gathered(mine).tolist())
        return [alone, gathered(mine).tolist(), ranks.mean(mine.clone()).tolist()]

    assert on_ranks(tmp_path / "meeting", 2, work) == [[[0.0], [0.0, 1.0], [0.5]]] * 2


def test_a_rank_takes_the_gpu_of_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("LOCAL_RANK", "99")
    for name in ("auto", "cuda"):
        with pytest.raises(RunError, match="device 'cuda:99' cannot be used here"):
            pick_device(name)
