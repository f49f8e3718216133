"""A finished run opened for use: the same weights, other views that its encoder takes, and those that it does not."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sensorloom.store.repository import Repository
from sensorloom.training.checkpoint import Checkpoint, latest_checkpoint, load_checkpoint, save_checkpoint
from sensorloom.training.configs import RunConfig
from sensorloom.training.errors import CheckpointError, RunError, StreamError, UnfitError
from sensorloom.training.evaluate import BEST, evaluate, score
from sensorloom.training.evaluation.embeddings import embed_split
from sensorloom.training.evaluation.retrieval import retrieval_scores
from sensorloom.training.loaded import LoadedRun, load_run, open_split
from sensorloom.training.metrics import accuracy
from sensorloom.training.objectives.supervised import Supervised
from sensorloom.training.run import train
from tests.training.generated_views import write_view
from tests.training.learnable_triplets import LEARNABLE, write_learnable
from tests.training.test_recipes_train import light, small

CPU = torch.device("cpu")
ONE_OF_EACH = ("primus", "aura-mocap", "simclr", "crossl-pamap2", "jepa", "all-modalities")
QUICK = {"epochs": 1, "batch_size": 32}
LABELLED = replace(LEARNABLE, name="labelled", positions=("head",), texts=(), cameras=(), mocap="none")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """The generated view, and others whose windows differ from it in one thing each."""
    url = str(tmp_path_factory.mktemp("loaded") / "store")
    write_learnable(url)
    for view in (
        LABELLED,
        replace(LABELLED, name="faster", rate_hz=100),
        replace(LABELLED, name="longer", length_s=5.0),
        replace(LABELLED, name="as-many-samples", rate_hz=25, length_s=5.0, stride_s=5.0),
        replace(LABELLED, name="told", texts=("atomic",)),
        replace(LABELLED, name="two", positions=("hand", "ankle")),
    ):
        write_view(url, view)
    return Repository.open(url)


@pytest.fixture(scope="module")
def aligned_dir(store: Repository, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("loaded") / "aligned"
    train(small("imu2clip", encoder="tpn", **QUICK), store, out)
    return out


def test_a_run_that_was_stopped_says_how_far_it_came(aligned_dir: Path, tmp_path: Path) -> None:
    assert load_run(aligned_dir).unfinished == ""
    run = tmp_path / "run"
    shutil.copytree(aligned_dir, run)
    last = latest_checkpoint(run / BEST.parent)
    assert last is not None
    whole = load_checkpoint(last)
    begun = whole.state | {"stream": whole.state["stream"] | {"epoch": 0}}
    save_checkpoint(last, Checkpoint(whole.tensors, begun))
    assert load_run(run).unfinished == "trained for 0 of 1 epochs; `train … --resume` goes on"


@pytest.fixture(scope="module")
def aligned(aligned_dir: Path) -> LoadedRun:
    return load_run(aligned_dir)


def trained(store: Repository, config: RunConfig, out: Path) -> LoadedRun:
    train(config, store, out)
    return load_run(out)


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_a_run_of_every_objective_gives_its_validation_again(
    store: Repository, tmp_path: Path, name: str
) -> None:
    config = small(name, **QUICK, **light(name))
    result = train(config, store, tmp_path)
    loaded = load_run(tmp_path)
    assert not loaded.objective.training
    split = embed_split(loaded.objective, open_split(loaded, "learnable", "val"), CPU)
    found = {
        f"{each.query}-{each.key}": each for each in retrieval_scores(split) if each.variant == "one-right"
    }
    assert set(found) == {key.removesuffix("/mrr") for key in result.scores if key.endswith("/mrr")}
    for pair, scores in found.items():
        assert scores.mrr == pytest.approx(result.scores[f"{pair}/mrr"])
        assert scores.candidates == result.scores[f"{pair}/candidates"]


def test_a_classifier_is_opened_too(store: Repository, tmp_path: Path) -> None:
    loaded = trained(
        store, small("standard-pamap2", class_weights="balanced", encoder="tpn", **QUICK), tmp_path
    )
    assert isinstance(loaded.objective, Supervised)
    assert loaded.vectors_of is None
    confusion = score(loaded.objective, open_split(loaded, "learnable", "val"), CPU)
    assert accuracy(confusion) == evaluate(tmp_path, "val").accuracy


def test_a_split_has_the_columns_of_the_run_that_its_view_has(aligned: LoadedRun) -> None:
    assert open_split(aligned, "learnable", "val").columns == ("imu", "text", "video")
    stream = open_split(aligned, "labelled", "train", batch_size=5)
    assert (stream.columns, stream.batch_size, stream.shuffle, stream.last) == (("imu",), 5, "none", "keep")
    split = embed_split(aligned.objective, stream, CPU)
    assert len(split) == 9
    assert set(split.vectors) == {"imu"}
    assert split.classes == LEARNABLE.classes


def test_one_encoder_takes_any_number_of_slots_unless_they_are_its_own(
    store: Repository, aligned: LoadedRun, tmp_path: Path
) -> None:
    assert open_split(aligned, "two", "train").window_shape == (2, 6, 125)
    sensors = trained(store, small("crossl-pamap2", **QUICK), tmp_path / "crossl")
    assert open_split(sensors, "two", "train").window_shape == (2, 6, 125)
    with pytest.raises(
        RunError, match=r"windows \[2, 6, 125\] .*'labelled', \[1, 6, 125\].*, and as many positions"
    ):
        open_split(sensors, "labelled", "train")


@pytest.mark.parametrize(
    ("view", "said"),
    [
        ("faster", r"\[1, 6, 250\] at 100 Hz"),
        ("longer", r"\[1, 6, 250\] at 50 Hz"),
        ("as-many-samples", r"\[1, 6, 125\] at 25 Hz"),
    ],
)
def test_windows_that_do_not_fit_are_refused(aligned: LoadedRun, view: str, said: str) -> None:
    with pytest.raises(
        RunError,
        match=rf"on windows \[2, 6, 125\] at 50 Hz \(view 'learnable'\) .*'{view}', {said}; build a view",
    ):
        open_split(aligned, view, "train")


def test_vectors_of_another_encoder_are_refused(aligned: LoadedRun) -> None:
    with pytest.raises(
        RunError, match=r"by \{'weights': 'ab'\} and view 'told' has those of \{'weights': 'ab12'\}"
    ):
        open_split(aligned, "told", "train")


def test_a_view_or_split_that_is_not_there_is_said(aligned: LoadedRun) -> None:
    with pytest.raises(StreamError, match="no view 'nowhere'"):
        open_split(aligned, "nowhere", "train")
    with pytest.raises(StreamError, match="split 'test' of view 'labelled' has no windows"):
        open_split(aligned, "labelled", "test")


def test_views_of_a_later_snapshot_are_opened_by_its_name(
    store: Repository, aligned: LoadedRun, tmp_path: Path
) -> None:
    url = str(tmp_path / "store")
    shutil.copytree(store.url.removeprefix("file://"), url)
    write_view(url, replace(LABELLED, name="later"))
    moved = load_run(aligned.run_dir, store=url)
    with pytest.raises(StreamError, match="no view 'later'"):
        open_split(moved, "later", "train")
    assert open_split(moved, "later", "train", snapshot="main").view == "later"


def test_a_store_without_the_snapshot_of_the_run_is_said(aligned: LoadedRun, tmp_path: Path) -> None:
    url = str(tmp_path / "other")
    write_view(url, replace(LABELLED, name="other"))
    with pytest.raises(UnfitError, match=r"was trained on snapshot .* and .*/other has no such snapshot"):
        load_run(aligned.run_dir, store=url)


def test_a_folder_without_a_run_or_a_finished_epoch_is_said(aligned_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"holds no run: it has no config\.json"):
        load_run(tmp_path)
    shutil.copy(aligned_dir / "config.json", tmp_path)
    with pytest.raises(RunError, match="has not finished an epoch yet; resume it first"):
        load_run(tmp_path)


def test_weights_of_another_make_or_damaged_are_said(aligned_dir: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(aligned_dir, run)
    kept = load_checkpoint(run / BEST)
    save_checkpoint(run / BEST, Checkpoint({**kept.tensors, "model/other": torch.zeros(1)}, kept.state))
    with pytest.raises(
        RunError, match=r"the weights in .*best do not fit the model of its config\.json: .*other"
    ):
        load_run(run)
    body = json.loads((run / BEST / "state.json").read_text())
    (run / BEST / "state.json").write_text(json.dumps({**body, "digest": "0"}))
    with pytest.raises(CheckpointError, match="does not match its digest"):
        load_run(run)
