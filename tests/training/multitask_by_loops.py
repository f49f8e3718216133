"""Transformation recognition row by row and head by head, and small generated batches in float64 for it."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from sensorloom.training.batch import Batch
from sensorloom.training.objectives.multitask import HeadRows, Multitask
from sensorloom.training.terms.augment import TRANSFORMATIONS, Augmentation

SLOTS, SAMPLES, WIDTH = 2, 12, 7


class Sensors(nn.Module):
    """A linear map of each slot that is there, then their mean; keeps what it was given last."""

    given: tuple[Tensor, Tensor]

    def __init__(self, samples: int = SAMPLES, width: int = WIDTH) -> None:
        super().__init__()
        self.linear = nn.Linear(6 * samples, width)

    def forward(self, imu_BSCT: Tensor, imu_present_BSK: Tensor) -> Tensor:
        self.given = (imu_BSCT, imu_present_BSK)
        there_BS1 = imu_present_BSK.any(dim=2, keepdim=True)
        slots_BSD = self.linear(imu_BSCT.flatten(2)).tanh().masked_fill(~there_BS1, 0.0)
        mean_BD: Tensor = slots_BSD.sum(dim=1) / there_BS1.sum(dim=1).clamp(min=1)
        return mean_BD


def make(head_rows: HeadRows = "all") -> Multitask:
    torch.manual_seed(0)
    return Multitask(Sensors(), WIDTH, head_rows).double()


def a_batch(count: int, seed: int = 0, share_there: float = 0.5) -> Batch:
    rng = torch.Generator().manual_seed(seed)
    present_BSK = torch.rand(count, SLOTS, 2, generator=rng) < share_there
    imu_BSCT = torch.randn(count, SLOTS, 6, SAMPLES, generator=rng, dtype=torch.float64)
    return Batch(
        index_B=torch.arange(count),
        seed_B=torch.randint(-(2**62), 2**62, (count,), generator=rng),
        imu_BSCT=imu_BSCT.masked_fill(~present_BSK.repeat_interleave(3, dim=2)[..., None], 0.0),
        imu_present_BSK=present_BSK,
    )


def columns(batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    assert batch.imu_BSCT is not None
    assert batch.imu_present_BSK is not None
    assert batch.seed_B is not None
    return batch.imu_BSCT, batch.imu_present_BSK, batch.seed_B


def picked(batch: Batch, rows: Tensor | slice) -> Batch:
    return Batch(**{name: tensor[rows] for name, tensor in batch.tensors().items()})


def joined(*batches: Batch) -> Batch:
    return Batch(
        **{name: torch.cat([batch.tensors()[name] for batch in batches]) for name in batches[0].tensors()}
    )


def head_by_loops(head: nn.Module, embedding: list[float]) -> float:
    assert isinstance(head, nn.Sequential)
    (weight, bias), (weight_out, bias_out) = [
        (layer.weight.tolist(), layer.bias.tolist()) for layer in (head[0], head[2])
    ]
    hidden = [
        max(0.0, bias[unit] + sum(w * x for w, x in zip(weight[unit], embedding, strict=True)))
        for unit in range(256)
    ]
    return bias_out[0] + sum(w * x for w, x in zip(weight_out[0], hidden, strict=True))


def losses_by_loops(objective: Multitask, batch: Batch) -> dict[str, float]:
    """Row by row, head by head; the transformations of one window are those that test_augment checks."""
    imu, present, seeds = columns(batch)
    totals, counts = dict.fromkeys(TRANSFORMATIONS, 0.0), dict.fromkeys(TRANSFORMATIONS, 0)
    for row in range(len(batch)):
        if not present[row].any():
            continue
        one = slice(row, row + 1)
        versions: list[tuple[str, Tensor]] = [("original", imu[one])]
        versions += [(name, Augmentation((name,))(imu[one], seeds[one])) for name in TRANSFORMATIONS]
        for version, window in versions:
            embedding = objective.encoder(window, present[one])[0].tolist()
            for task in TRANSFORMATIONS:
                if objective.head_rows == "own" and version not in ("original", task):
                    continue
                chance = 1 / (1 + math.exp(-head_by_loops(objective.heads[task], embedding)))
                totals[task] -= math.log(chance if version == task else 1 - chance)
                counts[task] += 1
    return {task: totals[task] / counts[task] for task in TRANSFORMATIONS}
