"""TPN, the convolutional encoder of SimCLR-HAR and of multi-task transformation recognition (86,720 parameters).

Axes: B examples · C channels · T samples · D 96 embedding.
"""

from __future__ import annotations

from torch import Tensor, nn

from sensorloom.training.errors import WindowShapeError

__all__ = ["TPN_MIN_SAMPLES", "TPN_SIZE", "Tpn"]

TPN_SIZE = 96
# Three convolutions without padding, of kernels 24, 16 and 8.
TPN_MIN_SAMPLES = 46


class Tpn(nn.Module):
    """Encode windows float32[B, C, T] of any T ≥ 46 samples to float32[B, 96]; for six channels 86,720 parameters.

    Three convolutions (32 of kernel 24, 64 of 16, 96 of 8), each with ReLU and dropout, then the largest value over
    time. Nothing normalises the input: the published data were standardised beforehand. The published kernels carry an
    L2 penalty of 1e-4: see `kernels.kernel_penalty`. Over slots: `SlotMean(Tpn())`.
    """

    def __init__(self, channels: int = 6, *, dropout: float = 0.1) -> None:
        super().__init__()
        self.channels = channels
        self.convolutions = nn.Sequential(
            *(nn.Conv1d(channels, 32, 24), nn.ReLU(), nn.Dropout(dropout)),
            *(nn.Conv1d(32, 64, 16), nn.ReLU(), nn.Dropout(dropout)),
            *(nn.Conv1d(64, TPN_SIZE, 8), nn.ReLU(), nn.Dropout(dropout)),
        )

    def forward(self, imu_BCT: Tensor) -> Tensor:
        """Return embeddings [B, 96]; raises WindowShapeError unless the input is [B, channels, T ≥ 46]."""
        if imu_BCT.ndim != 3 or imu_BCT.shape[1] != self.channels or imu_BCT.shape[2] < TPN_MIN_SAMPLES:
            raise WindowShapeError(
                f"this TPN takes windows [B, {self.channels}, T] of T ≥ {TPN_MIN_SAMPLES} samples, got "
                f"{list(imu_BCT.shape)}; take longer windows or build it with their channels"
            )
        embedding_BD: Tensor = self.convolutions(imu_BCT).amax(dim=-1)
        return embedding_BD
