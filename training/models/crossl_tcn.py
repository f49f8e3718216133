"""CroSSL's encoders: one temporal convolutional network a modality, where each sensor of each slot is a modality.

Axes: B examples · S sensor slots · C six channels · T samples · K two sensors of a slot · M = S·K modalities, slot by
slot, of each the accelerometer first · X three axes · D 96 embedding.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sensorloom.training.errors import WindowShapeError
from sensorloom.training.models.kernels import init_kernels
from sensorloom.training.models.slots import check_slots, known_sensors

__all__ = ["LATENT_SIZE", "ModalityEncoders", "Tcn"]

LATENT_SIZE = 96
_LAYERS = ((24, 24), (48, 16), (LATENT_SIZE, 8))
_KERAS_LAYER_NORM_EPS = 1e-3


class Tcn(nn.Module):
    """Encode one modality float32[B, channels, T] of any T ≥ 1 to float32[B, 96]; 57,696 parameters for 3 channels.

    Three convolutions that keep the length (24 of kernel 24, 48 of 16, 96 of 8), each with a LayerNorm over the
    features of a time step, a PReLU with a slope a feature and dropout; then the mean over time. `dropout=0` is the
    published training, which calls the encoders in inference mode; the published kernels carry an L2 penalty of 1e-4:
    see `kernels.kernel_penalty`.
    """

    def __init__(self, channels: int = 3, *, dropout: float = 0.1) -> None:
        super().__init__()
        self.channels = channels
        sizes = (channels, *(features for features, _ in _LAYERS))
        self.blocks = nn.Sequential(
            *(
                _block(size, features, kernel, dropout)
                for size, (features, kernel) in zip(sizes[:-1], _LAYERS, strict=True)
            )
        )
        self.apply(init_kernels)

    def forward(self, signal_BXT: Tensor) -> Tensor:
        """Return embeddings [B, 96]; raises WindowShapeError unless the input is [B, channels, T ≥ 1]."""
        if signal_BXT.ndim != 3 or signal_BXT.shape[1] != self.channels or not signal_BXT.shape[2]:
            raise WindowShapeError(
                f"this TCN takes windows [B, {self.channels}, T] of T ≥ 1 samples, got {list(signal_BXT.shape)}; "
                "build it with the channels of the modality"
            )
        embedding_BD: Tensor = self.blocks(signal_BXT).mean(dim=-1)
        return embedding_BD


class ModalityEncoders(nn.Module):
    """Encode every sensor of every slot by a TCN of its own: float32[B, S, 6, T] → float32[B, M, 96].

    Modality m = 2·s + k is sensor k (accelerometer, gyroscope) of slot s, so that `imu_present_BSK.flatten(1)` says
    which are there. A missing modality is the zero vector, whatever the window holds in its place. Values are divided
    by `divisor` first: CroSSL's stored data are, by 15 for PAMAP2 and by 30 for REALWORLD.
    """

    def __init__(self, slots: int, *, divisor: float = 1.0, dropout: float = 0.1) -> None:
        super().__init__()
        if slots < 1 or not divisor > 0:
            raise ValueError(f"slots must be at least 1 and divisor above 0, got {slots} and {divisor!r}")
        self.slots, self.divisor = slots, divisor
        self.encoders = nn.ModuleList(Tcn(3, dropout=dropout) for _ in range(2 * slots))

    @property
    def modalities(self) -> int:
        """How many modalities there are, M."""
        return len(self.encoders)

    def forward(self, imu_BSCT: Tensor, imu_present_BSK: Tensor) -> Tensor:
        """Return latents [B, M, 96]; raises WindowShapeError unless the windows have these slots."""
        check_slots(imu_BSCT, imu_present_BSK, self.slots)
        known_BSCT = known_sensors(imu_BSCT, imu_present_BSK) / self.divisor
        signal_BMXT = known_BSCT.reshape(imu_BSCT.shape[0], self.modalities, 3, imu_BSCT.shape[-1])
        encoded_BMD = torch.stack(
            [encoder(signal_BMXT[:, place]) for place, encoder in enumerate(self.encoders)], dim=1
        )
        return encoded_BMD.masked_fill(~imu_present_BSK.flatten(1)[..., None], 0.0)


class _FeatureNorm(nn.LayerNorm):
    """LayerNorm over the features of each time step of [B, features, T]."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name of the class above
        return super().forward(input.transpose(1, 2)).transpose(1, 2)


def _block(size: int, features: int, kernel: int, dropout: float) -> nn.Sequential:
    before = (kernel - 1) // 2
    return nn.Sequential(
        # An even kernel that keeps the length wants one sample more after than before.
        nn.ZeroPad1d((before, kernel - 1 - before)),
        nn.Conv1d(size, features, kernel),
        _FeatureNorm(features, eps=_KERAS_LAYER_NORM_EPS),
        nn.PReLU(features, init=0.0),
        nn.Dropout(dropout),
    )
