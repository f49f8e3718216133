"""What the windows that a run is judged on share with those that its encoder learned from [methods §0 row 15, §8.9]."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from sensorloom.store.changes import Put
from sensorloom.store.manifest import work_key
from sensorloom.store.repository import Repository
from sensorloom.training.evaluation.judge import Asked, evaluate_run
from sensorloom.training.run import train
from tests.training.learnable_triplets import write_learnable
from tests.training.test_recipes_train import small

ASKED = Asked(protocols=("zero-shot",))  # which says why it has no score, and everything is told all the same


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    return write_learnable(str(tmp_path / "store"), test=16)


def share_people(repo: Repository, split: str) -> None:
    """Make every test recording, and those of `split`, of one and the same person."""
    takes = repo.scan(repo.resolve("main"), "takes").collect()
    is_theirs = pl.col("take_id").str.contains(f"{split}|test")
    told = takes.with_columns(
        participant_id=pl.when(is_theirs).then(pl.lit("pamap2/one")).otherwise(pl.col("participant_id"))
    )
    table = repo.write_table("00", told.to_arrow(), work=work_key("test", 2, [split], None))
    repo.commit(lambda _: [Put("takes", table)], message="generated", provenance={})


def leaks(repo: Repository, folder: Path, split: str) -> tuple[int, int, int]:
    train(small("imu2clip", encoder="tpn", epochs=1, batch_size=32), repo, folder)
    (view,) = evaluate_run(folder, split, asked=ASKED).facts()["views"]
    return view["pretrained_takes"], view["pretrained_participants"], view["shared_participants"]


@pytest.mark.parametrize(("split", "found"), [("train", (4, 4, 4)), ("val", (4, 4, 0)), ("test", (0, 0, 0))])
def test_recordings_that_the_encoder_learned_from_or_was_chosen_by_are_counted(
    repo: Repository, tmp_path: Path, split: str, found: tuple[int, int, int]
) -> None:
    assert leaks(repo, tmp_path / "run", split) == found


@pytest.mark.parametrize(("split", "found"), [("train", (0, 1, 1)), ("val", (0, 1, 0))])
def test_people_count_though_their_recordings_are_others(
    repo: Repository, tmp_path: Path, split: str, found: tuple[int, int, int]
) -> None:
    share_people(repo, split)
    assert leaks(repo, tmp_path / "run", "test") == found
