"""Which rows of a batch are one modality of a contrast, and where they are missing.

Axes: B examples · S sensor slots · C channels · T samples · K sensors of a slot, or the slots of a frozen modality ·
D width of its vectors · F mocap rows · J joints · X coordinates.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import Module
from torch.nn.functional import normalize

from sensorloom.training.batch import Batch
from sensorloom.training.streaming.draws import uniform
from sensorloom.training.terms.contrast import widened

__all__ = [
    "FROZEN",
    "Column",
    "Source",
    "columns_of",
    "frozen_rows",
    "imu_rows",
    "is_in",
    "mocap_rows",
    "rows_of",
    "settled",
]

Column = Literal["imu", "text", "video", "mocap"]
FROZEN = ("text", "video")
"""Columns that come as vectors of a frozen encoder."""
_PURPOSE: Mapping[str, int] = {"text": 7001, "video": 7002}
_HOW = ("mean", "random")


@dataclass(frozen=True, slots=True)
class Source:
    """One modality: a column of the stream, and which of its slots.

    Text and video take the slot of this number, the "mean" of those that are there (each of length 1, then their mean
    made length 1) or one of those at "random", drawn anew for each example at each of its places [methods.md §2.5].
    IMU takes all slots (None) or the one of this number alone; mocap has none. See `settled` for where nothing is to be
    drawn.
    """

    column: Column
    slot: int | Literal["mean", "random"] | None = None

    def __post_init__(self) -> None:
        if self.column not in get_args(Column):
            raise ValueError(f"a modality is a column of {', '.join(get_args(Column))}, got {self.column!r}")
        number = type(self.slot) is int and self.slot >= 0
        fits = {"imu": number or self.slot is None, "mocap": self.slot is None}
        if not fits.get(self.column, number or self.slot in _HOW):
            raise ValueError(
                f"the slot of {self.column} cannot be {self.slot!r}: text and video take a number from 0, 'mean' "
                "or 'random', imu a number or None for all, mocap None"
            )


def settled(source: Source) -> Source:
    """Return the source that takes the mean where this one draws a slot: what a score may hang on [methods.md §2.5]."""
    return replace(source, slot="mean") if source.slot == "random" else source


def columns_of(sources: Iterable[Source]) -> tuple[str, ...]:
    """Return the columns of the stream that sources come from, each once."""
    return tuple(dict.fromkeys(source.column for source in sources))


def is_in(batch: Batch, source: Source) -> bool:
    """Return whether the batch has the column of a source at all."""
    rows = {
        "imu": batch.imu_BSCT,
        "text": batch.text_BKD,
        "video": batch.video_BVD,
        "mocap": batch.mocap_BFJX,
    }
    return rows[source.column] is not None


def rows_of(batch: Batch, source: Source, encoders: Mapping[str, Module]) -> tuple[Tensor, Tensor]:
    """Return the rows [B, D] of a modality, by the encoder of its column where it is not frozen, and bool[B].

    Every example is encoded, also where nothing is there, so that no rank of several misses a parameter. Raises
    ValueError if the batch lacks the column or the slot; KeyError without an encoder.
    """
    if source.column == "imu":
        slot = source.slot if isinstance(source.slot, int) else None
        imu_BSCT, imu_present_BSK, present_B = imu_rows(batch, slot)
        return encoders["imu"](imu_BSCT, imu_present_BSK), present_B
    if source.column == "mocap":
        mocap_BFJX, mocap_valid_BFJ, present_B = mocap_rows(batch)
        return encoders["mocap"](mocap_BFJX, mocap_valid_BFJ), present_B
    return frozen_rows(batch, source)


def imu_rows(batch: Batch, slot: int | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """Return imu_BSCT, imu_present_BSK and which examples have any sensor, bool[B]; of all slots or one, S = 1."""
    if batch.imu_BSCT is None or batch.imu_present_BSK is None:
        raise ValueError(_lack("imu", batch))
    imu_BSCT, present_BSK = batch.imu_BSCT, batch.imu_present_BSK
    if slot is not None:
        _check_slot("imu", slot, imu_BSCT.shape[1])
        imu_BSCT, present_BSK = imu_BSCT[:, slot : slot + 1], present_BSK[:, slot : slot + 1]
    return imu_BSCT, present_BSK, _counted(batch, present_BSK.flatten(1).any(dim=1))


def mocap_rows(batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Return mocap_BFJX, mocap_valid_BFJ and which examples have any joint at any time, bool[B]."""
    if batch.mocap_BFJX is None or batch.mocap_valid_BFJ is None:
        raise ValueError(_lack("mocap", batch))
    present_B = _counted(batch, batch.mocap_valid_BFJ.flatten(1).any(dim=1))
    return batch.mocap_BFJX, batch.mocap_valid_BFJ, present_B


def frozen_rows(batch: Batch, source: Source) -> tuple[Tensor, Tensor]:
    """Return the vectors [B, D] of a text or video source, 0 where there is none, and where there is one bool[B]."""
    columns = {
        "text": (batch.text_BKD, batch.text_present_BK),
        "video": (batch.video_BVD, batch.video_present_BV),
    }
    rows_BKD, present_BK = columns[source.column]
    if rows_BKD is None or present_BK is None:
        raise ValueError(_lack(source.column, batch))
    if isinstance(source.slot, int):
        _check_slot(source.column, source.slot, present_BK.shape[1])
        row_BD, present_B = rows_BKD[:, source.slot], present_BK[:, source.slot]
    elif source.slot == "random":
        slot_B = _random_slot(batch, present_BK, _PURPOSE[source.column])
        row_BD, present_B = (
            rows_BKD[torch.arange(len(slot_B), device=slot_B.device), slot_B],
            present_BK.any(dim=1),
        )
    else:
        there_BKD = widened(rows_BKD).masked_fill(~present_BK[..., None], 0.0)
        row_BD = normalize(normalize(there_BKD, dim=2).sum(dim=1), dim=1)
        present_B = present_BK.any(dim=1)
    present_B = _counted(batch, present_B)
    return widened(row_BD).masked_fill(~present_B[:, None], 0.0), present_B


def _random_slot(batch: Batch, present_BK: Tensor, purpose: int) -> Tensor:
    """Return one slot int64[B] of those present, 0 where none is."""
    if batch.seed_B is None:
        raise ValueError(f"a random slot is drawn from the seeds of a batch, it has {batch!r}")
    count_B = present_BK.sum(dim=1)
    nth_B = (uniform(batch.seed_B, purpose) * count_B).long().minimum((count_B - 1).clamp(min=0))
    # The first slot by which more than n are there is the n-th, from 0, of them.
    return (present_BK.cumsum(dim=1) > nth_B[:, None]).int().argmax(dim=1)


def _counted(batch: Batch, present_B: Tensor) -> Tensor:
    """Leave out the examples that fill up a last batch: others again, so false negatives of themselves."""
    return present_B if batch.real_B is None else present_B & batch.real_B


def _check_slot(column: str, slot: int, slots: int) -> None:
    if slot >= slots:
        raise ValueError(f"there is no slot {slot} of {column}: the view has {slots}, counted from 0")


def _lack(column: str, batch: Batch) -> str:
    return f"the objective needs the column {column!r}, one row a slot; the batch has {batch!r}"
