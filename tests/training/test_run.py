"""Training runs: they learn, repeat exactly, survive being killed, and refuse what would mislead."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sensorloom.store.repository import Repository
from sensorloom.training.checkpoint import latest_checkpoint, load_checkpoint
from sensorloom.training.configs import SimClrConfig, SupervisedConfig
from sensorloom.training.errors import RunError, StreamError
from sensorloom.training.journal import Journal
from sensorloom.training.run import RunResult, train
from tests.training.killed_runs import TIMES, Killed, assert_same_run, kill_at, metrics

MakeStore = Callable[..., Repository]
# A transformer, because its dropout draws random numbers that a resumed run must draw again.
CONFIG = SupervisedConfig(
    recipe="test", view="tiny", encoder="transformer", patch=15, epochs=3, batch_size=12, checkpoint_every=3
)


@pytest.fixture(scope="module")
def undisturbed(tiny: Repository, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    train(CONFIG, tiny, out)
    return out


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others(
    tiny: Repository, undisturbed: Path, tmp_path: Path
) -> None:
    before = torch.get_rng_state()
    train(CONFIG, tiny, tmp_path / "again")
    assert torch.equal(torch.get_rng_state(), before)
    assert_same_run(undisturbed, tmp_path / "again")
    train(replace(CONFIG, seed=1, epochs=1), tiny, tmp_path / "other")
    assert metrics(tmp_path / "other")[0]["loss"] != metrics(undisturbed)[0]["loss"]


@pytest.mark.parametrize("step", [1, 3, 4, 5, 8, 11])
def test_a_run_killed_at_any_step_resumes_to_the_same_numbers(
    tiny: Repository, undisturbed: Path, tmp_path: Path, step: int
) -> None:
    """12 steps of 4 an epoch, checkpoints at 3, 4, 6, 8, 9, 12: before the first, on one, between two."""
    with pytest.raises(Killed):
        train(CONFIG, tiny, tmp_path, progress=kill_at(step))
    torch.rand(17)
    train(CONFIG, tiny, tmp_path, resume=True)
    assert_same_run(undisturbed, tmp_path)


def test_a_process_that_dies_resumes_to_the_same_numbers(
    tiny: Repository, undisturbed: Path, tmp_path: Path
) -> None:
    code = (
        "import os, torch\n"
        "from sensorloom.training.record import config_from_json\n"
        "from sensorloom.training.run import train\n"
        "import json, sys\n"
        "torch.set_num_threads(1)\n"
        "config = config_from_json(json.loads(sys.argv[1]))\n"
        "train(config, sys.argv[2], sys.argv[3], progress=lambda text, done, total: done == 7 and os._exit(9))\n"
    )
    config = json.loads((undisturbed / "config.json").read_text())["config"]
    arguments = [json.dumps(config), tiny.url, str(tmp_path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    died = subprocess.run([sys.executable, "-c", code, *arguments], check=False, env=environment)
    assert died.returncode == 9
    assert len(metrics(tmp_path)) == 8
    train(CONFIG, tiny, tmp_path, resume=True)
    assert_same_run(undisturbed, tmp_path)


def test_resuming_a_finished_run_changes_nothing(tiny: Repository, undisturbed: Path, tmp_path: Path) -> None:
    first = train(CONFIG, tiny, tmp_path)
    again = train(CONFIG, tiny, tmp_path, resume=True)
    assert (again.steps, again.scores, again.train_loss) == (first.steps, first.scores, first.train_loss)
    assert_same_run(undisturbed, tmp_path)


def test_a_resumed_run_reads_the_snapshot_it_began_on(make_store: MakeStore, tmp_path: Path) -> None:
    repo = make_store()
    with pytest.raises(Killed):
        train(CONFIG, repo, tmp_path / "run", progress=kill_at(5))
    make_store(rows=(30, 30, 30, 30, 30, 30))
    result = train(CONFIG, repo, tmp_path / "run", resume=True)
    assert result.record.snapshot_id == repo.resolve("main~1").id
    assert result.steps == 12


def test_the_metrics_have_every_step_and_epoch(undisturbed: Path) -> None:
    lines = [json.loads(line) for line in (undisturbed / "metrics.jsonl").read_text().splitlines()]
    steps = [line for line in lines if line["kind"] == "step"]
    epochs = [line for line in lines if line["kind"] == "epoch"]
    assert [line["step"] for line in steps] == list(range(12))
    assert [line["epoch"] for line in steps] == [0] * 4 + [1] * 4 + [2] * 4
    assert set(steps[1]) == {
        "kind", "epoch", "step", "loss", "cross_entropy", "learning_rate", "gradient_norm", *TIMES
    }  # fmt: skip
    assert set(steps[1]) - set(steps[0]) == {*TIMES}, "there is no speed before a step is finished"
    assert [line["step"] for line in epochs] == [4, 8, 12]
    assert epochs[1]["train_loss"] == pytest.approx(sum(line["loss"] for line in steps[4:8]) / 4)
    assert all(0 <= line["data_wait_share"] < 1 for line in lines[1:])


def test_the_folder_says_what_ran_on_what(undisturbed: Path, tiny: Repository) -> None:
    record = json.loads((undisturbed / "config.json").read_text())
    assert record["snapshot_id"] == tiny.resolve("main").id
    assert record["config"]["encoder"] == "transformer"
    assert record["classes"] == ["rest", "slow", "fast", "never"]
    assert record["window_shape"] == [1, 6, 150]
    assert {"torch", "numpy", "python", "device", "threads", "sensorloom"} == set(record["environment"])
    assert {path.name for path in (undisturbed / "checkpoints").iterdir()} == {
        "best", "step-0000000009", "step-0000000012",
    }  # fmt: skip


def learn(repo: Repository, out: Path, **changes: Any) -> RunResult:
    config = SupervisedConfig(recipe="test", view="tiny", epochs=9, batch_size=8)
    return train(replace(config, **changes), repo, out)


@pytest.mark.parametrize("axis", ["time", "channel"])
def test_classes_that_can_be_told_apart_are(tiny: Repository, tmp_path: Path, axis: str) -> None:
    """Three frequencies in noise, 50 windows: chance is about 0.33, and a model that learns is far above."""
    quick = {"epochs": 5, "learning_rate": 3e-3}
    result = learn(tiny, tmp_path, gru_axis=axis, class_weights="balanced", **quick)
    assert result.scores["val_accuracy"] > 0.6
    assert result.scores["val_macro_f1"] > 0.6


@pytest.mark.slow
def test_the_transformer_learns_too(make_store: MakeStore, tmp_path: Path) -> None:
    repo = make_store(rows=(40, 40, 40, 40, 40, 40))
    result = learn(repo, tmp_path / "run", encoder="transformer", patch=10, epochs=10)
    assert result.scores["val_accuracy"] > 0.7


@pytest.mark.slow
def test_several_slots_train_together(make_store: MakeStore, tmp_path: Path) -> None:
    assert learn(make_store(slots=3), tmp_path / "run").scores["val_accuracy"] > 0.6


def test_a_folder_with_a_run_is_not_overwritten(tiny: Repository, undisturbed: Path) -> None:
    with pytest.raises(RunError, match="already holds a run; resume it, or choose another folder"):
        train(CONFIG, tiny, undisturbed)
    with pytest.raises(
        RunError, match=r"had other settings: epochs was 3 and is 4; .*was .*\. Resume it with its own"
    ):
        train(replace(CONFIG, epochs=4, seed=9), tiny, undisturbed, resume=True)


def test_a_loss_that_is_not_finite_ends_the_run(make_store: MakeStore, tmp_path: Path) -> None:
    def spoil(arrays: dict[str, Any], windows: list[dict[str, Any]]) -> None:
        arrays["imu"][:] = float("nan")

    with pytest.raises(
        RunError, match=r"step 0: the loss is nan .* or look at windows pamap2/protocol/subject"
    ):
        train(CONFIG, make_store(edit=spoil), tmp_path / "run")


def test_a_validation_that_is_not_finite_ends_the_run(make_store: MakeStore, tmp_path: Path) -> None:
    def spoil(arrays: dict[str, Any], windows: list[dict[str, Any]]) -> None:
        if windows and windows[0]["split"] == "val":
            arrays["imu"][:] = float("nan")

    config = SimClrConfig(recipe="simclr", view="tiny", encoder="tpn", epochs=1, batch_size=16, device="cpu")
    with pytest.raises(
        RunError,
        match=r"epoch 0 \(from 0\): on the validation split val_loss is nan, .*so no epoch can be the best",
    ):
        train(config, make_store(edit=spoil), tmp_path / "run")


def test_a_split_without_labels_cannot_train(make_store: MakeStore, tmp_path: Path) -> None:
    def forget(arrays: dict[str, Any], windows: list[dict[str, Any]]) -> None:
        for row in windows:
            row["label"] = row["label_index"] = None

    with pytest.raises(RunError, match="split 'train' of view 'tiny' has no labels to learn"):
        train(CONFIG, make_store(edit=forget), tmp_path / "run")


def test_a_missing_split_is_named(tiny: Repository, tmp_path: Path) -> None:
    with pytest.raises(StreamError, match=r"split 'dev' of view 'tiny' has no windows"):
        train(replace(CONFIG, val_split="dev"), tiny, tmp_path / "run")


def test_a_device_that_is_not_there_is_named(tiny: Repository, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="device 'abacus' cannot be used here"):
        train(replace(CONFIG, device="abacus"), tiny, tmp_path / "run")


def test_the_metrics_are_on_disk_before_a_checkpoint_counts_on_them(
    tiny: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fsync: Callable[[int], None]
) -> None:
    synced: dict[int, int] = {}

    def note(handle: int) -> None:
        fsync(handle)
        synced[os.fstat(handle).st_ino] = os.fstat(handle).st_size

    monkeypatch.setattr(os, "fsync", note)
    with pytest.raises(Killed):
        train(CONFIG, tiny, tmp_path, progress=kill_at(5))
    last = latest_checkpoint(tmp_path / "checkpoints")
    assert last is not None
    inode = (tmp_path / "metrics.jsonl").stat().st_ino
    assert synced.get(inode, 0) == load_checkpoint(last).state["metrics_bytes"] > 0


def test_metrics_that_were_cut_are_not_silently_continued(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text("{}\n")
    with pytest.raises(RunError, match="has 3 bytes, the checkpoint to resume from was written after 90"):
        Journal(tmp_path / "metrics.jsonl", 90)


def test_a_foreign_config_is_named(tiny: Repository, undisturbed: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(RunError, match=r"config\.json is not a run of this sensorloom"):
        train(CONFIG, tiny, tmp_path, resume=True)
    whole = json.loads((undisturbed / "config.json").read_text())
    for key, value in (("config", 3), ("classes", [1]), ("window_shape", [6, 150]), ("parameters", None)):
        (tmp_path / "config.json").write_text(json.dumps({**whole, key: value}))
        with pytest.raises(RunError, match=rf"config\.json is damaged: wrong values of {key};"):
            train(CONFIG, tiny, tmp_path, resume=True)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(RunError, match=r"cannot read .*config\.json"):
        train(CONFIG, tiny, tmp_path, resume=True)
