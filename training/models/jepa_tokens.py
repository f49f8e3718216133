"""How windows of sensors fall into tokens: patches of 0.2 s of each channel, or of each sensor's three axes.

Axes: B examples · S sensor slots · C six channels · T samples · K two sensors of a slot · G rows of the grid (channels
or triads, slot by slot) · L patches in time · N = G·L tokens, n = g·L + l · W values of a patch · D width · E size of
a description.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn

from sensorloom.training.errors import WindowShapeError
from sensorloom.training.models.attention import INIT_STD

__all__ = ["TokenGrid", "TokenPositions", "TokenSet", "TokenUnit"]

TokenUnit = Literal["channel", "triad"]

# Accelerations in standard gravities, rotations in rad/s: so both sensors are of one size, and gravity stays.
_STANDARD_GRAVITY = 9.80665


class TokenSet(NamedTuple):
    """Tokens float32[B, N, D] and which of them there are, bool[B, N]; the others are zero."""

    token_BND: Tensor
    visible_BN: Tensor

    def mean(self) -> Tensor:
        """Return the mean of the visible tokens, [B, D]; zero for an example that has none."""
        total_BD = self.token_BND.masked_fill(~self.visible_BN[..., None], 0.0).sum(dim=1)
        mean_BD: Tensor = total_BD / self.visible_BN.sum(dim=1, keepdim=True).clamp(min=1)
        return mean_BD


@dataclass(frozen=True, slots=True)
class TokenGrid:
    """The grid of tokens of windows [B, slots, 6, T]: a row for each channel, or each triad, and L patches in a row.

    With `unit="channel"` row g = 6·s + c is channel c of slot s (its triad is row // 3), with `"triad"` g = 2·s + k is
    sensor k of slot s. A patch is `patch` samples: 10 are 0.2 s at 50 Hz. `samples` is the longest window; shorter
    ones of whole patches have as many tokens less. Raises ValueError for sizes that make no grid.
    """

    slots: int
    samples: int = 250
    patch: int = 10
    unit: TokenUnit = "channel"

    def __post_init__(self) -> None:
        if self.unit not in get_args(TokenUnit):
            raise ValueError(f"unit must be 'channel' or 'triad', got {self.unit!r}")
        if min(self.slots, self.patch, self.samples) < 1:
            raise ValueError(f"slots, patch and samples must be at least 1, got {self!r}")
        if self.samples % self.patch:
            raise WindowShapeError(
                f"windows of {self.samples} samples do not divide into patches of {self.patch}; choose a patch that "
                "divides them"
            )

    @property
    def rows(self) -> int:
        """Rows of the grid, G."""
        return self.slots * (6 if self.unit == "channel" else 2)

    @property
    def rows_per_triad(self) -> int:
        """Rows that make up one sensor: its three channels, or itself."""
        return 3 if self.unit == "channel" else 1

    @property
    def patches(self) -> int:
        """Patches in time of the longest window, L."""
        return self.samples // self.patch

    @property
    def values(self) -> int:
        """Values of one patch, W: those of a triad axis by axis."""
        return self.patch * (1 if self.unit == "channel" else 3)

    def cut(self, imu_BSCT: Tensor) -> Tensor:
        """Return the patches [B, N, W] of windows, accelerations in standard gravities; raises WindowShapeError."""
        samples = imu_BSCT.shape[-1]
        if samples % self.patch or not 0 < samples <= self.samples:
            raise WindowShapeError(
                f"this grid takes windows of whole patches of {self.patch} samples, up to {self.samples}, got "
                f"{samples} samples; build it with the window length of the view"
            )
        scaled_BSCT = torch.cat([imu_BSCT[:, :, :3] / _STANDARD_GRAVITY, imu_BSCT[:, :, 3:]], dim=2)
        axes = 1 if self.unit == "channel" else 3
        shape = (imu_BSCT.shape[0], self.rows, axes, samples // self.patch, self.patch)
        patches_BGLXP = scaled_BSCT.reshape(shape).transpose(2, 3)
        return patches_BGLXP.flatten(1, 2).flatten(2)

    def present(self, imu_present_BSK: Tensor, samples: int) -> Tensor:
        """Return bool[B, N], the tokens whose sensor is there in windows of `samples` samples."""
        present_BG = imu_present_BSK.flatten(1).repeat_interleave(self.rows_per_triad, dim=1)
        return present_BG.repeat_interleave(samples // self.patch, dim=1)


class TokenPositions(nn.Module):
    """What is added to a token to say when and of which channel it is: a learned time position plus a row embedding.

    The row embedding is learned, a vector a row, or, given `description_GE` (frozen embeddings of texts such as
    "left shin, accelerometer, x, m/s²"), one Linear of the row's description: then a model follows its channels
    whatever their order, and can be put on others by `describe`.
    """

    row_GD: nn.Parameter
    description_GE: Tensor

    def __init__(self, grid: TokenGrid, width: int, description_GE: Tensor | None = None) -> None:
        super().__init__()
        self.grid = grid
        self.time_LD = nn.Parameter(nn.init.trunc_normal_(torch.empty(grid.patches, width), std=INIT_STD))
        self.from_description: nn.Linear | None = None
        if description_GE is None:
            self.row_GD = nn.Parameter(nn.init.trunc_normal_(torch.empty(grid.rows, width), std=INIT_STD))
        else:
            self._check(description_GE)
            self.from_description = nn.Linear(description_GE.shape[1], width)
            self.register_buffer("description_GE", description_GE.detach().clone())

    def describe(self, description_GE: Tensor) -> None:
        """Put other channels in the place of the rows; raises ValueError if rows are learned or shapes differ."""
        if self.from_description is None:
            raise ValueError(
                "rows of learned embeddings cannot be described; build the model with descriptions"
            )
        self._check(description_GE)
        if description_GE.shape != self.description_GE.shape:
            raise ValueError(
                f"descriptions must stay of size {self.description_GE.shape[1]}, got {description_GE.shape[1]}; "
                "encode them by the text encoder of the training"
            )
        self.description_GE.copy_(description_GE)

    def forward(self, patches: int) -> Tensor:
        """Return [N, D] for rows of `patches` patches."""
        described = self.from_description
        row_GD = self.row_GD if described is None else described(self.description_GE)
        return (row_GD[:, None] + self.time_LD[:patches]).flatten(0, 1)

    def _check(self, description_GE: Tensor) -> None:
        if description_GE.ndim != 2 or len(description_GE) != self.grid.rows:
            raise ValueError(
                f"descriptions must be [{self.grid.rows}, E], one for each {self.grid.unit} of {self.grid.slots} "
                f"slots, got {list(description_GE.shape)}"
            )
