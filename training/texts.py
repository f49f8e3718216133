"""Which of an example's texts a batch shows, and the rows of their vectors.

Axes: B examples · K text sources of the view · N texts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sensorloom.training.order import draw

__all__ = ["TextPlaces", "all_texts", "first_texts", "mean_direction", "random_texts", "text_keys"]

PURPOSE = 100
"""Draws of a text in slot k have the purpose PURPOSE + k."""


@dataclass(frozen=True, slots=True)
class TextPlaces:
    """Texts of a batch: of each the example `row_N` and the slot `slot_N`, both int64[N], in that order.

    `place_N` int64[N] are their places in the lists of texts of their shards.
    """

    row_N: NDArray[np.int64]
    slot_N: NDArray[np.int64]
    place_N: NDArray[np.int64]


def all_texts(offsets: NDArray[np.int64]) -> TextPlaces:
    """Return every text; slot k of example i has the places `offsets[i, k]` up to `offsets[i, k + 1]`."""
    counts = np.diff(offsets, axis=1)
    slots = np.arange(counts.size).repeat(counts.reshape(-1))
    begins = offsets[:, :-1].reshape(-1)
    ends = counts.reshape(-1).cumsum()
    within = np.arange(len(slots)) - (ends - counts.reshape(-1))[slots]
    row, slot = np.divmod(slots, counts.shape[1])
    return TextPlaces(row, slot, begins[slots] + within)


def first_texts(offsets: NDArray[np.int64]) -> TextPlaces:
    """Return the first text of each slot that has one."""
    row, slot = np.nonzero(np.diff(offsets, axis=1))
    return TextPlaces(row, slot, offsets[row, slot])


def random_texts(
    offsets: NDArray[np.int64], seed: int, epoch: int, position: NDArray[np.int64]
) -> TextPlaces:
    """Return one text of each slot that has any, drawn anew for each epoch and `position` int64[B] in it."""
    first = first_texts(offsets)
    drawn = np.stack(
        [draw(seed, epoch, position, PURPOSE + slot) for slot in range(offsets.shape[1] - 1)], axis=1
    )
    count = (offsets[first.row_N, first.slot_N + 1] - first.place_N).astype(np.uint64)
    # The remainder of 64 bits is uneven by less than count / 2**64.
    step = (drawn[first.row_N, first.slot_N] % count).astype(np.int64)
    return TextPlaces(first.row_N, first.slot_N, first.place_N + step)


def mean_direction(vectors: Tensor, slot: Tensor, num_slots: int) -> tuple[Tensor, Tensor]:
    """Return the mean of each slot's vectors float16[N, D], made length 1, as float16[num_slots, D]; and bool.

    `slot` int64[N] are the slots of the vectors. One without texts, or whose vectors cancel out, has no direction:
    zeros, and False. Sums are in float32.
    """
    sums = vectors.new_zeros((num_slots, vectors.shape[1]), dtype=torch.float32)
    sums.index_add_(0, slot, vectors.float())
    norms = sums.norm(dim=1, keepdim=True)
    present = norms > _LEAST_NORM
    means = torch.where(present, sums / norms.clamp_min(_LEAST_NORM), 0.0)
    return means.to(vectors.dtype), present.squeeze(1)


_LEAST_NORM = 1e-3
"""Of a sum of float16 unit vectors; below it, what is left is rounding."""


def text_keys(digests: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the first eight bytes of the sha256 uint8[N, 32] of texts as int64[N]."""
    return np.ascontiguousarray(digests[:, :8]).view("<i8").reshape(-1).astype(np.int64)
