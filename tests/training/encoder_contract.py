"""What every encoder of a batch must do: nothing of it depends on the company of an example, nor on what is masked.

Axes: B examples · S slots · C six channels · T samples · K two sensors.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

Inputs = tuple[Tensor, ...]


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def results(model: nn.Module, inputs: Inputs) -> list[Tensor]:
    """The tensors that a model returns, whatever holds them."""
    out = model(*inputs)
    if isinstance(out, Tensor):
        return [out]
    return list(out.values()) if isinstance(out, dict) else list(out)


def gradients(model: nn.Module, inputs: Inputs) -> dict[str, Tensor | None]:
    """Gradients of one random projection of all results; a plain sum would be blind behind a LayerNorm."""
    model.zero_grad()
    projector = torch.Generator().manual_seed(3)
    total = torch.zeros((), dtype=torch.float64)
    for tensor in results(model, inputs):
        if tensor.dtype.is_floating_point:
            total = total + (tensor * torch.randn(tensor.shape, generator=projector)).sum()
    total.backward()
    return {name: parameter.grad for name, parameter in model.named_parameters()}


def windows(batch: int, slots: int, samples: int) -> Inputs:
    """Random windows [B, S, 6, T] in float64 and a presence in which sensors, slots and a whole example are missing."""
    imu_BSCT = torch.randn(batch, slots, 6, samples, dtype=torch.float64)
    present_BSK = torch.rand(batch, slots, 2) < 0.6
    present_BSK[0], present_BSK[1] = True, False
    return imu_BSCT.masked_fill(~present_BSK.repeat_interleave(3, dim=2)[..., None], 0.0), present_BSK


class EncoderContract:
    """Inherit, and give `model()`, `inputs()` of at least three examples and `poisoned(inputs)`."""

    without_gradient: tuple[str, ...] = ()

    def model(self) -> nn.Module:
        raise NotImplementedError

    def inputs(self) -> Inputs:
        raise NotImplementedError

    def poisoned(self, inputs: Inputs) -> Inputs:
        """The same inputs with NaN wherever a mask says that nothing is there."""
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    def _seed(self) -> None:
        torch.manual_seed(0)

    def made(self) -> tuple[nn.Module, Inputs]:
        return self.model().double().eval(), self.inputs()

    def test_permuting_the_batch_permutes_the_results(self) -> None:
        model, inputs = self.made()
        order = torch.randperm(len(inputs[0]))
        for plain, moved in zip(
            results(model, inputs), results(model, tuple(each[order] for each in inputs)), strict=True
        ):
            torch.testing.assert_close(moved, plain[order])

    def test_an_example_is_encoded_alike_alone(self) -> None:
        model, inputs = self.made()
        alone = [
            results(model, tuple(each[row : row + 1] for each in inputs)) for row in range(len(inputs[0]))
        ]
        for place, plain in enumerate(results(model, inputs)):
            torch.testing.assert_close(torch.cat([each[place] for each in alone]), plain)

    def test_what_is_masked_changes_nothing_bit_for_bit(self) -> None:
        model, inputs = self.made()
        poisoned = self.poisoned(inputs)
        assert any(each.isnan().any() for each in poisoned)
        for plain, other in zip(results(model, inputs), results(model, poisoned), strict=True):
            assert torch.equal(plain, other)
        plain_of, other_of = gradients(model, inputs), gradients(model, poisoned)
        for name, gradient in plain_of.items():
            other = other_of[name]
            assert (gradient is None and other is None) or torch.equal(gradient, other), name

    def test_every_parameter_has_a_gradient(self) -> None:
        model, inputs = self.made()
        idle = {
            name
            for name, gradient in gradients(model, inputs).items()
            if gradient is None or not gradient.isfinite().all() or not gradient.any()
        }
        assert idle == set(self.without_gradient)

    def test_it_runs_in_bfloat16_and_stays_near(self) -> None:
        model, inputs = self.made()
        exact = results(model, inputs)
        single = tuple(each.float() if each.dtype.is_floating_point else each for each in inputs)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = results(model.float(), single)
        for plain, other in zip(exact, rounded, strict=True):
            torch.testing.assert_close(other.double(), plain.double(), rtol=0.1, atol=0.1)

    def test_an_empty_batch_has_no_results(self) -> None:
        model, inputs = self.made()
        assert all(not len(each) for each in results(model, tuple(each[:0] for each in inputs)))
