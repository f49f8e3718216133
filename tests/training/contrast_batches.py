"""Small batches in float64 for the objectives that contrast, encoders for them, and their rows picked or reordered."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sensorloom.training.batch import Batch

__all__ = ["WIDTH", "Mocap", "Sensors", "TwoHeads", "a_batch", "louder", "picked", "with_held"]

WIDTH = 5
_SLOTS, _SAMPLES, _VIEWS, _SOURCES, _ROWS, _JOINTS = 2, 4, 3, 2, 3, 2


def a_batch(count: int, seed: int = 0, share_there: float = 0.6, first_index: int = 0) -> Batch:
    """A generated batch of every column; each slot of each example is there with this probability, or all are."""
    rng = torch.Generator().manual_seed(seed)

    def there(*shape: int) -> Tensor:
        return torch.rand(count, *shape, generator=rng) < share_there

    def values(mask: Tensor, *shape: int) -> Tensor:
        drawn = torch.randn(*mask.shape, *shape, generator=rng, dtype=torch.float64)
        return drawn.masked_fill(~mask.view(*mask.shape, *(1 for _ in shape)), 0.0)

    imu_present, video, text = there(_SLOTS, 2), there(_VIEWS), there(_SOURCES)
    mocap = there(_ROWS, _JOINTS) & there()[:, None, None]
    return Batch(
        index_B=torch.arange(first_index, first_index + count),
        seed_B=torch.randint(-(2**62), 2**62, (count,), generator=rng),
        imu_BSCT=values(imu_present.repeat_interleave(3, dim=2), _SAMPLES),
        imu_present_BSK=imu_present,
        video_BVD=values(video, WIDTH),
        video_present_BV=video,
        text_BKD=values(text, WIDTH),
        text_present_BK=text,
        mocap_BFJX=values(mocap, 3),
        mocap_valid_BFJ=mocap,
    )


def picked(batch: Batch, rows: Tensor | slice) -> Batch:
    return Batch(**{name: tensor[rows] for name, tensor in batch.tensors().items()})


def with_held(batch: Batch, value: float) -> Batch:
    """The same batch with `value` wherever a mask says that no vector or no joint is there."""
    tensors = batch.tensors()
    for rows, mask in (
        ("video_BVD", "video_present_BV"),
        ("text_BKD", "text_present_BK"),
        ("mocap_BFJX", "mocap_valid_BFJ"),
    ):
        if rows in tensors:
            tensors[rows] = tensors[rows].masked_fill(~tensors[mask][..., None], value)
    if "imu_BSCT" in tensors:
        slot = tensors["imu_present_BSK"].any(dim=2)[..., None, None]
        tensors["imu_BSCT"] = tensors["imu_BSCT"].masked_fill(~slot, value)
    return Batch(**tensors)


class Sensors(nn.Module):
    """A linear map of each slot that is there, then their mean: (imu_BSCT, imu_present_BSK) → [B, width]."""

    def __init__(self, width: int = WIDTH, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.linear = nn.Linear(6 * _SAMPLES, width).double()

    def forward(self, imu_BSCT: Tensor, imu_present_BSK: Tensor) -> Tensor:
        slot_BS1 = imu_present_BSK.any(dim=2, keepdim=True)
        encoded_BSD = self.linear(imu_BSCT.flatten(2)).tanh().masked_fill(~slot_BS1, 0.0)
        mean: Tensor = encoded_BSD.sum(dim=1) / slot_BS1.sum(dim=1).clamp(min=1)
        return mean


class TwoHeads(nn.Module):
    """`Sensors` with the outputs "ssl" and "mmcl" of PRIMUS's encoder."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Sensors(8)
        self.heads = nn.ModuleDict({name: nn.Linear(8, WIDTH).double() for name in ("ssl", "mmcl")})

    def forward(self, imu_BSCT: Tensor, imu_present_BSK: Tensor) -> dict[str, Tensor]:
        encoded = self.encoder(imu_BSCT, imu_present_BSK)
        return {name: head(encoded) for name, head in self.heads.items()}


class Mocap(nn.Module):
    """A linear map of the joints that are there: (mocap_BFJX, mocap_valid_BFJ) → [B, width]."""

    def __init__(self, seed: int = 1) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.linear = nn.Linear(_ROWS * _JOINTS * 3, WIDTH).double()

    def forward(self, mocap_BFJX: Tensor, mocap_valid_BFJ: Tensor) -> Tensor:
        known = mocap_BFJX.masked_fill(~mocap_valid_BFJ[..., None], 0.0)
        encoded: Tensor = self.linear(known.flatten(1)).tanh()
        return encoded


def louder(imu_BSCT: Tensor, seed_B: Tensor) -> Tensor:
    """An augmentation that hangs on an example and its own seed alone."""
    factor_B = 1 + (seed_B % 1000).to(imu_BSCT.dtype) / 1000
    return imu_BSCT * factor_B[:, None, None, None]
