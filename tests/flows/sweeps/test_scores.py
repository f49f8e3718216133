"""Scores of an evaluation become the columns of a sweep, each with the chance that belongs to it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sensorloom.flows.chosen_encoder import named_spec
from sensorloom.flows.config import Config
from sensorloom.flows.sweeps.judges import asked_of, by_protocols, by_validation
from sensorloom.flows.sweeps.report import Score
from sensorloom.flows.sweeps.scores import evaluation_scores
from sensorloom.flows.view_words import splits_of, view_words, views_words
from sensorloom.training.errors import RunError
from sensorloom.training.evaluation.classification import HeadFacts, ProtocolScore
from sensorloom.training.evaluation.few_shot import FewShotCurve, FewShotPoint
from sensorloom.training.evaluation.judged import ClassifiedView, Evaluation
from sensorloom.training.evaluation.retrieval import RetrievalScores
from sensorloom.training.metrics import Chance
from sensorloom.training.run import RunResult
from tests.training.learnable_triplets import write_learnable

CHANCE = Chance(majority_accuracy=0.4, majority_macro_f1=0.1, uniform_accuracy=0.25, uniform_macro_f1=0.2)
HEAD = HeadFacts("linear", "head", None, None, None)
GUESS = {"r1": 0.01, "r10": 0.1, "r50": 0.5, "mrr": 0.05}


def evaluation(tmp_path: Path = Path("run")) -> Evaluation:
    probe = ProtocolScore(
        protocol="linear-probe", paper="primus", view="har", split="test", classes=("a", "b"), head=HEAD,
        macro_f1=0.6, accuracy=0.7, macro_f1_error=None, accuracy_error=None, confusion=np.eye(2, dtype=np.int64),
        chance=CHANCE, windows=2, train_windows=2, seeds=(),
    )  # fmt: skip
    points = tuple(FewShotPoint(shots, shots / 100, None, 0.1, None, 2, (), (0.1,)) for shots in (5, 50))
    head = HeadFacts("linear from class texts", "head", "prompts", "generated", None)
    curve = FewShotCurve("linear-probe", "primus", "har", "test", ("a", "b"), head, points, CHANCE, 2)
    view = ClassifiedView(
        view="har", snapshot_id="ab", split="test", data="real", windows=2, classes=("a", "b"), shared_participants=0,
        pretrained_takes=0, scores=(probe,), few_shot=(curve,), positions=(), left_out={},
    )  # fmt: skip
    found: list[RetrievalScores] = []
    for at, variant in enumerate(("one-right", "all-right", "other-takes")):
        name: Any = variant
        found.append(RetrievalScores("imu", "text", name, 9, 9, 0.0, 0.5 + at / 8, 1.0, 0.25, GUESS))
    return Evaluation(
        run=str(tmp_path), recipe="primus", objective="primus", encoder="CNN-GRU", view="primus", snapshot_id="ab",
        split="test", data="real", windows=9, shared_participants=0, vectors_of=None, retrieval=tuple(found),
        offsets=(), scales=(), missing=(), views=(view,), left_out={}, not_judged={},
    )  # fmt: skip


def test_scores_of_an_evaluation_have_their_own_chance() -> None:
    """Of an accuracy the most frequent class is the better guess here, of macro-F1 a class at random."""
    assert evaluation_scores(evaluation()) == {
        "imu → text R@10": Score(0.5, 0.1),
        "imu → text MRR": Score(0.25, 0.05),
        "imu → text R@10, other takes": Score(0.75, 0.1),
        "har, linear-probe, linear, accuracy": Score(0.7, 0.4),
        "har, linear-probe, linear, macro-F1": Score(0.6, 0.2),
        "har, few-shot by 50 labels a class, linear from class texts (prompts), accuracy": Score(0.5, 0.4),
    }


def test_a_curve_that_ends_with_all_labels_has_the_same_name_in_every_store() -> None:
    (view,) = evaluation().views
    for shots in (5, 500):
        point = FewShotPoint(shots, 0.5, None, 0.1, None, 2, (), (0.5,), is_all=True)
        curves = (replace(view.few_shot[0], points=(point,)),)
        scores = evaluation_scores(replace(evaluation(), views=(replace(view, few_shot=curves),)))
        assert "har, few-shot by all labels, linear from class texts (prompts), accuracy" in scores


def test_a_judge_says_what_it_goes_by() -> None:
    config = Config()
    assert by_validation().name.startswith("the validation split in the best epoch")
    retrieval = by_protocols(config, "val", asked_of(config, ["retrieval"], []))
    assert retrieval.name == "retrieval of split 'val'"
    probes = by_protocols(config, "test", asked_of(config, ["linear-probe", "few-shot"], ["har"]))
    assert probes.name == "linear-probe, few-shot of split 'test' on har"
    assert probes.views == ("har",)
    anywhere = by_protocols(config, "test", asked_of(config, ["transfer"], []))
    assert anywhere.name == "transfer of split 'test' on every view with labels that fits"


def test_an_unknown_protocol_is_refused_before_anything_is_trained() -> None:
    with pytest.raises(RunError, match="unknown protocols: guessing; known: retrieval"):
        asked_of(Config(), ["guessing"], [])


def test_classes_are_said_by_the_encoder_that_is_named() -> None:
    assert named_spec(Config()) is None
    named = named_spec(Config.model_validate({"embed": {"pretrained": "openai"}}))
    assert named is not None
    assert (named.model, named.pretrained) == ("ViT-B-32", "openai")


def test_a_judge_evaluates_the_run_and_keeps_the_evaluation_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sensorloom.training.evaluation import judge as module

    asked_for: list[Any] = []

    def evaluate_run(run: Path, split: str, *, asked: Any, store: str, on_progress: Any) -> Evaluation:
        asked_for.append((run, split, asked.protocols, asked.views, store))
        return evaluation(run)

    monkeypatch.setattr(module, "evaluate_run", evaluate_run)
    config = Config.model_validate({"store": {"url": "somewhere"}})
    judge = by_protocols(config, "test", asked_of(config, ["linear-probe"], ["har"]))
    record: Any = None
    scores = judge.scores(RunResult(tmp_path, record, 1, 1.0, 0, {}, "", None, 1.0, 0.0))
    assert scores["har, linear-probe, linear, accuracy"] == Score(0.7, 0.4)
    assert asked_for == [(tmp_path, "test", ("linear-probe",), ("har",), "somewhere")]
    assert (tmp_path / "evaluation-test.json").is_file()


def test_a_view_is_told_by_its_data_people_and_vectors(tmp_path: Path) -> None:
    repo = write_learnable(str(tmp_path / "store"))
    snapshot = repo.resolve("main")
    words = "generated miniature of pamap2, 48 windows of 8 participants, vectors of generated"
    assert view_words(repo, snapshot, "learnable") == words
    assert (
        views_words(repo, snapshot, ["learnable", "har", "learnable"])
        == f"learnable: {words}; har: not built"
    )
    assert splits_of(repo, snapshot, "learnable") == {"train", "val"}
    assert splits_of(repo, snapshot, "har") == frozenset()
