"""From a configuration to a model: which encoder, how it meets the slots, which objective."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sensorloom.training.models.cnn_gru import CnnGru
from sensorloom.training.models.slots import SlotMean
from sensorloom.training.models.transformer import SignalTransformer
from sensorloom.training.objectives.supervised import Supervised
from sensorloom.training.recipes import TrainConfig

__all__ = ["EMBEDDING_SIZE", "balanced_weights", "build_encoder", "build_supervised"]

EMBEDDING_SIZE = 512


def build_encoder(config: TrainConfig, samples: int) -> nn.Module:
    """Return the configured encoder for windows float32[B, 6, samples].

    Raises WindowShapeError if they do not fit it.
    """
    if config.encoder == "transformer":
        return SignalTransformer(
            config.transformer_size, samples=samples, patch=config.patch, residual=config.residual
        )
    return CnnGru(config.gru_axis)


def build_supervised(
    config: TrainConfig, samples: int, num_classes: int, class_weights: Tensor | None = None
) -> Supervised:
    """Return a classifier of `num_classes` over windows float32[B, S, 6, samples]."""
    encoder = SlotMean(build_encoder(config, samples))
    return Supervised(encoder, EMBEDDING_SIZE, num_classes, class_weights)


def balanced_weights(labels: NDArray[np.int64], num_classes: int) -> Tensor:
    """Return weights float32[num_classes] = n / (classes present · count), 0 for a class that never occurs.

    Over the n labelled rows they average to 1, as scikit-learn's `class_weight="balanced"`.
    """
    counts = np.bincount(labels[labels >= 0], minlength=num_classes).astype(np.float64)
    present = np.count_nonzero(counts)
    weights = np.divide(counts.sum(), present * counts, out=np.zeros_like(counts), where=counts > 0)
    return torch.from_numpy(weights.astype(np.float32))
