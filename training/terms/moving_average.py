"""A module that follows another one as the exponential moving average of its weights (the target of a JEPA)."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["MovingAverage", "momentum_at"]


def momentum_at(progress: float, first: float = 0.996, last: float = 1.0) -> float:
    """Return the momentum at `progress` in [0, 1] of all steps: linear from `first` to `last` [methods §4.3, §4.4].

    Raises ValueError for a progress outside [0, 1].
    """
    if not 0 <= progress <= 1:
        raise ValueError(f"the progress of a run must lie in [0, 1], got {progress}")
    return first + (last - first) * progress


class MovingAverage(nn.Module):
    """A copy of `online` that no gradient reaches and that `update` alone moves; called, it calls the copy.

    After updates with momenta m₁ … m_n and online weights w₁ … w_n the copy is
    Π m_k · w₀ + Σ_k (1 − m_k) Π_{j>k} m_j · w_k. It is always in evaluation mode: its embeddings are what is to be
    predicted, and dropout would make them noise. Its weights are parameters, so that a checkpoint has them.
    """

    def __init__(self, online: nn.Module) -> None:
        super().__init__()
        self.averaged = copy.deepcopy(online).requires_grad_(False).eval()

    def train(self, mode: bool = True) -> MovingAverage:
        """Leave the copy in evaluation mode, whatever is asked."""
        super().train(mode)
        self.averaged.eval()
        return self

    def forward(self, *inputs: Any) -> Any:
        """Return what the copy makes of `inputs`, without gradients."""
        with torch.no_grad():
            return self.averaged(*inputs)

    @torch.no_grad()
    def update(self, online: nn.Module, momentum: float) -> None:
        """Move every weight to momentum · itself + (1 − momentum) · that of `online`; take over its buffers.

        Raises ValueError for a momentum outside [0, 1].
        """
        if not 0 <= momentum <= 1:
            raise ValueError(f"the momentum of a moving average must lie in [0, 1], got {momentum}")
        theirs = [weight.detach() for weight in online.parameters()]
        torch._foreach_lerp_(list(self.averaged.parameters()), theirs, 1 - momentum)
        for mine, buffer in zip(self.averaged.buffers(), online.buffers(), strict=True):
            mine.copy_(buffer)

    @torch.no_grad()
    def distance(self, online: nn.Module) -> Tensor:
        """Return the Euclidean distance of all weights from those of `online`, over the length of the latter."""
        gap = torch.zeros((), dtype=torch.float64)
        size = torch.zeros((), dtype=torch.float64)
        for mine, weight in zip(self.averaged.parameters(), online.parameters(), strict=True):
            gap = gap + (mine - weight).double().square().sum().to(gap.device)
            size = size + weight.double().square().sum().to(size.device)
        return (gap / size.clamp(min=math.ulp(0.0))).sqrt()
