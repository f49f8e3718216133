"""Poses as a signal: the mocap encoders of AURA-MFM over the tensors of a batch.

Axes: B examples · F mocap rows (10 Hz, 50 in 5 s) · J 17 joints · X their coordinates · C 51 channels, joint-major
(x, y, z of the first joint, then of the second) · D 512 embedding.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from sensorloom.training.errors import WindowShapeError
from sensorloom.training.models.cnn_gru import GruAxis
from sensorloom.training.models.mocap_rnn import CHANNELS, JOINTS, MocapRnn
from sensorloom.training.models.transformer import SignalTransformer

__all__ = ["Coordinates", "MocapEncoder", "mocap_channels", "mocap_rnn", "mocap_transformer"]

Coordinates = Literal["xyz", "xy1"]


def mocap_channels(mocap_BFJX: Tensor, mocap_valid_BFJ: Tensor, coordinates: Coordinates = "xyz") -> Tensor:
    """Return the channels [B, 51, F] of poses float32[B, F, 17, 3] with validity bool[B, F, 17]; 0 where not valid.

    `"xy1"` puts 1 in the place of every valid z, as AURA's published reader does by a misspelt key. Metres, centred
    on the root or not: as the view has them. Raises WindowShapeError for other shapes.
    """
    if mocap_BFJX.ndim != 4 or tuple(mocap_BFJX.shape[2:]) != (JOINTS, 3):
        raise WindowShapeError(
            f"mocap encoders take poses [B, F, {JOINTS}, 3], got {list(mocap_BFJX.shape)}; give batch.mocap_BFJX "
            "of a view with mocap"
        )
    if mocap_valid_BFJ.shape != mocap_BFJX.shape[:3]:
        raise WindowShapeError(
            f"the validity of poses {list(mocap_BFJX.shape)} must be {list(mocap_BFJX.shape[:3])}, got "
            f"{list(mocap_valid_BFJ.shape)}; give batch.mocap_valid_BFJ of the same batch"
        )
    if coordinates == "xy1":
        flag_BFJ1 = torch.ones_like(mocap_BFJX[..., :1])
        mocap_BFJX = torch.cat([mocap_BFJX[..., :2], flag_BFJ1], dim=-1)
    known_BFJX = mocap_BFJX.masked_fill(~mocap_valid_BFJ[..., None], 0.0)
    return known_BFJX.flatten(2).transpose(1, 2)


class MocapEncoder(nn.Module):
    """Encode the mocap of a batch by a backbone that takes channels [B, 51, F] and gives [B, 512].

    What stands where no joint is valid reaches nothing. A window without any valid joint has an embedding too, the
    same for all: whether there is mocap the objective must ask of `mocap_valid_BFJ`.
    """

    def __init__(self, backbone: nn.Module, coordinates: Coordinates = "xyz") -> None:
        super().__init__()
        if coordinates not in get_args(Coordinates):
            raise ValueError(f"coordinates must be 'xyz' or 'xy1', got {coordinates!r}")
        self.coordinates: Coordinates = coordinates
        self.backbone = backbone

    def forward(self, mocap_BFJX: Tensor, mocap_valid_BFJ: Tensor) -> Tensor:
        """Return embeddings [B, 512]; raises WindowShapeError as `mocap_channels` and the backbone."""
        channels_BCF = mocap_channels(mocap_BFJX, mocap_valid_BFJ, self.coordinates)
        embedding_BD: Tensor = self.backbone(channels_BCF)
        return embedding_BD


def mocap_transformer(
    size: str = "SS", *, rows: int = 50, residual: bool = True, coordinates: Coordinates = "xyz"
) -> MocapEncoder:
    """Return AURA's Transformer over mocap, a token for each of `rows` rows; SS has 1,898,241 parameters at 50."""
    backbone = SignalTransformer(size, samples=rows, patch=1, channels=CHANNELS, residual=residual)
    return MocapEncoder(backbone, coordinates)


def mocap_rnn(gru_axis: GruAxis = "channel", *, coordinates: Coordinates = "xyz") -> MocapEncoder:
    """Return AURA's convolutions and GRU over mocap; see `MocapRnn` for the axis."""
    return MocapEncoder(MocapRnn(gru_axis), coordinates)
