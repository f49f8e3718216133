"""One batch of examples, as the stream hands it on.

Axes: B examples of the batch · S sensor slots of the view · C six channels (accelerometer xyz in m/s² with
gravity, gyroscope xyz in rad/s) · K two sensors (accelerometer, gyroscope) · T samples of the window.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

__all__ = ["Batch"]


@dataclass(frozen=True, slots=True)
class Batch:
    """Collated tensors of B examples; columns that were not asked for, or that the view lacks, are None.

    `index_B` int64 are positions in the split (see `TripletStream.window_ids`). `label_B` int64 are class
    indices, -1 where a window has none. `imu_BSCT` float32 is 0.0 wherever a sample is invalid or a slot is
    missing; `imu_valid_BSKT` bool tells such zeros from real ones sample by sample, `imu_present_BSK` bool
    tells which sensors the window has at all. Raises ValueError if the leading dimensions disagree.
    """

    index_B: Tensor
    label_B: Tensor | None = None
    imu_BSCT: Tensor | None = None
    imu_valid_BSKT: Tensor | None = None
    imu_present_BSK: Tensor | None = None

    def __post_init__(self) -> None:
        lengths = {name: len(tensor) for name, tensor in self.tensors().items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"the columns of a batch must have equally many rows, got {lengths}")

    def __len__(self) -> int:
        return len(self.index_B)

    def tensors(self) -> dict[str, Tensor]:
        """Return the columns that are there, by field name."""
        columns = ((item.name, getattr(self, item.name)) for item in fields(self))
        return {name: tensor for name, tensor in columns if tensor is not None}

    def to(self, device: torch.device | str) -> Batch:
        """Return the batch on `device`; the copy from pinned memory does not wait."""
        return Batch(
            **{name: tensor.to(device, non_blocking=True) for name, tensor in self.tensors().items()}
        )

    def pin(self) -> Batch:
        """Return the batch in page-locked memory, or itself where no CUDA device could read from that."""
        if not torch.cuda.is_available():
            return self
        return Batch(**{name: tensor.pin_memory() for name, tensor in self.tensors().items()})

    def __repr__(self) -> str:
        shown = (
            f"{name}: {str(tensor.dtype).removeprefix('torch.')}{list(tensor.shape)}"
            for name, tensor in self.tensors().items()
        )
        return f"Batch({', '.join(shown)})"
