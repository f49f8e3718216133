"""The convolutions and GRU that are AURA-MFM's baseline over mocap (958,566 parameters).

Axes: B examples · C 51 channels, joint-major · F mocap rows · H 128 features · L time bins · D 512 embedding.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sensorloom.training.errors import WindowShapeError
from sensorloom.training.models.cnn_gru import EMBEDDING_SIZE, GruAxis

__all__ = ["CHANNELS", "JOINTS", "MIN_ROWS", "MocapRnn"]

JOINTS = 17
CHANNELS = 3 * JOINTS
# Fewer rows leave the last convolution without a single output: 20 → 18 → pool 9 → 7 → 5 → 3 → 1.
MIN_ROWS = 20
_FEATURES = 128
_BINS = 16


class MocapRnn(nn.Module):
    """Encode poses float32[B, 51, F] to float32[B, 512].

    GroupNorm(17, 51) standardises every joint per window; five dilated convolutions without bias or activation, the
    first with a max-pooling (50 rows → 24 → 22 → 20 → 18 → 16 bins); GroupNorm(4, 128); a GRU whose last hidden state
    is the embedding. `gru_axis="channel"` runs it over the 128 features, with the 16 time bins as its input, as the
    published code does: 958,566 parameters, for 50 or 51 rows alone. `"time"` runs it over the bins, which takes a
    wider input (1,130,598 parameters) and any F ≥ 20.
    """

    def __init__(self, gru_axis: GruAxis = "channel") -> None:
        super().__init__()
        if gru_axis not in ("time", "channel"):
            raise ValueError(f"gru_axis must be 'time' or 'channel', got {gru_axis!r}")
        self.gru_axis = gru_axis
        self.input_norm = nn.GroupNorm(JOINTS, CHANNELS)
        self.convolutions = nn.Sequential(
            nn.Conv1d(CHANNELS, _FEATURES, 2, dilation=2, bias=False),
            nn.MaxPool1d(2),
            *(nn.Conv1d(_FEATURES, _FEATURES, 2, dilation=2, bias=False) for _ in range(4)),
        )
        self.feature_norm = nn.GroupNorm(4, _FEATURES)
        step_size = _BINS if gru_axis == "channel" else _FEATURES
        self.gru = nn.GRU(step_size, EMBEDDING_SIZE, batch_first=True)

    def forward(self, mocap_BCF: Tensor) -> Tensor:
        """Return embeddings [B, 512]; raises WindowShapeError for windows that the axis cannot take."""
        if mocap_BCF.ndim != 3 or mocap_BCF.shape[1] != CHANNELS or mocap_BCF.shape[2] < MIN_ROWS:
            raise WindowShapeError(
                f"the mocap RNN takes windows [B, {CHANNELS}, F] of F ≥ {MIN_ROWS} rows, got "
                f"{list(mocap_BCF.shape)}; take a view of at least 2 s with mocap at 10 Hz"
            )
        if self.gru_axis == "channel" and _bins(mocap_BCF.shape[2]) != _BINS:
            raise WindowShapeError(
                f"the mocap RNN over channels takes 50 or 51 rows (5 s at 10 Hz), got {mocap_BCF.shape[2]}; "
                "build it with gru_axis='time' for other windows"
            )
        features_BHL = self.feature_norm(self.convolutions(self.input_norm(mocap_BCF)))
        steps = features_BHL.transpose(1, 2) if self.gru_axis == "time" else features_BHL
        _, hidden_1BD = self.gru(steps)
        last_BD: Tensor = torch.squeeze(hidden_1BD, 0)
        return last_BD


def _bins(rows: int) -> int:
    """Return how many time bins the convolutions leave of `rows` rows."""
    return (rows - 2) // 2 - 8
