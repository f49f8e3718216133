"""Signs that embeddings collapse, each a pure function, and an alarm that says early which of them appeared.

Axes: B examples · D width of the embeddings · N tokens of a window.

The signs and their limits are those of methods §4.5.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from sensorloom.training.terms.contrast import unit, widened

__all__ = [
    "LIMITS",
    "CollapseWatch",
    "Limit",
    "alignment",
    "effective_rank",
    "embedding_signs",
    "mean_pairwise_cosine",
    "mean_std",
    "neighbour_accuracy",
    "off_diagonal_energy",
    "prediction_ratio",
    "uniformity",
    "unit_spread",
]


@torch.no_grad()
def mean_std(embeddings_BD: Tensor) -> Tensor:
    """Return the mean over D of the standard deviation (÷ (B − 1)) over the examples; 0 for fewer than two."""
    if len(embeddings_BD) < 2:
        return embeddings_BD.new_zeros(())
    return embeddings_BD.std(dim=0).mean()


@torch.no_grad()
def unit_spread(embeddings_BD: Tensor) -> Tensor:
    """Return `mean_std` of the unit vectors times √D: about 1 for vectors that point anywhere, 0 for one direction.

    Its limit 0.5 is that of methods §4.5, a mean deviation of 0.5/√D.
    """
    return mean_std(unit(embeddings_BD)) * math.sqrt(embeddings_BD.shape[1])


@torch.no_grad()
def effective_rank(embeddings_BD: Tensor) -> Tensor:
    """Return exp(H(σ/Σσ)) of the singular values σ of the embeddings as they are; 0 where all are zero.

    Between 1 and min(B, D) [Roy and Vetterli 2007]. The mean is not taken off, as in RankMe [Garrido et al. 2023], so
    that embeddings that are all one vector, but for rounding, have rank 1 and not that of the rounding. NaN where a
    number is not finite.
    """
    if not embeddings_BD.isfinite().all():
        return widened(embeddings_BD).new_full((), math.nan)
    sigma = torch.linalg.svdvals(widened(embeddings_BD))
    share = sigma / sigma.sum().clamp(min=torch.finfo(sigma.dtype).tiny)
    rank: Tensor = torch.special.entr(share).sum().exp() * (sigma.sum() > 0)
    return rank


@torch.no_grad()
def off_diagonal_energy(embeddings_BD: Tensor) -> Tensor:
    """Return Σ C² / D over the entries of the covariance (÷ (B − 1)) beside its diagonal, as VICReg counts it."""
    centred_BD = widened(embeddings_BD) - widened(embeddings_BD).mean(dim=0)
    covariance_DD = centred_BD.T @ centred_BD / max(len(embeddings_BD) - 1, 1)
    return (covariance_DD - covariance_DD.diagonal().diag()).square().sum() / embeddings_BD.shape[1]


@torch.no_grad()
def mean_pairwise_cosine(embeddings_BD: Tensor) -> Tensor:
    """Return the mean cosine of two different examples; 0 for fewer than two."""
    count = len(embeddings_BD)
    if count < 2:
        return embeddings_BD.new_zeros(())
    unit_BD = unit(embeddings_BD)
    pairs = unit_BD.sum(dim=0).square().sum() - unit_BD.square().sum()
    return pairs / (count * (count - 1))


@torch.no_grad()
def alignment(first_BD: Tensor, second_BD: Tensor) -> Tensor:
    """Return the mean squared distance of the unit vectors of two views [Wang and Isola 2020]; less is better."""
    gap_BD = unit(first_BD) - unit(second_BD)
    return gap_BD.square().sum(dim=1).mean()


@torch.no_grad()
def uniformity(embeddings_BD: Tensor) -> Tensor:
    """Return log E exp(−2‖x − y‖²) of the unit vectors of two different examples [Wang and Isola 2020].

    0 where all are one direction, or fewer than two; less is better.
    """
    if len(embeddings_BD) < 2:
        return embeddings_BD.new_zeros(())
    square = torch.pdist(unit(embeddings_BD)).square()
    return (-2 * square).exp().mean().log()


@torch.no_grad()
def prediction_ratio(predicted_BND: Tensor, target_BND: Tensor, asked_BN: Tensor, there_BN: Tensor) -> Tensor:
    """Return the smooth-L1 loss of predictions over that of predicting the batch mean of the targets; sound below 1.

    Both losses are of the tokens `asked_BN` bool; the mean is of the targets that are `there_BN` bool at the same place
    of the window, so that targets which tell nothing but their place count as collapsed. Infinity where the mean is
    right throughout, as one example's is: then nothing is told apart.
    """
    kept_BN1 = there_BN[..., None]
    total_ND = target_BND.masked_fill(~kept_BN1, 0.0).sum(dim=0)
    mean_ND = total_ND / kept_BN1.sum(dim=0).clamp(min=1)
    ours = functional.smooth_l1_loss(predicted_BND[asked_BN], target_BND[asked_BN], reduction="sum")
    plain_BND = mean_ND.expand_as(target_BND)
    theirs = functional.smooth_l1_loss(plain_BND[asked_BN], target_BND[asked_BN], reduction="sum")
    return torch.where(theirs > 0, ours / theirs, math.inf)


@torch.no_grad()
def neighbour_accuracy(embeddings_BD: Tensor, label_B: Tensor, neighbours: int = 5) -> Tensor:
    """Return the share of labelled examples whose class most of their nearest neighbours (cosine) have.

    Neighbours are other examples with a label (≥ 0), at most `neighbours` of them; among classes with equally many the
    lowest wins. NaN with fewer than two labels.
    """
    labelled = label_B >= 0
    unit_BD = unit(embeddings_BD[labelled])
    known_B = label_B[labelled]
    if len(known_B) < 2:
        return unit_BD.new_full((), math.nan)
    cosine_BB = (unit_BD @ unit_BD.T).fill_diagonal_(-math.inf)
    nearest = known_B[cosine_BB.topk(min(neighbours, len(known_B) - 1), dim=1).indices]
    votes = functional.one_hot(nearest, int(known_B.max()) + 1).sum(dim=1)
    return (votes.argmax(dim=1) == known_B).to(unit_BD).mean()


def embedding_signs(embeddings_BD: Tensor) -> dict[str, float]:
    """Return the signs that need no more than embeddings as they are, by name.

    `rank_share` is the effective rank over the highest possible, min(B, D): over D alone a small batch would always
    look collapsed.
    """
    wide_BD = widened(embeddings_BD.detach())
    rank = effective_rank(wide_BD)
    signs = {
        "mean_std": mean_std(wide_BD),
        "unit_spread": unit_spread(wide_BD),
        "effective_rank": rank,
        "rank_share": rank / max(min(wide_BD.shape), 1),
        "off_diagonal_energy": off_diagonal_energy(wide_BD),
        "mean_pairwise_cosine": mean_pairwise_cosine(wide_BD),
        "uniformity": uniformity(wide_BD),
    }
    return {name: value.item() for name, value in signs.items()}


@dataclass(frozen=True, slots=True)
class Limit:
    """The value on whose far side, `below` or `above`, a sign means collapse."""

    side: Literal["below", "above"]
    value: float

    def passed(self, value: float) -> bool:
        """Return whether `value` means collapse; NaN does."""
        sound = value >= self.value if self.side == "below" else value <= self.value
        return not sound


LIMITS: Mapping[str, Limit] = MappingProxyType(
    {
        "unit_spread": Limit("below", 0.5),
        "rank_share": Limit("below", 0.1),
        "mean_pairwise_cosine": Limit("above", 0.9),
        "prediction_ratio": Limit("above", 1.0),
    }
)
"""The limits of methods §4.5; other signs are told and raise no alarm."""


@dataclass(frozen=True, slots=True)
class CollapseWatch:
    """What has been seen so far of a run's signs; a value, so that a run keeps it in its state.

    A sign raises the alarm when `patience` looks in a row find it beyond its limit; the first `grace` looks do not
    count, as no predictor beats the mean before it has learned. `streaks` are the looks in a row beyond the limit by
    sign, `raised` the number of looks, counted from 1, after which a sign first raised the alarm.
    """

    patience: int = 3
    grace: int = 0
    looks: int = 0
    streaks: Mapping[str, int] = field(default_factory=dict)
    raised: Mapping[str, int] = field(default_factory=dict)

    def after(self, signs: Mapping[str, float]) -> CollapseWatch:
        """Return the watch after one more look at `signs`; names with a prefix "…/" have the limit of what follows it.

        Signs without a limit are passed over; one that is not among `signs` keeps its streak.
        """
        looks = self.looks + 1
        streaks, raised = dict(self.streaks), dict(self.raised)
        for name, value in signs.items():
            limit = LIMITS.get(name.rpartition("/")[2])
            if limit is None or looks <= self.grace:
                continue
            streaks[name] = streaks.get(name, 0) + 1 if limit.passed(value) else 0
            if streaks[name] >= self.patience:
                raised.setdefault(name, looks)
        return CollapseWatch(self.patience, self.grace, looks, streaks, raised)

    def sentence(self) -> str:
        """Say which signs raised the alarm and when, the first one first; nothing if none did."""
        found = sorted(self.raised.items(), key=lambda item: (item[1], item[0]))
        return "; ".join(
            f"{name} beyond its limit for {self.patience} looks at look {at}" for name, at in found
        )
