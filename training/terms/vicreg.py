"""VICReg: two views of an example agree, every number varies over the examples, and no two numbers say the same.

Axes: B examples · D width of the embeddings.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sensorloom.training.terms.contrast import widened

__all__ = ["CROSSL_VICREG", "REFERENCE_VICREG", "VicregRule", "vicreg"]

_EPSILON = 1e-4


@dataclass(frozen=True, slots=True)
class VicregRule:
    """How much each of the three terms counts, and whether variances are those of a sample (÷ (N − 1)) or ÷ N."""

    similarity: float
    variance: float
    covariance: float
    sample_variance: bool


REFERENCE_VICREG = VicregRule(25.0, 25.0, 1.0, sample_variance=True)
"""Of VICReg's own code [methods §3, §0 row 16]."""

CROSSL_VICREG = VicregRule(10.0, 10.0, 100.0, sample_variance=False)
"""Of CroSSL's published code, which departs from the reference in all four [methods §3, §0 row 16]."""


def vicreg(first_BD: Tensor, second_BD: Tensor, valid_B: Tensor, rule: VicregRule) -> dict[str, Tensor]:
    """Return the scalars {"loss", "similarity", "variance", "covariance"} of two views, float[B, D] each.

    `similarity` is the mean squared difference; `variance` the mean over both views of the mean over D of
    max(0, 1 − √(Var + 1e-4)); `covariance` the sum over both views of Σ C² / D over the entries of the covariance
    (÷ (N − 1)) beside its diagonal; `loss` their weighted sum. Rows that are not `valid_B` bool[B] count nowhere; a
    term that has too few rows (one for `similarity`, two for the others) is 0, and so is its gradient. Computed in
    float32 at least, under autocast too [Bardes et al. 2022, main_vicreg.py; methods §3].
    """
    with torch.autocast(first_BD.device.type, enabled=False):
        views = [widened(view_BD).masked_fill(~valid_B[:, None], 0.0) for view_BD in (first_BD, second_BD)]
        count = valid_B.sum().to(views[0])
        square = (views[0] - views[1]).square().sum()
        similarity = square / (count.clamp(min=1) * first_BD.shape[1])
        centred = [_centred(view_BD, valid_B, count) for view_BD in views]
        enough = (count >= 2).to(count)
        variance = enough * sum(_hinge(view_BD, count, rule) for view_BD in centred) / 2
        covariance = enough * sum(_off_diagonal(view_BD, count) for view_BD in centred)
        loss = rule.similarity * similarity + rule.variance * variance + rule.covariance * covariance
    return {"loss": loss, "similarity": similarity, "variance": variance, "covariance": covariance}


def _centred(view_BD: Tensor, valid_B: Tensor, count: Tensor) -> Tensor:
    """Return the rows less the mean of the valid ones, 0 where a row is not valid."""
    mean_D = view_BD.sum(dim=0) / count.clamp(min=1)
    return (view_BD - mean_D).masked_fill(~valid_B[:, None], 0.0)


def _hinge(centred_BD: Tensor, count: Tensor, rule: VicregRule) -> Tensor:
    divisor = (count - 1 if rule.sample_variance else count).clamp(min=1)
    deviation_D = (centred_BD.square().sum(dim=0) / divisor + _EPSILON).sqrt()
    return (1 - deviation_D).clamp(min=0).mean()


def _off_diagonal(centred_BD: Tensor, count: Tensor) -> Tensor:
    covariance_DD = centred_BD.T @ centred_BD / (count - 1).clamp(min=1)
    beside_DD = covariance_DD - covariance_DD.diagonal().diag()
    return beside_DD.square().sum() / centred_BD.shape[1]
