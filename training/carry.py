"""Everything of a model, its optimiser and the random generators that later numbers need, as named tensors.

Optimiser state goes by parameter name, never by position. Hyperparameters are not here: they follow from the
configuration and the step.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

__all__ = ["model_tensors", "pack", "unpack", "unpack_model"]

_MODEL, _OPTIMIZER, _CPU, _CUDA = "model/", "optimizer/", "random/cpu", "random/cuda"


def model_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Return the parameters and buffers of `model` by name."""
    return {_MODEL + name: tensor for name, tensor in model.state_dict().items()}


def unpack_model(tensors: Mapping[str, Tensor], model: nn.Module) -> None:
    """Put what `model_tensors` returned into a model of the same shape."""
    weights = {key.removeprefix(_MODEL): tensor for key, tensor in tensors.items() if key.startswith(_MODEL)}
    model.load_state_dict(weights)


def pack(model: nn.Module, optimizer: torch.optim.Optimizer, device: torch.device) -> dict[str, Tensor]:
    """Return the model, the optimiser's moments and the random states of the CPU and of a CUDA `device`."""
    moments = {
        f"{_OPTIMIZER}{name}/{slot}": value
        for name, parameter in model.named_parameters()
        for slot, value in optimizer.state.get(parameter, {}).items()
    }
    random = {_CPU: torch.get_rng_state()}
    if device.type == "cuda":
        random[_CUDA] = torch.cuda.get_rng_state(device)
    return {**model_tensors(model), **moments, **random}


def unpack(
    tensors: Mapping[str, Tensor], model: nn.Module, optimizer: torch.optim.Optimizer, device: torch.device
) -> None:
    """Put what `pack` returned back into a model and optimiser of the same make."""
    unpack_model(tensors, model)
    parameters = dict(model.named_parameters())
    for key, tensor in tensors.items():
        if key.startswith(_OPTIMIZER):
            _, name, slot = key.split("/")
            # AdamW counts its steps on the CPU, whatever the device of the moments.
            optimizer.state[parameters[name]][slot] = tensor if slot == "step" else tensor.to(device)
    torch.set_rng_state(tensors[_CPU])
    if device.type == "cuda" and _CUDA in tensors:
        torch.cuda.set_rng_state(tensors[_CUDA], device)
