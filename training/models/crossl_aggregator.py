"""What joins CroSSL's modalities into one vector: the published MLP, or attention over those that are there.

Axes: B examples · M modalities · D 96, size of a latent · E 32, size of the result.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sensorloom.training.errors import WindowShapeError
from sensorloom.training.models.attention import INIT_STD, EncoderLayer
from sensorloom.training.models.crossl_tcn import LATENT_SIZE

__all__ = ["AGGREGATE_SIZE", "AttentionAggregator", "FlattenAggregator"]

AGGREGATE_SIZE = 32
_HEADS = 6


class FlattenAggregator(nn.Module):
    """Join latents [B, M, 96] by 64 ReLU, 32 ReLU, 32, LayerNorm; 40,128 parameters for six modalities.

    What is not kept is zero, as published, or with `mask_token` a learned vector, the same for all modalities.
    """

    def __init__(self, modalities: int, *, mask_token: bool = False) -> None:
        super().__init__()
        self.modalities = modalities
        self.mask_token_D = nn.Parameter(torch.randn(LATENT_SIZE) * INIT_STD) if mask_token else None
        self.layers = nn.Sequential(
            nn.Linear(modalities * LATENT_SIZE, 64),
            nn.ReLU(),
            nn.Linear(64, AGGREGATE_SIZE),
            nn.ReLU(),
            nn.Linear(AGGREGATE_SIZE, AGGREGATE_SIZE),
            nn.LayerNorm(AGGREGATE_SIZE),
        )

    def forward(self, latent_BMD: Tensor, kept: Tensor) -> Tensor:
        """Return [B, 32]; `kept` bool[B, M], or [B, M, 96] element by element, says what of the latents is seen.

        What is missing must not be kept. Raises WindowShapeError for other shapes.
        """
        kept_BMD = _kept_elements(latent_BMD, kept, self.modalities)
        if self.mask_token_D is None:
            seen_BMD = latent_BMD.masked_fill(~kept_BMD, 0.0)
        else:
            seen_BMD = torch.where(kept_BMD, latent_BMD, self.mask_token_D.to(latent_BMD.dtype))
        joined_BE: Tensor = self.layers(seen_BMD.flatten(1))
        return joined_BE


class AttentionAggregator(nn.Module):
    """Join latents [B, M, 96] by one attention layer of a learned query over the kept modalities.

    Ours, in the place of the published MLP: each modality carries a learned embedding of which it is, the query's
    output goes through Linear and LayerNorm to 32. A modality with no element kept is not attended to; if none is
    kept the query is alone.
    """

    def __init__(self, modalities: int) -> None:
        super().__init__()
        self.modalities = modalities
        self.query_D = nn.Parameter(torch.randn(LATENT_SIZE) * INIT_STD)
        self.modality_MD = nn.Parameter(torch.randn(modalities, LATENT_SIZE) * INIT_STD)
        self.layer = EncoderLayer(LATENT_SIZE, _HEADS)
        self.norm = nn.LayerNorm(LATENT_SIZE)
        self.out = nn.Sequential(nn.Linear(LATENT_SIZE, AGGREGATE_SIZE), nn.LayerNorm(AGGREGATE_SIZE))

    def forward(self, latent_BMD: Tensor, kept: Tensor) -> Tensor:
        """Return [B, 32] of latents and `kept` as `FlattenAggregator.forward` takes them."""
        kept_BMD = _kept_elements(latent_BMD, kept, self.modalities)
        seen_BMD = latent_BMD.masked_fill(~kept_BMD, 0.0) + self.modality_MD
        query_B1D = self.query_D.expand(latent_BMD.shape[0], 1, -1).to(seen_BMD.dtype)
        visible_BN = torch.cat([kept_BMD.new_ones(latent_BMD.shape[0], 1), kept_BMD.any(dim=-1)], dim=1)
        hidden_BND = self.layer(torch.cat([query_B1D, seen_BMD], dim=1), visible_BN)
        joined_BE: Tensor = self.out(self.norm(hidden_BND[:, 0]))
        return joined_BE


def _kept_elements(latent_BMD: Tensor, kept: Tensor, modalities: int) -> Tensor:
    """Return `kept` as bool[B, M, 96]; raises WindowShapeError unless it and the latents fit the aggregator."""
    if latent_BMD.ndim != 3 or tuple(latent_BMD.shape[1:]) != (modalities, LATENT_SIZE):
        raise WindowShapeError(
            f"this aggregator was built for latents [B, {modalities}, {LATENT_SIZE}], got {list(latent_BMD.shape)}; "
            "build it with the modalities of the encoders"
        )
    if kept.dtype != torch.bool or kept.shape not in (latent_BMD.shape, latent_BMD.shape[:2]):
        raise WindowShapeError(
            f"kept must be bool {list(latent_BMD.shape[:2])} or {list(latent_BMD.shape)}, got {kept.dtype} "
            f"{list(kept.shape)}"
        )
    return kept if kept.ndim == 3 else kept[..., None].expand_as(latent_BMD)
