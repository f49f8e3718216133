"""What is kept of an encoder's vectors: unit vectors as float16 and their norms, none of them unfit."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorloom.embed.errors import VectorError

__all__ = ["TOLERANCE_COSINE", "agree", "normalise"]

TOLERANCE_COSINE = 0.9999
"""The least cosine between vectors of one picture by one encoder, across batch sizes, devices and libraries.

Vectors of a network are not the same to the bit across batch sizes [openai/CLIP issues 147, 198].
"""


def normalise(
    raw: NDArray[np.float32], *, dim: int, what: str
) -> tuple[NDArray[np.float16], NDArray[np.float32]]:
    """Return unit vectors float16[n, dim] and norms float32[n] of `raw` float32[n, dim]; `what` names them.

    The division is in float32; rounding to float16 moves the norm of a unit vector by less than 1e-3. Squares are
    summed in float64, where no float32 overflows or vanishes.
    Raises `VectorError` for another width, a value that is not finite, a norm that is zero or that float32 cannot
    hold to full precision: of such vectors none may be kept.
    """
    _check_shape(raw, dim, what)
    not_finite = (
        "hold values that are not finite; check the weights for NaN and infinity (a checkpoint of a run that"
        " diverged), and in fp16 try fp32 or bf16"
    )
    _refuse(np.asarray(~np.isfinite(raw).all(axis=1)), what, not_finite)
    norms: NDArray[np.float64] = np.sqrt(np.einsum("nd,nd->n", raw, raw, dtype=np.float64))
    _refuse(
        norms == 0.0, what, "are all zeros, which have no direction; check the weights: a layer may be empty"
    )
    limits = np.finfo(np.float32)
    unfit: NDArray[np.bool_] = (norms < limits.tiny) | (norms > limits.max)
    _refuse(
        unfit, what, f"have a norm outside float32's {limits.tiny:.1e} to {limits.max:.1e}; check the weights"
    )
    kept = norms.astype(np.float32)
    return (raw / kept[:, None]).astype(np.float16), kept


def agree(first: NDArray[Any], second: NDArray[Any]) -> float:
    """Return the smallest cosine between rows of `first` and `second` [n, D], NaN where one has none; 1.0 of no rows.

    Raises `VectorError` where their shapes differ.
    """
    if first.shape != second.shape or first.ndim != 2:
        raise VectorError(
            f"vectors {list(first.shape)} cannot be compared with {list(second.shape)}; both must be [n, D]"
        )
    if not len(first):
        return 1.0
    first, second = first.astype(np.float64), second.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        cosines = (first * second).sum(1) / (np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1))
    return float(cosines.min())


def _check_shape(raw: NDArray[np.float32], dim: int, what: str) -> None:
    if raw.ndim != 2 or raw.shape[1] != dim:
        raise VectorError(
            f"{what}: vectors of shape {list(raw.shape)} where [n, {dim}] was promised; the weights are of another"
            " model than the encoder is said to be"
        )
    if raw.dtype != np.float32:
        raise VectorError(f"{what}: vectors of {raw.dtype}; an encoder returns float32")


def _refuse(unfit: NDArray[np.bool_], what: str, why: str) -> None:
    if unfit.any():
        raise VectorError(
            f"{what}: {np.count_nonzero(unfit)} of {len(unfit)} vectors (the first is number {unfit.argmax()}) {why}"
        )
