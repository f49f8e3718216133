"""The CNN-GRU signal encoder that IMU2CLIP, PRIMUS and AURA's RNN share (850,892 parameters).

Axes: B examples · C six channels (accelerometer, gyroscope) · F 32 features · L 32 time bins · D 512
embedding.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from sensorloom.training.errors import WindowShapeError

__all__ = ["EMBEDDING_SIZE", "MIN_SAMPLES", "CnnGru", "GruAxis", "Pooling"]

GruAxis = Literal["time", "channel"]
Pooling = Literal["adaptive", "max"]

EMBEDDING_SIZE = 512
# Shorter windows leave the third convolution without a single output: 105 → pool 35 → 27 → pool 9 → 1.
MIN_SAMPLES = 123
# Those of which the third max-pooling of IMU2CLIP makes 32 bins.
_MAX_POOLED = range(978, 1005)


class CnnGru(nn.Module):
    """Encode windows float32[B, 6, T] of any T ≥ 123 samples to float32[B, 512].

    GroupNorm(2, 6) standardises the accelerometer and the gyroscope triad per window, so a gain common to a
    sensor changes nothing; three dilated convolutions without bias or activation; 32 time bins; a GRU whose
    last hidden state is the embedding. `gru_axis="time"` runs the GRU over the 32 time bins, as the papers
    mean it. `"channel"` runs it over the 32 feature channels, as the published code of IMU2CLIP and PRIMUS
    does (it works only because both numbers are 32): needed for their weights. The "adaptive" third pooling is
    PRIMUS's; "max" is IMU2CLIP's and AURA's, which gives 32 bins for T in [978, 1004] only.
    """

    def __init__(self, gru_axis: GruAxis = "time", pooling: Pooling = "adaptive") -> None:
        super().__init__()
        if gru_axis not in ("time", "channel"):
            raise ValueError(f"gru_axis must be 'time' or 'channel', got {gru_axis!r}")
        if pooling not in get_args(Pooling):
            raise ValueError(f"pooling must be 'adaptive' or 'max', got {pooling!r}")
        self.gru_axis, self.pooling = gru_axis, pooling
        self.input_norm = nn.GroupNorm(2, 6)
        self.convolutions = nn.Sequential(
            nn.Conv1d(6, 32, 10, dilation=2, bias=False),
            nn.MaxPool1d(3),
            nn.Conv1d(32, 32, 5, dilation=2, bias=False),
            nn.MaxPool1d(3),
            nn.Conv1d(32, 32, 5, dilation=2, bias=False),
            nn.AdaptiveAvgPool1d(32) if pooling == "adaptive" else nn.MaxPool1d(3),
        )
        self.feature_norm = nn.GroupNorm(4, 32)
        self.gru = nn.GRU(32, EMBEDDING_SIZE, batch_first=True)

    def forward(self, imu_BCT: Tensor) -> Tensor:
        """Return embeddings [B, 512]; raises WindowShapeError unless the input is [B, 6, T] of a T that it takes."""
        if imu_BCT.ndim != 3 or imu_BCT.shape[1] != 6 or imu_BCT.shape[2] < MIN_SAMPLES:
            raise WindowShapeError(
                f"the CNN-GRU takes windows [B, 6, T] of T ≥ {MIN_SAMPLES} samples, got {list(imu_BCT.shape)}"
            )
        if self.pooling == "max" and imu_BCT.shape[2] not in _MAX_POOLED:
            raise WindowShapeError(
                "the CNN-GRU with max-pooling takes windows of 978 to 1004 samples, as 5 s at 200 Hz, got "
                f"{list(imu_BCT.shape)}; set pooling=adaptive"
            )
        features_BFL = self.feature_norm(self.convolutions(self.input_norm(imu_BCT)))
        steps = features_BFL.transpose(1, 2) if self.gru_axis == "time" else features_BFL
        _, hidden_1BD = self.gru(steps)
        last_BD: Tensor = torch.squeeze(hidden_1BD, 0)
        return last_BD
