"""What is left without a sensor, and at body positions that nothing was fitted on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
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
from sensorloom.training.evaluation.robustness import absences, missing_scores, position_scores
from sensorloom.training.metrics import accuracy, confusion_matrix, macro_f1
from sensorloom.training.objectives.supervised import Supervised
from sensorloom.training.stream import TripletStream
from tests.training.generated_views import write_view
from tests.training.learnable_triplets import write_learnable
from tests.training.test_recipes_train import small

CPU = torch.device("cpu")
NAMES = (
    *("chest.accelerometer", "chest.gyroscope", "chest"),
    *("head.accelerometer", "head.gyroscope", "head"),
)


class Means(nn.Module):
    """Embeds IMU as the mean of each sensor's channels, missing ones as 0, and poses as the first window's feature."""

    def embed(self, batch: Batch) -> dict[str, tuple[Tensor, Tensor]]:
        assert batch.imu_BSCT is not None
        assert batch.imu_present_BSK is not None
        mean_BX = batch.imu_BSCT.square().mean(dim=3).flatten(1)
        there_B = batch.imu_present_BSK.flatten(1).any(dim=1)
        imu = (normalize(mean_BX, dim=1), there_B)
        frozen = torch.ones_like(mean_BX) / mean_BX.shape[1] ** 0.5
        return {"imu": imu, "text": (frozen, ~there_B | there_B), "video": (frozen, ~there_B | there_B)}


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return write_learnable(str(tmp_path_factory.mktemp("robust") / "store"))


def stream_of(
    repo: Repository, split: str = "val", columns: tuple[str, ...] = ("imu", "imu_valid")
) -> TripletStream:
    return TripletStream(
        repo, view="learnable", split=split, batch_size=7, columns=columns, shuffle="none", last="keep"
    )


def first_batch(stream: TripletStream) -> Batch:
    stream.set_epoch(0)
    return next(iter(stream))


def test_each_sensor_and_each_of_several_slots_can_be_missing(repo: Repository) -> None:
    assert tuple(each.name for each in absences(stream_of(repo))) == NAMES


def test_of_one_slot_only_a_sensor_can_be_missing(tmp_path: Path) -> None:
    view = View("alone", ("pamap2",), ("wrist",), (), length_s=1.0, stride_s=1.0, rate_hz=50)
    repo, _ = write_view(str(tmp_path / "store"), view)
    stream = TripletStream(repo, view="alone", split="train", batch_size=3)
    assert [each.name for each in absences(stream)] == ["wrist.accelerometer", "wrist.gyroscope"]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_missing_is_masked_and_0_and_nothing_else_is(repo: Repository, name: str) -> None:
    stream = stream_of(repo)
    batch = first_batch(stream)
    change = next(each.change for each in absences(stream) if each.name == name)
    changed = change(batch)
    for slot, position in enumerate(("chest", "head")):
        for sensor, kind in enumerate(("accelerometer", "gyroscope")):
            is_gone = name in (position, f"{position}.{kind}")
            three = slice(3 * sensor, 3 * sensor + 3)
            for before, after in (
                (batch.imu_BSCT[:, slot, three], changed.imu_BSCT[:, slot, three]),  # type: ignore[index]
                (batch.imu_present_BSK[:, slot, sensor], changed.imu_present_BSK[:, slot, sensor]),  # type: ignore[index]
                (batch.imu_valid_BSKT[:, slot, sensor], changed.imu_valid_BSKT[:, slot, sensor]),  # type: ignore[index]
            ):
                assert before.any()
                assert torch.equal(after, torch.zeros_like(before) if is_gone else before)
    assert torch.equal(changed.index_B, batch.index_B)


def test_what_a_missing_sensor_said_cannot_reach_the_scores(repo: Repository) -> None:
    """Noise in the place of the sensor before it is taken away changes no score."""
    config = replace(small("aura-mocap"), encoder="tpn")  # type: ignore[call-arg]
    torch.manual_seed(0)
    stream = stream_of(repo, columns=columns_for(config))
    objective = build_for(config, stream).eval()
    change = absences(stream)[2].change

    def disturbed(batch: Batch) -> Batch:
        assert batch.imu_BSCT is not None
        noisy = batch.imu_BSCT.clone()
        noisy[:, 0] = 100 * torch.randn_like(noisy[:, 0])
        return change(replace(batch, imu_BSCT=noisy))

    plain, noisy = (embed_split(objective, stream, CPU, change=each) for each in (change, disturbed))
    assert torch.equal(plain.vectors["imu"][0], noisy.vectors["imu"][0])


def test_scores_without_a_sensor_stand_beside_those_with_all(repo: Repository) -> None:
    config = replace(small("aura-mocap"), encoder="tpn")  # type: ignore[call-arg]
    torch.manual_seed(0)
    stream = stream_of(repo, columns=columns_for(config))
    objective = build_for(config, stream)
    found = missing_scores(objective, stream, embed_split(objective, stream, CPU), CPU)
    assert [each.absent for each in found] == ["", *NAMES]
    assert found[0].agreement == pytest.approx(1.0)
    whole = embed_split(objective, stream, CPU)
    assert found[0].windows == int(whole.vectors["imu"][1].sum())
    for each in found:
        assert {(one.query, one.key) for one in each.retrieval} == {("imu", "mocap"), ("mocap", "imu")}
        assert all(one.variant == "one-right" for one in each.retrieval)
    without = embed_split(objective, stream, CPU, change=absences(stream)[1].change)
    (some_ND, left_N), (all_ND, _) = without.vectors["imu"], whole.vectors["imu"]
    cosines = [float(a @ b) for a, b, left in zip(some_ND, all_ND, left_N, strict=True) if left]
    assert found[2].agreement == pytest.approx(sum(cosines) / len(cosines), abs=1e-6)
    assert found[2].agreement < 0.9999
    assert found[2].windows == len(cosines)


def test_windows_that_have_nothing_left_do_not_count(repo: Repository) -> None:
    """Of the learnable view a tenth of the windows lacks each slot."""
    stream = stream_of(repo, "train")
    whole = embed_split(Means(), stream, CPU)
    by_name = {each.absent: each for each in missing_scores(Means(), stream, whole, CPU)}
    assert by_name["chest"].windows < by_name[""].windows
    assert by_name["chest.gyroscope"].windows == by_name[""].windows
    assert {one.queries for one in by_name["chest"].retrieval} == {by_name["chest"].windows}


def test_where_nothing_is_left_agreement_is_0(tmp_path: Path) -> None:
    """All windows have lost the chest; without the head they have nothing."""
    view = View("lost", ("pamap2",), ("chest", "head"), (), length_s=1.0, stride_s=1.0, rate_hz=50)
    repo, _ = write_view(str(tmp_path / "store"), view, rows=(6,))
    stream = TripletStream(repo, view="lost", split="train", batch_size=3, shuffle="none", last="keep")

    class Headless(Means):
        def embed(self, batch: Batch) -> dict[str, tuple[Tensor, Tensor]]:
            assert batch.imu_present_BSK is not None
            return super().embed(replace(batch, imu_present_BSK=batch.imu_present_BSK[:, 1:]))

    head = {
        each.absent: each
        for each in missing_scores(Headless(), stream, embed_split(Headless(), stream, CPU), CPU)
    }["head"]
    assert (head.windows, head.agreement, head.retrieval) == (0, 0.0, ())


POSITIONS = View(
    "positions",
    ("pamap2",),
    ("hand", "chest", "ankle"),
    ("a", "b", "c"),
    length_s=1.0,
    stride_s=1.0,
    rate_hz=50,
)


class Drawn(nn.Module):
    """Embeds sensors by a fixed draw from what each slot holds, a different one in each."""

    def embed(self, batch: Batch) -> dict[str, tuple[Tensor, Tensor]]:
        assert batch.imu_BSCT is not None
        assert batch.imu_present_BSK is not None
        slots = batch.imu_BSCT.shape[1]
        weight = torch.randn(
            slots * 6 * batch.imu_BSCT.shape[3], 5, generator=torch.Generator().manual_seed(2)
        )
        return {
            "imu": (
                normalize(batch.imu_BSCT.flatten(1) @ weight, dim=1),
                batch.imu_present_BSK.flatten(1).any(1),
            )
        }


def positions_by_loops(
    stream: TripletStream, position: int, others: list[int]
) -> tuple[list[int], list[int]]:
    """Labels and predictions of the windows at a position by the means at others, window by window."""
    batch = stream.collate(np.arange(stream.num_examples), 0, np.arange(stream.num_examples))
    assert batch.imu_BSCT is not None
    assert batch.imu_present_BSK is not None
    assert stream.labels is not None

    def feature(row: int, slot: int) -> Tensor | None:
        assert batch.imu_BSCT is not None
        assert batch.imu_present_BSK is not None
        imu_SCT = torch.zeros_like(batch.imu_BSCT[row])
        imu_SCT[slot] = batch.imu_BSCT[row, slot]
        present_SK = torch.zeros_like(batch.imu_present_BSK[row])
        present_SK[slot] = batch.imu_present_BSK[row, slot]
        alone = Batch(index_B=torch.tensor([row]), imu_BSCT=imu_SCT[None], imu_present_BSK=present_SK[None])
        return Drawn().embed(alone)["imu"][0][0] if present_SK.any() else None

    sums: dict[int, Tensor] = {}
    for slot in others:
        for row, label in enumerate(stream.labels.tolist()):
            found = feature(row, slot)
            if label >= 0 and found is not None:
                sums[label] = sums.get(label, torch.zeros(5)) + found
    labels, predictions = [], []
    for row, label in enumerate(stream.labels.tolist()):
        found = feature(row, position)
        if label >= 0 and found is not None:
            nearest = max(sums, key=lambda name: float(found @ sums[name] / sums[name].norm()))
            labels.append(label)
            predictions.append(nearest)
    return labels, predictions


def test_a_position_is_judged_by_the_others(tmp_path: Path) -> None:
    repo, _ = write_view(str(tmp_path / "store"), POSITIONS, rows=(30, 24))
    stream = TripletStream(repo, view="positions", split="train", batch_size=9, shuffle="none", last="keep")
    found = position_scores(Drawn(), stream, stream, CPU)
    assert [each.position for each in found] == list(POSITIONS.positions)
    for slot, each in enumerate(found):
        for others, f1, share in (
            ([at for at in range(3) if at != slot], each.macro_f1, each.accuracy),
            ([slot], each.seen_macro_f1, each.seen_accuracy),
        ):
            labels, predictions = positions_by_loops(stream, slot, others)
            confusion = confusion_matrix(np.array(labels), np.array(predictions), 3)
            assert each.windows == len(labels)
            assert (share, f1) == (pytest.approx(accuracy(confusion)), pytest.approx(macro_f1(confusion)))
        assert each.chance.majority_accuracy == max(np.bincount(labels)) / len(labels)


def test_an_encoder_that_knows_classes_at_every_position_is_right_at_each(repo: Repository) -> None:
    """Its feature is how fast it swings, which is the class; means are of one split, and asked of another."""

    class Fast(nn.Module):
        def embed(self, batch: Batch) -> dict[str, tuple[Tensor, Tensor]]:
            assert batch.imu_BSCT is not None
            assert batch.imu_present_BSK is not None
            rate_B = batch.imu_BSCT.mean(dim=2).sum(dim=1).double()
            spectrum_BX = torch.fft.rfft(rate_B, dim=1).abs()[:, :12]
            fast_B = (spectrum_BX.argmax(dim=1) > 4).float()
            return {
                "imu": (torch.stack((1 - fast_B, fast_B), dim=1), batch.imu_present_BSK.flatten(1).any(dim=1))
            }

    found = position_scores(Fast(), stream_of(repo, "train"), stream_of(repo), CPU)
    assert [each.position for each in found] == ["chest", "head"]
    for each in found:
        assert each.accuracy > 0.8 > each.chance.majority_accuracy
        assert each.seen_accuracy > 0.8


def test_a_view_with_one_position_or_without_labels_has_none_to_hold_out(tmp_path: Path) -> None:
    url = str(tmp_path / "store")
    for view in (
        replace(POSITIONS, name="single", positions=("hand",)),
        replace(POSITIONS, name="mute", classes=()),
    ):
        write_view(url, view)
    for name, match in (
        ("single", "view 'single' has the position hand alone, so none can be held out"),
        ("mute", "split 'train' of view 'mute' has no labels to tell positions by"),
    ):
        stream = TripletStream(url, view=name, split="train", batch_size=3, shuffle="none", last="keep")
        with pytest.raises(RunError, match=match):
            position_scores(Means(), stream, stream, CPU)


def test_a_position_that_nothing_has_is_left_out(tmp_path: Path) -> None:
    repo, _ = write_view(str(tmp_path / "store"), POSITIONS, rows=(24,))
    stream = TripletStream(repo, view="positions", split="train", batch_size=9, shuffle="none", last="keep")

    class WithoutChest(Drawn):
        def embed(self, batch: Batch) -> dict[str, tuple[Tensor, Tensor]]:
            assert batch.imu_present_BSK is not None
            kept = batch.imu_present_BSK.clone()
            kept[:, 1] = False
            return super().embed(replace(batch, imu_present_BSK=kept))

    assert [each.position for each in position_scores(WithoutChest(), stream, stream, CPU)] == [
        "hand",
        "ankle",
    ]


def test_a_class_that_no_window_was_fitted_on_is_never_named(tmp_path: Path) -> None:
    """Whatever it knows is opposite to what is asked, and of 30 classes some are not known."""
    view = replace(POSITIONS, name="many", positions=("hand", "chest"), classes=tuple(map(str, range(30))))
    repo, _ = write_view(str(tmp_path / "store"), view, rows=(50,))
    stream = TripletStream(repo, view="many", split="train", batch_size=9, shuffle="none", last="keep")

    class Opposite(nn.Module):
        def embed(self, batch: Batch) -> dict[str, tuple[Tensor, Tensor]]:
            assert batch.imu_present_BSK is not None
            at_hand_B, at_chest_B = batch.imu_present_BSK.any(dim=2).T
            feature_B1 = torch.where(at_hand_B, 1.0, -1.0)[:, None]
            return {"imu": (feature_B1, at_hand_B | at_chest_B)}

    for each in position_scores(Opposite(), stream, stream, CPU):
        assert each.seen_accuracy == each.accuracy > 0


def test_a_classifier_has_no_features_to_lose(repo: Repository) -> None:
    stream = stream_of(repo)
    whole = embed_split(Means(), stream, CPU)
    with pytest.raises(RunError, match="Supervised embeds nothing"):
        missing_scores(Supervised(nn.Identity(), 2, 2), stream, whole, CPU)
