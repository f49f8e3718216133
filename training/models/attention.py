"""The Transformer layer that the signal Transformer, CroSSL's attention aggregator and the sensor JEPA share.

Axes: B examples · N tokens · H heads · D width.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

__all__ = ["INIT_STD", "EncoderLayer", "TransformerSize", "init_linear"]

INIT_STD = 0.02


@dataclass(frozen=True, slots=True)
class TransformerSize:
    """Width, attention heads and layers; raises ValueError unless the heads share the width evenly."""

    width: int
    heads: int
    layers: int

    def __post_init__(self) -> None:
        if min(self.width, self.heads, self.layers) < 1 or self.width % self.heads:
            raise ValueError(
                f"a Transformer needs width, heads and layers of at least 1 and a width that is a multiple of the "
                f"heads, got {self!r}"
            )


class EncoderLayer(nn.Module):
    """One pre-norm layer with an MLP of twice the width; without `residual` each half replaces its input.

    `forward(hidden_BND, visible_BN)` lets every token attend to the visible ones only, in each example; with None all
    are visible, and where none is, all are. What comes out in the place of an invisible token means nothing. Invisible
    tokens must be finite (a weight of zero does not silence NaN).
    """

    def __init__(self, width: int, heads: int, *, residual: bool = True, dropout: float = 0.0) -> None:
        super().__init__()
        self.residual = residual
        self.attention_norm = nn.LayerNorm(width)
        self.attention = _Attention(width, heads, dropout)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(2 * width, width),
            nn.Dropout(dropout),
        )

    def forward(self, hidden_BND: Tensor, visible_BN: Tensor | None = None) -> Tensor:
        """Return the tokens after this layer, [B, N, D]."""
        attended = self.attention(self.attention_norm(hidden_BND), visible_BN)
        hidden_BND = hidden_BND + attended if self.residual else attended
        fed: Tensor = self.mlp(self.mlp_norm(hidden_BND))
        return hidden_BND + fed if self.residual else fed


class _Attention(nn.Module):
    """Self-attention over [B, N, D]: fused query-key-value without bias, output projection with bias."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width)

    def forward(self, hidden_BND: Tensor, visible_BN: Tensor | None = None) -> Tensor:
        batch, tokens, width = hidden_BND.shape
        qkv = self.qkv(hidden_BND).view(batch, tokens, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        mask_B11N = None if visible_BN is None else _attendable(visible_BN)[:, None, None, :]
        mixed_BHNd = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask_B11N)
        joined_BND = mixed_BHNd.transpose(1, 2).reshape(batch, tokens, width)
        return functional.dropout(self.out(joined_BND), self.dropout, self.training)


def _attendable(visible_BN: Tensor) -> Tensor:
    """Return `visible_BN`, all true where nothing is visible: a softmax over nothing, and its gradient, are NaN."""
    return visible_BN | ~visible_BN.any(dim=1, keepdim=True)


def init_linear(module: nn.Module) -> None:
    """Set a Linear to a truncated normal of deviation 0.02 and bias 0; for `nn.Module.apply`."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=INIT_STD)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
