"""Devices: what the names stand for, and what is said where one is not there."""

from __future__ import annotations

import pytest
import torch

from sensorloom.embed.devices import (
    check_precision,
    default_batch_size,
    is_out_of_memory,
    needs_trial,
    resolve_device,
)
from sensorloom.embed.errors import DeviceError

CPU = torch.device("cpu")


@pytest.fixture(params=[0, 2])
def gpus(request, monkeypatch):
    """A machine with so many GPUs, as far as PyTorch tells."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: request.param > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: request.param)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"GPU {index}")
    return request.param


def test_auto_is_the_first_gpu_or_the_cpu(gpus):
    assert resolve_device("auto") == (torch.device("cuda", 0) if gpus else CPU)
    assert resolve_device("cpu") == CPU


@pytest.mark.parametrize("name", ["cuda", "cuda:1", "cuda:7"])
def test_a_gpu_that_is_not_there_is_refused(gpus, name):
    index = int(name.partition(":")[2] or 0)
    if index < gpus:
        assert resolve_device(name) == torch.device("cuda", index)
        return
    there = r"cpu, cuda:0 \(GPU 0\), cuda:1 \(GPU 1\)" if gpus else "cpu"
    with pytest.raises(DeviceError, match=f"device '{name}' is not there; this machine has {there}$"):
        resolve_device(name)


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:-1", "cuda:1x", "CPU", ""])
def test_a_name_that_is_none_is_refused(name):
    with pytest.raises(
        DeviceError, match=f"device '{name}' is not known; there are auto, cpu, cuda and cuda:N"
    ):
        resolve_device(name)


def test_a_gpu_without_bf16_is_refused(gpus, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: False)
    monkeypatch.setattr(torch.cuda, "_exchange_device", lambda index: 0)
    monkeypatch.setattr(torch.cuda, "_maybe_exchange_device", lambda index: 0)
    where = torch.device("cuda", 0)
    with pytest.raises(DeviceError, match=r"cuda:0 \(GPU .*\) cannot compute in bf16; ask for fp16 or fp32"):
        check_precision(where, "bf16")
    for device, precision in ((where, "fp16"), (where, "fp32"), (CPU, "bf16"), (CPU, "fp16")):
        check_precision(device, precision)


def test_a_gpu_takes_more_at_once():
    assert (default_batch_size(CPU), default_batch_size(torch.device("cuda", 1))) == (32, 256)


def test_only_on_a_gpu_it_is_tried_how_much_fits():
    assert not needs_trial(CPU)
    assert needs_trial(torch.device("cuda", 1))


@pytest.mark.parametrize(
    ("error", "is_so"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), True),
        (MemoryError(), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
    ids=repr,
)  # fmt: skip
def test_it_is_told_whether_memory_ran_out(error, is_so):
    assert is_out_of_memory(error) is is_so
