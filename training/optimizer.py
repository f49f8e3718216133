"""The optimiser of a run: AdamW, what of a model decays, and what both are at each step.

The temperature of a contrast, τ itself or log τ as it is learnt, is left out of weight decay in
every recipe, as decay would pull τ to 0 or to 1. Of the sensor JEPA all that has one axis (biases, norms, the mask
token) is left out too, which is I-JEPA's habit and ours where methods §4.4 is silent. Everything else decays, as it
does where a published loop hands all parameters to AdamW [methods §1.7, §2, table].
"""

from __future__ import annotations

import torch
from torch import nn

from sensorloom.training.configs import JepaConfig, RunConfig
from sensorloom.training.schedule import half_cosine, learning_rate
from sensorloom.training.terms.contrast import Temperature

__all__ = ["make_optimizer", "set_step"]

_DECAYS = "decays"


def make_optimizer(objective: nn.Module, config: RunConfig) -> torch.optim.AdamW:
    """Return AdamW over what is learnt of `objective`, in a group that decays and one that does not.

    Without weight decay it is the Adam of PRIMUS, IMU2CLIP and CroSSL.
    """
    still = _undecayed(objective, matrices_only=isinstance(config, JepaConfig))
    learnt = [(name, weight) for name, weight in objective.named_parameters() if weight.requires_grad]
    groups = [
        {"params": [weight for name, weight in learnt if (name in still) != decays], _DECAYS: decays}
        for decays in (True, False)
    ]
    kept = [group for group in groups if group["params"]]
    return torch.optim.AdamW(kept, lr=config.learning_rate, weight_decay=0.0, amsgrad=config.amsgrad)


def set_step(
    optimizer: torch.optim.Optimizer, config: RunConfig, step: int, total_steps: int
) -> dict[str, float]:
    """Give `optimizer` the learning rate and the weight decay of `step`; return them, the decay where it changes.

    The decay of a JEPA goes along half a cosine from `weight_decay` to `final_weight_decay` [methods §4.3, §4.4].
    """
    rate = learning_rate(step, total_steps, config.learning_rate, config.schedule, config.warmup)
    decay, told = config.weight_decay, {"learning_rate": rate}
    if isinstance(config, JepaConfig):
        decay = half_cosine(step / max(total_steps - 1, 1), decay, config.final_weight_decay)
        told["weight_decay"] = decay
    for group in optimizer.param_groups:
        group["lr"] = rate
        group["weight_decay"] = decay if group[_DECAYS] else 0.0
    return told


def _undecayed(objective: nn.Module, *, matrices_only: bool) -> set[str]:
    """Return the names of the parameters that do not decay."""
    names = {
        f"{prefix}.{name}" if prefix else name
        for prefix, module in objective.named_modules()
        if isinstance(module, Temperature)
        for name, _ in module.named_parameters()
    }
    if matrices_only:
        names |= {name for name, weight in objective.named_parameters() if weight.ndim < 2}
    return names
