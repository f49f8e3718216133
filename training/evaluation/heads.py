"""What is put on an encoder to tell classes apart, as each paper does.

Axes: B windows · C classes · D width of the features · E width of the vectors of texts.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from sensorloom.training.errors import RunError
from sensorloom.training.evaluation.class_texts import ClassTexts

__all__ = [
    "CrosslHead",
    "HeadKind",
    "TransferHead",
    "linear_head",
]

HeadKind = Literal[
    "class texts", "linear from class texts", "linear from zero", "linear", "text MLP", "MLP 128"
]
_CROSSL_HIDDEN, _CROSSL_DROPOUT = 128, 0.1


def linear_head(width: int, num_classes: int, texts: ClassTexts | None = None) -> nn.Linear:
    """Return a Linear of D → C without bias at first: its weights the texts of the classes, or zeros without any.

    With texts it is PRIMUS's [methods §1.7]: before a step is taken it gives the zero-shot logits. Raises RunError
    where the widths differ.
    """
    head = nn.Linear(width, num_classes)
    with torch.no_grad():
        head.bias.zero_()
        if texts is None:
            head.weight.zero_()
        else:
            check_width(width, texts)
            head.weight.copy_(texts.vector_CD)
    return head


class TransferHead(nn.Module):
    """AURA-MFM's head: Linear, ReLU, Linear into the space of texts, times the classes' frozen texts [methods §2.7].

    Of 512 → 512 → 512 for CLIP's 512; both layers are as wide as the vectors of texts. Nothing is made of length 1.
    """

    vector_CE: Tensor

    def __init__(self, width: int, texts: ClassTexts) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(width, texts.width), nn.ReLU(), nn.Linear(texts.width, texts.width)
        )
        self.register_buffer("vector_CE", texts.vector_CD.clone())

    def forward(self, feature_BD: Tensor) -> Tensor:
        """Return logits [B, C]."""
        logits_BC: Tensor = self.layers(feature_BD) @ self.vector_CE.T
        return logits_BC


class CrosslHead(nn.Sequential):
    """CroSSL's classifier: Dense 128, ReLU, dropout 0.1, Dense [methods §3]; its softmax is the loss's."""

    def __init__(self, width: int, num_classes: int) -> None:
        super().__init__(
            nn.Linear(width, _CROSSL_HIDDEN),
            nn.ReLU(),
            nn.Dropout(_CROSSL_DROPOUT),
            nn.Linear(_CROSSL_HIDDEN, num_classes),
        )


def check_width(width: int, texts: ClassTexts) -> None:
    """Raise RunError unless features of this width can be held against the classes' texts."""
    if width != texts.width:
        raise RunError(
            f"the run embeds windows in {width} numbers and {texts.encoder} texts in {texts.width}: they are not of "
            "one space; use a run that was trained against texts or videos of this encoder"
        )
