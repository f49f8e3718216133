"""Multi-task transformation recognition: which of eight transformations was applied to this window?

Saeed, Ozcelebi and Lukkien, "Multi-task self-supervised learning for human activity detection" (arXiv 1907.11879);
methods §5.3.

Axes: B examples · S sensor slots · C six channels · K two sensors of a slot · T samples · D embedding · J tasks ·
V versions of a window (the original, then one for each task: J + 1) · R rows of all versions (V·B) ·
G windows of all ranks.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from sensorloom.training.batch import Batch
from sensorloom.training.gathered import gathered
from sensorloom.training.terms.augment import TRANSFORMATIONS, Augmentation
from sensorloom.training.terms.contrast import unit
from sensorloom.training.terms.modalities import imu_rows

__all__ = ["HeadRows", "Multitask", "recognition_losses"]

HeadRows = Literal["all", "own"]
_HIDDEN = 256


def recognition_losses(logits_VBJ: Tensor, head_rows: HeadRows = "all") -> Tensor:
    """Return the binary cross-entropy of each task in each window, float32[B, J] (float64 of float64).

    Row v of `logits_VBJ` [J + 1, B, J] is what the heads say of version v: 0 is the original, and version j + 1 the one
    that task j is to recognise. With "all" each head's mean is over every version, so one row in J + 1 is positive
    (SelfHAR, methods §5.3); with "own" over the original and its own version (arXiv 1907.11879).
    """
    versions, _, tasks = logits_VBJ.shape
    if versions != tasks + 1:
        raise ValueError(
            f"logits of {tasks} tasks need the original and {tasks} versions, got {list(logits_VBJ.shape)}"
        )
    logits_VBJ = logits_VBJ.to(torch.promote_types(logits_VBJ.dtype, torch.float32))
    label_V1J = functional.pad(torch.eye(tasks).to(logits_VBJ), (0, 0, 1, 0))[:, None]
    loss_VBJ = functional.binary_cross_entropy_with_logits(
        logits_VBJ, label_V1J.expand_as(logits_VBJ), reduction="none"
    )
    if head_rows == "all":
        return loss_VBJ.mean(dim=0)
    return (loss_VBJ[0] + (loss_VBJ[1:] * label_V1J[1:]).sum(dim=0)) / 2


class Multitask(nn.Module):
    """Train an encoder to tell the original of each window from its eight transformations.

    `encoder` takes (imu_BSCT, imu_present_BSK) and gives float32[B, embedding_size]. It encodes nine rows a window;
    windows without any sensor are left out. Each task has a head Linear(256) → ReLU → Linear(1). `head_rows` says
    which rows a head sees, as in `recognition_losses`. The loss is the sum over tasks.
    """

    columns = ("imu",)

    def __init__(self, encoder: nn.Module, embedding_size: int, head_rows: HeadRows = "all") -> None:
        super().__init__()
        if head_rows not in get_args(HeadRows):
            raise ValueError(f"head_rows must be one of {', '.join(get_args(HeadRows))}, got {head_rows!r}")
        self.encoder = encoder
        self.head_rows: HeadRows = head_rows
        self.augmentations = {name: Augmentation((name,)) for name in TRANSFORMATIONS}
        self.heads = nn.ModuleDict(
            {
                name: nn.Sequential(nn.Linear(embedding_size, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, 1))
                for name in TRANSFORMATIONS
            }
        )

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return {"loss"} and the term of each task by its transformation's name, float32 scalars.

        Each is the mean over the windows of all ranks that have a sensor; without any all are 0, with gradients of 0.
        Raises ValueError if the batch lacks the imu column or the seeds of its examples.
        """
        imu_BSCT, present_BSK, kept_B = imu_rows(batch)
        if batch.seed_B is None:
            raise ValueError(f"transformations are drawn from the seeds of a batch, it has {batch!r}")
        if kept_B.any():
            logits_VBJ = self.predict(imu_BSCT[kept_B], present_BSK[kept_B], batch.seed_B[kept_B])
            loss_GJ = gathered(recognition_losses(logits_VBJ, self.head_rows))
        else:
            loss_GJ = gathered(self._zero().expand(0, len(self.heads)))
        loss_J = loss_GJ.sum(dim=0) / max(len(loss_GJ), 1)
        return {"loss": loss_J.sum(), **dict(zip(self.heads, loss_J.unbind(), strict=True))}

    def predict(self, imu_BSCT: Tensor, imu_present_BSK: Tensor, seed_B: Tensor) -> Tensor:
        """Return logits float32[V, B, J] of the original and of all transformed windows, also under autocast."""
        version_VBSCT = [
            imu_BSCT,
            *(augmentation(imu_BSCT, seed_B) for augmentation in self.augmentations.values()),
        ]
        present_RSK = imu_present_BSK.repeat(len(version_VBSCT), 1, 1)
        embedding_RD: Tensor = self.encoder(torch.cat(version_VBSCT), present_RSK)
        with torch.autocast(imu_BSCT.device.type, enabled=False):
            embedding_RD = embedding_RD.to(torch.promote_types(embedding_RD.dtype, torch.float32))
            logits_RJ = torch.cat([head(embedding_RD) for head in self.heads.values()], dim=1)
        return logits_RJ.view(len(version_VBSCT), len(imu_BSCT), len(self.heads))

    def embed(self, batch: Batch) -> dict[str, tuple[Tensor, Tensor]]:
        """Return {"imu": (unit vectors [B, D] of the windows as they are, and which are there bool[B])}.

        Raises ValueError if the batch lacks the imu column.
        """
        imu_BSCT, present_BSK, present_B = imu_rows(batch)
        return {"imu": (unit(self.encoder(imu_BSCT, present_BSK)), present_B)}

    def _zero(self) -> Tensor:
        """Return a zero that every parameter takes part in: a rank without windows has gradients too."""
        return torch.stack([parameter.sum() for parameter in self.parameters()]).sum() * 0.0
