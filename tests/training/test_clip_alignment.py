"""Alignment of IMU with its partners against loops: IMU2CLIP, and AURA's stages."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sensorloom.training.batch import Batch
from sensorloom.training.objectives.clip_alignment import ClipAlignment
from sensorloom.training.terms.modalities import Source
from tests.training.contrast_batches import Mocap, Sensors, a_batch
from tests.training.contrast_by_loops import info_nce_by_loops
from tests.training.objective_contract import ContrastContract

IMU2CLIP = {"text": Source("text", 0), "video": Source("video", "mean")}
MOCAP = {"mocap": Source("mocap")}


class TestImu2Clip(ContrastContract):
    def make(self) -> nn.Module:
        return ClipAlignment(Sensors(), IMU2CLIP).double()


class TestImu2ClipAsPublished(ContrastContract):
    def make(self) -> nn.Module:
        return ClipAlignment(Sensors(), IMU2CLIP, temperature="raw").double()


class TestAuraText(ContrastContract):
    def make(self) -> nn.Module:
        return ClipAlignment(Sensors(), {"text": Source("text", "random")}).double()


class TestAuraMocapFixed(ContrastContract):
    def make(self) -> nn.Module:
        return ClipAlignment(Sensors(), MOCAP, mocap_encoder=Mocap(), temperature="fixed").double()


def by_loops(batch: Batch, objective: ClipAlignment, name: str) -> float:
    """ℓ(imu, name) from the batch itself, with slots picked by hand."""
    assert batch.imu_present_BSK is not None
    imu = objective.encoders["imu"](batch.imu_BSCT, batch.imu_present_BSK).tolist()
    key: list[list[float]] = []
    pairs = []
    for row in range(len(batch)):
        if name == "text":
            assert batch.text_BKD is not None
            assert batch.text_present_BK is not None
            vector, there = batch.text_BKD[row, 0].tolist(), bool(batch.text_present_BK[row, 0])
        elif name == "video":
            vector, there = mean_direction(batch, row)
        else:
            assert batch.mocap_BFJX is not None
            assert batch.mocap_valid_BFJ is not None
            vectors = objective.encoders["mocap"](batch.mocap_BFJX, batch.mocap_valid_BFJ)
            vector, there = vectors[row].tolist(), bool(batch.mocap_valid_BFJ[row].any())
        key.append(vector)
        if there and bool(batch.imu_present_BSK[row].any()):
            pairs.append(row)
    assert 0 < len(pairs) < len(batch), "a batch that tests masks has some pairs and lacks some"
    return info_nce_by_loops(imu, key, objective.temperature().item(), pairs)


def mean_direction(batch: Batch, row: int) -> tuple[list[float], bool]:
    """The sum of a row's videos that are there; they need not be of length 1 here."""
    assert batch.video_BVD is not None
    assert batch.video_present_BV is not None
    total = [0.0] * batch.video_BVD.shape[2]
    for view in range(batch.video_BVD.shape[1]):
        if batch.video_present_BV[row, view]:
            vector = batch.video_BVD[row, view].tolist()
            length = sum(value * value for value in vector) ** 0.5
            total = [left + value / length for left, value in zip(total, vector, strict=True)]
    return total, bool(batch.video_present_BV[row].any())


@pytest.mark.parametrize("seed", [0, 1])
def test_imu2clip_is_the_sum_of_both_contrasts(seed: int) -> None:
    """methods.md §5.1: loss ℓ(imu, text) + ℓ(imu, video), each a sum of two directions (§1.3)."""
    objective, batch = ClipAlignment(Sensors(), IMU2CLIP).double(), a_batch(8, seed, 0.4)
    terms = objective(batch)
    expected = {f"imu-{name}": by_loops(batch, objective, name) for name in IMU2CLIP}
    assert {name: term.item() for name, term in terms.items() if name != "loss"} == pytest.approx(
        expected, abs=1e-12
    )
    assert terms["loss"].item() == pytest.approx(sum(expected.values()), abs=1e-12)


def test_the_two_stages_of_aura_differ_in_the_pairs_that_are_on() -> None:
    """methods.md §2.6: stage 1 IMU with text or video, stage 2 with a mocap encoder beside it, trained jointly."""
    first, batch = ClipAlignment(Sensors(), {"text": Source("text", 0)}).double(), a_batch(8)
    assert first.columns == ("imu", "text")
    assert set(first(batch)) == {"loss", "imu-text"}
    second = ClipAlignment(first.encoders["imu"], MOCAP, mocap_encoder=Mocap()).double()
    assert second.columns == ("imu", "mocap")
    terms = second(batch)
    assert terms["imu-mocap"].item() == pytest.approx(by_loops(batch, second, "mocap"), abs=1e-12)
    terms["loss"].backward()
    for encoder in second.encoders.values():
        assert all(parameter.grad is not None and parameter.grad.any() for parameter in encoder.parameters())


def test_repo_temperature_of_mocap_and_commentary_is_fixed_at_a_tenth() -> None:
    """methods.md §2, table, row τ: constructed learnable, but the optimiser never gets it."""
    objective = ClipAlignment(Sensors(), MOCAP, mocap_encoder=Mocap(), temperature="fixed").double()
    assert not any("temperature" in name for name, _ in objective.named_parameters())
    assert objective.after_step(1.0) == {"temperature": pytest.approx(0.1)}


def test_what_cannot_be_aligned_is_refused() -> None:
    with pytest.raises(ValueError, match="aligned with other modalities than 'imu', got \\[\\]"):
        ClipAlignment(Sensors(), {})
    with pytest.raises(ValueError, match="other modalities than 'imu', got \\['imu'\\]"):
        ClipAlignment(Sensors(), {"imu": Source("imu")})
    with pytest.raises(
        ValueError, match="partners of IMU are of other columns; pairs of slots are all_pairs'"
    ):
        ClipAlignment(Sensors(), {"wrist": Source("imu", 1)})
    with pytest.raises(ValueError, match="belong together, got no encoder and the partners \\['mocap'\\]"):
        ClipAlignment(Sensors(), MOCAP)
    with pytest.raises(ValueError, match="belong together, got an encoder and the partners \\['text'"):
        ClipAlignment(Sensors(), IMU2CLIP, mocap_encoder=Mocap())


@pytest.mark.parametrize("column", ["text", "video", "mocap"])
def test_a_batch_without_a_partner_is_refused(column: str) -> None:
    moves = column == "mocap"
    source = Source("mocap") if moves else Source(column, 0)  # type: ignore[arg-type]
    objective = ClipAlignment(Sensors(), {column: source}, mocap_encoder=Mocap() if moves else None).double()
    tensors = {name: tensor for name, tensor in a_batch(3).tensors().items() if not name.startswith(column)}
    with pytest.raises(ValueError, match=f"needs the column '{column}', one row a slot; the batch has Batch"):
        objective(Batch(**tensors))


def test_a_single_pair_has_nothing_to_contrast() -> None:
    objective = ClipAlignment(Sensors(), {"text": Source("text", 0)}).double()
    loss = objective(a_batch(1, share_there=1.0))["loss"]
    loss.backward()
    assert loss.item() == 0.0
    assert torch.isfinite(objective.encoders["imu"].linear.weight.grad).all()
