"""The command line trains without labels: a table of losses and of retrieval beside chance, and what it is worth."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from sensorloom.flows.cli import main
from sensorloom.flows.commands.pretraining import report_pretraining
from sensorloom.flows.commands.shared import Session
from sensorloom.training import run as loop
from sensorloom.training.configs import AlignmentConfig, RunConfig, SupervisedConfig
from sensorloom.training.record import RunRecord, save_record
from sensorloom.training.run import RunResult
from sensorloom.training.standing import merit_words
from tests.training.learnable_triplets import write_learnable

RECORD = RunRecord(
    config=AlignmentConfig(recipe="imu2clip", view="learnable", epochs=3),
    store="store",
    snapshot_id="ab12",
    classes=(),
    window_shape=(2, 6, 125),
    parameters=7,
    environment={},
)
SCORES = {
    "val_loss": 1.25,
    "imu-text/r10": 0.5,
    "imu-text/r10_chance": 0.125,
    "imu-text/mrr": 0.375,
    "imu-text/mrr_chance": None,
    "imu-text/candidates": 80.0,
}
RESULT = RunResult(
    run_dir=Path("runs/imu2clip"),
    record=RECORD,
    steps=12,
    train_loss=0.75,
    best_epoch=1,
    scores=SCORES,
    alarm="",
    vectors_of="vit-b-32.laion400m",
    examples_per_s=1234.0,
    data_wait_share=0.02,
)


def test_a_recipe_without_labels_ends_with_retrieval_beside_chance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_learnable(str(tmp_path / "store"))
    settings = [f"--set={each}" for each in ("view=learnable", "epochs=1", "batch_size=16")]
    with pytest.raises(SystemExit) as stop:
        main(["train", "imu2clip", "--store", str(tmp_path / "store"), "--json", *settings])
    assert not stop.value.code
    facts = json.loads(capsys.readouterr().out)
    assert facts["recipe"] == "imu2clip"
    assert facts["steps"] == 2
    assert facts["vectors_of"] == "generated"
    assert facts["data"] == {
        "train": "generated miniature of pamap2, 32 windows of 4 participants",
        "val": "generated miniature of pamap2, 16 windows of 4 participants",
    }
    assert facts["resumed_from"] is None
    assert facts["notes"] == []
    assert any("is not told from guessing (MRR" in each for each in facts["verdict"])
    assert {"val_loss", "imu-text/r10", "imu-video/mrr", "text-imu/candidates"} <= set(facts["scores"])


def test_the_table_has_losses_and_pairs(capsys: pytest.CaptureFixture[str]) -> None:
    report_pretraining(Session(), RESULT)
    said = capsys.readouterr()
    assert "imu2clip on view learnable, best epoch 2 of 3" in said.out
    assert "loss on val                    1.25" in said.out
    row = next(line for line in said.out.splitlines() if "imu → text" in line)
    assert row.split()[3:] == ["0.5", "0.125", "0.375", "not", "finite", "80"]
    assert "12 steps; 1,234 examples/s, 2.0% of the time waiting for data" in said.out
    assert "say nothing" not in said.out
    assert said.err == ""


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("generated", "trained on generated pictures: these scores say nothing about real recordings"),
        ("vit-b-32.random-0", "vectors of random weights (vit-b-32.random-0): these scores mean nothing"),
    ],
)
def test_vectors_that_know_nothing_of_the_world_are_named(
    name: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    report_pretraining(Session(), replace(RESULT, vectors_of=name))
    assert words in " ".join(capsys.readouterr().out.split())


def test_a_collapse_is_told_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    report_pretraining(Session(), replace(RESULT, alarm="imu/rank_share beyond its limit"))
    assert "Embeddings collapse: imu/rank_share beyond its limit; see these" in capsys.readouterr().err


def test_data_verdict_and_notes_are_said_below_the_tables(capsys: pytest.CaptureFixture[str]) -> None:
    scores = {**SCORES, "imu-text/r10": 0.1}
    data = {"train": "generated miniature of egoexo4d, 46 windows of 3 participants"}
    report_pretraining(Session(), replace(RESULT, scores=scores, data=data, notes=("a note",)))
    said = capsys.readouterr().out.splitlines()
    assert "train: generated miniature of egoexo4d, 46 windows of 3 participants" in said
    assert "IMU → text is not told from guessing (R@10 0.100, chance 0.125, 80 candidates)" in said
    assert "a note" in said


def test_a_finished_run_has_no_speed(capsys: pytest.CaptureFixture[str]) -> None:
    report_pretraining(Session(), replace(RESULT, resumed_from=12, examples_per_s=0.0))
    said = capsys.readouterr().out
    assert "12 steps; the run was finished already: all 12 steps were there\n" in said
    assert "examples/s" not in said
    report_pretraining(Session(as_json=True), replace(RESULT, resumed_from=12, examples_per_s=0.0))
    assert json.loads(capsys.readouterr().out)["examples_per_s"] is None


def test_settings_that_the_data_are_too_few_for_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_learnable(str(tmp_path / "store"))
    settings = [f"--set={each}" for each in ("view=learnable", "epochs=1", "batch_size=64")]
    with pytest.raises(SystemExit) as stop:
        main(["train", "primus", "--store", str(tmp_path / "store"), "--json", *settings])
    assert not stop.value.code
    large, queue = json.loads(capsys.readouterr().out)["notes"]
    assert large == "batch_size is 64, and split 'train' has 32 windows: a batch is all of them"
    assert queue == (
        "the terms of nearest neighbours never began: the queue held 32 of the 2048 rows it needs; "
        "try --set queue_length=32"
    )


def test_an_interrupted_run_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_learnable(str(tmp_path / "store"))

    def interrupted(*_: object, **__: object) -> RunResult:
        save_record(Path("runs/mine"), RECORD)
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "train", interrupted)
    with pytest.raises(SystemExit) as stop:
        main(["train", "imu2clip", "--store", "store", "--out", "runs/mine"])
    assert stop.value.code == 130
    assert capsys.readouterr().err.splitlines() == [
        "load torch",
        "train imu2clip",
        "interrupted; go on with `sensorloom train imu2clip --out runs/mine --resume`",
    ]


@pytest.mark.parametrize(
    ("config", "scores", "words"),
    [
        (RECORD.config, SCORES, "mean reciprocal rank over pairs (higher is better)"),
        (RECORD.config, {"val_loss": 1.0}, "minus the validation loss (higher is better)"),
        (replace(RECORD.config, best_by="loss"), SCORES, "minus the validation loss (higher is better)"),
        (SupervisedConfig(recipe="standard", view="tiny"), {}, "macro-F1"),
        (SupervisedConfig(recipe="standard", view="tiny", best_by="accuracy"), {}, "accuracy"),
    ],
)
def test_the_best_score_is_named(config: RunConfig, scores: dict[str, float], words: str) -> None:
    assert merit_words(config, scores) == words
