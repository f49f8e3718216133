"""Vectors of a triplet shard by window: what its cameras show on average, and what its texts of a source say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

__all__ = ["text_means", "video_means"]

Arrays = Mapping[str, NDArray[Any]]


def video_means(arrays: Arrays) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return unit vectors [n, D], the mean of the cameras that are there, and bool[n], whether a window has one."""
    video, there = arrays["video"], arrays["video_present"]
    total = np.zeros((len(video), video.shape[2]), np.float32)
    for slot in range(video.shape[1]):
        total += np.where(there[:, slot, None], video[:, slot].astype(np.float32), np.float32(0))
    return _units(total)


def text_means(arrays: Arrays, source: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return unit vectors [n, D], the mean of a window's texts of `source`, and bool[n], whether it has any."""
    offsets, vectors = arrays["text_offsets"], arrays["text_vectors"].astype(np.float32)
    starts, stops = offsets[:, source], offsets[:, source + 1]
    owner = np.repeat(np.arange(len(offsets)), stops - starts)
    ends = (stops - starts).cumsum()
    places = np.arange(len(owner)) + np.repeat(starts - ends + (stops - starts), stops - starts)
    text = np.asarray(arrays["text_rows"])[places]
    # Made from pairs, the matrix is sorted: the same texts add up to the same bits, whatever their order.
    weights = sparse.csr_matrix(
        (np.ones(len(owner), np.float32), (owner, text)), (len(offsets), len(vectors))
    )
    return _units(weights @ vectors)


def _units(total: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return `total` at length 1, and which rows have a direction; what is not finite has none."""
    with np.errstate(invalid="ignore", over="ignore"):
        lengths = np.sqrt(np.einsum("nd,nd->n", total, total))
    there = np.isfinite(lengths) & (lengths > 1e-3)
    units = np.where(there[:, None], total / np.where(there, lengths, 1)[:, None], 0).astype(np.float32)
    return units, there
