"""Masks that depend on an example and its place in the epoch: windows with sensors alone, latents dropped.

Axes: B examples · M latents.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from sensorloom.training.streaming.order import draw

__all__ = ["choose_imu_only", "keep_latents"]

PURPOSE = 1000
"""Draws of latent m have the purpose PURPOSE + m."""


def choose_imu_only(window_ids: Iterable[str], seed: int, share: float) -> NDArray[np.bool_]:
    """Return bool[n], which windows keep their sensors alone: about `share` of them, in every epoch the same.

    Each window has a number in [0, 1) of its own, from the sha256 of (seed, id), so the windows of a smaller share are
    among those of a larger, and no other window of the split matters.
    """
    limit = int(share * 2**64)
    numbers = (
        int.from_bytes(hashlib.sha256(f"{seed}:{window_id}".encode()).digest()[:8], "big")
        for window_id in window_ids
    )
    return np.fromiter((number < limit for number in numbers), np.bool_)


def keep_latents(
    present: NDArray[np.bool_], share_dropped: float, seed: int, epoch: int, position: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Return bool[B, M]: of the latents `present` those kept, each dropped with probability `share_dropped`.

    Where an example would keep none of those it has, the one with the largest draw stays [methods §3, "guarantee ≥ 1
    modality kept"].
    """
    drawn = np.stack(
        [draw(seed, epoch, position, PURPOSE + latent) for latent in range(present.shape[1])], axis=1
    )
    uniform = (drawn >> np.uint64(11)).astype(np.float64) / 2**53
    kept = present & (uniform >= share_dropped)
    lost = ~kept.any(axis=1) & present.any(axis=1)
    stays = np.where(present, uniform, -1.0).argmax(axis=1)
    kept[lost, stays[lost]] = True
    return kept
