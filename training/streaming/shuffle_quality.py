"""How well an order mixes: how far examples move, and from how many places those of one batch come.

How far alone says little: a shuffle that finishes one block of shards before the next moves an example as far
as a full shuffle does, a third of the epoch, while its batches come from a few shards only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorloom.training.errors import OrderError

__all__ = ["ShuffleQuality", "mixing", "rate_shuffle"]


@dataclass(frozen=True, slots=True)
class ShuffleQuality:
    """Mean displacement as a share of the epoch (a full shuffle: 1/3), and how batches mix shards and takes (1)."""

    displacement: float
    shard_mixing: float
    take_mixing: float


def rate_shuffle(
    order: NDArray[np.int64], shard: NDArray[np.int64], take: NDArray[np.int64], batch_size: int
) -> ShuffleQuality:
    """Rate a permutation int64[n] of examples in storage order, whose shards and takes are int64[n] each.

    Raises OrderError for no examples and for empty batches.
    """
    if not len(order):
        raise OrderError("an order of no examples has no quality")
    displacement = float(np.abs(order - np.arange(len(order))).mean()) / len(order)
    return ShuffleQuality(displacement, mixing(order, shard, batch_size), mixing(order, take, batch_size))


def mixing(order: NDArray[np.int64], group: NDArray[np.int64], batch_size: int) -> float:
    """Return how evenly batches draw on groups (group int64[n] of each example): 0 not at all, 1 as by chance.

    The entropy of the groups of a batch, mean over the batches, over its exact mean over all permutations;
    so slightly more than 1 is possible. 1 where no order could mix, for one group or batches of one.
    """
    if batch_size < 1:
        raise OrderError(f"batch_size must be at least 1, got {batch_size}")
    _, number, size = np.unique(group, return_inverse=True, return_counts=True)
    batch = np.arange(len(order)) // batch_size
    codes, counts = np.unique(batch * len(size) + number[order], return_counts=True)
    shares = counts / np.bincount(batch)[codes // len(size)]
    found = float(np.sum(shares * np.log(1 / shares)))
    full, rest = divmod(len(order), batch_size)
    by_chance = full * _expected_entropy(size, batch_size) if full else 0.0
    by_chance += _expected_entropy(size, rest) if rest else 0.0
    return found / by_chance if by_chance > 0 else 1.0


def _expected_entropy(size: NDArray[np.int64], drawn: int) -> float:
    """Return the mean entropy in nats of the groups of `drawn` examples, drawn without replacement.

    The count of each group is hypergeometric, and the mean of a sum is the sum of the means.
    """
    total = int(size.sum())
    log_factorial = np.append(0.0, np.cumsum(np.log(np.arange(1, total + 1))))
    entropy = 0.0
    for members, times in zip(*(part.tolist() for part in np.unique(size, return_counts=True)), strict=True):
        count = np.arange(max(1, drawn - (total - members)), min(members, drawn) + 1)
        log_chance = (
            log_factorial[[members, total - members, drawn, total - drawn]].sum()
            - log_factorial[total]
            - log_factorial[count]
            - log_factorial[members - count]
            - log_factorial[drawn - count]
            - log_factorial[total - members - drawn + count]
        )
        share = count / drawn
        entropy -= times * float(np.sum(np.exp(log_chance) * share * np.log(share)))
    return entropy
