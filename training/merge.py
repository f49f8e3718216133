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

from sensorloom.training.batch import Batch
from sensorloom.training.layout import OF_TEXTS, Layout

__all__ = ["Part", "merge"]

_NO_LABEL = -1


@dataclass(frozen=True, slots=True)
class Part:
    """Examples of source number `source`, which is laid out as `layout`, for the rows int64[len(batch)] of a batch."""

    source: int
    layout: Layout
    rows: NDArray[np.int64]
    batch: Batch


def merge(united: Layout, parts: Sequence[Part], num_examples: int) -> Batch:
    """Return the batch of `num_examples` examples that `parts` fill, laid out as `united`, with `source_B`.

    The rows of the parts are together 0 … num_examples - 1. A field, slot or latent that a source lacks is 0 and False
    in its rows (labels -1). Texts of `text_ND` stand in the order of examples, then slots. The fields `real_B` of the
    parts are left out.
    """
    device = united.empty.index_B.device
    tensors = {"index_B": torch.empty(num_examples, dtype=torch.int64, device=device)}
    tensors["source_B"] = torch.empty_like(tensors["index_B"])
    for part in parts:
        _put(tensors["index_B"], part.rows, part.batch.index_B)
        _put(tensors["source_B"], part.rows, torch.full_like(part.batch.index_B, part.source))
    for field, empty in united.fields().items():
        if field not in OF_TEXTS:
            tensors[field] = _merge_field(
                united, parts, field, empty.new_empty((num_examples, *empty.shape[1:]))
            )
    if "text_ND" in united.fields():
        tensors |= _merge_texts(united, parts)
    return Batch(**tensors)


def _merge_field(united: Layout, parts: Sequence[Part], field: str, out: Tensor) -> Tensor:
    """Fill `out` with the rows of `field` of all parts."""
    names = united.places(field)
    for part in parts:
        value: Tensor | None = getattr(part.batch, field)
        if value is None:
            _put(out, part.rows, out.new_full((), _NO_LABEL if field == "label_B" else 0))
        elif (own := part.layout.places(field)) == names or names is None or own is None:
            _put(out, part.rows, value)
        else:
            for place, name in enumerate(names):
                _put(
                    out[:, place], part.rows, value[:, own.index(name)] if name in own else out.new_zeros(())
                )
    return out


def _merge_texts(united: Layout, parts: Sequence[Part]) -> dict[str, Tensor]:
    """Return the texts of all parts, their rows and slots those of the united batch."""
    found: dict[str, list[Tensor]] = {name: [united.fields()[name]] for name in OF_TEXTS}
    for part in parts:
        batch = part.batch
        if (
            batch.text_ND is None
            or batch.text_id_N is None
            or batch.text_row_N is None
            or batch.text_slot_N is None
        ):
            continue
        slots = [united.text_sources.index(name) for name in part.layout.text_sources]
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
