"""Random transformations of sensor windows, batched, on the batch's own device, drawn from each example's seed.

Axes: B examples · S sensor slots · C six channels · K two sensors (accelerometer, gyroscope) · X three axes of a
sensor · T samples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from itertools import permutations
from types import MappingProxyType
from typing import Literal, get_args

import torch
from torch import Tensor

from sensorloom.training.errors import WindowShapeError
from sensorloom.training.streaming.draws import normal, uniform
from sensorloom.training.terms.warp import MIN_SAMPLES, permute_segments, warp_time

__all__ = ["CHAINS", "TRANSFORMATIONS", "Augmentation", "Preset", "Transformation"]

Preset = Literal["paper", "repo"]
Transformation = Literal["noise", "scale", "rotate", "negate", "reverse", "permute", "warp", "shuffle"]
TRANSFORMATIONS: tuple[Transformation, ...] = get_args(Transformation)
"""In the order of the eight tasks of methods §5.3."""
CHAINS: Mapping[Preset, tuple[Transformation, ...]] = MappingProxyType(
    {"paper": ("scale", "reverse"), "repo": ("scale", "permute")}
)
"""What PRIMUS applies to the second view: methods §0 row 4."""

_Step = Callable[[Tensor, Tensor, int], Tensor]
_CHANNELS = 6
# Purposes of draws: these bits ("augm"), then 8 of the transformation and 8 of the draw within it.
_PURPOSE = 0x6175676D << 16
_TINY = 1e-12


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Apply transformations one after another, each to every window.

    `names` are applied in their order, each at most once. `preset` gives their parameters: "paper" those of methods
    §5.3 (and of the `paper` preset of §1.5, which are the same), "repo" those of PRIMUS's published code (§1.5).
    Where both views of a window are augmented, one takes seeds of its own (`draws.derive`). Raises ValueError for
    an unknown name or preset and for a name given twice.
    """

    names: tuple[Transformation, ...]
    preset: Preset = "paper"

    def __post_init__(self) -> None:
        for name in self.names:
            if name not in TRANSFORMATIONS:
                raise ValueError(
                    f"a transformation must be one of {', '.join(TRANSFORMATIONS)}, got {name!r}"
                )
            if self.names.count(name) > 1:
                raise ValueError(f"{name!r} stands twice in {self.names}; both would draw the same numbers")
        if self.preset not in _STEPS:
            raise ValueError(f"preset must be one of {', '.join(_STEPS)}, got {self.preset!r}")

    def __call__(self, imu_BSCT: Tensor, seed_B: Tensor) -> Tensor:
        """Return transformed windows of the shape, type and device of float[B, S, 6, T ≥ 6]; the input stays.

        A row depends on its own window and seed int64[B] alone. What is missing stays 0: a sensor whose three axes
        are 0 throughout counts as missing, and takes no part; where all three are 0 at a sample, no noise is added.
        Raises WindowShapeError for other windows, ValueError for seeds that do not fit them.
        """
        if imu_BSCT.ndim != 4 or imu_BSCT.shape[2] != _CHANNELS or imu_BSCT.shape[3] < MIN_SAMPLES:
            raise WindowShapeError(
                f"augmentations take windows [B, S, {_CHANNELS}, T] of T ≥ {MIN_SAMPLES} samples, got "
                f"{list(imu_BSCT.shape)}"
            )
        if len(seed_B) != len(imu_BSCT):
            raise ValueError(
                f"{len(imu_BSCT)} windows need as many seeds, got {len(seed_B)}; give batch.seed_B of the same batch"
            )
        for name in self.names:
            purpose = _PURPOSE + (TRANSFORMATIONS.index(name) << 8)
            imu_BSCT = _STEPS[self.preset][name](imu_BSCT, seed_B, purpose)
        return imu_BSCT


def _add_noise(imu_BSCT: Tensor, seed_B: Tensor, purpose: int, *, sigma: float) -> Tensor:
    """Add N(0, sigma²) to every value of a sensor's samples that are not 0 on all three axes."""
    noise_BSCT = normal(seed_B, purpose, tuple(imu_BSCT.shape[1:])).to(imu_BSCT)
    there_BSKXT = _by_sensor(imu_BSCT).ne(0).any(dim=3, keepdim=True)
    return imu_BSCT + _by_sensor(noise_BSCT).mul_(there_BSKXT).mul_(sigma).flatten(2, 3)


def _scale_channels(imu_BSCT: Tensor, seed_B: Tensor, purpose: int, *, sigma: float) -> Tensor:
    """Multiply each channel by one factor N(1, sigma²)."""
    draw_BSC = normal(seed_B, purpose, tuple(imu_BSCT.shape[1:3])).to(imu_BSCT)
    return imu_BSCT * (1 + sigma * draw_BSC)[..., None]


def _scale_samples(imu_BSCT: Tensor, seed_B: Tensor, purpose: int, *, sigma: float) -> Tensor:
    """Multiply each sample by one factor N(1, sigma²) that all channels share: methods §0 row 5."""
    draw_BT = normal(seed_B, purpose, (imu_BSCT.shape[-1],)).to(imu_BSCT)
    return imu_BSCT * (1 + sigma * draw_BT)[:, None, None]


def _rotate(imu_BSCT: Tensor, seed_B: Tensor, purpose: int, *, axis_size: int) -> Tensor:
    """Turn both sensors of a slot by one matrix: axis from U(-1, 1)³ made a unit vector, angle U(-π, π).

    The published code of PRIMUS draws the axis with `axis_size` 6, makes that a unit vector and uses its first
    three numbers; with those Rodrigues' formula gives no rotation (methods §1.5).
    """
    slots = imu_BSCT.shape[1]
    axis_BSA = 2 * uniform(seed_B, purpose, (slots, axis_size)).double() - 1
    axis_BSX = (axis_BSA / axis_BSA.norm(dim=-1, keepdim=True).clamp_min(_TINY))[..., :3]
    angle_BS = torch.pi * (2 * uniform(seed_B, purpose + 1, (slots,)).double() - 1)
    column_BSXX = _rodrigues(axis_BSX, angle_BS).to(imu_BSCT)[:, :, None].unsqueeze(-1)
    axes_BSKXT = _by_sensor(imu_BSCT).unsqueeze(3)
    # Sums of products rather than a matrix product: autocast and TF32 would shorten the factors of that one.
    turned = [column_BSXX[..., axis, :] * axes_BSKXT[..., axis, :] for axis in range(3)]
    return (turned[0] + turned[1] + turned[2]).flatten(2, 3)


def _rodrigues(axis_BSX: Tensor, angle_BS: Tensor) -> Tensor:
    """Return cos·I + sin·[axis]ₓ + (1 - cos)·axis·axisᵀ, [B, S, 3, 3]: a rotation if the axes are unit vectors."""
    identity_XX = torch.eye(3, dtype=axis_BSX.dtype, device=axis_BSX.device)
    cos, sin = angle_BS.cos()[..., None, None], angle_BS.sin()[..., None, None]
    # Column j of [axis]ₓ is axis × (unit vector j), which stands in row j here.
    columns_BSXX = torch.linalg.cross(axis_BSX[..., None, :], identity_XX[None, None])
    outer_BSXX = axis_BSX[..., :, None] * axis_BSX[..., None, :]
    matrix_BSXX: Tensor = cos * identity_XX + sin * columns_BSXX.transpose(-1, -2) + (1 - cos) * outer_BSXX
    return matrix_BSXX


def _negate(imu_BSCT: Tensor, _seed_B: Tensor, _purpose: int) -> Tensor:
    return -imu_BSCT


def _reverse(imu_BSCT: Tensor, _seed_B: Tensor, _purpose: int) -> Tensor:
    return imu_BSCT.flip(-1)


def _shuffle_channels(imu_BSCT: Tensor, seed_B: Tensor, purpose: int) -> Tensor:
    """Put the channels of a slot's sensors that are there into another order, all such orders equally likely."""
    orders, first, count = (table.to(imu_BSCT.device) for table in _channel_orders())
    there_BSK = _by_sensor(imu_BSCT).ne(0).flatten(3).any(dim=3)
    case_BS = there_BSK[..., 0] + 2 * there_BSK[..., 1]
    draw_BS = uniform(seed_B, purpose, (imu_BSCT.shape[1],)).double()
    order_BSC = orders[first[case_BS] + (draw_BS * count[case_BS]).long()]
    row_BS1 = torch.arange(case_BS.numel(), device=imu_BSCT.device).view(*case_BS.shape, 1) * _CHANNELS
    return imu_BSCT.flatten(0, 2)[(row_BS1 + order_BSC).flatten()].view_as(imu_BSCT)


@cache
def _channel_orders() -> tuple[Tensor, Tensor, Tensor]:
    """Return orders of channels [n, 6], and of those the first and the count for each case.

    The cases are no sensor (the identity), the accelerometer alone (5 orders of its axes), the gyroscope alone (5)
    and both (719).
    """
    whole = tuple(range(_CHANNELS))
    both = list(permutations(whole))[1:]
    cases = [
        [whole],
        [order for order in both if order[3:] == whole[3:]],
        [order for order in both if order[:3] == whole[:3]],
        both,
    ]
    count = torch.tensor([len(orders) for orders in cases])
    return torch.tensor([order for orders in cases for order in orders]), count.cumsum(0) - count, count


def _by_sensor(imu_BSCT: Tensor) -> Tensor:
    """Return the windows as [B, S, K, X, T]."""
    batch, slots, channels, samples = imu_BSCT.shape
    return imu_BSCT.reshape(batch, slots, channels // 3, 3, samples)


_SAME: dict[Transformation, _Step] = {
    "negate": _negate,
    "reverse": _reverse,
    "shuffle": _shuffle_channels,
}
_STEPS: Mapping[Preset, Mapping[Transformation, _Step]] = MappingProxyType(
    {
        "paper": {
            **_SAME,
            "noise": partial(_add_noise, sigma=0.05),
            "scale": partial(_scale_channels, sigma=0.1),
            "rotate": partial(_rotate, axis_size=3),
            "permute": partial(permute_segments, distinct=False),
            "warp": partial(warp_time, sigma=0.2),
        },
        "repo": {
            **_SAME,
            "noise": partial(_add_noise, sigma=0.1),
            "scale": partial(_scale_samples, sigma=0.25),
            "rotate": partial(_rotate, axis_size=6),
            "permute": partial(permute_segments, distinct=True),
            "warp": partial(warp_time, sigma=0.2, pool=150),
        },
    }
)
