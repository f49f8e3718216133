"""One batch of examples, as the stream hands it on.

Axes: B examples of the batch · S sensor slots of the view · C six channels (accelerometer xyz in m/s² with
gravity, gyroscope xyz in rad/s) · K two sensors (accelerometer, gyroscope), of texts the text sources · T samples of
the window · V video slots · D width of the vectors · F mocap rows of the window · J joints · X their coordinates in
metres · N texts of all examples · M latents (`TripletStream.latents`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from operator import attrgetter

import torch
from torch import Tensor

__all__ = ["PER_TEXT", "Batch"]

PER_TEXT = ("text_ND", "text_id_N", "text_row_N", "text_slot_N")
"""The fields of `Batch` with one row a text, where an example has all of its texts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Collated tensors of B examples; columns that were not asked for, or that the view lacks, are None.

    `index_B` int64 are positions in the split (see `TripletStream.window_ids`), `source_B` int64 the sources of a
    mixture that they come from. `real_B` bool is False for the examples that pad a last batch, which are others again.
    `seed_B` int64 is a random number of each example at its place in the epoch, to seed what is random about it: it is
    the same after a resume, and on any number of ranks.
    `label_B` int64 are class indices, -1 where a window has none.

    Values are 0 wherever a mask says that nothing is there: `imu_BSCT` float32 by `imu_valid_BSKT` bool sample by
    sample and by `imu_present_BSK` bool sensor by sensor, `video_BVD` float16 (unit vectors) by `video_present_BV`
    bool, `mocap_BFJX` float32 by `mocap_valid_BFJ` bool, `text_BKD` float16 (unit vectors) by `text_present_BK` bool.

    `text_id_BK` int64 tells equal texts from others whatever their shard: the first eight bytes of the sha256 of their
    words, 0 where there is none. With all texts of an example in place of one a slot there are, instead of `text_BKD`
    and `text_id_BK`, `text_ND` and `text_id_N` with the example in the batch `text_row_N` int64 and the slot
    `text_slot_N` int64 of each.

    `latent_kept_BM` bool is the mask of modality dropout: what is kept is present, and one latent is kept of each
    example that has any. Raises ValueError if the leading dimensions disagree.
    """

    index_B: Tensor
    source_B: Tensor | None = None
    real_B: Tensor | None = None
    seed_B: Tensor | None = None
    label_B: Tensor | None = None
    imu_BSCT: Tensor | None = None
    imu_valid_BSKT: Tensor | None = None
    imu_present_BSK: Tensor | None = None
    video_BVD: Tensor | None = None
    video_present_BV: Tensor | None = None
    mocap_BFJX: Tensor | None = None
    mocap_valid_BFJ: Tensor | None = None
    text_BKD: Tensor | None = None
    text_present_BK: Tensor | None = None
    text_id_BK: Tensor | None = None
    text_ND: Tensor | None = None
    text_id_N: Tensor | None = None
    text_row_N: Tensor | None = None
    text_slot_N: Tensor | None = None
    latent_kept_BM: Tensor | None = None

    def __post_init__(self) -> None:
        lengths = {name: tensor.shape[0] for name, tensor in self.tensors().items()}
        of_texts = {name: lengths.pop(name) for name in PER_TEXT if name in lengths}
        for group in (lengths, of_texts):
            if len(set(group.values())) > 1:
                raise ValueError(f"the columns of a batch must have equally many rows, got {group}")

    def __len__(self) -> int:
        return self.index_B.shape[0]

    def tensors(self) -> dict[str, Tensor]:
        """Return the columns that are there, by field name."""
        columns = zip(_NAMES, _values_of(self), strict=True)
        return {name: tensor for name, tensor in columns if tensor is not None}

    def to(self, device: torch.device | str) -> Batch:
        """Return the batch on `device`; the copy from pinned memory does not wait."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def pin(self) -> Batch:
        """Return the batch in page-locked memory, or itself where no CUDA device could read from that."""
        return self._each(Tensor.pin_memory) if torch.cuda.is_available() else self

    def _each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        return Batch(**{name: change(tensor) for name, tensor in self.tensors().items()})

    def __repr__(self) -> str:
        shown = (
            f"{name}: {str(tensor.dtype).removeprefix('torch.')}{list(tensor.shape)}"
            for name, tensor in self.tensors().items()
        )
        return f"Batch({', '.join(shown)})"


_NAMES = tuple(item.name for item in fields(Batch))
_values_of = attrgetter(*_NAMES)
