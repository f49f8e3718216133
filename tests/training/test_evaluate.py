"""Evaluation of a run, and the table that sets it beside the published numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sensorloom.store.repository import Repository
from sensorloom.training.configs import SupervisedConfig
from sensorloom.training.errors import RunError, StreamError
from sensorloom.training.evaluate import EvalResult, evaluate
from sensorloom.training.evaluation.comparison import compare, render_text
from sensorloom.training.run import train

MakeStore = Callable[..., Repository]
CONFIG = SupervisedConfig(recipe="test", view="tiny", epochs=2, batch_size=16)


@pytest.fixture(scope="module")
def run_dir(tiny: Repository, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("evaluated") / "run"
    train(CONFIG, tiny, out)
    return out


def test_validation_scores_of_the_best_epoch_come_out_again(run_dir: Path) -> None:
    lines = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    best = max((line for line in lines if line["kind"] == "epoch"), key=lambda line: line["val_macro_f1"])
    result = evaluate(run_dir, "val")
    assert (result.macro_f1, result.accuracy) == (best["val_macro_f1"], best["val_accuracy"])


def test_a_result_adds_up(run_dir: Path) -> None:
    result = evaluate(run_dir)
    assert result.num_examples == result.confusion.sum() == 22
    assert result.accuracy == pytest.approx(np.trace(result.confusion) / 22)
    assert [item.support for item in result.classes] == result.confusion.sum(axis=1).tolist()
    assert result.classes[3].name == "never"
    assert result.macro_f1_all <= result.macro_f1
    assert result.chance.uniform_accuracy == 0.25
    assert result.shared_participants == 0
    facts = json.loads(json.dumps(result.facts()))
    assert facts["windows"] == 22
    assert facts["chance"]["majority_accuracy"] == result.chance.majority_accuracy


def test_participants_on_both_sides_are_counted(run_dir: Path) -> None:
    result = evaluate(run_dir, "train")
    assert result.shared_participants == 3
    assert any(
        "3 participants of this split: also in the training split" in note for note in compare(result).notes
    )


def test_generated_data_is_called_generated(run_dir: Path, make_store: MakeStore, tmp_path: Path) -> None:
    generated = evaluate(run_dir)
    assert generated.data == "generated miniature of pamap2, 22 windows of 1 participant"
    assert "generated data; its scores say nothing about the real data set" in render_text(compare(generated))
    train(replace(CONFIG, epochs=1), make_store(origin="recorded"), tmp_path / "run")
    recorded = evaluate(tmp_path / "run")
    assert recorded.data == "recorded pamap2, 22 windows of 1 participant"
    assert "generated" not in render_text(compare(recorded))


@pytest.mark.parametrize(
    ("kept", "then"),
    [(0, "these are all of its classes, so its scores say nothing"), (1, "nobody could learn them")],
)
def test_classes_that_nobody_learned_are_told(
    kept: int, then: str, run_dir: Path, make_store: MakeStore, tmp_path: Path
) -> None:
    def unlearned(_: dict[str, Any], windows: list[dict[str, Any]]) -> None:
        for window in [each for each in windows if each["split"] == "test"][kept:]:
            window |= {"label": "never", "label_index": 3}

    train(replace(CONFIG, epochs=1), make_store(edit=unlearned), tmp_path / "run")
    result = evaluate(tmp_path / "run")
    assert result.untaught == ("never",)
    said = f"Classes of this split without a window in the training split: never; {then}."
    assert said in compare(result).notes
    assert "training split: never" not in render_text(compare(evaluate(run_dir)))


def as_har(result: EvalResult) -> EvalResult:
    return replace(result, record=replace(result.record, config=replace(CONFIG, view="har-pamap2")))


def test_the_table_sets_the_run_beside_the_random_rows_of_table_4(run_dir: Path) -> None:
    text = render_text(compare(as_har(evaluate(run_dir))))
    rnn, transformer = (line for line in text.splitlines() if "Table 4" in line)
    assert "random RNN" in rnn
    assert "0.5908    0.6488  PAMAP2, 544 random test windows" in rnn
    assert "random Transformer" in transformer
    assert "0.6548    0.7022  PAMAP2, 544 random test windows" in transformer
    assert "this run (CNN-GRU, GRU over time)" in text
    assert "chance: always the most frequent class" in text
    assert "random split, so windows of one participant stand on both sides" in text
    assert "Classes without a window in this split: never" in text


def test_a_view_without_published_numbers_says_so(run_dir: Path) -> None:
    comparison = compare(evaluate(run_dir))
    assert len(comparison.rows) == 3
    assert "No published numbers from random weights are known for this view." in comparison.notes


def test_what_cannot_be_evaluated_is_named(run_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"holds no run: it has no config\.json"):
        evaluate(tmp_path)
    with pytest.raises(RunError, match=f"holds no run: it has no config.json; runs in it: {run_dir.name}"):
        evaluate(run_dir.parent)
    with pytest.raises(RunError, match=r"absent does not exist; name the folder of a run"):
        evaluate(tmp_path / "absent")
    (tmp_path / "config.json").write_text((run_dir / "config.json").read_text())
    with pytest.raises(RunError, match="has not finished an epoch yet; resume it first"):
        evaluate(tmp_path)
    with pytest.raises(StreamError, match="split 'dev' of view 'tiny' has no windows"):
        evaluate(run_dir, "dev")


def test_a_split_without_labels_cannot_be_evaluated(make_store: MakeStore, tmp_path: Path) -> None:
    def forget(arrays: dict[str, object], windows: list[dict[str, object]]) -> None:
        for row in windows:
            if row["split"] == "test":
                row["label"] = row["label_index"] = None

    repo = make_store(edit=forget)
    train(replace(CONFIG, epochs=1), repo, tmp_path / "run")
    with pytest.raises(RunError, match="split 'test' of view 'tiny' has no labels to evaluate against"):
        evaluate(tmp_path / "run")
