"""One batch out of batches of several sources: every slot at its name's place, masks for what a source lacks.

Axes as in `batch.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sensorloom.training.batch import PER_TEXT, Batch
from sensorloom.training.streaming.batch_shape import BatchShape
from sensorloom.training.streaming.gather import BufferPool

__all__ = ["Merger", "Part"]

_NO_LABEL = -1


@dataclass(frozen=True, slots=True)
class Part:
    """Examples of source number `source`, whose batches have `shape`, for the rows int64[len(batch)] of a batch."""

    source: int
    shape: BatchShape
    rows: NDArray[np.int64]
    batch: Batch


class Merger:
    """Makes batches shaped as `united` of parts of several sources, in memory that nobody holds any more."""

    def __init__(self, united: BatchShape) -> None:
        self.united = united
        self._pools = {field: BufferPool() for field in united.fields()}

    def __call__(self, parts: Sequence[Part], num_examples: int) -> Batch:
        """Return the batch of `num_examples` examples that `parts` fill, with `source_B`.

        The rows of the parts are together 0 … num_examples - 1. A field, slot or latent that a source lacks is 0 and
        False in its rows (labels -1). Texts of `text_ND` stand in the order of examples, then slots. The fields
        `real_B` of the parts are left out.
        """
        index_B = self.united.empty.index_B.new_empty(num_examples)
        source_B = torch.empty_like(index_B)
        for part in parts:
            _put(index_B, part.rows, part.batch.index_B)
            _put(source_B, part.rows, source_B.new_tensor(part.source))
        fields = [field for field in self.united.fields() if field not in PER_TEXT]
        tensors = {field: self._merge(field, parts, num_examples) for field in fields}
        if self.united.empty.text_ND is not None:
            tensors |= _merge_texts(self.united, parts)
        return Batch(index_B=index_B, source_B=source_B, **tensors)

    def _merge(self, field: str, parts: Sequence[Part], num_examples: int) -> Tensor:
        """Return a field of all parts, every place of it written."""
        empty, names = self.united.fields()[field], self.united.places(field)
        shape = (num_examples, *empty.shape[1:])
        if empty.device.type == "cpu":
            out = torch.from_numpy(self._pools[field].empty(shape, empty.numpy().dtype))
        else:
            out = empty.new_empty(shape)
        for part in parts:
            value: Tensor | None = getattr(part.batch, field)
            if value is None:
                _put(out, part.rows, out.new_tensor(_NO_LABEL if field == "label_B" else 0))
            elif names is None or part.shape.places(field) == names:
                _put(out, part.rows, value)
            else:
                own = part.shape.places(field) or ()
                for place, name in enumerate(names):
                    there = name in own
                    _put(out[:, place], part.rows, value[:, own.index(name)] if there else out.new_zeros(()))
        return out


def _merge_texts(united: BatchShape, parts: Sequence[Part]) -> dict[str, Tensor]:
    """Return the texts of all parts, their rows and slots those of the united batch."""
    found: dict[str, list[Tensor]] = {name: [united.fields()[name]] for name in PER_TEXT}
    for part in parts:
        batch = part.batch
        if (
            batch.text_ND is None
            or batch.text_id_N is None
            or batch.text_row_N is None
            or batch.text_slot_N is None
        ):
            continue
        slots = [united.text_sources.index(name) for name in part.shape.text_sources]
        found["text_ND"].append(batch.text_ND)
        found["text_id_N"].append(batch.text_id_N)
        found["text_row_N"].append(torch.from_numpy(part.rows).to(batch.text_row_N.device)[batch.text_row_N])
        found["text_slot_N"].append(batch.text_slot_N.new_tensor(slots)[batch.text_slot_N])
    joined = {name: torch.cat(some) for name, some in found.items()}
    key = joined["text_row_N"] * max(1, len(united.text_sources)) + joined["text_slot_N"]
    order = torch.argsort(key, stable=True)
    return {name: tensor[order.to(tensor.device)] for name, tensor in joined.items()}


def _put(out: Tensor, rows: NDArray[np.int64], value: Tensor) -> None:
    """Set `out[rows]`; on the CPU numpy's assignment takes a third of the time of torch's."""
    if out.device.type == "cpu":
        out.numpy()[rows] = value.numpy()
    else:
        out[torch.from_numpy(rows).to(out.device)] = value
