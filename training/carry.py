"""Everything of a model, its optimiser and the random generators that later numbers need, as named tensors.

Optimiser state goes by parameter name, never by position. Hyperparameters are not here: they follow from the
configuration and the step. What each of several ranks has of its own stands beside that of the first, by its number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

__all__ = ["model_tensors", "own_tensors", "pack", "part_of_model", "unpack", "unpack_model"]

_MODEL, _OPTIMIZER, _CPU, _CUDA, _RANK = "model/", "optimizer/", "random/cpu", "random/cuda", "rank/"


def model_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Return the parameters and buffers of `model` by name."""
    return {_MODEL + name: tensor for name, tensor in model.state_dict().items()}


def part_of_model(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return, of what `model_tensors` returned, those whose names begin with `prefix`, without it."""
    start = _MODEL + prefix
    return {key.removeprefix(start): tensor for key, tensor in tensors.items() if key.startswith(start)}


def unpack_model(tensors: Mapping[str, Tensor], model: nn.Module) -> None:
    """Put what `model_tensors` returned into a model of the same shape."""
    model.load_state_dict(part_of_model(tensors, ""))


def own_tensors(model: nn.Module, device: torch.device) -> dict[str, Tensor]:
    """Return what each rank has of its own: random states of the CPU and a CUDA `device`, and `model.own_buffers`."""
    own = {_CPU: torch.get_rng_state()}
    if device.type == "cuda":
        own[_CUDA] = torch.cuda.get_rng_state(device)
    return own | {_MODEL + name: model.get_buffer(name).cpu() for name in getattr(model, "own_buffers", ())}


def pack(
    model: nn.Module, optimizer: torch.optim.Optimizer, own: Sequence[Mapping[str, Tensor]]
) -> dict[str, Tensor]:
    """Return the model, the optimiser's moments, and `own_tensors` of each rank, the first's among the model's."""
    moments = {
        f"{_OPTIMIZER}{name}/{slot}": value
        for name, parameter in model.named_parameters()
        for slot, value in optimizer.state.get(parameter, {}).items()
    }
    others = {
        f"{_RANK}{rank}/{name}": value
        for rank, tensors in enumerate(own)
        for name, value in tensors.items()
        if rank
    }
    return {**model_tensors(model), **moments, **own[0], **others}


def unpack(
    tensors: Mapping[str, Tensor], model: nn.Module, optimizer: torch.optim.Optimizer, rank: int = 0
) -> bool:
    """Put what `pack` returned back into a model and optimiser of the same make; tell whether it knew this rank.

    A rank that there was not when it was packed takes all but its random state from the first.
    """
    mine = f"{_RANK}{rank}/"
    own = {key.removeprefix(mine): tensor for key, tensor in tensors.items() if key.startswith(mine)}
    tensors = {**tensors, **own}
    unpack_model(tensors, model)
    parameters = dict(model.named_parameters())
    for key, tensor in tensors.items():
        if key.startswith(_OPTIMIZER):
            _, name, slot = key.split("/")
            weight = parameters[name]
            # AdamW counts its steps on the CPU, whatever the device of the moments.
            optimizer.state[weight][slot] = tensor if slot == "step" else tensor.to(weight.device)
    torch.set_rng_state(tensors[_CPU])
    if _CUDA in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors[_CUDA])
    return bool(own) or not rank
