"""Encoders of mocap: published parameter counts and lengths, the order of channels, masks."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sensorloom.training.errors import WindowShapeError
from sensorloom.training.models.mocap import MocapEncoder, mocap_channels, mocap_rnn, mocap_transformer
from sensorloom.training.models.mocap_rnn import MocapRnn
from tests.training.encoder_contract import EncoderContract, Inputs, count


class MocapContract(EncoderContract):
    def inputs(self) -> Inputs:
        mocap = torch.randn(4, 50, 17, 3, dtype=torch.float64)
        valid = torch.rand(4, 50, 17) < 0.8
        valid[1], valid[2, 20:] = False, False
        return mocap.masked_fill(~valid[..., None], 0.0), valid

    def poisoned(self, inputs: Inputs) -> Inputs:
        mocap, valid = inputs
        return mocap.masked_fill(~valid[..., None], torch.nan), valid


class TestRnnOverChannels(MocapContract):
    def model(self) -> nn.Module:
        return mocap_rnn()


class TestRnnOverTime(MocapContract):
    def model(self) -> nn.Module:
        return mocap_rnn("time")


class TestFlatCoordinates(MocapContract):
    def model(self) -> nn.Module:
        return mocap_rnn(coordinates="xy1")


class TestTransformer(MocapContract):
    without_gradient = ("backbone.mask_patches.weight",)

    def model(self) -> nn.Module:
        return mocap_transformer()


def test_the_encoders_have_the_published_parameter_counts() -> None:
    assert count(mocap_rnn("channel")) == 958_566
    assert count(mocap_transformer("SS")) == 1_898_241


def test_the_rnn_over_time_takes_a_wider_step() -> None:
    assert count(mocap_rnn("time")) == 958_566 + 3 * 512 * (128 - 16)


def test_the_convolutions_have_the_published_lengths() -> None:
    lengths = []
    model = MocapRnn()
    for layer in model.convolutions:
        layer.register_forward_hook(lambda _, __, out: lengths.append(out.shape[-1]))
    model(torch.randn(1, 51, 50))
    assert lengths[1:] == [24, 22, 20, 18, 16]


@pytest.mark.parametrize(("axis", "steps"), [("channel", (1, 128, 16)), ("time", (1, 16, 128))])
def test_the_gru_runs_over_the_axis_it_says(axis: str, steps: tuple[int, ...]) -> None:
    """methods.md §2.2, GRU(16→512), is §0 row 1 over mocap: its steps are the 128 channels."""
    model = MocapRnn(axis)
    made, walked = [], []
    model.feature_norm.register_forward_hook(lambda _, __, out: made.append(out))
    model.gru.register_forward_pre_hook(lambda _, inputs: walked.append(inputs[0]))
    model(torch.randn(1, 51, 50))
    assert tuple(walked[0].shape) == steps
    assert torch.equal(walked[0], made[0] if axis == "channel" else made[0].transpose(1, 2))


def test_the_rnn_ignores_the_place_and_size_of_a_joint_that_stays() -> None:
    model, mocap = mocap_rnn().eval(), torch.randn(2, 50, 17, 3)
    valid = torch.ones(2, 50, 17, dtype=torch.bool)
    changed = mocap * torch.linspace(0.5, 4, 17)[:, None]
    assert torch.allclose(model(changed, valid), model(mocap, valid), atol=1e-3)
    changed[:, :, 3, 0] *= 5
    assert not torch.allclose(model(changed, valid), model(mocap, valid), atol=1e-3)


def test_channels_are_joint_major() -> None:
    mocap = torch.arange(2 * 4 * 17 * 3, dtype=torch.float32).view(2, 4, 17, 3)
    channels = mocap_channels(mocap, torch.ones(2, 4, 17, dtype=torch.bool))
    assert channels.shape == (2, 51, 4)
    for example in range(2):
        for row in range(4):
            for joint in range(17):
                for axis in range(3):
                    assert channels[example, 3 * joint + axis, row] == mocap[example, row, joint, axis]


def test_joints_that_are_not_valid_are_zero() -> None:
    valid = torch.ones(1, 4, 17, dtype=torch.bool)
    valid[0, 2, 5] = False
    channels = mocap_channels(torch.full((1, 4, 17, 3), 7.0), valid)
    assert torch.equal(channels[0, 15:18, 2], torch.zeros(3))
    assert (channels == 0).sum() == 3


def test_the_published_reader_never_gives_z() -> None:
    """methods.md §0 row 11: the third coordinate is 1 wherever a joint was seen."""
    mocap, valid = torch.randn(2, 6, 17, 3), torch.rand(2, 6, 17) < 0.7
    plain, flat = mocap_channels(mocap, valid), mocap_channels(mocap, valid, "xy1")
    assert torch.equal(flat[:, 2::3], valid.float().transpose(1, 2))
    for axis in (0, 1):
        assert torch.equal(flat[:, axis::3], plain[:, axis::3])
    moved = mocap + torch.tensor([0.0, 0.0, 2.0])
    assert torch.equal(mocap_channels(moved, valid, "xy1"), flat)
    assert not torch.equal(mocap_channels(moved, valid), plain)


@pytest.mark.parametrize("rows", [20, 33, 50, 100])
def test_over_time_any_length_from_20_rows_goes(rows: int) -> None:
    assert mocap_rnn("time")(
        torch.randn(2, rows, 17, 3), torch.ones(2, rows, 17, dtype=torch.bool)
    ).shape == (2, 512)
    assert mocap_transformer(rows=rows)(
        torch.randn(2, rows, 17, 3), torch.ones(2, rows, 17, dtype=torch.bool)
    ).shape == (2, 512)


@pytest.mark.parametrize("rows", [49, 52])
def test_over_channels_the_rnn_names_the_lengths_it_takes(rows: int) -> None:
    assert MocapRnn()(torch.randn(1, 51, 51)).shape == (1, 512)
    with pytest.raises(WindowShapeError, match=f"takes 50 or 51 rows .*, got {rows}; .*gru_axis='time'"):
        MocapRnn()(torch.randn(1, 51, rows))


@pytest.mark.parametrize("shape", [(2, 51, 19), (2, 50, 51), (51, 50)])
def test_the_rnn_names_the_shape_it_cannot_take(shape: tuple[int, ...]) -> None:
    with pytest.raises(
        WindowShapeError, match=r"takes windows \[B, 51, F\] of F ≥ 20 rows, got \[.*at least 2 s"
    ):
        MocapRnn("time")(torch.zeros(shape))


def test_poses_of_other_shapes_are_refused() -> None:
    with pytest.raises(
        WindowShapeError, match=r"poses \[B, F, 17, 3\], got \[2, 50, 23, 3\]; give batch.mocap_BFJX"
    ):
        mocap_channels(torch.zeros(2, 50, 23, 3), torch.ones(2, 50, 23, dtype=torch.bool))
    with pytest.raises(
        WindowShapeError, match=r"must be \[2, 50, 17\], got \[2, 50\]; give batch.mocap_valid_BFJ"
    ):
        mocap_channels(torch.zeros(2, 50, 17, 3), torch.ones(2, 50, dtype=torch.bool))
    with pytest.raises(WindowShapeError, match=r"built for windows \[B, 51, 50\], got \[2, 51, 40\]"):
        mocap_transformer()(torch.zeros(2, 40, 17, 3), torch.ones(2, 40, 17, dtype=torch.bool))


def test_unknown_choices_are_refused() -> None:
    with pytest.raises(ValueError, match="coordinates must be 'xyz' or 'xy1', got 'xy'"):
        MocapEncoder(MocapRnn(), "xy")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="gru_axis must be 'time' or 'channel', got 'both'"):
        MocapRnn("both")  # type: ignore[arg-type]
