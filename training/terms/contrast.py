"""Contrasts of paired rows: symmetric InfoNCE and NT-Xent over the rows that are there, and their temperature.

Axes: B pairs, row i of one side belonging to row i of the other · A anchors · M candidates · D embedding.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor, nn

__all__ = [
    "INITIAL_TEMPERATURE",
    "MAX_TEMPERATURE",
    "MIN_TEMPERATURE",
    "Temperature",
    "TemperatureKind",
    "nt_xent",
    "symmetric_info_nce",
    "unit",
    "widened",
]

TemperatureKind = Literal["clamped", "raw", "fixed"]
INITIAL_TEMPERATURE = 0.1
MIN_TEMPERATURE, MAX_TEMPERATURE = 0.01, 1.0


class Temperature(nn.Module):
    """The τ that cosines are divided by; it begins at 0.1 [methods.md §1.3].

    `clamped` learns log τ and holds τ in [0.01, 1] (the project's `paper` presets); `raw` learns τ itself,
    unconstrained, as the published PRIMUS and IMU2CLIP do; `fixed` learns nothing, as the published AURA for mocap and
    commentary, whose optimiser never gets its τ (§2, table), and as SimCLR-HAR (§5.2).
    """

    def __init__(self, kind: TemperatureKind = "clamped", initial: float = INITIAL_TEMPERATURE) -> None:
        super().__init__()
        if kind not in get_args(TemperatureKind):
            raise ValueError(f"a temperature is one of {', '.join(get_args(TemperatureKind))}, got {kind!r}")
        if not MIN_TEMPERATURE <= initial <= MAX_TEMPERATURE:
            raise ValueError(f"a temperature begins in [{MIN_TEMPERATURE}, {MAX_TEMPERATURE}], got {initial}")
        self.kind = kind
        value = torch.tensor(math.log(initial) if kind == "clamped" else initial)
        if kind == "fixed":
            self.register_buffer("value", value)
        else:
            self.value = nn.Parameter(value)

    def forward(self) -> Tensor:
        """Return τ, a scalar."""
        if self.kind != "clamped":
            return self.value
        # Between two clamps of a step τ might be beyond a bound; the gradient of `clamp` is 0 there and at the bound
        # itself, so it would never come back.
        clamped = self.value.detach().clamp(math.log(MIN_TEMPERATURE), math.log(MAX_TEMPERATURE))
        return (self.value + (clamped - self.value.detach())).exp()

    def clamp_(self) -> float:
        """Move what is learnt back into its bounds and return τ; after each step."""
        with torch.no_grad():
            if self.kind == "clamped":
                self.value.clamp_(math.log(MIN_TEMPERATURE), math.log(MAX_TEMPERATURE))
            return float(self())


def unit(rows_BD: Tensor) -> Tensor:
    """Return rows of length 1, zero rows as they are; float64 as it comes, all else float32, autocast or not."""
    return nn.functional.normalize(widened(rows_BD), dim=1, eps=1e-12)


def widened(rows: Tensor) -> Tensor:
    """Return float64 as it comes and all else as float32."""
    return rows if rows.dtype == torch.float64 else rows.float()


def symmetric_info_nce(
    query_BD: Tensor,
    key_BD: Tensor,
    temperature: Tensor,
    valid_B: Tensor,
    *,
    negative_B: Tensor | None = None,
    group_B: Tensor | None = None,
) -> Tensor:
    """Return the SUM of cross-entropies over rows and over columns of cos(query, key) / τ, targets on the diagonal.

    Each is the mean over the pairs of `valid_B` bool; all others are left out of rows and columns, and where no pair is
    valid the result is 0 with gradients 0. Pairs of `negative_B` bool, if given, are no anchors but stay candidates.
    Only pairs of equal `group_B` int64, if given, are candidates of one another. Logits are float32, or float64
    as the rows. The form of IMU2CLIP, PRIMUS and AURA [methods.md §1.3, §2.1]. Raises ValueError for sides of
    different shapes.
    """
    _check_sides(query_BD, key_BD)
    candidate_B = valid_B if negative_B is None else valid_B | negative_B
    with torch.autocast(query_BD.device.type, enabled=False):
        logits_BB = _cosines(query_BD, key_BD, candidate_B) / temperature
        allowed_BB = candidate_B[None, :].expand_as(logits_BB)
        if group_B is not None:
            allowed_BB = allowed_BB & (group_B[:, None] == group_B[None, :])
        target_B = torch.arange(len(valid_B), device=valid_B.device)
        rows = _cross_entropy(logits_BB, target_B, valid_B, allowed_BB)
        columns = _cross_entropy(logits_BB.T, target_B, valid_B, allowed_BB)
    return rows + columns


def nt_xent(first_BD: Tensor, second_BD: Tensor, temperature: Tensor, valid_B: Tensor) -> Tensor:
    """Return NT-Xent of two views: the SUM of both views' means of cross-entropies with 2N - 2 negatives each.

    An anchor's candidates are the other view of its own and both views of all others of the N valid rows
    [SimCLR-HAR, methods.md §5.2]; masks, dtype and errors as of `symmetric_info_nce`.
    """
    _check_sides(first_BD, second_BD)
    count = len(valid_B)
    both_AD, valid_A = torch.cat((first_BD, second_BD)), valid_B.repeat(2)
    with torch.autocast(first_BD.device.type, enabled=False):
        logits_AA = _cosines(both_AD, both_AD, valid_A) / temperature
        itself_AA = torch.eye(2 * count, dtype=torch.bool, device=valid_B.device)
        target_A = torch.arange(2 * count, device=valid_B.device).roll(count)
        return 2 * _cross_entropy(logits_AA, target_A, valid_A, valid_A[None, :] & ~itself_AA)


def _check_sides(query_BD: Tensor, key_BD: Tensor) -> None:
    if query_BD.shape != key_BD.shape:
        raise ValueError(
            "the sides of a contrast must have equally many rows of one width, got "
            f"{list(query_BD.shape)} and {list(key_BD.shape)}"
        )


def _cosines(query_BD: Tensor, key_BD: Tensor, candidate_B: Tensor) -> Tensor:
    """Return the cosines of all rows; what rows that are no candidates hold, even NaN, reaches nothing."""
    left_out_B1 = ~candidate_B[:, None]
    query_BD = unit(query_BD.masked_fill(left_out_B1, 0.0))
    key_BD = unit(key_BD.masked_fill(left_out_B1, 0.0))
    dtype = torch.promote_types(query_BD.dtype, key_BD.dtype)
    return query_BD.to(dtype) @ key_BD.to(dtype).T


def _cross_entropy(logits_AM: Tensor, target_A: Tensor, valid_A: Tensor, allowed_AM: Tensor) -> Tensor:
    """Return the mean over valid anchors of -log softmax over the allowed candidates at the target, 0 without any."""
    # Rows that are not valid might have no candidate at all: zeros there keep NaN out of the backward pass.
    masked_AM = logits_AM.masked_fill(~allowed_AM, -math.inf).masked_fill(~valid_A[:, None], 0.0)
    at_target_A = masked_AM.gather(1, target_A[:, None]).squeeze(1)
    loss_A = (masked_AM.logsumexp(dim=1) - at_target_A).masked_fill(~valid_A, 0.0)
    return loss_A.sum() / valid_A.sum().clamp(min=1)
