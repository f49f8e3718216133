"""Rules of what shares a batch and what an example shows, beside the plain shuffle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch

from sensorloom.training.errors import OrderError, StreamError
from sensorloom.training.streaming.order import LastBatch

__all__ = [
    "PLAIN",
    "BatchRules",
    "Shuffle",
    "TextChoice",
    "check_choices",
    "check_numbers",
    "resident_device",
]

Shuffle = Literal["global", "block", "none"]
TextChoice = Literal["first", "random", "mean", "all"]


@dataclass(frozen=True, slots=True)
class BatchRules:
    """Rules of a stream; each depends on the seed, the epoch and an example's position in it alone.

    `min_gap_s`: no two windows of one take in a batch start less than so many seconds apart, as far as the split
    allows [methods §6], within a block where shards are read in blocks; 0 for no such rule. Of a million windows that
    takes some seconds an epoch. `imu_only`: the share of windows that keep their sensors alone, the same in every
    epoch, those of a smaller share among those of a larger [methods §8.5]. `modality_dropout`: the probability that a
    latent of an example is dropped in `Batch.latent_kept_BM` [methods §3]. `curriculum_epochs`: over so many epochs the
    order goes from the windows with the most soundly measured samples first to a plain shuffle. `block_shards`: shards
    that are shuffled together where `shuffle` is `block`.

    Raises StreamError for a number outside its range.
    """

    min_gap_s: float = 0.0
    imu_only: float = 0.0
    modality_dropout: float = 0.0
    curriculum_epochs: int = 0
    block_shards: int = 8

    def __post_init__(self) -> None:
        for name, value, least, most in (
            ("min_gap_s", self.min_gap_s, 0, 1e6),
            ("imu_only", self.imu_only, 0, 1),
            ("modality_dropout", self.modality_dropout, 0, 1),
            ("curriculum_epochs", self.curriculum_epochs, 0, 1e6),
            ("block_shards", self.block_shards, 1, 1e9),
        ):
            if not least <= value <= most:
                raise StreamError(f"rule {name} must lie in {least:g} … {most:g}, got {value!r}")
        for name, count in (
            ("curriculum_epochs", self.curriculum_epochs),
            ("block_shards", self.block_shards),
        ):
            if type(count) is not int:
                raise StreamError(f"rule {name} must be a whole number, got {count!r}")


PLAIN = BatchRules()
"""No rule beside the shuffle."""


def check_choices(shuffle: Shuffle, last: LastBatch, text: TextChoice, rules: BatchRules) -> None:
    """Raise StreamError for a choice that there is not, naming those that there are."""
    for name, chosen, known in (
        ("shuffle", shuffle, get_args(Shuffle)),
        ("last", last, get_args(LastBatch)),
        ("text", text, get_args(TextChoice)),
    ):
        if chosen not in known:
            raise StreamError(f"{name} must be one of {', '.join(known)}, got {chosen!r}")
    if rules.curriculum_epochs and shuffle != "global":
        raise StreamError(f"a curriculum needs shuffle='global', got {shuffle!r}")


def check_numbers(seed: int, threads: int) -> None:
    """Raise OrderError for a seed that no order has, StreamError for a number of threads that makes no batches."""
    if type(seed) is not int or not 0 <= seed < 2**64:
        raise OrderError(f"seed must lie in [0, 2**64), got {seed!r}")
    if type(threads) is not int or threads < 1:
        raise StreamError(f"threads must be at least 1, got {threads!r}")


def resident_device(resident: str | None) -> torch.device | None:
    """Return the device, of several cards the one that this thread works with; each thread has its own idea of that.

    Raises StreamError for a device that is unknown or not here.
    """
    if resident is None:
        return None
    try:
        return torch.empty(0, device=resident).device
    except (RuntimeError, AssertionError) as error:  # torch asserts that it was compiled for CUDA
        reason = str(error).splitlines()[0]
        raise StreamError(f"resident={resident!r} is no device of this machine: {reason}") from error
