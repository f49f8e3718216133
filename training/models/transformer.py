"""The signal Transformer encoder of AURA-MFM (SENvT), sizes SS, S, B and L.

Axes: B examples · C input channels · T samples · P samples per patch · N patches plus one class token · D
width.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor, nn

from sensorloom.training.errors import WindowShapeError
from sensorloom.training.models.attention import INIT_STD, EncoderLayer, TransformerSize, init_linear

__all__ = ["TRANSFORMER_SIZES", "SignalTransformer", "TransformerSize"]


TRANSFORMER_SIZES: Mapping[str, TransformerSize] = MappingProxyType(
    {
        "SS": TransformerSize(192, 6, 6),
        "S": TransformerSize(384, 6, 12),
        "B": TransformerSize(768, 12, 12),
        "L": TransformerSize(1024, 16, 24),
    }
)
_DROPOUT = 0.1


class SignalTransformer(nn.Module):
    """Encode windows float32[B, C, T] of exactly `samples` samples to float32[B, 512].

    Patches of `patch` samples, LayerNorm, a class token, learned absolute positions (initialised uniformly in
    [0, 1)), pre-norm layers with an MLP of twice the width, LayerNorm, class token → Linear to 512.
    `residual=True` adds the skip connections that the paper states; `False` leaves them out as the published
    code does (x ← LN → attention → LN → MLP). With the defaults SS has 1,912,072 parameters. Raises
    WindowShapeError if `patch` does not divide `samples`.
    """

    def __init__(
        self,
        size: str = "SS",
        *,
        samples: int = 1000,
        patch: int = 8,
        channels: int = 6,
        residual: bool = True,
    ) -> None:
        super().__init__()
        if size not in TRANSFORMER_SIZES:
            raise ValueError(f"size must be one of {', '.join(TRANSFORMER_SIZES)}, got {size!r}")
        if samples % patch or samples < patch:
            raise WindowShapeError(f"windows of {samples} samples do not divide into patches of {patch}")
        shape = TRANSFORMER_SIZES[size]
        self.samples, self.channels = samples, channels
        self.patches = nn.Conv1d(channels, shape.width, patch, stride=patch)
        # Turns a mask of samples into one of patches for masked-signal pretraining: published weights
        # hold it, encoding ignores it.
        self.mask_patches = nn.Conv1d(1, 1, patch, stride=patch, bias=False)
        self.patch_norm = nn.LayerNorm(shape.width)
        self.class_token = nn.Parameter(nn.init.trunc_normal_(torch.empty(1, 1, shape.width), std=INIT_STD))
        self.positions = nn.Parameter(torch.rand(1, samples // patch + 1, shape.width))
        self.layers = nn.ModuleList(
            EncoderLayer(shape.width, shape.heads, residual=residual, dropout=_DROPOUT)
            for _ in range(shape.layers)
        )
        self.norm = nn.LayerNorm(shape.width)
        self.head = nn.Linear(shape.width, 512)
        self.apply(init_linear)

    def forward(self, signal_BCT: Tensor) -> Tensor:
        """Return embeddings [B, 512]; raises WindowShapeError unless the input is [B, channels, samples]."""
        if signal_BCT.ndim != 3 or tuple(signal_BCT.shape[1:]) != (self.channels, self.samples):
            raise WindowShapeError(
                f"this Transformer was built for windows [B, {self.channels}, {self.samples}], "
                f"got {list(signal_BCT.shape)}; build it with the window length of the view"
            )
        tokens_BND = self.patch_norm(self.patches(signal_BCT).transpose(1, 2))
        class_B1D = self.class_token.expand(signal_BCT.shape[0], -1, -1)
        hidden_BND = torch.cat([class_B1D, tokens_BND], dim=1) + self.positions
        for layer in self.layers:
            hidden_BND = layer(hidden_BND)
        embedding_BD: Tensor = self.head(self.norm(hidden_BND)[:, 0])
        return embedding_BD
