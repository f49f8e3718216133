"""One run on several processes: which of them this one is, what the first does for all, and what they share.

torchrun starts the processes and tells each by its environment which it is; they meet in a process group (gloo, and
NCCL beside it where they have GPUs). Each takes its share of every global batch, the objectives gather the rows of all
(`gathered`), DistributedDataParallel takes the mean of the gradients, and so all hold the same weights and buffers. The
first alone validates and writes the run's folder, which all must be able to read.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from sensorloom.training.errors import RunError
from sensorloom.training.gathered import alone
from sensorloom.training.streaming.ranks import find_ranks

__all__ = ["Ranks", "joined", "pick_device"]

Answer = TypeVar("Answer")

_PATIENCE = timedelta(hours=2)
"""For one another: the others wait while the first validates and writes."""
_GOLDEN = 0x9E3779B97F4A7C15


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process among the `count` of a run: its number from 0, and its device."""

    device: torch.device
    rank: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def first(self, work: Callable[[], Answer]) -> Answer:
        """Return on every rank what `work()` gives on the first, which alone does it, gathering nothing.

        A collective. Raises on the first what `work` raises, and on the others a RunError that names it.
        """
        if self.count == 1:
            return work()
        answer, error = [None, None], None
        if self.leads:
            try:
                with alone():
                    answer = [work(), None]  # type: ignore[list-item]
            except Exception as found:
                error, answer = found, [None, f"{type(found).__name__}: {found}"]  # type: ignore[list-item]
        distributed.broadcast_object_list(answer, src=0)
        if error is not None:
            raise error
        if answer[1] is not None:
            raise RunError(f"rank 0 cannot go on, so no rank can. There it was {answer[1]}")
        return answer[0]  # type: ignore[return-value]

    def mean(self, values: Tensor) -> Tensor:
        """Return the mean of `values` over the ranks, in `values` itself. A collective."""
        if self.count > 1:
            distributed.all_reduce(values)
            values /= self.count
        return values

    def everyone(self, values: Mapping[str, Tensor]) -> list[Mapping[str, Tensor]]:
        """Return the `values` of each rank, by rank. A collective."""
        if self.count == 1:
            return [values]
        found: list[Any] = [None] * self.count
        distributed.all_gather_object(found, dict(values))
        return found

    def shared(self, objective: nn.Module) -> nn.Module:
        """Return `objective` so that going backward leaves the mean of all ranks' gradients; alone, itself.

        Buffers are not sent around: a queue of gathered rows is the same on all, and one of a rank's own rows is its
        own. The graph is static: what an ablation leaves without gradient stays so.
        """
        if self.count == 1:
            return objective
        with warnings.catch_warnings():
            # torch 2.15 would rather have an option that older ones lack, and that sends buffers around at the start.
            warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated", FutureWarning)
            return DistributedDataParallel(objective, broadcast_buffers=False, static_graph=True)

    def seed(self, seed: int) -> None:
        """Let the random numbers of every rank but the first begin anew, each at its own place, by `seed`."""
        if not self.leads:
            torch.manual_seed((seed + self.rank * _GOLDEN) % 2**64)


@contextmanager
def joined(device: torch.device) -> Generator[Ranks]:
    """Join the process group that torchrun speaks of, if it does and there is none yet, and leave it at the end.

    A group that is there already is taken as it is. Raises RunError if the group cannot be made.
    """
    rank, count = find_ranks()
    found = Ranks(device, rank, count)
    if count == 1 or distributed.is_initialized():
        yield found
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    try:
        distributed.init_process_group(backend, timeout=_PATIENCE)
    except (ValueError, RuntimeError) as error:
        raise RunError(
            f"rank {rank} of {count} cannot meet the others: {error}; start all by `torchrun --nproc-per-node {count} "
            "…`, or unset RANK and WORLD_SIZE to train in one process"
        ) from error
    yield found
    distributed.destroy_process_group()  # not after an error: the others may never come


def pick_device(name: str) -> torch.device:
    """Return the named device; raises RunError if unusable.

    `auto` is a CUDA device if there is one, else the CPU; `auto` and `cuda` are under torchrun the one of this rank's
    number on its machine.
    """
    if name == "auto" and not torch.cuda.is_available():
        return torch.device("cpu")
    if name in ("auto", "cuda"):
        name = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise RunError(f"device {name!r} cannot be used here: {str(error).splitlines()[0]}") from error
