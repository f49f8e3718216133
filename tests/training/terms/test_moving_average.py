"""The moving average of weights against its closed form."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from sensorloom.training.terms.moving_average import MovingAverage, momentum_at


def online() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.BatchNorm1d(4)).double()


def test_the_momentum_goes_in_a_line_from_0_996_to_1() -> None:
    assert [momentum_at(share) for share in (0.0, 0.25, 0.5, 1.0)] == pytest.approx(
        [0.996, 0.997, 0.998, 1.0]
    )
    assert momentum_at(0.5, 0.9, 0.8) == pytest.approx(0.85)
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\], got 1.01"):
        momentum_at(1.01)


def test_updates_equal_the_closed_form() -> None:
    """w₀ Π m_k + Σ_k (1 − m_k) w_k Π_{j>k} m_j for online weights that move, under the scheduled momentum."""
    model, steps = online(), 12
    average = MovingAverage(model)
    momenta = [momentum_at(step / steps, 0.6) for step in range(1, steps + 1)]
    passed = [model[0].weight.detach().clone()]
    for momentum in momenta:
        with torch.no_grad():
            model[0].weight += torch.randn(4, 3, dtype=torch.float64)
        passed.append(model[0].weight.detach().clone())
        average.update(model, momentum)
    expected = math.prod(momenta) * passed[0]
    for k, momentum in enumerate(momenta):
        expected = expected + (1 - momentum) * math.prod(momenta[k + 1 :]) * passed[k + 1]
    assert torch.allclose(average.averaged[0].weight, expected, rtol=1e-12, atol=1e-14)
    assert not torch.allclose(average.averaged[0].weight, model[0].weight)


def test_of_constant_weights_the_distance_shrinks_by_the_momenta() -> None:
    model = online()
    average = MovingAverage(model)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 1
    before = average.distance(model).item()
    for momentum in (0.9, 0.5, 0.75):
        average.update(model, momentum)
    assert average.distance(model).item() == pytest.approx(0.9 * 0.5 * 0.75 * before, rel=1e-12)


def test_the_distance_equals_the_loop() -> None:
    model = online()
    average = MovingAverage(model)
    assert average.distance(model) == 0
    with torch.no_grad():
        model[0].bias += 2
    gap = size = 0.0
    for mine, weight in zip(average.averaged.parameters(), model.parameters(), strict=True):
        for one, other in zip(mine.flatten().tolist(), weight.flatten().tolist(), strict=True):
            gap, size = gap + (one - other) ** 2, size + other**2
    assert average.distance(model).item() == pytest.approx(math.sqrt(gap / size))


@pytest.mark.parametrize(("momentum", "like"), [(1.0, "before"), (0.0, "online")])
def test_momentum_one_holds_still_and_zero_copies(momentum: float, like: str) -> None:
    model = online()
    average = MovingAverage(model)
    weights = {"before": model[0].weight.detach().clone()}
    with torch.no_grad():
        model[0].weight += 1
    weights["online"] = model[0].weight.detach()
    average.update(model, momentum)
    assert torch.equal(average.averaged[0].weight, weights[like])


def test_no_gradient_and_no_dropout_reach_the_copy_and_buffers_follow() -> None:
    model = online()
    average = MovingAverage(model).train()
    inputs = torch.randn(8, 3, dtype=torch.float64, requires_grad=True)
    assert not average(inputs).requires_grad
    assert torch.equal(average(inputs), average(inputs))
    assert not any(weight.requires_grad for weight in average.parameters())
    assert average.training
    model.train()(inputs)
    average.update(model, 0.5)
    assert torch.equal(average.averaged[2].running_mean, model[2].running_mean)
    assert all(weight.requires_grad for weight in model.parameters())


def test_a_checkpoint_holds_the_copy() -> None:
    average = MovingAverage(online())
    assert "averaged.0.weight" in average.state_dict()


def test_a_momentum_beyond_its_range_is_refused() -> None:
    model = online()
    with pytest.raises(ValueError, match=r"moving average must lie in \[0, 1\], got 1.5"):
        MovingAverage(model).update(model, 1.5)
