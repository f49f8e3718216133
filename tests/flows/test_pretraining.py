"""The command line trains without labels: a table of losses and of retrieval beside chance, and what it is worth."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from sensorloom.flows.cli import main
from sensorloom.flows.commands.pretraining import report_pretraining
from sensorloom.flows.commands.shared import Session
from sensorloom.training.configs import AlignmentConfig
from sensorloom.training.record import RunRecord
from sensorloom.training.run import RunResult
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
    assert {"val_loss", "imu-text/r10", "imu-video/mrr", "text-imu/candidates"} <= set(facts["scores"])


def test_the_table_has_losses_and_pairs(capsys: pytest.CaptureFixture[str]) -> None:
    report_pretraining(Session(), RESULT)
    said = capsys.readouterr()
    assert "imu2clip on view learnable, best epoch 2 of 3" in said.out
    assert "loss on val                    1.25" in said.out
    row = next(line for line in said.out.splitlines() if "imu → text" in line)
    assert row.split()[3:] == ["0.5", "0.125", "0.375", "not", "finite", "80"]
    assert "12 steps, 1,234 examples/s, 2.0% of the time waiting for data" in said.out
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
