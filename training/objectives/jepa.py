"""A sensor JEPA: predict the latents of hidden blocks of a window from the rest, and let the rest mean its text.

Axes: B examples · S sensor slots · C six channels · T samples · K two sensors of a slot, of texts the sources · G rows
of the grid of tokens · L patches in time · N = G·L tokens · W values of a patch · D width of the tokens · E size of
the vectors of texts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from sensorloom.training.batch import Batch
from sensorloom.training.gathered import gathered_all
from sensorloom.training.models.jepa import JepaEncoder, JepaPredictor
from sensorloom.training.models.jepa_tokens import TokenSet
from sensorloom.training.streaming.draws import uniform
from sensorloom.training.terms.block_masks import block_lengths, draw_block_masks
from sensorloom.training.terms.collapse import embedding_signs, prediction_ratio
from sensorloom.training.terms.contrast import Temperature, symmetric_info_nce, unit, widened
from sensorloom.training.terms.modalities import Source, frozen_rows, imu_rows, is_in
from sensorloom.training.terms.moving_average import MovingAverage, momentum_at

__all__ = ["Jepa", "SemanticKind", "SemanticTerm"]

SemanticKind = Literal["cosine", "info_nce"]

PURPOSE = 4300
"""Of the draws of the tokens that are looked at for signs of collapse."""

_TEXT = Source("text", "mean")
_LEAST_STD = 1e-3
"""Of a row, in standard gravities or rad/s: about the noise of a sensor, which is not worth drawing."""


@dataclass(frozen=True, slots=True)
class SemanticTerm:
    """How the context is to mean its text: `weight` λ is reached in a line from 0 over the share `ramp` of all steps.

    `cosine` is 1 − cos, `info_nce` the symmetric contrast with the batch; λ of 0.1, 0.5 and 1 is the grid of methods
    §4.4. `text_size` is the width of the vectors of texts. Raises ValueError for numbers outside their ranges.
    """

    kind: SemanticKind = "cosine"
    weight: float = 0.5
    ramp: float = 0.1
    text_size: int = 512

    def __post_init__(self) -> None:
        if self.kind not in get_args(SemanticKind):
            raise ValueError(
                f"a semantic term is one of {', '.join(get_args(SemanticKind))}, got {self.kind!r}"
            )
        if not (self.weight >= 0 and 0 <= self.ramp <= 1 and self.text_size >= 1):
            raise ValueError(
                f"a semantic term has a weight of at least 0, a ramp in [0, 1] and a text_size ≥ 1, got {self!r}"
            )

    def weight_at(self, progress: Tensor) -> Tensor:
        """Return λ at `progress` in [0, 1] of all steps."""
        if not self.ramp:
            return torch.full_like(progress, self.weight)
        return self.weight * (progress / self.ramp).clamp(max=1.0)


@dataclass(frozen=True, slots=True)
class _Look:
    """What one window gives: its masks, the context's latents, the predictions and the targets, [B, N, D]."""

    there_BN: Tensor
    target_BN: Tensor
    context: TokenSet
    predicted_BND: Tensor
    target_BND: Tensor

    def wanted(self) -> Tensor:
        """Return the targets [B, N, D], LayerNorm'ed over D without weights."""
        return functional.layer_norm(self.target_BND, self.target_BND.shape[-1:])


class Jepa(nn.Module):
    """Train `encoder` and `predictor` to predict what a moving average of the encoder makes of hidden tokens.

    The loss is smooth-L1 (β = 1) to the targets, LayerNorm'ed over D; of an example the mean over its hidden tokens, of
    the batch the mean over the examples that have any. Plus λ · `semantic`, 1 − cos(W · mean of the predictor's outputs
    for the context, text), a mean over the examples that have a text, and, if `local_weight` is above 0, that times
    `local`, the mean squared error of the hidden patches themselves, each row standardised over its window [methods §4;
    the last is ours for the "local loss" of the seed's schematic]. A term without any example is 0, and so is
    its gradient. Means are over all ranks.

    An example with several texts is compared with their mean direction. Tokens of a missing sensor are neither context
    nor target; nor are, where the batch has `imu_valid_BSKT`, patches with a sample that is not valid.
    Raises ValueError for a grid in which no block of 15 to 25 % fits and for a negative `local_weight`.
    """

    progress: Tensor

    def __init__(
        self,
        encoder: JepaEncoder,
        predictor: JepaPredictor,
        *,
        semantic: SemanticTerm | None = SemanticTerm(),
        local_weight: float = 0.0,
    ) -> None:
        super().__init__()
        block_lengths(encoder.grid.patches)
        if not local_weight >= 0:
            raise ValueError(f"local_weight must be at least 0, got {local_weight!r}")
        self.encoder, self.predictor = encoder, predictor
        self.target_encoder = MovingAverage(encoder)
        self.semantic, self.local_weight = semantic, local_weight
        self.columns: tuple[str, ...] = ("imu", "text") if semantic else ("imu",)
        self.to_text = nn.Linear(encoder.width, semantic.text_size, bias=False) if semantic else None
        self.temperature = Temperature() if semantic and semantic.kind == "info_nce" else None
        self.to_patch = nn.Linear(encoder.width, encoder.grid.values) if local_weight else None
        self.register_buffer("progress", torch.zeros(()))

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return "loss", "prediction" and, where they are asked for, "semantic", "semantic_weight" and "local".

        Raises ValueError if the batch lacks imu or seeds, or has vectors of texts of another width.
        """
        look = self._look(batch)
        asked_B = look.target_BN.any(dim=1)
        parts = [asked_B, _mean_of(_smooth_l1(look.predicted_BND, look.wanted()), look.target_BN)]
        if self.to_text is not None:
            text_BE, told_B = self._texts(batch)
            parts += [self._said(look.context), text_BE, told_B & look.context.visible_BN.any(dim=1)]
        if self.to_patch is not None:
            parts.append(self._local_loss(batch, look))
        asked_B, prediction_B, *more = gathered_all(parts)
        terms = {"prediction": _mean_over(prediction_B, asked_B)}
        loss = terms["prediction"]
        if self.semantic is not None:
            terms["semantic"] = self._semantic_loss(more[0], more[1], more[2])
            terms["semantic_weight"] = self.semantic.weight_at(self.progress)
            loss = loss + terms["semantic_weight"] * terms["semantic"]
        if self.to_patch is not None:
            terms["local"] = _mean_over(more[-1], asked_B)
            loss = loss + self.local_weight * terms["local"]
        return {"loss": loss, **terms}

    def after_step(self, progress: float) -> dict[str, float]:
        """Move the target encoder by the momentum at `progress` in [0, 1], from 0.996 to 1; keep τ in its bounds.

        The weight λ of the next step is that of the same progress. Raises ValueError outside [0, 1].
        """
        momentum = momentum_at(progress)
        self.target_encoder.update(self.encoder, momentum)
        self.progress.fill_(progress)
        told = {"momentum": momentum}
        return told if self.temperature is None else told | {"temperature": self.temperature.clamp_()}

    def embed(self, batch: Batch) -> dict[str, tuple[Tensor, Tensor]]:
        """Return {"imu", "text"}: (unit vectors, which are there bool[B]) of whole windows and of their texts.

        With a semantic term "imu" is the window in the space of texts, float[B, E]; without one it is the mean token of
        the encoder, float[B, D], and there is no "text". Raises ValueError as `forward`.
        """
        there_BN = self._there(batch)
        tokens = self._encoded(batch, there_BN)
        there_B = tokens.visible_BN.any(dim=1)
        window_BX = tokens.mean() if self.to_text is None else self._said(tokens)
        embedded = {"imu": (unit(window_BX).masked_fill(~there_B[:, None], 0.0), there_B)}
        return embedded if self.to_text is None else embedded | {"text": self._texts(batch)}

    @torch.no_grad()
    def signs(self, batch: Batch) -> dict[str, float]:
        """Return the signs of collapse of this rank's rows [methods §4.5].

        Those of embeddings for one token of each window, drawn by its seed, of the context, of the predictions and of
        the targets before their LayerNorm, as "context/unit_spread" (a mean of tokens has little spread in a sound
        encoder too); "prediction_ratio", which tells when tokens differ by their place alone; and "target_distance", of
        the target's weights.
        """
        look = self._look(batch)
        looked_at = {
            "context": look.context,
            "predicted": TokenSet(look.predicted_BND, look.target_BN),
            "target": TokenSet(look.target_BND, look.there_BN),
        }
        told = {
            f"{place}/{name}": value
            for place, tokens in looked_at.items()
            for name, value in embedding_signs(_one_of_each(tokens, _seeds(batch))).items()
        }
        ratio = prediction_ratio(look.predicted_BND, look.wanted(), look.target_BN, look.there_BN)
        distance = self.target_encoder.distance(self.encoder)
        return told | {"prediction_ratio": ratio.item(), "target_distance": distance.item()}

    def _look(self, batch: Batch) -> _Look:
        there_BN = self._there(batch)
        grid = self.encoder.grid
        masks = draw_block_masks(_seeds(batch), self._by_row(there_BN), grid.rows_per_triad)
        target_BN = masks.target_BGL.flatten(1)
        context = self._encoded(batch, masks.context_BGL.flatten(1))
        predicted_BND = self.predictor(context, target_BN)
        whole: TokenSet = self.target_encoder(batch.imu_BSCT, batch.imu_present_BSK, there_BN)
        return _Look(there_BN, target_BN, context, widened(predicted_BND), widened(whole.token_BND))

    def _there(self, batch: Batch) -> Tensor:
        """Return bool[B, N], the tokens of which every sample is there."""
        imu_BSCT, imu_present_BSK, present_B = imu_rows(batch)
        grid = self.encoder.grid
        there_BN = grid.present(imu_present_BSK, imu_BSCT.shape[-1]) & present_B[:, None]
        if batch.imu_valid_BSKT is None:
            return there_BN
        patches = there_BN.shape[1] // grid.rows
        valid_BSKT = batch.imu_valid_BSKT[..., : patches * grid.patch]
        whole_BSKL = valid_BSKT.reshape(*valid_BSKT.shape[:3], patches, grid.patch).all(dim=-1)
        return there_BN & whole_BSKL.flatten(1, 2).repeat_interleave(grid.rows_per_triad, dim=1).flatten(1)

    def _by_row(self, values_BN: Tensor) -> Tensor:
        """Return [B, G, L, …] of [B, N, …]."""
        rows = self.encoder.grid.rows
        patches = values_BN.shape[1] // rows  # not -1: a rank's share of a last batch may be empty
        return values_BN.reshape(len(values_BN), rows, patches, *values_BN.shape[2:])

    def _encoded(self, batch: Batch, kept_BN: Tensor) -> TokenSet:
        tokens: TokenSet = self.encoder(batch.imu_BSCT, batch.imu_present_BSK, kept_BN)
        return tokens

    def _said(self, context: TokenSet) -> Tensor:
        """Return W · mean of g(z), [B, E]."""
        assert self.to_text is not None  # noqa: S101 - for the type checker
        said_BE: Tensor = self.to_text(self.predictor.carry(context).mean())
        return said_BE

    def _texts(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the mean direction of each example's texts, unit vectors [B, E], and bool[B], which have one."""
        size = self.semantic.text_size if self.semantic else 0
        if not is_in(batch, _TEXT):
            none_B = torch.zeros_like(batch.index_B, dtype=torch.bool)
            return torch.zeros(none_B.shape[0], size, device=none_B.device), none_B
        text_BE, told_B = frozen_rows(batch, _TEXT)
        if text_BE.shape[1] != size:
            raise ValueError(
                f"this JEPA was built for vectors of texts of size {size}, the batch has {text_BE.shape[1]}; "
                "set text_size of its semantic term to that of the view"
            )
        return text_BE, told_B & text_BE.any(dim=1)  # texts that cancel out have no direction

    def _semantic_loss(self, said_BE: Tensor, text_BE: Tensor, told_B: Tensor) -> Tensor:
        if self.temperature is not None:
            return symmetric_info_nce(said_BE, text_BE, self.temperature(), told_B)
        said_BE = unit(said_BE.masked_fill(~told_B[:, None], 0.0))
        return _mean_over(1 - (said_BE * text_BE).sum(dim=1), told_B)

    def _local_loss(self, batch: Batch, look: _Look) -> Tensor:
        """Return [B], the mean squared error of the hidden patches, standardised over what is there of each row."""
        assert self.to_patch is not None  # noqa: S101 - for the type checker
        assert batch.imu_BSCT is not None  # noqa: S101 - as `_there` has seen
        grid = self.encoder.grid
        patch_BGLW = self._by_row(grid.cut(batch.imu_BSCT))
        there_BGL1 = self._by_row(look.there_BN)[..., None]
        count_BG11 = (there_BGL1.sum(dim=(2, 3), keepdim=True) * grid.values).clamp(min=1)
        mean_BG11 = patch_BGLW.masked_fill(~there_BGL1, 0.0).sum(dim=(2, 3), keepdim=True) / count_BG11
        centred_BGLW = (patch_BGLW - mean_BG11).masked_fill(~there_BGL1, 0.0)
        std_BG11 = (centred_BGLW.square().sum(dim=(2, 3), keepdim=True) / count_BG11).sqrt()
        wanted_BNW = (centred_BGLW / std_BG11.clamp(min=_LEAST_STD)).flatten(1, 2)
        guessed_BNW = widened(self.to_patch(look.predicted_BND))
        return _mean_of((guessed_BNW - wanted_BNW).square().mean(dim=-1), look.target_BN)


def _seeds(batch: Batch) -> Tensor:
    if batch.seed_B is None:
        raise ValueError(f"a JEPA draws its masks from the seeds of a batch, this one has {batch!r}")
    return batch.seed_B


def _one_of_each(tokens: TokenSet, seed_B: Tensor) -> Tensor:
    """Return one visible token of each example that has any, at a place drawn from its seed, [examples, D]."""
    drawn_BN = uniform(seed_B, PURPOSE, (tokens.visible_BN.shape[1],))
    place_B = torch.where(tokens.visible_BN, drawn_BN, -1.0).argmax(dim=1)
    some_B = tokens.visible_BN.any(dim=1)
    return tokens.token_BND[some_B, place_B[some_B]]


def _smooth_l1(predicted_BND: Tensor, wanted_BND: Tensor) -> Tensor:
    """Return the loss of every token, [B, N]."""
    return functional.smooth_l1_loss(predicted_BND, wanted_BND, reduction="none").mean(dim=-1)


def _mean_of(loss_BN: Tensor, target_BN: Tensor) -> Tensor:
    """Return [B], the mean over the hidden tokens of each example; 0 where none is hidden."""
    return loss_BN.masked_fill(~target_BN, 0.0).sum(dim=1) / target_BN.sum(dim=1).clamp(min=1)


def _mean_over(loss_B: Tensor, valid_B: Tensor) -> Tensor:
    return loss_B.masked_fill(~valid_B, 0.0).sum() / valid_B.sum().clamp(min=1)
