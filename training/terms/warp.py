"""Transformations of the time axis: segments in another order, and a speed that drifts.

Axes: B examples · S sensor slots · C six channels · T samples · P cut points · G segments (P + 1) · N knots of a
spline · U splines drawn beforehand.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sensorloom.training.streaming.draws import normal, uniform

__all__ = ["MIN_SAMPLES", "permute_segments", "warp_time"]

MIN_SAMPLES = 6
"""The shortest window that can be cut at four distinct points between samples, with one to spare."""

_CUTS = 4
_INNER_KNOTS = 4


def permute_segments(imu_BSCT: Tensor, seed_B: Tensor, purpose: int, *, distinct: bool) -> Tensor:
    """Return windows [B, S, C, T ≥ 6] cut at 4 points into 5 segments, and these in a random order.

    All channels and slots of an example are cut and ordered alike, for they share its clock. A cut lies before
    sample 1, 2, … or T - 1. `distinct` draws the cuts without replacement (the published code of PRIMUS, methods
    §1.5); with replacement (SelfHAR, methods §5.3 row 6) a segment may be empty. Draws from `purpose` and
    `purpose` + 1.
    """
    samples = imu_BSCT.shape[-1]
    cut_BP = _cuts(uniform(seed_B, purpose, (_CUTS,)), samples, distinct=distinct)
    edge_BG = torch.nn.functional.pad(cut_BP.sort(dim=1).values, (1, 0))
    length_BG = torch.diff(edge_BG, append=edge_BG.new_full((len(edge_BG), 1), samples))
    order_BG = uniform(seed_B, purpose + 1, (_CUTS + 1,)).argsort(dim=1, stable=True)
    end_BG = length_BG.gather(1, order_BG).cumsum(dim=1)
    shift_BG = (edge_BG + length_BG).gather(1, order_BG) - end_BG
    time_T = torch.arange(samples, device=imu_BSCT.device)
    segment_BT = torch.searchsorted(end_BG, time_T.expand(len(end_BG), -1).contiguous(), right=True)
    source_BT = time_T + shift_BG.gather(1, segment_BT)
    return imu_BSCT.gather(-1, source_BT[:, None, None].expand_as(imu_BSCT))


def warp_time(
    imu_BSCT: Tensor, seed_B: Tensor, purpose: int, *, sigma: float, pool: int | None = None
) -> Tensor:
    """Return windows [B, S, C, T ≥ 6] of which every channel is played at a speed of its own that drifts.

    The speed is the cubic spline (not-a-knot) through 6 evenly spaced knots, the two ends and 4 between them, with
    values N(1, sigma²). The time passed at sample t is the sum of the speeds of samples 1 to t, scaled so that all
    of the window passes; the signal is read there by linear interpolation. So both end samples stay (methods §5.3
    row 7). With `pool` each channel takes one of that many splines, the same in every batch, as the "low cost"
    version does. Draws from `purpose` and, with `pool`, `purpose` + 1.
    """
    _, slots, channels, samples = imu_BSCT.shape
    if pool is None:
        place_BSCT = _places(normal(seed_B, purpose, (slots, channels, _INNER_KNOTS + 2)), sigma, samples)
    else:
        seed_U = torch.arange(pool, device=seed_B.device)
        place_UT = _places(normal(seed_U, purpose, (_INNER_KNOTS + 2,)), sigma, samples)
        place_BSCT = place_UT[(uniform(seed_B, purpose + 1, (slots, channels)).double() * pool).long()]
    left_BSCT = place_BSCT.long().clamp_(max=samples - 2)
    weight_BSCT = (place_BSCT - left_BSCT).to(imu_BSCT)
    return torch.lerp(imu_BSCT.gather(-1, left_BSCT), imu_BSCT.gather(-1, left_BSCT + 1), weight_BSCT)


def _cuts(draw_BP: Tensor, samples: int, *, distinct: bool) -> Tensor:
    """Return cut points int64[B, P] in [1, samples) from uniform draws; distinct ones by Floyd's method.

    Floyd (Bentley, "A sample of brilliance", CACM 1987) takes the greatest number of a range that grows by one each
    time in place of one that is taken already: every set is equally likely, without a rejection.
    """
    draw_BP = draw_BP.double()
    if not distinct:
        return (draw_BP * (samples - 1)).long() + 1
    chosen = draw_BP.new_zeros((len(draw_BP), 0), dtype=torch.int64)
    for number in range(_CUTS):
        greatest = samples - _CUTS + number
        pick_B1 = (draw_BP[:, number : number + 1] * greatest).long() + 1
        taken_B1 = (chosen == pick_B1).any(dim=1, keepdim=True)
        chosen = torch.cat((chosen, pick_B1.masked_fill(taken_B1, greatest)), dim=1)
    return chosen


def _places(draw_N: Tensor, sigma: float, samples: int) -> Tensor:
    """Return where to read a signal, float64[…, T] in [0, samples - 1], for knots of standard normal value.

    Computed in float64: no autocast and no reduced precision of a product moves a place.
    """
    passed_NT = torch.from_numpy(_time_passed(samples)).to(draw_N.device)
    passed_T = (1 + sigma * draw_N.double()) @ passed_NT
    return (passed_T * ((samples - 1) / passed_T[..., -1:])).clamp_(0, samples - 1)


@lru_cache(maxsize=16)
def _time_passed(samples: int) -> NDArray[np.float64]:
    """Return float64[N, T]: the time passed at each sample if one knot's speed is 1 and the others' are 0."""
    from scipy.interpolate import CubicSpline  # not by every command that knows of this transformation: 0.6 s

    knots = np.linspace(0, samples - 1, _INNER_KNOTS + 2)
    speed_TN = CubicSpline(knots, np.eye(len(knots)))(np.arange(samples))
    speed_TN[0] = 0
    return np.ascontiguousarray(np.cumsum(speed_TN, axis=0).T)
