"""CroSSL and the sensor JEPA on two ranks: the same losses, weights and target as on one, at the same global batch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributed, nn

from sensorloom.training.batch import Batch
from sensorloom.training.objectives.jepa import Jepa, SemanticTerm
from tests.training import test_crossl, test_jepa
from tests.training.forked import forks
from tests.training.gloo_ranks import on_ranks

STEPS = 3
SEMANTIC = SemanticTerm("info_nce", ramp=0.1, text_size=test_jepa.TEXT)
CASES: dict[str, tuple[Callable[[], nn.Module], Callable[[], Batch]]] = {
    "crossl paper": (lambda: test_crossl.objective(keep=0.5), lambda: test_crossl.batch(present=0.4)),
    "crossl repo": (lambda: test_crossl.objective(preset="repo", keep=0.5), test_crossl.batch),
    "jepa cosine": (lambda: test_jepa.objective(local_weight=0.5), test_jepa.batch),
    "jepa info_nce": (lambda: test_jepa.objective(SEMANTIC), test_jepa.batch),
}


def trained(name: str, rank: int, num_ranks: int) -> tuple[list[float], dict[str, Any]]:
    """Losses and weights of some steps of gradient descent on gradients averaged as DistributedDataParallel does."""
    make, draw = CASES[name]
    model, whole = make(), draw()
    share = torch.arange(len(whole) * rank // num_ranks, len(whole) * (rank + 1) // num_ranks)
    losses = []
    for step in range(STEPS):
        model.zero_grad()
        loss = model(test_crossl.taken(whole, share))["loss"]
        loss.backward()
        losses.append(loss.item())
        for weight in model.parameters():
            if weight.grad is not None:
                if num_ranks > 1:
                    distributed.all_reduce(weight.grad)
                weight.data -= 0.01 * weight.grad / num_ranks
        if isinstance(model, Jepa):
            model.after_step((step + 1) / STEPS)
    return losses, {key: value.tolist() for key, value in model.state_dict().items()}


@forks
def test_two_ranks_learn_what_one_does(tmp_path: Path) -> None:
    together = on_ranks(
        tmp_path / "meeting", 2, lambda rank: {name: trained(name, rank, 2) for name in CASES}
    )
    for name in CASES:
        losses, weights = trained(name, 0, 1)
        assert len(set(losses)) == STEPS
        for found in together:
            assert found[name][0] == pytest.approx(losses, rel=1e-10)
            for key, value in weights.items():
                mine, theirs = (
                    torch.as_tensor(values, dtype=torch.float64) for values in (value, found[name][1][key])
                )
                assert torch.allclose(mine, theirs, rtol=1e-10, atol=1e-12), (name, key)
