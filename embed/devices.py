"""Where an encoder runs: the device asked for, what it can do, how many pictures it takes at once."""

from __future__ import annotations

import re

import torch

from sensorloom.embed.encoder import Precision
from sensorloom.embed.errors import DeviceError

__all__ = [
    "DTYPES",
    "check_precision",
    "default_batch_size",
    "is_out_of_memory",
    "needs_trial",
    "resolve_device",
]

DTYPES: dict[Precision, torch.dtype] = {
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}

_BATCH_SIZES = {"cpu": 32, "cuda": 256}
# As PyTorch's allocators of the CPU and of CUDA say it, and cuBLAS where its workspace does not fit.
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "CUBLAS_STATUS_ALLOC_FAILED")


def resolve_device(name: str) -> torch.device:
    """Return the device that `name`, `auto`, `cpu`, `cuda` or `cuda:N`, stands for.

    `auto` is the first GPU, or the CPU where there is none. Raises `DeviceError` listing what there is.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cpu":
        return torch.device("cpu")
    wanted = re.fullmatch(r"cuda(?::(\d+))?", name)
    if wanted is None:
        raise DeviceError(f"device {name!r} is not known; there are auto, cpu, cuda and cuda:N")
    index = int(wanted[1] or 0)
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if index >= count:
        raise DeviceError(f"device {name!r} is not there; this machine has {_listed(count)}")
    return torch.device("cuda", index)


def check_precision(device: torch.device, precision: Precision) -> None:
    """Raise `DeviceError` where `device` cannot compute in `precision`."""
    if device.type != "cuda" or precision != "bf16":
        return
    with torch.cuda.device(device):
        if not torch.cuda.is_bf16_supported(including_emulation=False):
            name = torch.cuda.get_device_name(device)
            raise DeviceError(f"{device} ({name}) cannot compute in bf16; ask for fp16 or fp32")


def default_batch_size(device: torch.device) -> int:
    """Return how many pictures to try first in one forward pass."""
    return _BATCH_SIZES[device.type]


def needs_trial(device: torch.device) -> bool:
    """Tell whether it must be tried how many pictures fit: a GPU has little memory, and may be in use by others."""
    return device.type == "cuda"


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether `error` says that memory ran out, of the device or of the host."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _OUT_OF_MEMORY)


def _listed(count: int) -> str:
    return ", ".join(["cpu", *(f"cuda:{k} ({torch.cuda.get_device_name(k)})" for k in range(count))])
