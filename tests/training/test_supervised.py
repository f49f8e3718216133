"""The supervised objective against loops in float64, and what must not change it."""

from __future__ import annotations

import math

import pytest
import torch

from sensorloom.training.assemble import balanced_weights
from sensorloom.training.batch import Batch
from sensorloom.training.objectives.supervised import Supervised, cross_entropy


def reference(logits: torch.Tensor, labels: list[int], weights: list[float]) -> float:
    total = norm = 0.0
    for row, label in zip(logits.tolist(), labels, strict=True):
        if label >= 0:
            total -= weights[label] * (row[label] - math.log(sum(math.exp(value) for value in row)))
            norm += weights[label]
    return total / norm if norm else 0.0


@pytest.mark.parametrize("weights", [None, [0.5, 2.0, 0.0]])
@pytest.mark.parametrize("labels", [[0, 1, 1, 2], [-1, 1, 0, -1], [-1, -1, -1, -1]])
def test_cross_entropy_equals_the_loop(labels: list[int], weights: list[float] | None) -> None:
    torch.manual_seed(0)
    logits = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    weight = None if weights is None else torch.tensor(weights, dtype=torch.float64)
    loss = cross_entropy(logits, torch.tensor(labels), weight)
    assert loss.item() == pytest.approx(reference(logits, labels, weights or [1.0] * 3), abs=1e-12)
    loss.backward()
    assert torch.isfinite(logits.grad).all()


def test_permuting_a_batch_permutes_nothing() -> None:
    logits, labels = torch.randn(6, 3), torch.tensor([0, 1, 2, 0, 1, -1])
    order = torch.tensor([3, 5, 0, 1, 4, 2])
    assert torch.allclose(cross_entropy(logits, labels), cross_entropy(logits[order], labels[order]))


def encoder() -> torch.nn.Module:
    class Mean(torch.nn.Module):
        def forward(self, imu: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
            return imu.mean(dim=(1, 3))

    return Mean()


def test_the_objective_gives_named_losses_that_train_the_head() -> None:
    objective = Supervised(encoder(), 6, 3)
    batch = Batch(
        index_B=torch.arange(2),
        label_B=torch.tensor([0, 2]),
        imu_BSCT=torch.randn(2, 1, 6, 5),
        imu_present_BSK=torch.ones(2, 1, 2, dtype=torch.bool),
    )
    losses = objective(batch)
    assert set(losses) == {"loss", "cross_entropy"}
    losses["loss"].backward()
    assert objective.head.weight.grad is not None
    assert objective.predict(batch).shape == (2, 3)


def test_what_is_missing_from_a_batch_is_named() -> None:
    objective = Supervised(encoder(), 6, 3)
    with pytest.raises(ValueError, match=r"needs labels, the batch has Batch\(index_B"):
        objective(Batch(index_B=torch.arange(2)))
    with pytest.raises(ValueError, match="needs the column 'imu'"):
        objective.predict(Batch(index_B=torch.arange(2), label_B=torch.tensor([0, 1])))
    with pytest.raises(ValueError, match=r"class_weights must have shape \[3\], got \[2\]"):
        Supervised(encoder(), 6, 3, torch.ones(2))


def test_balanced_weights_average_to_one_over_the_labelled_rows() -> None:
    labels = torch.tensor([0, 0, 0, 1, -1]).numpy()
    weights = balanced_weights(labels, 3)
    assert weights.tolist() == pytest.approx([4 / (2 * 3), 4 / 2, 0])
    assert weights[labels[labels >= 0]].mean() == pytest.approx(1)
