"""What an objective makes of a split: storage order whatever the stream's, whose vectors they are, nothing changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from sensorloom.align.view import View
from sensorloom.store.repository import Repository
from sensorloom.training.assemble import build_for, columns_for
from sensorloom.training.batch import Batch
from sensorloom.training.errors import RunError
from sensorloom.training.evaluation.embeddings import embed_split
from sensorloom.training.facts import take_numbers
from sensorloom.training.objectives.supervised import Supervised
from sensorloom.training.recipes import make_recipe
from sensorloom.training.stream import TripletStream
from sensorloom.training.terms.modalities import Source, frozen_rows
from tests.training.generated_triplets import text_key
from tests.training.generated_views import KnownWindow, write_view
from tests.training.learnable_triplets import LEARNABLE, write_learnable

CPU = torch.device("cpu")
COLUMNS = ("imu", "text", "video", "mocap")
TALKATIVE = View(
    "talkative",
    ("egoexo4d",),
    ("head",),
    (),
    length_s=1.0,
    stride_s=1.0,
    rate_hz=50,
    requires=(),
    texts=("atomic", "commentary"),
)


class Telling(nn.Module):
    """Embeds IMU as a vector that tells the example's place, and texts by the slot that is asked for."""

    def __init__(self, slot: object = 0) -> None:
        super().__init__()
        self.text = Source("text", slot)  # type: ignore[arg-type]
        self.modes: list[bool] = []

    def embed(self, batch: Batch) -> dict[str, tuple[Tensor, Tensor]]:
        self.modes.append(self.training)
        angle_B = batch.index_B.double() / 100
        imu_B2 = torch.stack((angle_B.cos(), angle_B.sin()), dim=1)
        assert batch.imu_present_BSK is not None
        imu = (imu_B2, batch.imu_present_BSK.flatten(1).any(dim=1))
        if batch.text_BKD is None:
            return {"imu": imu}
        rows_BD, there_B = frozen_rows(batch, self.text)
        return {"imu": imu, "text": (normalize(rows_BD, dim=1), there_B)}


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return write_learnable(str(tmp_path_factory.mktemp("embedded") / "store"))


def stream_of(repo: Repository, **options: object) -> TripletStream:
    settings = {"batch_size": 7, "columns": ("imu", "text"), "shuffle": "none", "last": "keep"} | options
    return TripletStream(repo, view="learnable", split="val", **settings)  # type: ignore[arg-type]


def places_of(imu: tuple[Tensor, Tensor]) -> list[int]:
    return (torch.atan2(imu[0][:, 1], imu[0][:, 0]) * 100).round().long().tolist()


@pytest.mark.parametrize(
    "options",
    [{}, {"shuffle": "global", "seed": 3}, {"shuffle": "global", "last": "pad"}, {"batch_size": 16}],
    ids=["as-stored", "shuffled", "padded", "at-once"],
)
def test_windows_come_once_and_as_they_are_stored(repo: Repository, options: dict[str, object]) -> None:
    stream = stream_of(repo, **options)
    split = embed_split(Telling(), stream, CPU)
    assert (split.split, split.view, split.classes) == ("val", "learnable", LEARNABLE.classes)
    assert places_of(split.vectors["imu"]) == list(range(16))
    assert list(split.window_ids) == stream.window_ids(torch.arange(16))
    assert torch.equal(split.take_N, take_numbers(stream))
    assert split.start_ns_N.tolist() == [at * LEARNABLE.length_ns for at in range(16)]
    assert split.length_ns == LEARNABLE.length_ns
    assert stream.labels is not None
    assert split.label_N.tolist() == stream.labels.tolist()
    as_stored = embed_split(Telling(), stream_of(repo), CPU)
    assert torch.equal(split.text_id_N, as_stored.text_id_N)
    assert len(set(split.text_id_N.tolist())) > 10
    assert torch.equal(split.vectors["text"][0], as_stored.vectors["text"][0])


def test_the_shares_of_two_ranks_are_the_whole(repo: Repository) -> None:
    whole = embed_split(Telling(), stream_of(repo), CPU)
    shares = [
        embed_split(Telling(), stream_of(repo, batch_size=8, rank=rank, num_ranks=2), CPU) for rank in (0, 1)
    ]
    assert sorted(shares[0].window_ids + shares[1].window_ids) == sorted(whole.window_ids)
    for share in shares:
        at = [whole.window_ids.index(window) for window in share.window_ids]
        assert torch.equal(whole.text_id_N[at], share.text_id_N)
        assert torch.equal(whole.take_N[at], share.take_N)


def test_a_drawn_objective_gives_what_it_gives_batch_by_batch(repo: Repository) -> None:
    config = replace(make_recipe("all-modalities"), view="learnable", encoder="tpn")  # type: ignore[call-arg]
    stream = stream_of(repo, columns=columns_for(config), batch_size=16)
    torch.manual_seed(0)
    objective = build_for(config, stream).train()
    split = embed_split(objective, stream, CPU)
    assert objective.training
    objective.eval()
    stream.set_epoch(0)
    with torch.no_grad():
        expected = objective.embed(next(iter(stream)))  # type: ignore[operator]
    assert set(split.vectors) == set(COLUMNS)
    for name, (rows_ND, there_N) in split.vectors.items():
        assert rows_ND.dtype == torch.float32
        assert not rows_ND.requires_grad
        assert torch.allclose(rows_ND, expected[name][0], atol=1e-6)
        assert torch.equal(there_N, expected[name][1])
        assert torch.allclose(rows_ND[there_N].norm(dim=1), torch.tensor(1.0), atol=1e-5)


def test_it_looks_in_evaluation_mode_and_leaves_the_mode(repo: Repository) -> None:
    for mode in (True, False):
        objective = Telling().train(mode)
        embed_split(objective, stream_of(repo), CPU)
        assert objective.modes == [False] * 3
        assert objective.training is mode


def test_batches_are_changed_before_they_are_embedded(repo: Repository) -> None:
    def without_imu(batch: Batch) -> Batch:
        assert batch.imu_present_BSK is not None
        return replace(batch, imu_present_BSK=torch.zeros_like(batch.imu_present_BSK))

    split = embed_split(Telling(), stream_of(repo), CPU, change=without_imu)
    assert not split.vectors["imu"][1].any()
    assert embed_split(Telling(), stream_of(repo), CPU).vectors["imu"][1].any()


def test_windows_without_labels_have_none(tmp_path: Path) -> None:
    repo, _ = _talkative(str(tmp_path / "store"))
    split = embed_split(Telling(), _talking(repo), CPU)
    assert (split.label_N == -1).all()
    assert split.classes == ()


def test_a_text_is_that_of_the_slot_whose_vector_it_is(tmp_path: Path) -> None:
    repo, windows = _talkative(str(tmp_path / "store"))
    for number, slot in enumerate(TALKATIVE.texts):
        split = embed_split(Telling(number), _talking(repo), CPU)
        said = [windows[name].texts[slot][:1] for name in split.window_ids]
        assert split.text_id_N.tolist() == [text_key(texts[0]) if texts else 0 for texts in said]
        assert split.vectors["text"][1].tolist() == [bool(texts) for texts in said]


def test_of_several_texts_one_at_random_is_the_one_that_was_drawn(tmp_path: Path) -> None:
    repo, _ = _talkative(str(tmp_path / "store"))
    by_slot = [embed_split(Telling(number), _talking(repo), CPU) for number in (0, 1)]
    drawn = embed_split(Telling("random"), _talking(repo), CPU)
    chosen = []
    for at in range(len(drawn)):
        same = [
            number
            for number in (0, 1)
            if torch.allclose(by_slot[number].vectors["text"][0][at], drawn.vectors["text"][0][at])
            and drawn.vectors["text"][1][at]
        ]
        ids = {int(by_slot[number].text_id_N[at]) for number in same}
        assert {int(drawn.text_id_N[at])} == (ids or {0})
        chosen += same
    assert {*chosen} == {0, 1}


def test_draws_are_the_same_at_every_call(tmp_path: Path) -> None:
    stream = _talking(_talkative(str(tmp_path / "store"))[0])
    first, second = (embed_split(Telling("random"), stream, CPU) for _ in range(2))
    assert torch.equal(first.text_id_N, second.text_id_N)
    assert torch.equal(first.vectors["text"][0], second.vectors["text"][0])


def test_the_mean_of_several_texts_is_of_them_all(tmp_path: Path) -> None:
    repo, windows = _talkative(str(tmp_path / "store"))
    split = embed_split(Telling("mean"), _talking(repo), CPU)
    for name, found in zip(split.window_ids, split.text_id_N.tolist(), strict=True):
        ids = [text_key(texts[0]) for texts in windows[name].texts.values() if texts]
        assert (found - sum(ids)) % 2**64 == 0
        assert (found == 0) == (not ids)


def test_a_classifier_has_no_embeddings(repo: Repository) -> None:
    with pytest.raises(RunError, match="Supervised embeds nothing: it was trained from labels"):
        embed_split(Supervised(nn.Identity(), 2, 2), stream_of(repo), CPU)


def _talkative(url: str) -> tuple[Repository, dict[str, KnownWindow]]:
    return write_view(url, TALKATIVE, rows=(12, 0, 9))


def _talking(repo: Repository) -> TripletStream:
    return TripletStream(
        repo,
        view="talkative",
        split="train",
        batch_size=8,
        columns=("imu", "text"),
        shuffle="none",
        last="keep",
    )
