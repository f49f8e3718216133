"""The signal Transformer encoder of AURA-MFM (SENvT), sizes SS, S, B and L.

Axes: B examples · C input channels · T samples · P samples per patch · N patches plus one class token · H
heads · D width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.nn import functional

from sensorloom.training.errors import WindowShapeError

__all__ = ["TRANSFORMER_SIZES", "SignalTransformer", "TransformerSize"]


@dataclass(frozen=True, slots=True)
class TransformerSize:
    """Width, attention heads and layers of one published size."""

    width: int
    heads: int
    layers: int


TRANSFORMER_SIZES: Mapping[str, TransformerSize] = MappingProxyType(
    {
        "SS": TransformerSize(192, 6, 6),
        "S": TransformerSize(384, 6, 12),
        "B": TransformerSize(768, 12, 12),
        "L": TransformerSize(1024, 16, 24),
    }
)
_DROPOUT = 0.1
_INIT_STD = 0.02


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
        self.class_token = nn.Parameter(nn.init.trunc_normal_(torch.empty(1, 1, shape.width), std=_INIT_STD))
        self.positions = nn.Parameter(torch.rand(1, samples // patch + 1, shape.width))
        self.layers = nn.ModuleList(
            _Layer(shape.width, shape.heads, residual=residual) for _ in range(shape.layers)
        )
        self.norm = nn.LayerNorm(shape.width)
        self.head = nn.Linear(shape.width, 512)
        self.apply(_init_linear)

    def forward(self, signal_BCT: Tensor) -> Tensor:
        """Return embeddings [B, 512]; raises WindowShapeError unless the input is [B, channels, samples]."""
        if signal_BCT.ndim != 3 or tuple(signal_BCT.shape[1:]) != (self.channels, self.samples):
            raise WindowShapeError(
                f"this Transformer was built for windows [B, {self.channels}, {self.samples}], "
                f"got {list(signal_BCT.shape)}; build it with the window length of the view"
            )
        tokens_BND = self.patch_norm(self.patches(signal_BCT).transpose(1, 2))
        class_B1D = self.class_token.expand(len(signal_BCT), -1, -1)
        hidden_BND = torch.cat([class_B1D, tokens_BND], dim=1) + self.positions
        for layer in self.layers:
            hidden_BND = layer(hidden_BND)
        embedding_BD: Tensor = self.head(self.norm(hidden_BND)[:, 0])
        return embedding_BD


class _Attention(nn.Module):
    """Self-attention over [B, N, D]: fused query-key-value without bias, output projection with bias."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width)

    def forward(self, hidden_BND: Tensor) -> Tensor:
        batch, tokens, width = hidden_BND.shape
        qkv = self.qkv(hidden_BND).view(batch, tokens, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        mixed_BHNd = functional.scaled_dot_product_attention(query, key, value)
        joined_BND = mixed_BHNd.transpose(1, 2).reshape(batch, tokens, width)
        return functional.dropout(self.out(joined_BND), _DROPOUT, self.training)


class _Layer(nn.Module):
    """One pre-norm layer; without `residual` each half replaces its input instead of adding to it."""

    def __init__(self, width: int, heads: int, *, residual: bool) -> None:
        super().__init__()
        self.residual = residual
        self.attention_norm = nn.LayerNorm(width)
        self.attention = _Attention(width, heads)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width),
            nn.GELU(),
            nn.Dropout(_DROPOUT),
            nn.Linear(2 * width, width),
            nn.Dropout(_DROPOUT),
        )

    def forward(self, hidden_BND: Tensor) -> Tensor:
        attended = self.attention(self.attention_norm(hidden_BND))
        hidden_BND = hidden_BND + attended if self.residual else attended
        fed: Tensor = self.mlp(self.mlp_norm(hidden_BND))
        return hidden_BND + fed if self.residual else fed


def _init_linear(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=_INIT_STD)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
