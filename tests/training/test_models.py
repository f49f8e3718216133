"""Encoders: published parameter counts, shapes, and what must not change the result."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sensorloom.training.errors import WindowShapeError
from sensorloom.training.models.cnn_gru import CnnGru
from sensorloom.training.models.slots import SlotMean
from sensorloom.training.models.transformer import TRANSFORMER_SIZES, SignalTransformer


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("axis", ["time", "channel"])
def test_the_cnn_gru_has_the_published_parameter_count(axis: str) -> None:
    assert count(CnnGru(axis)) == 850_892


@pytest.mark.parametrize(("size", "parameters"), [
    ("SS", 1_912_072), ("S", 14_458_888), ("B", 57_228_808), ("L", 202_232_328),
])  # fmt: skip
def test_the_transformer_has_the_published_parameter_counts(size: str, parameters: int) -> None:
    with torch.device("meta"):
        assert count(SignalTransformer(size)) == parameters
    assert set(TRANSFORMER_SIZES) == {"SS", "S", "B", "L"}


def test_the_transformer_over_mocap_has_the_published_count() -> None:
    assert count(SignalTransformer("SS", samples=50, patch=1, channels=51)) == 1_898_241


@pytest.mark.parametrize("samples", [123, 250, 512, 1000, 1500])
def test_the_cnn_gru_takes_any_window_of_123_samples_or_more(samples: int) -> None:
    assert CnnGru()(torch.randn(2, 6, samples)).shape == (2, 512)


@pytest.mark.parametrize("shape", [(2, 6, 122), (2, 3, 500), (6, 500)])
def test_the_cnn_gru_names_the_shape_it_cannot_take(shape: tuple[int, ...]) -> None:
    with pytest.raises(WindowShapeError, match=r"\[B, 6, T\] of T ≥ 123 samples, got \["):
        CnnGru()(torch.zeros(shape))


def test_the_cnn_gru_ignores_the_gain_of_a_whole_sensor_but_not_of_one_axis() -> None:
    encoder, imu = CnnGru().eval(), torch.randn(3, 6, 400)
    gain = torch.tensor([7.0, 7.0, 7.0, 0.2, 0.2, 0.2])[:, None]
    plain = encoder(imu)
    assert torch.allclose(encoder(imu * gain), plain, atol=1e-4)
    assert not torch.allclose(encoder(imu * torch.tensor([7.0, 1, 1, 1, 1, 1])[:, None]), plain, atol=1e-2)


@pytest.mark.parametrize("axis", ["time", "channel"])
def test_the_gru_runs_over_the_axis_it_says(axis: str) -> None:
    """GroupNorm standardises blocks of 8 feature channels; blocks of 8 time bins it leaves as they are."""
    encoder = CnnGru(axis).eval()
    walked = []
    encoder.gru.register_forward_pre_hook(lambda _, inputs: walked.append(inputs[0]))
    encoder(torch.randn(1, 6, 400))
    steps = walked[0][0]
    assert steps.shape == (32, 32)
    by_channel = steps if axis == "channel" else steps.T
    assert torch.allclose(by_channel.reshape(4, -1).mean(dim=1), torch.zeros(4), atol=1e-5)
    assert not torch.allclose(by_channel.T.reshape(4, -1).mean(dim=1), torch.zeros(4), atol=1e-3)


def test_over_time_the_early_signal_is_forgotten_and_the_late_one_is_not() -> None:
    torch.manual_seed(1)
    encoder, imu = CnnGru("time").eval(), torch.randn(8, 6, 1000)
    early, late = imu.clone(), imu.clone()
    early[:, :, :150] = torch.randn(8, 6, 150)
    late[:, :, -150:] = torch.randn(8, 6, 150)
    base = encoder(imu)
    assert (encoder(late) - base).norm() > 5 * (encoder(early) - base).norm()


def test_an_unknown_gru_axis_is_refused() -> None:
    with pytest.raises(ValueError, match="gru_axis must be 'time' or 'channel', got 'both'"):
        CnnGru("both")  # type: ignore[arg-type]


@pytest.mark.parametrize("residual", [True, False])
def test_the_transformer_gives_embeddings_and_depends_on_order(residual: bool) -> None:
    encoder = SignalTransformer(samples=200, residual=residual).eval()
    imu = torch.randn(2, 6, 200)
    assert encoder(imu).shape == (2, 512)
    assert not torch.allclose(encoder(imu), encoder(imu.flip(-1)), atol=1e-4)


def test_skip_connections_carry_the_input_past_silenced_layers() -> None:
    """With all layer outputs at zero, residuals leave the class token, and without them nothing is left."""
    for residual, differs in ((True, True), (False, False)):
        torch.manual_seed(0)
        encoder = SignalTransformer(samples=200, residual=residual).eval()
        for layer in encoder.layers:
            for linear in (layer.attention.out, layer.mlp[3]):
                nn.init.zeros_(linear.weight)
        silent = encoder(torch.randn(1, 6, 200))
        assert (silent.abs().max() > 1e-3) == differs


def test_the_transformer_names_the_window_it_was_built_for() -> None:
    with pytest.raises(WindowShapeError, match=r"built for windows \[B, 6, 1000\], got \[2, 6, 512\]"):
        SignalTransformer()(torch.zeros(2, 6, 512))
    with pytest.raises(WindowShapeError, match="windows of 1001 samples do not divide into patches of 8"):
        SignalTransformer(samples=1001)
    with pytest.raises(ValueError, match="size must be one of SS, S, B, L, got 'XL'"):
        SignalTransformer("XL")


def test_one_present_slot_is_the_plain_encoder() -> None:
    encoder, imu = CnnGru().eval(), torch.randn(3, 1, 6, 200)
    assert torch.equal(SlotMean(encoder)(imu, torch.ones(3, 1, 2, dtype=torch.bool)), encoder(imu[:, 0]))


def test_a_missing_slot_or_sensor_changes_nothing_and_present_ones_are_averaged() -> None:
    encoder, imu = CnnGru().eval(), torch.randn(2, 3, 6, 200)
    present = torch.tensor([[[1, 1], [0, 0], [0, 1]], [[0, 0], [0, 0], [0, 0]]], dtype=torch.bool)
    imu[0, 2, :3] = 0
    embedding = SlotMean(encoder)(imu, present)
    assert torch.allclose(embedding[0], (encoder(imu[:1, 0]) + encoder(imu[:1, 2]))[0] / 2, atol=1e-6)
    assert torch.equal(embedding[1], torch.zeros(512))
    noisy = imu.clone()
    noisy[0, 1] = 1e3
    noisy[0, 2, :3] = torch.nan
    assert torch.equal(SlotMean(encoder)(noisy, present), embedding)
    swapped = SlotMean(encoder)(imu[:, [2, 1, 0]], present[:, [2, 1, 0]])
    assert torch.allclose(swapped, embedding, atol=1e-6)
