"""TPN and CroSSL's TCN with its aggregators, against slow loops and published parameter counts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sensorloom.training.errors import WindowShapeError
from sensorloom.training.models.crossl_aggregator import AttentionAggregator, FlattenAggregator
from sensorloom.training.models.crossl_tcn import ModalityEncoders, Tcn
from sensorloom.training.models.kernels import kernel_penalty
from sensorloom.training.models.slots import SlotMean
from sensorloom.training.models.tpn import Tpn
from tests.training.encoder_contract import EncoderContract, Inputs, count, windows


class OverSlots(EncoderContract):
    def inputs(self) -> Inputs:
        return windows(4, 2, 60)

    def poisoned(self, inputs: Inputs) -> Inputs:
        imu, present = inputs
        return imu.masked_fill(~present.repeat_interleave(3, dim=2)[..., None], torch.nan), present


class TestTpn(OverSlots):
    def model(self) -> nn.Module:
        return SlotMean(Tpn())


class TestModalityEncoders(OverSlots):
    def model(self) -> nn.Module:
        return ModalityEncoders(2, divisor=15)


class OverLatents(EncoderContract):
    def inputs(self) -> Inputs:
        latent, kept = torch.randn(5, 4, 96, dtype=torch.float64), torch.rand(5, 4) < 0.6
        kept[0], kept[1] = True, False
        return latent, kept

    def poisoned(self, inputs: Inputs) -> Inputs:
        latent, kept = inputs
        return latent.masked_fill(~kept.view(*kept.shape, *[1] * (3 - kept.ndim)), torch.nan), kept


class TestFlattenAggregator(OverLatents):
    def model(self) -> nn.Module:
        return FlattenAggregator(4)


class TestMaskToken(OverLatents):
    def model(self) -> nn.Module:
        return FlattenAggregator(4, mask_token=True)


class TestAttentionAggregator(OverLatents):
    def model(self) -> nn.Module:
        return AttentionAggregator(4)


class ElementByElement(OverLatents):
    """The masks of the strategy `random` (methods.md §3)."""

    def inputs(self) -> Inputs:
        return torch.randn(5, 4, 96, dtype=torch.float64), torch.rand(5, 4, 96) < 0.6


class TestFlattenAggregatorOfElements(ElementByElement):
    def model(self) -> nn.Module:
        return FlattenAggregator(4)


class TestAttentionAggregatorOfElements(ElementByElement):
    def model(self) -> nn.Module:
        return AttentionAggregator(4)


def convolved(signal: np.ndarray, layer: nn.Conv1d, before: int, after: int) -> np.ndarray:
    """One valid convolution over a signal [channels, T] with zeros around it, sample by sample."""
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    padded = np.pad(signal, ((0, 0), (before, after)))
    kernel = weight.shape[2]
    out = np.zeros((len(weight), padded.shape[1] - kernel + 1))
    for feature in range(len(weight)):
        for time in range(out.shape[1]):
            out[feature, time] = bias[feature] + (weight[feature] * padded[:, time : time + kernel]).sum()
    return out


def test_the_models_have_the_published_parameter_counts() -> None:
    assert count(Tpn(6)) == 86_720
    assert count(Tcn(3)) == 57_696
    assert count(ModalityEncoders(3)) == 6 * 57_696
    assert count(FlattenAggregator(6)) == 40_128
    assert count(FlattenAggregator(6, mask_token=True)) == 40_128 + 96


def test_the_tpn_equals_its_layers_in_loops() -> None:
    model, signal = Tpn().double().eval(), torch.randn(1, 6, 70, dtype=torch.float64)
    hidden = signal[0].numpy()
    for layer in model.convolutions:
        if isinstance(layer, nn.Conv1d):
            hidden = np.maximum(convolved(hidden, layer, 0, 0), 0)
    np.testing.assert_allclose(model(signal)[0].detach().numpy(), hidden.max(axis=1), rtol=1e-9, atol=1e-12)


def test_the_tcn_equals_its_layers_in_loops() -> None:
    model, signal = Tcn().double().eval(), torch.randn(1, 3, 40, dtype=torch.float64)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    hidden = signal[0].numpy()
    for block, (before, after) in zip(model.blocks, ((11, 12), (7, 8), (3, 4)), strict=True):
        _, convolution, norm, slope, _ = block
        hidden = convolved(hidden, convolution, before, after)
        assert hidden.shape[1] == 40
        for time in range(40):
            column = hidden[:, time]
            standard = (column - column.mean()) / np.sqrt(column.var() + 1e-3)
            hidden[:, time] = standard * norm.weight.detach().numpy() + norm.bias.detach().numpy()
        for feature, factor in enumerate(slope.weight.detach().numpy()):
            hidden[feature] = [value if value > 0 else factor * value for value in hidden[feature]]
    np.testing.assert_allclose(model(signal)[0].detach().numpy(), hidden.mean(axis=1), rtol=1e-9, atol=1e-12)


def test_the_tcn_starts_from_small_kernels() -> None:
    """methods.md §3: init N(0, 0.05)."""
    for module in Tcn().modules():
        if isinstance(module, nn.Conv1d):
            assert module.weight.std().item() == pytest.approx(0.05, rel=0.1)
            assert not module.bias.any()


def test_the_penalty_counts_kernels_and_no_biases() -> None:
    """methods.md §3 and §5.2: L2 1e-4 on kernels."""
    model = Tpn()
    expected = 1e-4 * sum(
        value * value
        for layer in (model.convolutions[0], model.convolutions[3], model.convolutions[6])
        for value in layer.weight.detach().double().flatten().tolist()
    )
    for layer in (model.convolutions[0], model.convolutions[3], model.convolutions[6]):
        nn.init.constant_(layer.bias, 100)
    assert kernel_penalty(model).item() == pytest.approx(expected, rel=1e-5)
    assert kernel_penalty(nn.Linear(3, 3)).item() == 0


@pytest.mark.parametrize("samples", [46, 250, 400])
def test_the_tpn_takes_46_samples_or_more(samples: int) -> None:
    assert Tpn()(torch.randn(2, 6, samples)).shape == (2, 96)
    assert Tpn(3)(torch.randn(2, 3, samples)).shape == (2, 96)


@pytest.mark.parametrize("shape", [(2, 6, 45), (2, 3, 400), (6, 400)])
def test_the_tpn_names_the_shape_it_cannot_take(shape: tuple[int, ...]) -> None:
    with pytest.raises(
        WindowShapeError, match=r"\[B, 6, T\] of T ≥ 46 samples, got \[.*; take longer windows"
    ):
        Tpn()(torch.zeros(shape))


@pytest.mark.parametrize("samples", [1, 20, 512])
def test_the_tcn_takes_any_window(samples: int) -> None:
    assert Tcn()(torch.randn(2, 3, samples)).shape == (2, 96)
    assert Tcn(1)(torch.randn(2, 1, samples)).shape == (2, 96)


@pytest.mark.parametrize("shape", [(2, 3, 0), (2, 6, 100), (3, 100)])
def test_the_tcn_names_the_shape_it_cannot_take(shape: tuple[int, ...]) -> None:
    with pytest.raises(
        WindowShapeError, match=r"\[B, 3, T\] of T ≥ 1 samples, got \[.*channels of the modality"
    ):
        Tcn()(torch.zeros(shape))


def test_modalities_are_the_sensors_slot_by_slot_each_with_an_encoder_of_its_own() -> None:
    model, (imu, present) = ModalityEncoders(2, divisor=30).double().eval(), windows(3, 2, 40)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    latent = model(imu, present)
    assert not latent[~present.flatten(1)].any()
    assert latent.shape == (3, 4, 96)
    for example in range(3):
        for slot in range(2):
            for sensor in range(2):
                triad = imu[example, slot, 3 * sensor : 3 * sensor + 3] / 30
                alone = model.encoders[2 * slot + sensor](triad[None])[0]
                expected = alone if present[example, slot, sensor] else torch.zeros(96).double()
                torch.testing.assert_close(latent[example, 2 * slot + sensor], expected)


def test_dropout_can_be_off_in_training_as_published() -> None:
    imu, present = torch.randn(1, 1, 6, 40), torch.ones(1, 1, 2, dtype=torch.bool)
    for dropout, repeats in ((0.0, True), (0.1, False)):
        model = ModalityEncoders(1, dropout=dropout).train()
        assert torch.equal(model(imu, present), model(imu, present)) == repeats


def test_encoders_of_other_slots_are_refused() -> None:
    present = torch.ones(2, 3, 2, dtype=torch.bool)
    with pytest.raises(
        WindowShapeError, match=r"windows \[B, 2, 6, T\], got \[2, 3, 6, 40\]; .*slots of the view"
    ):
        ModalityEncoders(2)(torch.zeros(2, 3, 6, 40), present)
    with pytest.raises(WindowShapeError, match=r"must be \[2, 2, 2\], got \[2, 3, 2\]"):
        ModalityEncoders(2)(torch.zeros(2, 2, 6, 40), present)
    for slots, divisor in ((0, 1.0), (2, 0.0), (2, float("nan"))):
        with pytest.raises(ValueError, match="slots must be at least 1 and divisor above 0, got"):
            ModalityEncoders(slots, divisor=divisor)


def test_the_flatten_aggregator_equals_its_layers_and_ends_in_a_layer_norm() -> None:
    model, latent = FlattenAggregator(3).double(), torch.randn(1, 3, 96, dtype=torch.float64)
    hidden = np.where([[True], [False], [True]], latent[0].numpy(), 0).reshape(-1)
    for place in (0, 2, 4):
        layer = model.layers[place]
        weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
        hidden = np.array([row @ hidden + offset for row, offset in zip(weight, bias, strict=True)])
        hidden = np.maximum(hidden, 0) if place < 4 else hidden
    expected = (hidden - hidden.mean()) / np.sqrt(hidden.var() + 1e-5)
    joined = model(latent, torch.tensor([[True, False, True]]))[0].detach().numpy()
    np.testing.assert_allclose(joined, expected, rtol=1e-9)


def test_a_mask_token_stands_where_zero_stood() -> None:
    model, latent = FlattenAggregator(3, mask_token=True), torch.randn(2, 3, 96)
    kept = torch.tensor([[True, False, True], [False, True, True]])
    token = model.mask_token_D.detach()
    filled = latent.clone()
    filled[0, 1], filled[1, 0] = token, token
    assert torch.equal(model(latent, kept), model(filled, torch.ones_like(kept)))
    model.mask_token_D = None
    filled[0, 1], filled[1, 0] = 0, 0
    assert torch.equal(model(latent, kept), model(filled, torch.ones_like(kept)))


def test_attention_is_that_over_the_kept_modalities_alone() -> None:
    """Masking equals taking the others away: the mask is no mere zero among the keys."""
    model, latent = AttentionAggregator(4).double(), torch.randn(1, 4, 96, dtype=torch.float64)
    few = AttentionAggregator(2).double()
    few.load_state_dict({**model.state_dict(), "modality_MD": model.modality_MD.detach()[[1, 3]]})
    kept = torch.tensor([[False, True, False, True]])
    torch.testing.assert_close(model(latent, kept), few(latent[:, [1, 3]], kept[:, [1, 3]]))
    assert not torch.allclose(model(latent, kept), model(latent, torch.ones_like(kept)), atol=1e-3)


def test_attention_knows_modalities_apart() -> None:
    model, latent = AttentionAggregator(3).double(), torch.randn(1, 3, 96, dtype=torch.float64)
    nn.init.normal_(model.modality_MD)
    kept = torch.ones(1, 3, dtype=torch.bool)
    assert not torch.allclose(model(latent, kept), model(latent[:, [1, 0, 2]], kept), atol=1e-6)
    nn.init.zeros_(model.modality_MD)
    torch.testing.assert_close(model(latent, kept), model(latent[:, [1, 0, 2]], kept))


@pytest.mark.parametrize("kind", [FlattenAggregator, AttentionAggregator])
def test_aggregators_name_the_shapes_they_cannot_take(kind: type[nn.Module]) -> None:
    latent, kept = torch.randn(2, 4, 96), torch.ones(2, 4, dtype=torch.bool)
    with pytest.raises(
        WindowShapeError, match=r"latents \[B, 3, 96\], got \[2, 4, 96\]; build it with the modal"
    ):
        kind(3)(latent, kept)
    for other in (kept[:, :3], kept.float(), kept[..., None]):
        with pytest.raises(WindowShapeError, match=r"kept must be bool \[2, 4\] or \[2, 4, 96\], got torch"):
            kind(4)(latent, other)


def test_penalties_have_gradients() -> None:
    model = Tcn()
    penalty: Tensor = kernel_penalty(model)
    penalty.backward()
    first = model.blocks[0][1].weight
    torch.testing.assert_close(first.grad, 2e-4 * first.detach())
