"""The order of examples, as pure functions of (number of examples, seed, epoch, global batch index).

Nothing here knows of shards, threads or devices, so the same numbers come out on every machine and on any
number of ranks: ranks only cut each global batch into consecutive shares.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorloom.training.errors import OrderError

__all__ = ["BatchPlan", "epoch_order"]


def epoch_order(num_examples: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """Return the global permutation int64[num_examples] of one epoch.

    Every example gets a 64-bit key from the raw stream of Philox-4x64-10 keyed by (seed, epoch), and a stable
    sort of the keys is the order. numpy promises that the raw stream of a bit generator never changes (NEP
    19), which it does not promise of `Generator.permutation`; a stable sort settles equal keys. Raises
    OrderError for a negative number or one of more than 64 bits.
    """
    for name, value in (("num_examples", num_examples), ("seed", seed), ("epoch", epoch)):
        if not 0 <= value < 2**64:
            raise OrderError(f"{name} must lie in [0, 2**64), got {value}")
    generator = np.random.Philox(key=np.array([seed, epoch], dtype=np.uint64))
    keys = generator.random_raw(num_examples)
    return np.argsort(keys, kind="stable").astype(np.int64, copy=False)


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """How an epoch of `num_examples` falls into global batches, and each of those to `num_ranks` ranks.

    With `drop_last` every batch is full and the rest of the epoch's order is left out; without, the last
    batch holds what remains. All ranks take the same number of steps: the shares of a partial batch differ by
    at most one example and may be empty.
    """

    num_examples: int
    batch_size: int
    num_ranks: int = 1
    drop_last: bool = True

    def __post_init__(self) -> None:
        if self.batch_size < 1 or self.num_ranks < 1:
            raise OrderError(
                f"batch_size and num_ranks must be at least 1, got {self.batch_size} and {self.num_ranks}"
            )
        if self.batch_size % self.num_ranks:
            raise OrderError(
                f"the global batch_size must be a multiple of num_ranks, got {self.batch_size} over "
                f"{self.num_ranks} ranks"
            )

    @property
    def num_batches(self) -> int:
        """Global batches of one epoch."""
        full, rest = divmod(self.num_examples, self.batch_size)
        return full + (1 if rest and not self.drop_last else 0)

    def share(self, batch: int, rank: int = 0) -> slice:
        """Return the half-open slice of the epoch's order that `rank` takes of global batch `batch`.

        The slices of ranks 0, 1, … of one batch follow each other without a hole, so their concatenation does
        not depend on the number of ranks.
        """
        if not 0 <= batch < self.num_batches:
            raise OrderError(f"batch {batch} lies outside the epoch's {self.num_batches} batches")
        if not 0 <= rank < self.num_ranks:
            raise OrderError(f"rank {rank} lies outside [0, {self.num_ranks})")
        start = batch * self.batch_size
        length = min(self.batch_size, self.num_examples - start)
        return slice(start + length * rank // self.num_ranks, start + length * (rank + 1) // self.num_ranks)
