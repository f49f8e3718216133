"""SimCLR on sensor windows: two views of one window against the views of the others.

Axes: B examples · S slots · C channels · T samples · D embedding.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

from torch import Tensor, nn

from sensorloom.training.batch import Batch
from sensorloom.training.gathered import gathered_all
from sensorloom.training.streaming.draws import derive
from sensorloom.training.terms.contrast import Temperature, nt_xent, symmetric_info_nce, unit
from sensorloom.training.terms.modalities import imu_rows

__all__ = ["SimClr", "SimClrForm"]

SimClrForm = Literal["primus", "nt_xent"]
_SECOND_VIEW = 7101


class SimClr(nn.Module):
    """Train an encoder so that two views of a window lie closer than those of others.

    `encoder` takes (imu_BSCT, imu_present_BSK) and gives [B, E], `head` takes that; `augment` takes (imu_BSCT, seed_B).

    `form="primus"` is "SimCLR" of PRIMUS's comparison, its L_SS alone: the raw window and one augmented, symmetric
    InfoNCE without negatives of the same view [methods.md §1.3, §5.2]. Its `repo` preset learns τ raw and
    contrasts within each rank (§0 row 8); `paper` learns log τ clamped and contrasts the batch of all ranks.
    `form="nt_xent"` is SimCLR-HAR: both views augmented, 2N - 2 negatives, τ fixed at 0.1 (§5.2), the same in both.
    """

    columns = ("imu",)

    def __init__(
        self,
        encoder: nn.Module,
        head: nn.Module,
        augment: Callable[[Tensor, Tensor], Tensor],
        form: SimClrForm = "primus",
        preset: Literal["paper", "repo"] = "paper",
    ) -> None:
        super().__init__()
        if form not in get_args(SimClrForm):
            raise ValueError(f"a form of SimCLR is one of {', '.join(get_args(SimClrForm))}, got {form!r}")
        if preset not in ("paper", "repo"):
            raise ValueError(f"preset must be 'paper' or 'repo', got {preset!r}")
        self.encoder, self.head = encoder, head
        self.augment, self.form, self.preset = augment, form, preset
        learnt: Literal["clamped", "raw"] = "clamped" if preset == "paper" else "raw"
        self.temperature = Temperature("fixed" if form == "nt_xent" else learnt)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return {"loss", "views"}, the same scalar; raises ValueError if the batch lacks IMU or seeds."""
        imu_BSCT, imu_present_BSK, present_B = imu_rows(batch)
        if batch.seed_B is None:
            raise ValueError(f"augmentations are drawn from the seeds of a batch, it has {batch!r}")
        first_BSCT = imu_BSCT if self.form == "primus" else self.augment(imu_BSCT, batch.seed_B)
        second_seed_B = batch.seed_B if self.form == "primus" else derive(batch.seed_B, _SECOND_VIEW)
        views = (first_BSCT, self.augment(imu_BSCT, second_seed_B))
        parts = (*(self.head(self.encoder(view_BSCT, imu_present_BSK)) for view_BSCT in views), present_B)
        if self.form == "nt_xent" or self.preset == "paper":
            parts = gathered_all(parts)
        contrast = symmetric_info_nce if self.form == "primus" else nt_xent
        loss = contrast(parts[0], parts[1], self.temperature(), parts[2])
        return {"loss": loss, "views": loss}

    def after_step(self, progress: float) -> dict[str, float]:  # noqa: ARG002
        """Clamp τ and return it."""
        return {"temperature": self.temperature.clamp_()}

    def embed(self, batch: Batch) -> dict[str, tuple[Tensor, Tensor]]:
        """Return {"imu": (unit vectors [B, E] of the encoder, before the head, and which are there bool[B])}."""
        imu_BSCT, imu_present_BSK, present_B = imu_rows(batch)
        return {"imu": (unit(self.encoder(imu_BSCT, imu_present_BSK)), present_B)}
