"""The second stage of AURA-MFM: a run goes on with the IMU encoder of another [methods.md §2.6]."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sensorloom.store.repository import Repository
from sensorloom.training.checkpoint import load_checkpoint
from sensorloom.training.configs import AlignmentConfig
from sensorloom.training.errors import RunError
from sensorloom.training.record import load_record
from sensorloom.training.run import train
from tests.training.killed_runs import Killed, assert_same_run, kill_at
from tests.training.learnable_triplets import write_learnable
from tests.training.test_recipes_train import small

ENCODER = "model/encoders.imu."


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return write_learnable(str(tmp_path_factory.mktemp("stages") / "store"))


def of(name: str, **changes: Any) -> AlignmentConfig:
    config = small(name, **{"encoder": "tpn", "epochs": 1, **changes})
    assert isinstance(config, AlignmentConfig)
    return config


def second(first: Path, **changes: Any) -> AlignmentConfig:
    """Poses, beside the vectors of 16 numbers that the first stage met."""
    return of("aura-mocap", **{"embedding_size": 16, "start_from": first, **changes})


@pytest.fixture(scope="module")
def first(repo: Repository, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("first") / "run"
    train(of("aura-aad"), repo, out)
    return out


def encoder_of(checkpoint: Path) -> dict[str, torch.Tensor]:
    tensors = load_checkpoint(checkpoint).tensors
    return {name: tensor for name, tensor in tensors.items() if name.startswith(ENCODER)}


def test_a_run_begins_with_the_encoder_of_another(repo: Repository, first: Path, tmp_path: Path) -> None:
    result = train(second(first, learning_rate=1e-12), repo, tmp_path / "run")
    before, after = (encoder_of(run / "checkpoints" / "best") for run in (first, tmp_path / "run"))
    assert before.keys() == after.keys()
    assert all(torch.allclose(before[name], after[name], atol=1e-9) for name in before)
    assert isinstance(result.record.config, AlignmentConfig)
    assert result.record.config.start_from == str(first)
    assert len(result.record.config.start_from_sha256) == 64
    train(replace(second(first, learning_rate=1e-12), start_from=""), repo, tmp_path / "nothing")
    other = encoder_of(tmp_path / "nothing" / "checkpoints" / "best")
    assert not all(torch.allclose(before[name], other[name], atol=1e-6) for name in before)


def test_a_killed_second_stage_resumes_to_the_same_numbers_without_the_first(
    repo: Repository, first: Path, tmp_path: Path
) -> None:
    gone = tmp_path / "first"
    shutil.copytree(first, gone)
    config = second(gone, epochs=2, checkpoint_every=1)
    train(config, repo, tmp_path / "whole")
    with pytest.raises(Killed):
        train(config, repo, tmp_path / "killed", progress=kill_at(3))
    shutil.rmtree(gone)
    train(config, repo, tmp_path / "killed", resume=True)
    assert_same_run(tmp_path / "whole", tmp_path / "killed")


def test_before_its_first_checkpoint_it_still_needs_the_very_weights(
    repo: Repository, first: Path, tmp_path: Path
) -> None:
    gone = tmp_path / "first"
    shutil.copytree(first, gone)
    config = second(gone, epochs=2)
    with pytest.raises(Killed):
        train(config, repo, tmp_path / "killed", progress=kill_at(1))
    shutil.rmtree(gone)
    train(of("aura-aad", seed=5), repo, gone)
    with pytest.raises(
        RunError, match=r"have the digest \w{12}, and start_from_sha256 says \w{12}: they are not"
    ):
        train(config, repo, tmp_path / "killed", resume=True)


@pytest.mark.parametrize(("changes", "message"), [
    ({"encoder": "cnn-gru"}, "is built otherwise: encoder is 'tpn' there and 'cnn-gru' here"),
    ({"embedding_size": 24}, "ends in 16 numbers, .*this run's in 24; set embedding_size=16"),
    ({"start_from_sha256": "ab" * 32}, "start_from_sha256 says abababababab"),
    ({"start_from": "/nowhere"}, "start_from=/nowhere holds no run with a finished epoch: there is no"),
])  # fmt: skip
def test_an_encoder_that_does_not_fit_is_refused(
    repo: Repository, first: Path, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(RunError, match=message):
        train(second(first, **changes), repo, tmp_path / "run")
    assert load_record(tmp_path / "run") is None


def test_an_encoder_of_other_settings_is_refused(repo: Repository, tmp_path: Path) -> None:
    """Settings that change no shape are seen too."""
    train(of("aura-aad", encoder="transformer", residual=False), repo, tmp_path / "first")
    odd = r"is built otherwise: residual is False there and True here; give this run its settings \(residual=False\)"
    with pytest.raises(RunError, match=odd):
        train(second(tmp_path / "first", encoder="transformer"), repo, tmp_path / "run")


def test_a_run_without_an_aligned_encoder_is_refused(repo: Repository, tmp_path: Path) -> None:
    train(small("simclr", encoder="tpn", epochs=1), repo, tmp_path / "first")
    with pytest.raises(
        RunError, match="is a run of simclr; the first stage is one that aligns IMU with texts"
    ):
        train(second(tmp_path / "first"), repo, tmp_path / "run")


def test_a_run_on_other_windows_is_refused(repo: Repository, first: Path, tmp_path: Path) -> None:
    import json

    other = tmp_path / "first"
    shutil.copytree(first, other)
    record = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**record, "window_shape": [2, 6, 250]}))
    with pytest.raises(RunError, match=r"windows are \[2, 6, 250\] there and \[2, 6, 125\] here"):
        train(second(other), repo, tmp_path / "run")
    (other / "config.json").unlink()
    with pytest.raises(RunError, match="holds no run: it has no config"):
        train(second(other), repo, tmp_path / "run")
