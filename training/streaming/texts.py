"""Which of an example's texts a batch shows, and the rows of their vectors.

Axes: B examples · K text sources of the view · N texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sensorloom.training.streaming.gather import ResidentRows, Rows
from sensorloom.training.streaming.order import draw
from sensorloom.training.streaming.rows import SplitRows

__all__ = [
    "FirstTexts",
    "TextPlaces",
    "all_texts",
    "first_texts",
    "look_up",
    "mean_direction",
    "random_texts",
    "text_keys",
]

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


class FirstTexts:
    """The first text of each slot of every window of a split, looked up once: each batch is one gather of vectors.

    `arrays` are those of all shards of the split, mapped.
    """

    def __init__(self, arrays: Mapping[str, Rows | ResidentRows], split: SplitRows) -> None:
        offsets = arrays["text_offsets"].tensor(split.shard, split.row).numpy()
        texts = first_texts(offsets)
        place, key = look_up(arrays, split.shard, texts)
        self._vectors = arrays["text_vectors"]
        self._there_nK = np.diff(offsets, axis=1) > 0
        self._place_nK = np.zeros(self._there_nK.shape, np.int64)
        self._key_nK = np.zeros(self._there_nK.shape, np.int64)
        self._place_nK[self._there_nK], self._key_nK[self._there_nK] = place, key

    def __call__(self, index: NDArray[np.int64]) -> dict[str, Tensor]:
        """Return the texts of the windows `index` int64[B] by field of a batch, 0 where a slot has none."""
        there, place = self._there_nK.take(index, axis=0), self._place_nK.take(index, axis=0)
        present = torch.from_numpy(there)
        if there.all():
            vectors = self._vectors.at(place)
        else:
            some = self._vectors.at(place[there])
            vectors = some.new_zeros((*there.shape, some.shape[1]))
            vectors[present.to(some.device)] = some
        return {
            "text_BKD": vectors,
            "text_present_BK": present,
            "text_id_BK": torch.from_numpy(self._key_nK.take(index, axis=0)),
        }


def look_up(
    arrays: Mapping[str, Rows | ResidentRows], shard: NDArray[np.int64], texts: TextPlaces
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where the vectors of texts of windows in `shard` int64[B] lie, and what tells equal texts, int64[N]."""

    def gather(name: str, row: NDArray[np.int64]) -> NDArray[Any]:
        return arrays[name].tensor(of_shard, row).numpy()

    of_shard = shard[texts.row_N]
    rows = gather("text_rows", texts.place_N).astype(np.int64)
    return arrays["text_vectors"].base[of_shard] + rows, text_keys(gather("text_ids", rows))


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
