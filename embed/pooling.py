"""Frames of a window → one vector: arithmetic on cached vectors, which never touches a model.

A cached frame is a unit vector and the norm that the tower gave it, so that both the vector before normalisation
and the one after are at hand.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sensorloom.align.view import Pooling

__all__ = ["mean_of_present", "pool", "spread"]

_BLOCK_BYTES = 32 * 2**20


def pool(
    vectors: NDArray[np.float16],
    norms: NDArray[np.float32],
    rows: NDArray[np.int64],
    rule: Pooling,
    num_frames: int | None = None,
) -> tuple[NDArray[np.float16], NDArray[np.bool_]]:
    """Pool the frames of n windows to unit vectors float16[n, D] and bool[n], whether a window has one.

    `vectors` float16[N, D] and `norms` float32[N] are the cached frames, `rows` int64[n, F] those at each window's F
    instants, -1 where none is. The rule is applied to the instants that `spread` gives, or to all:

    - `mean-then-normalise`: the mean of the vectors before normalisation [methods §1.2, PRIMUS]
    - `normalise-mean-normalise`: the mean of the unit vectors [methods §1.2, CLIP4Clip's meanP]
    - `middle`: of k instants the one at k // 2 [methods §2.5, AURA-MFM's clip_1frame]
    - `first-middle-last`: the sum of these three before normalisation [methods §2.5, AURA-MFM's clip_avg_frames]

    and the result is normalised. An instant without a frame is shown by the nearest that has one, of two equally near
    the earlier; in a mean no frame counts twice, so there what is missing is left out. A window without any frame, or
    whose vectors cancel out, has no direction: zeros, and False. Sums are in float64.
    """
    count, instants = rows.shape
    pooled = np.zeros((count, vectors.shape[1]), np.float16)
    present = np.zeros(count, np.bool_)
    if not len(vectors):
        return pooled, present
    chosen = _stand_in(rows)[:, spread(instants, num_frames or instants)]
    block = max(1, _BLOCK_BYTES // (8 * max(1, chosen.shape[1] * vectors.shape[1])))
    for first in range(0, count, block):
        part = chosen[first : first + block]
        pooled[first : first + block], present[first : first + block] = _pool_block(
            vectors, norms, part, rule
        )
    return pooled, present


def spread(instants: int, num_frames: int) -> NDArray[np.int64]:
    """Return the places int64[k] of `num_frames` of `instants`, spread evenly with both ends.

    Place i is ⌊i · (F - 1) / (k - 1)⌋; a single one is the first. It is `torch.linspace(0, F - 1, k).long()` of
    IMU2CLIP, PRIMUS and AURA-MFM (dataset/…/utils.py, downsample_video) in exact arithmetic: the same for every
    k in windows of 2, 5 and 10 s (F 20, 50, 100); for some other F (17 and k 15 are the least) rounding makes a place
    of theirs one earlier. Raises `ValueError` for more
    places than instants.
    """
    if not 1 <= num_frames <= instants:
        raise ValueError(f"of {instants} instants 1 … {instants} can be chosen, not {num_frames}")
    return np.arange(num_frames) * (instants - 1) // max(1, num_frames - 1)


def mean_of_present(
    vectors: NDArray[np.float16], present: NDArray[np.bool_]
) -> tuple[NDArray[np.float16], NDArray[np.bool_]]:
    """Return the mean of each window's unit vectors float16[n, V, D] where present bool[n, V], normalised again.

    [methods §2.5, (b)]; zeros and False where none is present.
    """
    return _normalised((vectors.astype(np.float64) * present[..., None]).sum(axis=1))


def _stand_in(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the rows with each that is missing replaced by the nearest in its window; all -1 where there is none."""
    places = np.arange(rows.shape[1])
    there = rows >= 0
    before = np.maximum.accumulate(np.where(there, places, -1), axis=1)
    after = np.minimum.accumulate(np.where(there, places, rows.shape[1])[:, ::-1], axis=1)[:, ::-1]
    is_after = (before < 0) | ((after < rows.shape[1]) & (after - places < places - before))
    nearest = np.where(is_after, after, before).clip(0, rows.shape[1] - 1)
    return np.take_along_axis(rows, nearest, axis=1)


def _pool_block(
    vectors: NDArray[np.float16], norms: NDArray[np.float32], chosen: NDArray[np.int64], rule: Pooling
) -> tuple[NDArray[np.float16], NDArray[np.bool_]]:
    """Pool the frames `chosen` int64[n, k] by `rule`; a window without a frame has -1 throughout."""
    middle = chosen.shape[1] // 2
    if rule == "middle":
        chosen = chosen[:, [middle]]
    elif rule == "first-middle-last":
        chosen = chosen[:, [0, middle, -1]]
    counted = chosen >= 0
    if rule in ("mean-then-normalise", "normalise-mean-normalise"):
        # Instants that one frame stands for follow one another.
        counted[:, 1:] &= chosen[:, 1:] != chosen[:, :-1]
    weights = counted.astype(np.float64)
    if rule != "normalise-mean-normalise":
        weights *= norms[chosen]
    return _normalised((vectors[chosen] * weights[..., None]).sum(axis=1))


def _normalised(sums: NDArray[np.float64]) -> tuple[NDArray[np.float16], NDArray[np.bool_]]:
    lengths = np.sqrt((sums * sums).sum(axis=1))
    present = lengths > 0
    units = sums / np.where(present, lengths, 1.0)[:, None]
    return units.astype(np.float16), present
