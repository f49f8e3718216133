"""CroSSL: two random masks of one window's latents are to give one embedding, by VICReg.

Axes: B examples · S sensor slots · C six channels · T samples · K two sensors of a slot · M = S·K modalities · D size
of a latent · E size of the embedding.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from sensorloom.training.batch import Batch
from sensorloom.training.gathered import gathered_all
from sensorloom.training.models.kernels import kernel_penalty
from sensorloom.training.streaming.draws import uniform
from sensorloom.training.terms.collapse import embedding_signs
from sensorloom.training.terms.contrast import unit
from sensorloom.training.terms.modalities import imu_rows
from sensorloom.training.terms.vicreg import CROSSL_VICREG, REFERENCE_VICREG, vicreg

__all__ = ["CroSSL", "Masking", "Preset", "mask_latents"]

Masking = Literal["random", "spatial", "temporal"]
Preset = Literal["paper", "repo"]

PURPOSES = (4100, 4101)
"""Of the draws for the mask of the first and of the second view."""
_OF_DIRECTION = frozenset({"unit_spread", "mean_pairwise_cosine", "uniformity"})
"""Signs that take embeddings to point anywhere where nothing is wrong."""


class CroSSL(nn.Module):
    """Train encoders of modalities and their aggregator so that it matters little which modalities are seen.

    `encoders` make latents [B, M, D] of (imu_BSCT, imu_present_BSK), as `ModalityEncoders`; `aggregator` makes [B, E]
    of latents and bool[B, M, D], what of them is seen, as `FlattenAggregator` and `AttentionAggregator`. Each view
    keeps of the same latents what `mask_latents` says by `masking` and the probability `keep`; no input is augmented
    [methods §3]. A missing modality is seen in neither view, one that the stream dropped (`Batch.latent_kept_BM`) as
    little; an example without any modality counts nowhere. VICReg's statistics are of the rows of all ranks.

    The preset `repo` does what the published code does: VICReg by its own coefficients and variance, masks that may
    hide everything, no dropout in the encoders, and embeddings of the latents side by side, the aggregator left out
    (§0 row 16, §3). `paper` has VICReg's own 25/25/1, keeps something of each example, and embeds by the aggregator.
    What classifiers learn from are the latents side by side in both (`features`), the published default.
    Raises ValueError for a `keep` outside (0, 1], for unknown names and for `temporal` masks by `repo`.
    """

    columns: tuple[str, ...] = ("imu",)

    def __init__(
        self,
        encoders: nn.Module,
        aggregator: nn.Module,
        *,
        preset: Preset = "paper",
        masking: Masking = "spatial",
        keep: float = 0.9,
    ) -> None:
        super().__init__()
        _check_settings(preset, masking, keep)
        self.encoders, self.aggregator = encoders, aggregator
        self.preset, self.masking, self.keep = preset, masking, keep
        self.rule = CROSSL_VICREG if preset == "repo" else REFERENCE_VICREG
        self.train(self.training)

    def train(self, mode: bool = True) -> CroSSL:
        """Set the mode; the published code calls its encoders in inference mode always, without dropout (§3)."""
        super().train(mode)
        if self.preset == "repo":
            self.encoders.eval()
        return self

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return "loss", VICReg's terms and "penalty", the L2 of the kernels (§3); ValueError without imu or seeds."""
        if batch.seed_B is None:
            raise ValueError(f"CroSSL draws its masks from the seeds of a batch, this one has {batch!r}")
        latent_BMD, present_BM = self._latents(batch)
        views = [
            self.aggregator(latent_BMD, self._mask(batch.seed_B, purpose, latent_BMD, present_BM))
            for purpose in PURPOSES
        ]
        first_BE, second_BE, valid_B = gathered_all((*views, present_BM.any(dim=1)))
        terms = vicreg(first_BE, second_BE, valid_B, self.rule)
        penalty = kernel_penalty(self.encoders)
        return terms | {"loss": terms["loss"] + penalty, "penalty": penalty}

    def embed(self, batch: Batch) -> dict[str, tuple[Tensor, Tensor]]:
        """Return {"imu": (unit vectors [B, E], or [B, M·D] by `repo`, which are there bool[B])}."""
        latent_BMD, present_BM = self._latents(batch)
        whole_BE = latent_BMD.flatten(1) if self.preset == "repo" else self._whole(latent_BMD, present_BM)
        there_B = present_BM.any(dim=1)
        return {"imu": (unit(whole_BE).masked_fill(~there_B[:, None], 0.0), there_B)}

    def features(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return (the latents side by side [B, M·D] as they are, zero where missing, which are there bool[B]) (§3)."""
        latent_BMD, present_BM = self._latents(batch)
        return latent_BMD.flatten(1), present_BM.any(dim=1)

    @torch.no_grad()
    def signs(self, batch: Batch) -> dict[str, float]:
        """Return the signs of collapse of the latents side by side and of the embeddings of this rank's rows.

        The aggregator's LayerNorm makes VICReg's hinge easy to satisfy, so it is the rank that tells (§3). Of the
        latents the signs of direction are left out: each number is a mean over time behind a PReLU that begins as a
        ReLU, so all latents begin in one cone, and no term of the loss opens it; its width says nothing of a collapse.
        """
        latent_BMD, present_BM = self._latents(batch)
        there_B = present_BM.any(dim=1)
        latent = embedding_signs(latent_BMD.flatten(1)[there_B])
        whole = embedding_signs(self._whole(latent_BMD, present_BM)[there_B])
        return {
            **{f"latent/{name}": value for name, value in latent.items() if name not in _OF_DIRECTION},
            **{f"aggregate/{name}": value for name, value in whole.items()},
        }

    def _latents(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the latents [B, M, D], zero where missing, and bool[B, M], which are there."""
        imu_BSCT, imu_present_BSK, counted_B = imu_rows(batch)
        present_BM = imu_present_BSK.flatten(1) & counted_B[:, None]
        if batch.latent_kept_BM is not None:  # the sensors come first of all latents of a stream
            present_BM = present_BM & batch.latent_kept_BM[:, : present_BM.shape[1]]
        latent_BMD: Tensor = self.encoders(imu_BSCT, present_BM.view_as(imu_present_BSK))
        return latent_BMD, present_BM

    def _whole(self, latent_BMD: Tensor, present_BM: Tensor) -> Tensor:
        whole_BE: Tensor = self.aggregator(latent_BMD, present_BM[..., None].expand_as(latent_BMD))
        return whole_BE

    def _mask(self, seed_B: Tensor, purpose: int, latent_BMD: Tensor, present_BM: Tensor) -> Tensor:
        modalities, size = latent_BMD.shape[1:]
        shape = {"spatial": (modalities, 1), "temporal": (1, size), "random": (modalities, size)}
        drawn = uniform(seed_B, purpose, shape[self.masking])
        kept = mask_latents(drawn, present_BM, self.keep, something=self.preset == "paper")
        return kept.expand_as(latent_BMD)


def mask_latents(drawn: Tensor, present_BM: Tensor, keep: float, *, something: bool) -> Tensor:
    """Return what is kept of the latents: bool[B, M, 1] or bool[B, M, D], each with probability `keep`.

    `drawn` uniform in [0, 1) decides: [B, M, 1] modality by modality (`spatial`), [B, M, D] number by number
    (`random`), [B, 1, D] a number of all modalities at once (`temporal`, as its shape in the published code, which
    fails there, lets one guess). What is not present is not kept. With `something` an example that would keep nothing
    keeps what has the least draw, so that at least one modality is left (§3, inferred default).
    """
    present_BM1 = present_BM[..., None]
    kept = (drawn < keep) & present_BM1
    if not something:
        return kept
    drawn_BMX = torch.where(present_BM1, drawn, 1.0)
    least_B11 = drawn_BMX.flatten(1).min(dim=1).values[:, None, None]
    lost_B11 = ~kept.flatten(1).any(dim=1)[:, None, None]
    return kept | (lost_B11 & (drawn_BMX == least_B11) & present_BM1)


def _check_settings(preset: Preset, masking: Masking, keep: float) -> None:
    for name, chosen, known in (
        ("preset", preset, get_args(Preset)),
        ("masking", masking, get_args(Masking)),
    ):
        if chosen not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}, got {chosen!r}")
    if not 0 < keep <= 1:
        raise ValueError(f"keep, the probability of keeping, must lie in (0, 1], got {keep!r}")
    if preset == "repo" and masking == "temporal":
        raise ValueError(
            "the published code of temporal masks stops with an error of shapes (methods §3), so preset 'repo' has "
            "none; choose preset 'paper', or masking 'spatial' or 'random'"
        )
