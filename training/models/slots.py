"""One encoder for any number of sensor slots.

Axes: B examples · S slots · C channels · T samples · K sensors of a slot · D embedding.
"""

from __future__ import annotations

from torch import Tensor, nn

from sensorloom.training.errors import WindowShapeError

__all__ = ["SlotMean", "check_slots"]


class SlotMean(nn.Module):
    """Encode every slot with one shared encoder and average over the slots that are present.

    A slot is present when any of its sensors is. What a missing slot holds cannot reach the result; a window
    without any slot gets the zero vector. With one slot, present, the result is the encoder's own.
    """

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, imu_BSCT: Tensor, imu_present_BSK: Tensor) -> Tensor:
        """Return embeddings float32[B, D] of windows float32[B, S, C, T] with presence bool[B, S, K]."""
        batch, slots = imu_BSCT.shape[:2]
        encoded_BSD = self.encoder(imu_BSCT.flatten(0, 1)).view(batch, slots, -1)
        present_BS1 = imu_present_BSK.any(dim=-1, keepdim=True)
        counted_BD = encoded_BSD.masked_fill(~present_BS1, 0.0).sum(dim=1)
        mean_BD: Tensor = counted_BD / present_BS1.sum(dim=1).clamp(min=1)
        return mean_BD


def check_slots(imu_BSCT: Tensor, imu_present_BSK: Tensor, slots: int) -> None:
    """Raise WindowShapeError unless the windows are [B, slots, 6, T] and their presence bool[B, slots, 2]."""
    if imu_BSCT.ndim != 4 or tuple(imu_BSCT.shape[1:3]) != (slots, 6):
        raise WindowShapeError(
            f"this encoder was built for windows [B, {slots}, 6, T], got {list(imu_BSCT.shape)}; build it with "
            "the slots of the view"
        )
    if tuple(imu_present_BSK.shape) != (len(imu_BSCT), slots, 2):
        raise WindowShapeError(
            f"the presence of windows {list(imu_BSCT.shape)} must be [{len(imu_BSCT)}, {slots}, 2], got "
            f"{list(imu_present_BSK.shape)}; give batch.imu_present_BSK of the same batch"
        )
