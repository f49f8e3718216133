"""PRIMUS's two heads over the CNN-GRU."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sensorloom.training.errors import WindowShapeError
from sensorloom.training.models.cnn_gru import CnnGru
from sensorloom.training.models.primus import PrimusEncoder
from sensorloom.training.models.slots import SlotMean
from tests.training.encoder_contract import EncoderContract, Inputs, count, windows


class TestPrimusEncoder(EncoderContract):
    def model(self) -> nn.Module:
        return PrimusEncoder(SlotMean(CnnGru()))

    def inputs(self) -> Inputs:
        return windows(4, 2, 130)

    def poisoned(self, inputs: Inputs) -> Inputs:
        imu, present = inputs
        return imu.masked_fill(~present.repeat_interleave(3, dim=2)[..., None], torch.nan), present


@pytest.mark.parametrize("axis", ["time", "channel"])
def test_with_both_heads_it_has_the_1_4_million_parameters_of_the_paper(axis: str) -> None:
    """methods.md §0 row 3: each head is one Linear, and only with the heads is it 1.4 million."""
    assert count(PrimusEncoder(SlotMean(CnnGru(axis)))) == 1_376_204


def test_an_mlp_head_has_a_second_linear() -> None:
    assert count(PrimusEncoder(SlotMean(CnnGru()), head="mlp")) == 1_376_204 + 2 * 262_656


@pytest.mark.parametrize("head", ["linear", "mlp"])
@pytest.mark.parametrize("samples", [123, 250, 1000])
def test_each_head_gives_a_vector_of_its_own(head: str, samples: int) -> None:
    outputs = PrimusEncoder(SlotMean(CnnGru()), head=head)(
        torch.randn(2, 1, 6, samples), torch.ones(2, 1, 2, dtype=torch.bool)
    )
    assert list(outputs) == ["ssl", "mmcl"]
    assert outputs["ssl"].shape == outputs["mmcl"].shape == (2, 512)
    assert not torch.allclose(outputs["ssl"], outputs["mmcl"])


def test_a_linear_head_is_linear_and_an_mlp_is_not() -> None:
    class Ramp(nn.Module):
        def forward(self, imu: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
            return imu

    for head, linear in (("linear", True), ("mlp", False)):
        heads = PrimusEncoder(Ramp(), 8, head=head)
        one, two = torch.randn(2, 1, 8)
        none = torch.zeros(1, 8)
        apart = heads(one + two, none)["ssl"] + heads(none, none)["ssl"]
        together = heads(one, none)["ssl"] + heads(two, none)["ssl"]
        assert torch.allclose(apart, together, atol=1e-5) == linear


def test_an_unknown_head_is_refused() -> None:
    with pytest.raises(ValueError, match="head must be 'linear' or 'mlp', got 'deep'"):
        PrimusEncoder(SlotMean(CnnGru()), head="deep")  # type: ignore[arg-type]


def test_windows_without_slots_are_refused() -> None:
    encoder = SlotMean(CnnGru())
    with pytest.raises(
        WindowShapeError, match=r"windows \[B, S, 6, T\], got \[2, 6, 200\]; give batch.imu_BSCT"
    ):
        encoder(torch.zeros(2, 6, 200), torch.ones(2, 1, 2, dtype=torch.bool))
    with pytest.raises(
        WindowShapeError, match=r"must be \[2, 1, 2\], got \[2, 2\]; give batch.imu_present_BSK"
    ):
        encoder(torch.zeros(2, 1, 6, 200), torch.ones(2, 2, dtype=torch.bool))
