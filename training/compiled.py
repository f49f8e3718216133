"""The encoders of an objective under torch.compile, in their place: weights keep their names.

What is around them stays as it is: the gathering of ranks, masks whose shapes depend on the data, and logits in float32
gain nothing by it.
"""

from __future__ import annotations

from torch import nn

from sensorloom.training.terms.moving_average import MovingAverage

__all__ = ["compile_encoders"]

_COMPILED = ("encoder", "encoders", "aggregator", "predictor", "target_encoder")


def compile_encoders(objective: nn.Module) -> list[str]:
    """Compile the encoders of `objective` and what predicts or aggregates; return their names.

    Each is compiled when it is first called, anew for training and for evaluation.
    """
    found: dict[str, nn.Module] = {}
    for name, child in objective.named_children():
        if name not in _COMPILED:
            continue
        if isinstance(child, nn.ModuleDict):
            found |= {f"{name}.{key}": module for key, module in child.items()}
        else:
            found[name] = child.averaged if isinstance(child, MovingAverage) else child
    for module in found.values():
        module.compile()
    return list(found)
