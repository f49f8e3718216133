"""The order of examples, as pure functions of (number of examples, seed, epoch, global batch index).

Nothing here knows of files, threads or devices, so the same numbers come out on every machine and on any
number of ranks: ranks only cut each global batch into consecutive shares.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from sensorloom.training.errors import OrderError

__all__ = ["BatchPlan", "LastBatch", "block_order", "curriculum_order", "draw", "epoch_order"]

LastBatch = Literal["drop", "keep", "pad"]

# The purpose of `draw` that orders shards; callers count theirs from 0.
_SHARD_ORDER = 2**63
_WORD = 2**64
_MAX_CURRICULUM_EPOCHS = 2**31
# SplitMix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
_GAMMA = 0x9E3779B97F4A7C15
_MIX = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
_LAST_SHIFT = 31
_MIX_WORDS = tuple((np.uint64(shift), np.uint64(factor)) for shift, factor in _MIX)


def epoch_order(num_examples: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """Return the global permutation int64[num_examples] of one epoch.

    Every example gets a 64-bit key from the raw stream of Philox-4x64-10 keyed by (seed, epoch), and a stable
    sort of the keys is the order. numpy promises that the raw stream of a bit generator never changes (NEP
    19), which it does not promise of `Generator.permutation`; a stable sort settles equal keys. Raises
    OrderError for a negative number or one of more than 64 bits.
    """
    _check_words(num_examples=num_examples, seed=seed, epoch=epoch)
    generator = np.random.Philox(key=np.array([seed, epoch], dtype=np.uint64))
    keys = generator.random_raw(num_examples)
    order = np.argsort(
        keys
    )  # takes a quarter of the time of a stable sort, and differs only if two keys are equal
    sorted_keys = keys[order]
    if (sorted_keys[1:] == sorted_keys[:-1]).any():
        order = np.argsort(keys, kind="stable")
    return order.astype(np.int64, copy=False)


def block_order(shard: NDArray[np.int64], seed: int, epoch: int, block_shards: int) -> NDArray[np.int64]:
    """Return a permutation int64[n] that finishes `block_shards` shards before it begins the next ones.

    `shard` int64[n] names the shard of each example. The shards that occur are put into an order of their own
    every epoch and taken `block_shards` at a time (the last block may have fewer); within a block the
    examples stand as in `epoch_order`, so that one block of all shards is that very order. Raises OrderError
    for a block of no shards.
    """
    if block_shards < 1:
        raise OrderError(f"block_shards must be at least 1, got {block_shards}")
    order = epoch_order(len(shard), seed, epoch)
    present, place = np.unique(shard, return_inverse=True)
    turn = np.argsort(np.argsort(draw(seed, epoch, present, _SHARD_ORDER), kind="stable"), kind="stable")
    block = turn // block_shards
    return order[np.argsort(block[place][order], kind="stable")]


def curriculum_order(quality: NDArray[np.float64], seed: int, epoch: int, epochs: int) -> NDArray[np.int64]:
    """Return a permutation int64[n] that goes from best first to `epoch_order` in `epochs` epochs.

    `quality` float64[n] is higher for better examples. Sorts by (1 - λ)·(rank by quality) + λ·(rank in
    `epoch_order`) with λ = epoch / epochs, computed in integers; equal quality and equal sums are settled by
    the rank in `epoch_order`. From epoch number `epochs` on it is `epoch_order` itself. Raises OrderError for
    a quality that is NaN and for `epochs` outside [0, 2**31).
    """
    if not 0 <= epochs < _MAX_CURRICULUM_EPOCHS:
        raise OrderError(f"the epochs of a curriculum must lie in [0, 2**31), got {epochs}")
    unknown = np.flatnonzero(np.isnan(quality))
    if unknown.size:
        raise OrderError(
            f"{unknown.size} of {len(quality)} examples have no quality (NaN), the first is example "
            f"{unknown[0]}; a curriculum ranks every example"
        )
    order = epoch_order(len(quality), seed, epoch)
    if epoch >= epochs:
        return order
    random_rank = np.arange(len(order))
    quality_rank = np.empty_like(random_rank)
    quality_rank[np.argsort(-quality[order], kind="stable")] = random_rank
    return order[np.argsort((epochs - epoch) * quality_rank + epoch * random_rank, kind="stable")]


def draw(seed: int, epoch: int, position: NDArray[np.int64], purpose: int) -> NDArray[np.uint64]:
    """Return one random word uint64[B] for each position of an epoch, the same in whatever batch it falls.

    The definition, which will not change: s = 0; for v in seed, epoch, purpose: s = first output of
    SplitMix64 seeded with s XOR v; the word of position p is output number p, from 0, of SplitMix64 seeded
    with s. `purpose` tells draws of one position apart (choice of a text, a mask, …). Raises OrderError for a
    negative number or one of more than 64 bits.
    """
    state = _state(seed, epoch, purpose)
    if len(position) and int(position.min()) < 0:
        raise OrderError(f"positions to draw for start at 0, got {int(position.min())}")
    words = position.astype(np.uint64)
    words += np.uint64(1)
    words *= np.uint64(_GAMMA)
    words += state
    for shift, factor in _MIX_WORDS:
        words ^= words >> shift
        words *= factor
    words ^= words >> np.uint64(_LAST_SHIFT)
    return words


@lru_cache
def _state(seed: int, epoch: int, purpose: int) -> np.uint64:
    """Return the state s that `draw` begins with; every batch of an epoch asks for the same."""
    _check_words(seed=seed, epoch=epoch, purpose=purpose)
    state = 0
    for value in (seed, epoch, purpose):
        state = _mixed((state ^ value) + _GAMMA)
    return np.uint64(state % _WORD)


def _mixed(word: int) -> int:
    """Return SplitMix64's output for a state, of which the low 64 bits count."""
    word %= _WORD
    for shift, factor in _MIX:
        word = (word ^ (word >> shift)) * factor % _WORD
    return word ^ (word >> _LAST_SHIFT)


def _check_words(**values: int) -> None:
    for name, value in values.items():
        if not 0 <= value < _WORD:
            raise OrderError(f"{name} must lie in [0, 2**64), got {value}")


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """How an epoch of `num_examples` falls into global batches, and each of those to `num_ranks` ranks.

    `last` says what becomes of examples that fill no batch: "drop" leaves them out, "keep" makes a smaller
    batch of them, "pad" a full one whose positions run on past `num_examples` (the reader wraps and marks
    them). All ranks take the same number of steps; only the shares of a partial batch that is kept differ,
    by at most one example, and may be empty.
    """

    num_examples: int
    batch_size: int
    num_ranks: int = 1
    last: LastBatch = "drop"

    def __post_init__(self) -> None:
        for name, value in (("batch_size", self.batch_size), ("num_ranks", self.num_ranks)):
            if type(value) is not int:
                raise OrderError(f"{name} must be a whole number, got {value!r}")
        if self.num_examples < 0:
            raise OrderError(f"num_examples must not be negative, got {self.num_examples}")
        if self.batch_size < 1 or self.num_ranks < 1:
            raise OrderError(
                f"batch_size and num_ranks must be at least 1, got {self.batch_size} and {self.num_ranks}"
            )
        if self.batch_size % self.num_ranks:
            raise OrderError(
                f"the global batch_size must be a multiple of num_ranks, got {self.batch_size} over "
                f"{self.num_ranks} ranks"
            )
        if self.last not in get_args(LastBatch):
            raise OrderError(f"last must be one of {', '.join(get_args(LastBatch))}, got {self.last!r}")

    @property
    def num_batches(self) -> int:
        """Global batches of one epoch."""
        full, rest = divmod(self.num_examples, self.batch_size)
        return full + (1 if rest and self.last != "drop" else 0)

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
        length = self.batch_size
        if self.last != "pad":
            length = min(length, self.num_examples - start)
        return slice(start + length * rank // self.num_ranks, start + length * (rank + 1) // self.num_ranks)
