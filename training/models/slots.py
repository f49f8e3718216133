"""One encoder for any number of sensor slots.

Axes: B examples · S slots · C channels · T samples · K sensors of a slot · D embedding.
"""

from __future__ import annotations

from torch import Tensor, nn

from sensorloom.training.errors import WindowShapeError

__all__ = ["SlotMean", "check_slots", "known_sensors"]


class SlotMean(nn.Module):
    """Encode every slot with one shared encoder and average over the slots that are present.

    A slot is present when any of its sensors is. What a missing sensor holds cannot reach the result, nor can what
    the encoder makes of a missing slot; a window without any slot gets the zero vector. With one slot, of which all
    sensors are present, the result is the encoder's own.
    """

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, imu_BSCT: Tensor, imu_present_BSK: Tensor) -> Tensor:
        """Return embeddings float32[B, D] of windows float32[B, S, 6, T] with presence bool[B, S, 2].

        Raises WindowShapeError for other shapes, and what the encoder raises.
        """
        check_slots(imu_BSCT, imu_present_BSK)
        encoded_BSD = self.encoder(known_sensors(imu_BSCT, imu_present_BSK).flatten(0, 1))
        encoded_BSD = encoded_BSD.view(*imu_BSCT.shape[:2], encoded_BSD.shape[-1])
        present_BS1 = imu_present_BSK.any(dim=-1, keepdim=True)
        counted_BD = encoded_BSD.masked_fill(~present_BS1, 0.0).sum(dim=1)
        mean_BD: Tensor = counted_BD / present_BS1.sum(dim=1).clamp(min=1)
        return mean_BD


def known_sensors(imu_BSCT: Tensor, imu_present_BSK: Tensor) -> Tensor:
    """Return windows [B, S, 6, T] with zeros for the three channels of every sensor that is not present."""
    missing_BSC1 = ~imu_present_BSK.repeat_interleave(3, dim=2)[..., None]
    return imu_BSCT.masked_fill(missing_BSC1, 0.0)


def check_slots(imu_BSCT: Tensor, imu_present_BSK: Tensor, slots: int | None = None) -> None:
    """Raise WindowShapeError unless the windows are [B, S, 6, T] of `slots` slots, or any, with presence [B, S, 2]."""
    if imu_BSCT.ndim != 4 or imu_BSCT.shape[1] != (slots or imu_BSCT.shape[1]) or imu_BSCT.shape[2] != 6:
        raise WindowShapeError(
            f"this encoder takes windows [B, {slots or 'S'}, 6, T], got {list(imu_BSCT.shape)}; give batch.imu_BSCT, "
            "and build the encoder with the slots of the view"
        )
    expected = (*imu_BSCT.shape[:2], 2)
    if tuple(imu_present_BSK.shape) != expected:
        raise WindowShapeError(
            f"the presence of windows {list(imu_BSCT.shape)} must be {list(expected)}, got "
            f"{list(imu_present_BSK.shape)}; give batch.imu_present_BSK of the same batch"
        )
