"""Supervised classification: cross-entropy of a linear head on the encoder.

Axes: B examples · G examples of all ranks · N classes · D embedding.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from sensorloom.training.batch import Batch
from sensorloom.training.gathered import gathered_all

__all__ = ["Supervised", "cross_entropy"]

NO_LABEL = -1


def cross_entropy(logits_BN: Tensor, label_B: Tensor, weight_N: Tensor | None = None) -> Tensor:
    """Return the mean cross-entropy over the rows that have a label (label ≥ 0), 0 if none has.

    With class weights the mean is weighted by each row's own class weight, as in `torch.nn.CrossEntropyLoss`.
    """
    total = functional.cross_entropy(logits_BN, label_B, weight_N, ignore_index=NO_LABEL, reduction="sum")
    labelled = label_B[label_B != NO_LABEL]
    count = weight_N[labelled].sum() if weight_N is not None else torch.tensor(float(len(labelled)))
    return total / count.to(total).clamp(min=torch.finfo(total.dtype).tiny)


class Supervised(nn.Module):
    """Train an encoder from labels; `forward` gives named losses, `predict` logits.

    `encoder` takes (imu_BSCT, imu_present_BSK) and gives float32[B, embedding_size]; the head is one Linear,
    as in PRIMUS's "standard training" (AURA classifies by a text-embedding head instead). `class_weights`
    float32[N] if given.
    """

    weight_N: Tensor | None

    def __init__(
        self, encoder: nn.Module, embedding_size: int, num_classes: int, class_weights: Tensor | None = None
    ) -> None:
        super().__init__()
        if class_weights is not None and tuple(class_weights.shape) != (num_classes,):
            raise ValueError(
                f"class_weights must have shape [{num_classes}], got {list(class_weights.shape)}"
            )
        self.encoder = encoder
        self.head = nn.Linear(embedding_size, num_classes)
        self.register_buffer("weight_N", class_weights, persistent=False)

    def predict(self, batch: Batch) -> Tensor:
        """Return logits float32[B, N]; raises ValueError if the batch lacks the imu column."""
        if batch.imu_BSCT is None or batch.imu_present_BSK is None:
            raise ValueError(f"supervised training needs the column 'imu', the batch has {batch!r}")
        logits_BN: Tensor = self.head(self.encoder(batch.imu_BSCT, batch.imu_present_BSK))
        return logits_BN

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return {"loss", "cross_entropy"}, scalars over all ranks; ValueError if the batch has no labels."""
        if batch.label_B is None:
            raise ValueError(f"supervised training needs labels, the batch has {batch!r}")
        logits_GN, label_G = gathered_all((self.predict(batch), batch.label_B))
        loss = cross_entropy(logits_GN, label_G, self.weight_N)
        return {"loss": loss, "cross_entropy": loss.detach()}
