"""Judging a run without labels: what is measured on which view, what is left out and why, and how far the work is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sensorloom.align.view import View
from sensorloom.store.repository import Repository
from sensorloom.training.configs import AlignmentConfig, SimClrConfig, SupervisedConfig
from sensorloom.training.errors import RunError, StreamError, UnfitError
from sensorloom.training.evaluation import judge as module
from sensorloom.training.evaluation.embeddings import embed_split
from sensorloom.training.evaluation.judge import ALL, USUAL, Asked, Evaluation, evaluate_run, save_evaluation
from sensorloom.training.evaluation.judged_view import find_views
from sensorloom.training.evaluation.retrieval import retrieval_scores
from sensorloom.training.evaluation.slot_splits import slot_scores
from sensorloom.training.loaded import load_run, open_split
from sensorloom.training.run import train
from tests.training.generated_views import write_view
from tests.training.learnable_triplets import LEARNABLE, write_learnable
from tests.training.saved_runs import save_run

CONFIG = AlignmentConfig(recipe="imu2clip", view="learnable", epochs=1, batch_size=16)
OWN = Asked(protocols=("retrieval", "offsets"))
CLASSES = Asked(protocols=("zero-shot", "linear-probe", "transfer"))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = str(tmp_path_factory.mktemp("judged") / "store")
    write_learnable(url, test=16)
    write_view(url, replace(LEARNABLE, name="slower", rate_hz=20, cameras=(), texts=(), mocap="none"))
    write_view(url, replace(LEARNABLE, name="without-labels", classes=(), mocap="none"), fingerprint="ab")
    return url


@pytest.fixture(scope="module")
def run_dir(store: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "imu2clip"
    train(CONFIG, store, folder)
    return folder


@pytest.fixture(scope="module")
def judged(run_dir: Path) -> Evaluation:
    return evaluate_run(run_dir, "test", asked=Asked(protocols=(*OWN.protocols, *CLASSES.protocols)))


def test_retrieval_is_that_of_the_best_weights_on_the_split(run_dir: Path, judged: Evaluation) -> None:
    loaded = load_run(run_dir)
    stream = open_split(loaded, "learnable", "test")
    split = embed_split(loaded.objective, stream, torch.device("cpu"))
    assert judged.retrieval == (*retrieval_scores(split), *slot_scores(stream, split))
    assert {(score.query, score.key) for score in judged.retrieval} >= {("imu", "text"), ("video", "imu")}
    assert {found.reach_s for found in judged.offsets} == {2.0, 5.0, 10.0}


def test_the_run_and_its_data_are_told(judged: Evaluation, run_dir: Path) -> None:
    assert judged.name == "imu2clip (CNN-GRU, GRU over time)"
    assert judged.data == "generated miniature of pamap2, 16 windows of 4 participants"
    assert (judged.run, judged.view, judged.split, judged.windows) == (str(run_dir), "learnable", "test", 16)
    assert (judged.vectors_of, judged.is_generated) == ("generated", True)
    assert judged.shared_participants == 0


def test_views_with_labels_are_judged_and_others_say_why_not(judged: Evaluation) -> None:
    (view,) = judged.views
    assert (view.view, view.classes, view.windows) == ("learnable", ("slow", "fast"), 16)
    assert [score.protocol for score in view.scores] == ["linear-probe"]
    assert view.scores[0].confusion.sum() == 16
    assert list(judged.not_judged) == ["slower"]
    assert "cannot take those of view 'slower'" in judged.not_judged["slower"]


def test_a_protocol_without_an_encoder_of_texts_says_why(judged: Evaluation) -> None:
    left_out = judged.views[0].left_out
    assert set(left_out) == {"zero-shot", "transfer"}
    assert "no encoder of texts is at hand (the vectors are of an encoder" in left_out["transfer"]


@dataclass(frozen=True)
class _Identity:
    name: str = "made up"


class _Encoder:
    """Says each text by a random direction of its own."""

    identity = _Identity()

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        rows = [np.random.default_rng([*text.encode()]).standard_normal(16) for text in texts]
        return np.array(rows, np.float32)


def test_classes_are_said_by_the_encoder_of_the_run(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked_of = []
    monkeypatch.setattr(
        module, "open_text_encoder", lambda told, *, spec: asked_of.append((told, spec)) or _Encoder()
    )
    (view,) = evaluate_run(run_dir, "test", asked=CLASSES).views
    assert asked_of == [({"weights": "ab"}, None)]
    assert {score.protocol for score in view.scores} == {"linear-probe", "transfer"}
    transfer = next(score for score in view.scores if score.protocol == "transfer")
    assert (transfer.head.wording, transfer.head.texts_by) == ("names", "made up")
    assert "class 'slow' has no prompts" in view.left_out["zero-shot"]


def test_settings_of_fits_and_seeds_are_handed_on(run_dir: Path) -> None:
    asked = Asked(protocols=("linear-probe",), tune=lambda fit: replace(fit, epochs=2, batch_size=8), seeds=3)
    (score,) = evaluate_run(run_dir, "test", asked=asked).views[0].scores
    assert score.head.settings is not None
    assert (score.head.settings.epochs, score.head.settings.batch_size) == (2, 8)
    assert [seed.seed for seed in score.seeds] == [0, 1, 2]


def test_what_was_learned_from_is_told(run_dir: Path) -> None:
    found = evaluate_run(run_dir, "train", asked=Asked(protocols=("retrieval", "linear-probe")))
    assert found.shared_participants == 4
    assert (found.views[0].pretrained_takes, found.views[0].shared_participants) == (4, 4)


@pytest.mark.parametrize(
    ("split", "way", "positions"), [("train", "fitted to", False), ("val", "chosen by", True)]
)
def test_what_learns_is_not_scored_on_what_it_learned_from(
    run_dir: Path, split: str, way: str, positions: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Held-out positions learn from train alone; texts of classes learn from nothing."""
    monkeypatch.setattr(module, "open_text_encoder", lambda *args, **options: _Encoder())
    monkeypatch.setattr("sensorloom.training.evaluation.class_texts.prompts_of", lambda name: (name,))
    asked = Asked(protocols=tuple(name for name in ALL if name not in ("retrieval", "offsets", "missing")))
    (view,) = evaluate_run(run_dir, split, asked=asked).views
    assert [score.protocol for score in view.scores] == ["zero-shot"]
    assert (view.few_shot, bool(view.positions)) == ((), positions)
    fitted = {"linear-probe", "transfer", "few-shot", "fine-tune", "from-scratch"}
    assert set(view.left_out) == fitted | (set() if positions else {"positions"})
    assert all(f"is {way} split {split!r} itself" in reason for reason in view.left_out.values())


def test_heads_are_not_scored_on_classes_that_they_never_learned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "open_text_encoder", lambda *args, **options: _Encoder())
    monkeypatch.setattr("sensorloom.training.evaluation.class_texts.prompts_of", lambda name: (name,))
    url = str(tmp_path / "store")
    repo = write_learnable(url, train=8, val=8, test=8, only={"train": "slow", "test": "fast"})
    run = save_run(CONFIG, repo, tmp_path / "run")
    (view,) = evaluate_run(
        run, "test", asked=Asked(protocols=(*CLASSES.protocols, "few-shot", "positions"))
    ).views
    assert [score.protocol for score in view.scores] == ["zero-shot"]
    assert set(view.left_out) == {"linear-probe", "transfer", "few-shot", "positions"}
    said = "all labelled windows of split 'test' are of fast, and split 'train', which heads are fitted to, has none"
    assert all(reason.startswith(said) for reason in view.left_out.values())


def test_progress_counts_every_step_once(run_dir: Path) -> None:
    told: list[tuple[str, int, int]] = []
    evaluate_run(
        run_dir,
        "test",
        asked=Asked(protocols=("retrieval", "linear-probe", "zero-shot")),
        on_progress=lambda *each: told.append(each),
    )
    done = [count for _, count, _ in told]
    assert done == sorted(done)
    assert done[-1] == 3
    assert {total for _, _, total in told} == {3}
    lines = [line for line, _, _ in told]
    assert any(line.startswith("linear-probe on learnable: ") for line in lines)
    assert lines.index("open the encoder of texts") < lines.index("embed learnable")


def test_a_run_that_embeds_sensors_alone_finds_nothing_by_them(store: str, tmp_path: Path) -> None:
    train(SimClrConfig(recipe="simclr", view="learnable", epochs=1, batch_size=16), store, tmp_path / "run")
    found = evaluate_run(tmp_path / "run", "val", asked=OWN)
    assert (found.retrieval, found.offsets, found.views) == ((), (), ())
    assert "embeds sensors alone" in found.left_out["retrieval"]


def test_a_chosen_view_must_fit_and_have_labels(run_dir: Path) -> None:
    for view, error, words in (
        ("slower", UnfitError, "cannot take those of view 'slower'.*; of this store learnable would fit"),
        (
            "without-labels",
            UnfitError,
            "view 'without-labels' has no labels; .*; of this store learnable would",
        ),
        ("har-nothing", StreamError, "has no view 'har-nothing'"),
    ):
        with pytest.raises(error, match=words):
            evaluate_run(run_dir, "val", asked=replace(CLASSES, views=(view,)))


def test_views_of_later_snapshots_are_found_and_earlier_ones_stay(tmp_path: Path) -> None:
    url = str(tmp_path / "store")
    write_learnable(url)
    record = train(CONFIG, url, tmp_path / "run").record
    write_learnable(url, val=12)
    write_view(url, View("later", ("pamap2",), ("chest",), ("a", "b"), rate_hz=25))
    loaded = load_run(tmp_path / "run")
    found, refused = find_views(loaded, "val", ())
    assert found == {"learnable": record.snapshot_id}
    assert list(refused) == ["later"]


def test_where_a_run_was_trained_does_not_say_where_it_is_judged(store: str, tmp_path: Path) -> None:
    """As if on a machine with more GPUs than this one."""
    config = SimClrConfig(recipe="simclr", view="learnable", device="cuda:99")
    run = save_run(config, Repository.open(store), tmp_path / "run")
    found = evaluate_run(run, "test", asked=Asked(protocols=("missing",)))
    assert len(found.missing) == 7


def test_runs_with_labels_are_refused(store: str, tmp_path: Path) -> None:
    train(SupervisedConfig(recipe="s", view="learnable", epochs=1), store, tmp_path / "run")
    with pytest.raises(
        UnfitError, match="was trained from labels, and its own classifier is judged; leave out"
    ):
        evaluate_run(tmp_path / "run", "val")


def test_what_is_asked_for_must_be_known() -> None:
    with pytest.raises(
        RunError, match="unknown protocols: zeroshot; known: retrieval, offsets, scales, missing"
    ):
        Asked(protocols=("zeroshot", "retrieval"))
    with pytest.raises(RunError, match="unknown protocols: none"):
        Asked(protocols=())
    with pytest.raises(RunError, match="at least 1 seed, got 0"):
        Asked(seeds=0)
    assert set(ALL) - set(USUAL) == {"fine-tune", "from-scratch"}
    assert Asked().protocols == USUAL


def test_an_evaluation_is_stored_as_json(judged: Evaluation, tmp_path: Path) -> None:
    path = save_evaluation(judged, tmp_path / "new", {"more": 1})
    facts = json.loads(path.read_text())
    assert path.name == "evaluation-test.json"
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert (facts["more"], facts["view"]) == (1, "learnable")
    assert facts["views"][0]["scores"][0]["confusion"] == judged.views[0].scores[0].confusion.tolist()
