"""The rows of all ranks, in global order and with gradients; those of this process where it is alone.

Axes: B rows of this rank · G rows of all ranks.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, distributed

__all__ = ["alone", "gathered", "gathered_all"]

_ALONE: ContextVar[bool] = ContextVar("alone", default=False)


@contextmanager
def alone() -> Generator[None]:
    """Let nothing be gathered meanwhile: for work that one rank does by itself on batches of its own."""
    token = _ALONE.set(True)
    try:
        yield
    finally:
        _ALONE.reset(token)


def gathered(rows_B: Tensor) -> Tensor:
    """Return the rows [G, …] of all ranks for the rows [B, …] of each; see `gathered_all`."""
    return gathered_all((rows_B,))[0]


def gathered_all(parts: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Return each of `parts` [B, …] with the rows of all ranks [G, …]: rank 0's first, then rank 1's, ….

    Ranks take consecutive shares of each global batch (`order.BatchPlan`), so this is the batch that one rank alone
    would have; shares may differ in length. A collective: every rank must call it with as many parts, of the
    same dtypes and of the same shapes but for the rows, and must go backward through them in the same order.

    Where every rank computes the same loss from all rows, the mean of its ranks' gradients, which
    DistributedDataParallel takes, is the gradient of that loss: the gradient of the rows here is the sum over
    all ranks' losses, so that of a rank's parameters counts its own rows once for each rank. Parameters that
    the loss meets after the gathering (a temperature) have the whole gradient on every rank, and the mean keeps it.
    Without a process group, in one of a single rank, and while it is `alone`, the parts come back as they are.
    """
    if _ALONE.get() or not (distributed.is_available() and distributed.is_initialized()):
        return tuple(parts)
    if distributed.get_world_size() == 1:
        return tuple(parts)
    lengths = _lengths(parts[0])
    return tuple(_gather(part, lengths) for part in parts)


def _gather(part: Tensor, lengths: tuple[int, ...]) -> Tensor:
    if part.dtype == torch.bool:
        return _collect(part.to(torch.uint8), lengths).bool()
    if not part.requires_grad:
        return _collect(part, lengths)
    rows: Tensor = _Gather.apply(part, lengths)
    return rows


def _lengths(part: Tensor) -> tuple[int, ...]:
    """Return how many rows each rank has."""
    own = torch.tensor([len(part)], device=part.device)
    found = [torch.empty_like(own) for _ in range(distributed.get_world_size())]
    distributed.all_gather(found, own)
    return tuple(torch.cat(found).tolist())


def _collect(part: Tensor, lengths: tuple[int, ...]) -> Tensor:
    """Return the rows of all ranks; shorter shares are filled up on the way, as a gather takes equal ones only."""
    sent = part.new_zeros((max(lengths), *part.shape[1:]))
    sent[: len(part)] = part
    found = [torch.empty_like(sent) for _ in lengths]
    distributed.all_gather(found, sent)
    return torch.cat([rows[:length] for rows, length in zip(found, lengths, strict=True)])


class _Gather(torch.autograd.Function):
    """`_collect` whose gradient is the sum of all ranks' gradients of the own rows."""

    @staticmethod
    def forward(ctx: Any, part: Tensor, lengths: tuple[int, ...]) -> Tensor:
        rank = distributed.get_rank()
        ctx.own = slice(sum(lengths[:rank]), sum(lengths[: rank + 1]))
        return _collect(part, lengths)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        total = gradients[0].clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return total[ctx.own], None
