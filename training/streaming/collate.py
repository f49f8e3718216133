"""Examples → one batch: rows gathered, texts chosen, masks drawn.

Axes as in `batch.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sensorloom.training.batch import PER_TEXT, Batch
from sensorloom.training.rules import BatchRules, TextChoice
from sensorloom.training.streaming.gather import ResidentRows, Rows
from sensorloom.training.streaming.masks import keep_latents
from sensorloom.training.streaming.order import draw
from sensorloom.training.streaming.rows import SplitRows
from sensorloom.training.streaming.texts import (
    FirstTexts,
    all_texts,
    first_texts,
    look_up,
    mean_direction,
    random_texts,
)

__all__ = ["Collator", "upload"]

# The arrays of a shard whose rows are its windows, and the fields of `Batch` that take them as they are. The wide ones
# first: while they are copied, other threads have the interpreter, and do what is left to do of another batch.
_FIELDS: Mapping[str, str] = {
    "imu_valid": "imu_valid_BSKT",
    "mocap": "mocap_BFJX",
    "video": "video_BVD",
    "mocap_valid": "mocap_valid_BFJ",
    "imu_present": "imu_present_BSK",
    "video_present": "video_present_BV",
}
_TEXT_VALUES = "text_vectors"
_SEED = 0
"""The purpose of the draws that are handed on as seeds."""
# What is masked of windows that keep their sensors alone.
_OF_OTHERS = (
    *("video_BVD", "video_present_BV", "mocap_BFJX", "mocap_valid_BFJ"),
    *("text_BKD", "text_present_BK", "text_id_BK"),
)


class Collator:
    """Makes batches of the windows of `split` out of `arrays`, which may lie on a device."""

    def __init__(
        self,
        split: SplitRows,
        arrays: Mapping[str, Rows | ResidentRows],
        *,
        seed: int,
        text: TextChoice,
        rules: BatchRules,
        imu_only: NDArray[np.bool_] | None = None,
    ) -> None:
        self._split, self._arrays = split, arrays
        self._seed, self._text, self._rules = seed, text, rules
        self._imu_only = imu_only
        self._first_texts: FirstTexts | None = None

    def keep_texts(self) -> None:
        """Look up where texts lie once instead of for each batch, if one can tell: all shards are mapped to stay."""
        if self._text == "first" and _TEXT_VALUES in self._arrays and self._first_texts is None:
            self._first_texts = FirstTexts(self._arrays, self._split)

    def __call__(self, index: NDArray[np.int64], epoch: int, position: NDArray[np.int64]) -> Batch:
        """Collate the examples `index` int64[B], which stand at `position` int64[B] of `epoch`."""
        shard, row = self._split.shard[index], self._split.row[index]
        values: dict[str, Tensor] = {}
        if "imu" in self._arrays:
            values["imu_BSCT"] = self._imu(shard, row)
        for name, field in _FIELDS.items():
            if name in self._arrays:
                values[field] = self._arrays[name].tensor(shard, row)
        if self._first_texts:
            values |= self._first_texts(index)
        elif _TEXT_VALUES in self._arrays:
            values |= self._texts(shard, row, epoch, position)
        label = self._split.label
        batch = Batch(
            index_B=torch.from_numpy(index),
            seed_B=torch.from_numpy(draw(self._seed, epoch, position, _SEED).view(np.int64)),
            label_B=None if label is None else torch.from_numpy(label[index]),
            **values,
        )
        if self._imu_only is not None:
            batch = _sensors_alone(batch, torch.from_numpy(self._imu_only[index]))
        if self._rules.modality_dropout:
            batch = self._drop(batch, epoch, position)
        return batch

    def _imu(self, shard: NDArray[np.int64], row: NDArray[np.int64]) -> Tensor:
        values = self._arrays["imu"].tensor(shard, row)
        if "imu_scale" in self._arrays:
            return values * self._arrays["imu_scale"].tensor(shard, row)[..., None]
        # Not called for nothing: every call of torch gives the interpreter lock away, and may wait to have it back.
        return values if values.dtype == torch.float32 else values.float()

    def _texts(
        self, shard: NDArray[np.int64], row: NDArray[np.int64], epoch: int, position: NDArray[np.int64]
    ) -> dict[str, Tensor]:
        offsets = self._arrays["text_offsets"].tensor(shard, row).numpy()
        shape = (len(row), offsets.shape[1] - 1)
        if self._text == "first":
            texts = first_texts(offsets)
        elif self._text == "random":
            texts = random_texts(offsets, self._seed, epoch, position)
        else:
            texts = all_texts(offsets)
        place, keys_N = look_up(self._arrays, shard, texts)
        vectors, keys = self._arrays[_TEXT_VALUES].at(place), torch.from_numpy(keys_N)
        slot = torch.from_numpy(texts.row_N * shape[1] + texts.slot_N)
        if self._text == "mean":
            means, present = mean_direction(vectors, slot.to(vectors.device), shape[0] * shape[1])
            # The texts stand slot by slot, so the first of each is where a slot begins.
            begins = torch.from_numpy(np.unique(slot.numpy(), return_index=True)[1])
            keys, slot = keys[begins], slot[begins]
            return {
                "text_BKD": means.view(*shape, means.shape[1]),
                "text_present_BK": present.view(shape),
                "text_id_BK": _spread(keys, slot, shape) * present.view(shape).to(keys.device),
            }
        there = torch.from_numpy(np.diff(offsets, axis=1) > 0)
        if self._text == "all":
            return {
                "text_ND": vectors,
                "text_id_N": keys,
                "text_row_N": torch.from_numpy(texts.row_N),
                "text_slot_N": torch.from_numpy(texts.slot_N),
                "text_present_BK": there,
            }
        return {
            "text_BKD": _spread(vectors, slot.to(vectors.device), shape),
            "text_present_BK": there,
            "text_id_BK": _spread(keys, slot, shape),
        }

    def _drop(self, batch: Batch, epoch: int, position: NDArray[np.int64]) -> Batch:
        present = torch.cat([mask.flatten(1).cpu() for mask in _latent_masks(batch)], dim=1)
        kept = keep_latents(present.numpy(), self._rules.modality_dropout, self._seed, epoch, position)
        return replace(batch, latent_kept_BM=torch.from_numpy(kept))


def upload(
    arrays: Mapping[str, Rows], split: SplitRows, texts_of: Iterable[tuple[int, int]], device: torch.device
) -> dict[str, Rows | ResidentRows]:
    """Return the arrays with the values of the split's windows on `device`, and all vectors of texts.

    `texts_of` are the shards that the split touches and how many texts each has.
    """
    resident: dict[str, Rows | ResidentRows] = dict(arrays)
    for name in (*_FIELDS, "imu", "imu_scale"):
        if name in arrays:
            resident[name] = ResidentRows(arrays[name], split.shard, split.row, device)
    if _TEXT_VALUES in arrays:
        counts = dict(texts_of)
        shard = np.repeat(list(counts), list(counts.values()))
        row = np.concatenate([np.arange(count) for count in counts.values()])
        resident[_TEXT_VALUES] = ResidentRows(arrays[_TEXT_VALUES], shard, row, device)
    return resident


def _spread(values: Tensor, slot: Tensor, shape: tuple[int, int]) -> Tensor:
    """Return `values` [N, …] at their places `slot` of [B, K, …], which differ and rise, and 0 elsewhere."""
    if len(values) == shape[0] * shape[1]:
        return values.view(*shape, *values.shape[1:])
    full = values.new_zeros((shape[0] * shape[1], *values.shape[1:]))
    full[slot] = values
    return full.view(*shape, *values.shape[1:])


def _latent_masks(batch: Batch) -> Iterable[Tensor]:
    """Yield what is present of a batch's latents, in the order of `TripletStream.latents`."""
    if batch.imu_present_BSK is not None:
        yield batch.imu_present_BSK
    if batch.video_present_BV is not None:
        yield batch.video_present_BV
    if batch.mocap_valid_BFJ is not None:
        yield batch.mocap_valid_BFJ.flatten(1).any(dim=1, keepdim=True)
    if batch.text_present_BK is not None:
        yield batch.text_present_BK


def _sensors_alone(batch: Batch, alone: Tensor) -> Batch:
    """Mask all but the sensors of the examples that are `alone`, bool[B]."""
    changed: dict[str, Tensor] = {}
    for name in _OF_OTHERS:
        tensor = getattr(batch, name)
        if tensor is not None:
            tensor[alone.to(tensor.device)] = 0
    if batch.text_row_N is not None:
        stays = ~alone[batch.text_row_N]
        for name in PER_TEXT:
            tensor = getattr(batch, name)
            changed[name] = tensor[stays.to(tensor.device)]
    return replace(batch, **changed)
