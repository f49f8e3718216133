"""What CroSSL and SimCLR-HAR do to the kernels of their convolutions."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["KERNEL_L2", "init_kernels", "kernel_penalty"]

KERNEL_L2 = 1e-4
_INIT_STD = 0.05


def kernel_penalty(model: nn.Module) -> Tensor:
    """Return the scalar 1e-4 · Σ w² over the kernels of all Conv1d of `model`, not their biases; 0 without any.

    A term of the loss in the published code of CroSSL and SimCLR-HAR (L2 1e-4), not a decay of the weights.
    """
    squares = [module.weight.square().sum() for module in model.modules() if isinstance(module, nn.Conv1d)]
    return KERNEL_L2 * torch.stack(squares).sum() if squares else torch.zeros(())


def init_kernels(module: nn.Module) -> None:
    """Set the kernel of a Conv1d to N(0, 0.05²) and its bias to 0, as CroSSL does; for `nn.Module.apply`."""
    if isinstance(module, nn.Conv1d):
        nn.init.normal_(module.weight, std=_INIT_STD)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
