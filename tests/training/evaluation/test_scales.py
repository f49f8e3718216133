"""Texts of windows several times as long as a run's own: pieces by a loop, which views count, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn.functional import normalize

from sensorloom.store.repository import Repository
from sensorloom.training.batch import Batch
from sensorloom.training.configs import AlignmentConfig, SimClrConfig
from sensorloom.training.errors import RunError, StreamError, UnfitError
from sensorloom.training.evaluation.embeddings import embed_split
from sensorloom.training.evaluation.judge import Asked, evaluate_run
from sensorloom.training.evaluation.retrieval import retrieval_scores
from sensorloom.training.evaluation.scales import embed_pieces, find_scales, scale_scores
from sensorloom.training.loaded import LoadedRun, load_run, open_longer
from sensorloom.training.objective import embed
from tests.training.generated_views import write_view
from tests.training.learnable_triplets import LEARNABLE, write_learnable
from tests.training.saved_runs import save_run

CONFIG = AlignmentConfig(recipe="imu2clip", view="learnable", batch_size=16, partners="text,video,mocap")
LONGER = replace(
    LEARNABLE, name="twice", length_s=5.0, classes=(), cameras=(), mocap="none", min_coverage=0.75
)
VIEWS = (
    LONGER,
    replace(LONGER, name="thrice", length_s=7.5),
    replace(LONGER, name="between", length_s=4.0),
    replace(LONGER, name="same", length_s=2.5),
    replace(LONGER, name="slower", rate_hz=20),
    replace(LONGER, name="without-texts", texts=()),
)


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    url = str(tmp_path_factory.mktemp("scales") / "store")
    for view in VIEWS:
        write_view(url, view, rows=(8, 6), fingerprint="ab", width=16)
    write_view(url, replace(LONGER, name="by-another"), fingerprint="cd", width=16)
    write_view(url, replace(LONGER, name="lonely"), rows=(1,), fingerprint="ab", width=16)
    return write_learnable(url)


@pytest.fixture(scope="module")
def loaded(repo: Repository, tmp_path_factory: pytest.TempPathFactory) -> LoadedRun:
    return load_run(save_run(CONFIG, repo, tmp_path_factory.mktemp("run")))


def batch_of(loaded: LoadedRun) -> Batch:
    stream, _ = open_longer(loaded, "twice", "train", loaded.record.snapshot_id)
    return next(iter(stream))


def piece(batch: Batch, at: int, first: int, stop: int) -> Batch:
    """Window `at` of a batch alone, its samples from `first` to `stop`."""
    assert batch.imu_BSCT is not None
    assert batch.imu_valid_BSKT is not None
    valid = batch.imu_valid_BSKT[at : at + 1, :, :, first:stop]
    return Batch(
        index_B=batch.index_B[at : at + 1],
        imu_BSCT=batch.imu_BSCT[at : at + 1, :, :, first:stop],
        imu_valid_BSKT=valid,
        imu_present_BSK=valid.float().mean(dim=3) >= 0.75,
    )


def test_a_window_is_the_mean_of_its_pieces(loaded: LoadedRun) -> None:
    batch = batch_of(loaded)
    with torch.no_grad():
        whole = embed_pieces(loaded.objective, batch, pieces=2, min_coverage=0.75)
        for at in range(len(batch)):
            parts = [
                embed(loaded.objective, piece(batch, at, *span))["imu"] for span in ((0, 125), (125, 250))
            ]
            there = [rows[0] for rows, is_there in parts if is_there[0]]
            assert bool(whole["imu"][1][at]) == bool(there)
            expected = normalize(torch.stack(there).sum(dim=0), dim=0) if there else torch.zeros(16)
            torch.testing.assert_close(whole["imu"][0][at], expected)
    assert whole["text"][0].shape == (len(batch), 16)


def test_a_piece_without_sensors_is_not_counted(loaded: LoadedRun) -> None:
    batch = batch_of(loaded)
    assert batch.imu_valid_BSKT is not None
    at = int(batch.imu_valid_BSKT.flatten(1).any(dim=1).nonzero()[0])
    valid = batch.imu_valid_BSKT.clone()
    valid[..., 125:] = False
    with torch.no_grad():
        gone = replace(batch, imu_valid_BSKT=valid)
        found = embed_pieces(loaded.objective, gone, pieces=2, min_coverage=0.75)["imu"][0][at]
        alone = embed(loaded.objective, piece(batch, at, 0, 125))["imu"][0][0]
    torch.testing.assert_close(found, alone)


def test_views_with_texts_and_windows_several_times_as_long_are_scales(loaded: LoadedRun) -> None:
    scales, refused = find_scales(loaded, "train", ())
    assert [(each.stream.view, each.length_s, each.pieces, each.min_coverage) for each in scales] == [
        ("lonely", 5.0, 2, 0.75),
        ("twice", 5.0, 2, 0.75),
        ("thrice", 7.5, 3, 0.75),
    ]
    assert set(refused) == {"between", "by-another", "slower"}
    assert refused["between"].startswith(
        "view 'between' has windows of 4 s at 50 Hz, which are no whole number of those of 'learnable': 125 samples at "
        "50 Hz; build one with that rate"
    )
    assert "was trained on vectors of texts and videos by" in refused["by-another"]


def test_scores_come_by_length_and_are_those_of_the_pieces(loaded: LoadedRun) -> None:
    twice, thrice = scale_scores(loaded, find_scales(loaded, "train", ())[0], {})
    assert [(each.view, each.length_s, each.pieces, each.windows) for each in (twice, thrice)] == [
        ("twice", 5.0, 2, 14),
        ("thrice", 7.5, 3, 14),
    ]
    stream, _ = open_longer(loaded, "twice", "train", loaded.record.snapshot_id)
    split = embed_split(
        loaded.objective,
        stream,
        torch.device("cpu"),
        by=lambda objective, batch: embed_pieces(objective, batch, pieces=2, min_coverage=0.75),
    )
    assert twice.retrieval == retrieval_scores(split)
    assert {(score.query, score.key) for score in twice.retrieval} == {("imu", "text"), ("text", "imu")}


@pytest.mark.parametrize(
    ("chosen", "scored", "classified"),
    [
        ((), ["twice", "thrice"], ["learnable"]),
        (("thrice",), ["thrice"], []),
        (("learnable",), ["twice", "thrice"], ["learnable"]),
    ],
)
def test_an_evaluation_scores_all_scales_or_those_that_are_chosen(
    loaded: LoadedRun, chosen: tuple[str, ...], scored: list[str], classified: list[str]
) -> None:
    asked = Asked(protocols=("scales", "transfer"), views=chosen)
    found = evaluate_run(loaded.run_dir, "train", asked=asked)
    assert [each.view for each in found.scales] == scored
    assert [each.view for each in found.views] == classified
    assert "scales" not in found.left_out
    if "twice" in scored:
        assert "0 of 1 windows have both" in found.left_out["scales, lonely"]
        assert "was trained on vectors of texts" in found.left_out["scales, by-another"]


def test_a_split_that_no_view_has_is_refused(loaded: LoadedRun) -> None:
    with pytest.raises(StreamError, match="split 'tset' of view 'learnable' has no windows"):
        evaluate_run(loaded.run_dir, "tset", asked=Asked(protocols=("retrieval", "scales")))


def test_without_longer_windows_there_is_nothing_to_score(loaded: LoadedRun) -> None:
    with pytest.raises(
        RunError, match=r"a whole number of times as long as those of 'learnable'; build one with its"
    ):
        next(scale_scores(loaded, (), {}))


def test_a_run_without_texts_has_no_scales(repo: Repository, tmp_path: Path) -> None:
    run = save_run(SimClrConfig(recipe="simclr", view="learnable", batch_size=16), repo, tmp_path)
    assert find_scales(load_run(run), "train", ()) == ((), {})


def test_a_chosen_view_must_fit(loaded: LoadedRun) -> None:
    with pytest.raises(UnfitError, match=r"has those of \{'weights': 'cd'\}"):
        find_scales(loaded, "train", ("by-another",))
    with pytest.raises(
        UnfitError, match="view 'slower' has windows of 5 s at 20 Hz, which are no whole number"
    ):
        find_scales(loaded, "train", ("slower",))
    asked = Asked(protocols=("scales",), views=("tiwce",))
    with pytest.raises(
        UnfitError, match=r"no protocol that was asked for looks at view 'tiwce'.*which .*thrice has"
    ):
        evaluate_run(loaded.run_dir, "train", asked=asked)
