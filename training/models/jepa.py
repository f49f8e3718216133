"""The encoder and the narrow predictor of the sensor JEPA, over sets of tokens of which some are masked.

Axes: B examples · S sensor slots · C six channels · T samples · K two sensors of a slot · N tokens, as in
`jepa_tokens` · D width of the encoder (192) · H width of the predictor (96) · G rows of the grid · E size of a
description.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sensorloom.training.errors import WindowShapeError
from sensorloom.training.models.attention import EncoderLayer, TransformerSize, init_linear
from sensorloom.training.models.jepa_tokens import TokenGrid, TokenPositions, TokenSet
from sensorloom.training.models.slots import check_slots

__all__ = ["ENCODER_SIZE", "PREDICTOR_SIZE", "JepaEncoder", "JepaPredictor"]

ENCODER_SIZE = TransformerSize(192, 6, 6)
# As many heads as the encoder, as in I-JEPA; the width and the layers are of methods.md §4.4.
PREDICTOR_SIZE = TransformerSize(96, 6, 4)


class JepaEncoder(nn.Module):
    """Encode windows to a set of tokens; the context encoder, and by a copy that follows it the target encoder.

    One Linear for the patches of all channels, plus `TokenPositions`; pre-norm layers with skip connections and an MLP
    of twice the width, no dropout; LayerNorm. About 1.8 million parameters: 1,787,136 for the six channels of one slot.
    Tokens attend only to tokens that are seen; what a missing sensor or a masked token holds reaches nothing.
    """

    def __init__(
        self, grid: TokenGrid, size: TransformerSize = ENCODER_SIZE, description_GE: Tensor | None = None
    ) -> None:
        super().__init__()
        self.grid, self.width = grid, size.width
        self.patch = nn.Linear(grid.values, size.width)
        self.positions = TokenPositions(grid, size.width, description_GE)
        self.layers = nn.ModuleList(EncoderLayer(size.width, size.heads) for _ in range(size.layers))
        self.layers.apply(init_linear)
        self.norm = nn.LayerNorm(size.width)

    def forward(self, imu_BSCT: Tensor, imu_present_BSK: Tensor, kept_BN: Tensor | None = None) -> TokenSet:
        """Return the latents [B, N, D] of the tokens that are present and, if given, kept; zero elsewhere.

        Raises WindowShapeError for windows, presence or masks that do not fit the grid.
        """
        check_slots(imu_BSCT, imu_present_BSK, self.grid.slots)
        patch_BNW = self.grid.cut(imu_BSCT)
        visible_BN = self.grid.present(imu_present_BSK, imu_BSCT.shape[-1])
        if kept_BN is not None:
            _check_mask("kept_BN", kept_BN, visible_BN)
            visible_BN = visible_BN & kept_BN
        hidden_BND = self.patch(patch_BNW.masked_fill(~visible_BN[..., None], 0.0))
        hidden_BND = hidden_BND + self.positions(patch_BNW.shape[1] // self.grid.rows)
        for layer in self.layers:
            hidden_BND = layer(hidden_BND, visible_BN)
        return TokenSet(self.norm(hidden_BND).masked_fill(~visible_BN[..., None], 0.0), visible_BN)


class JepaPredictor(nn.Module):
    """Predict the latents of masked tokens from those of the context.

    The context's latents, made narrow, and in the place of each target a learned mask token (zero at first, as in
    V-JEPA), both with positions of this module's own; pre-norm layers as the encoder's; LayerNorm and a Linear back to
    the encoder's width. Grid, width and descriptions are those of `encoder`, which is not kept.
    """

    def __init__(self, encoder: JepaEncoder, size: TransformerSize = PREDICTOR_SIZE) -> None:
        super().__init__()
        self.grid, self.encoder_width = encoder.grid, encoder.width
        described = encoder.positions.from_description is not None
        description_GE = encoder.positions.description_GE if described else None
        self.narrow = nn.Linear(encoder.width, size.width)
        self.mask_token_H = nn.Parameter(torch.zeros(size.width))
        self.positions = TokenPositions(encoder.grid, size.width, description_GE)
        self.layers = nn.ModuleList(EncoderLayer(size.width, size.heads) for _ in range(size.layers))
        self.layers.apply(init_linear)
        self.norm = nn.LayerNorm(size.width)
        self.widen = nn.Linear(size.width, encoder.width)

    def forward(self, context: TokenSet, target_BN: Tensor) -> Tensor:
        """Return predictions [B, N, D] of the targets bool[B, N], zero elsewhere.

        A token that is a target is never seen as context, also where `context` has it. Raises WindowShapeError for
        tokens or masks of another grid.
        """
        _check_tokens(context, self.grid, self.encoder_width)
        _check_mask("target_BN", target_BN, context.visible_BN)
        predicted_BND = self._outputs(context, target_BN)
        return predicted_BND.masked_fill(~target_BN[..., None], 0.0)

    def carry(self, context: TokenSet) -> TokenSet:
        """Return what becomes of the context's own tokens when nothing is to be predicted, g(z) of methods.md §4.4.

        Its mean is what the semantic term compares with a text, in training from a part of the window and afterwards
        from all of it. Raises WindowShapeError as `forward`.
        """
        _check_tokens(context, self.grid, self.encoder_width)
        carried_BND = self._outputs(context, torch.zeros_like(context.visible_BN))
        return TokenSet(carried_BND.masked_fill(~context.visible_BN[..., None], 0.0), context.visible_BN)

    def _outputs(self, context: TokenSet, target_BN: Tensor) -> Tensor:
        """Return [B, N, D] of the last layer in the place of every token."""
        is_target_BN1 = target_BN[..., None]
        narrow_BNH = self.narrow(
            context.token_BND.masked_fill(~context.visible_BN[..., None] | is_target_BN1, 0.0)
        )
        hidden_BNH = torch.where(is_target_BN1, self.mask_token_H.to(narrow_BNH.dtype), narrow_BNH)
        hidden_BNH = hidden_BNH + self.positions(target_BN.shape[1] // self.grid.rows)
        for layer in self.layers:
            hidden_BNH = layer(hidden_BNH, context.visible_BN | target_BN)
        output_BND: Tensor = self.widen(self.norm(hidden_BNH))
        return output_BND


def _check_tokens(context: TokenSet, grid: TokenGrid, width: int) -> None:
    shape = context.token_BND.shape
    longest = grid.rows * grid.patches
    if len(shape) != 3 or shape[2] != width or shape[1] % grid.rows or not 0 < shape[1] <= longest:
        raise WindowShapeError(
            f"this predictor takes tokens [B, N, {width}] of {grid.rows} rows of up to {grid.patches} patches, got "
            f"{list(shape)}; build it from the encoder that made them"
        )
    _check_mask("visible_BN", context.visible_BN, context.token_BND[..., 0])


def _check_mask(name: str, mask_BN: Tensor, like_BN: Tensor) -> None:
    if mask_BN.dtype != torch.bool or mask_BN.shape != like_BN.shape:
        raise WindowShapeError(
            f"{name} must be bool {list(like_BN.shape)}, a value for each token of the grid, got {mask_BN.dtype} "
            f"{list(mask_BN.shape)}"
        )
