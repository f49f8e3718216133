"""Generated vectors and queries for the search, the same for every contender.

Vectors lie in a cone, as those of CLIP do: their cosines are close together, and the best are hard to tell apart.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

QUERIES, K = 20, 10
WINDOWS_OF_A_TAKE = 500
LENGTH_S, CONE, SEED = 5, 0.7, 7
_BLOCK = 50_000


@dataclass(frozen=True, slots=True)
class Data:
    """Unit vectors float16[N, D], unit queries float32[Q, D], and of each window its take and its second."""

    vectors: NDArray[np.float16]
    queries: NDArray[np.float32]
    take: NDArray[np.int64]
    second: NDArray[np.int64]


def generate(windows: int, width: int) -> Data:
    rng = np.random.default_rng(SEED)
    axis = rng.standard_normal(width, np.float32)
    vectors = np.concatenate(
        [
            _cone(rng, axis, min(_BLOCK, windows - first)).astype(np.float16)
            for first in range(0, windows, _BLOCK)
        ]
    )
    number = np.arange(windows)
    second = number % WINDOWS_OF_A_TAKE * LENGTH_S
    return Data(vectors, _cone(rng, axis, QUERIES), number // WINDOWS_OF_A_TAKE, second)


def _cone(rng: np.random.Generator, axis: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    raw = axis + CONE * rng.standard_normal((count, len(axis)), np.float32)
    return raw / np.linalg.norm(raw, axis=1, keepdims=True)


def parse(description: str | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--windows", type=int, required=True)
    parser.add_argument("--width", type=int, required=True)
    parser.add_argument("--work", required=True)
    return parser.parse_args()
