"""PRIMUS's encoder: two heads on one embedding, for the self-supervised and the multimodal terms.

Axes: B examples · S sensor slots · C six channels · T samples · K two sensors · D 512 embedding.
"""

from __future__ import annotations

from typing import Literal, get_args

from torch import Tensor, nn

__all__ = ["HeadKind", "PrimusEncoder"]

HeadKind = Literal["linear", "mlp"]


class PrimusEncoder(nn.Module):
    """Encode windows to {"ssl", "mmcl"}, both float32[B, size]; "mmcl" is what downstream tasks keep.

    `encoder` takes (imu_BSCT, imu_present_BSK) and gives [B, size], as `SlotMean(CnnGru())` does: 1,376,204 parameters
    with the heads. Each head is one Linear, as published and as the "1.4M" of the paper has it; `"mlp"` is two with a
    ReLU between them, as Figure 2 of the paper draws it. A window without any sensor has outputs too: which rows count
    is the objective's to ask of `imu_present_BSK`.
    """

    def __init__(self, encoder: nn.Module, size: int = 512, head: HeadKind = "linear") -> None:
        super().__init__()
        if head not in get_args(HeadKind):
            raise ValueError(f"head must be 'linear' or 'mlp', got {head!r}")
        self.encoder = encoder
        self.heads = nn.ModuleDict({name: _head(size, head) for name in ("ssl", "mmcl")})

    def forward(self, imu_BSCT: Tensor, imu_present_BSK: Tensor) -> dict[str, Tensor]:
        """Return {"ssl": [B, size], "mmcl": [B, size]}, not normalised; raises what the encoder raises."""
        embedding_BD = self.encoder(imu_BSCT, imu_present_BSK)
        return {name: head(embedding_BD) for name, head in self.heads.items()}


def _head(size: int, kind: HeadKind) -> nn.Module:
    if kind == "linear":
        return nn.Linear(size, size)
    return nn.Sequential(nn.Linear(size, size), nn.ReLU(), nn.Linear(size, size))
