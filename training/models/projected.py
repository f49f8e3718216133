"""An encoder followed by one Linear, where the vectors that it is to meet have another width than its own.

Axes: B examples · D embedding.
"""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["Projected", "of_width"]


class Projected(nn.Module):
    """What `encoder` gives, [B, size], through a Linear to [B, width]."""

    def __init__(self, encoder: nn.Module, size: int, width: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.projection = nn.Linear(size, width)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return [B, width] of whatever the encoder takes."""
        projected_BD: Tensor = self.projection(self.encoder(*inputs))
        return projected_BD


def of_width(encoder: nn.Module, size: int, width: int) -> nn.Module:
    """Return an encoder of [B, width]: `encoder` itself, as published, where its `size` is that already."""
    return encoder if size == width else Projected(encoder, size, width)
