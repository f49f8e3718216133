"""A fake encoder for tests of what lies around one: exact integer arithmetic, no network, no model."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorloom.embed.encoder import EncoderSpec, Identity
from sensorloom.embed.preprocess import Preprocess

SIZE_PX = 32
PREPROCESS = Preprocess(SIZE_PX, SIZE_PX, "shortest", "bicubic", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
_TILES = 8


def fake_identity(name: str = "fake", dim: int = 16, weights: str = "0") -> Identity:
    """Who the fake encoder is; other `weights` give other vectors."""
    fingerprint = {"weights": weights * 64, "architecture": "fake", "precision": "fp32"}
    return Identity(EncoderSpec(model=name), name, dim, PREPROCESS, fingerprint)


def few_pictures() -> list[NDArray[np.uint8]]:
    """Return pictures to check an encoder with, in place of the golden ones, which take long to draw."""
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (*size, 3), np.uint8) for size in ((40, 50), (64, 36), (32, 32))]


class FakeEncoder:
    """Satisfies the `Encoder` protocol. A vector is a fixed integer projection of the tile sums of its picture.

    Sums of integers do not depend on their order, so a row is the same bit for bit in every batch. `batches` has what
    was asked for; `before` is called with the number of each call before anything is done.
    """

    def __init__(
        self,
        identity: Identity | None = None,
        batch_size: int = 8,
        before: Callable[[int], None] | None = None,
    ) -> None:
        self.identity = identity or fake_identity()
        self.batch_size = batch_size
        self.batches: list[NDArray[np.uint8]] = []
        self.texts: list[str] = []
        self._before = before
        seed = int(self.identity.fingerprint["weights"][:8], 16)
        shape = (_TILES * _TILES * 3, self.identity.dim)
        self._weights = np.random.default_rng(seed).integers(-9, 10, shape)

    def encode_images(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Encode pictures uint8[n, 32, 32, 3]."""
        if self._before is not None:
            self._before(len(self.batches))
        assert pixels.shape[1:] == (SIZE_PX, SIZE_PX, 3)
        assert pixels.dtype == np.uint8
        self.batches.append(pixels.copy())
        step = SIZE_PX // _TILES
        tiles = pixels.reshape(len(pixels), _TILES, step, _TILES, step, 3).sum(axis=(2, 4), dtype=np.int64)
        raw = (tiles.reshape(len(pixels), -1) + 1) @ self._weights
        return raw.astype(np.float32)

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode texts; each gives a vector of its own."""
        self.texts += texts
        rows: list[Any] = [np.zeros((0, self.identity.dim), np.int64)]
        for text in texts:
            seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
            rows.append(np.random.default_rng(seed).integers(-99, 100, (1, self.identity.dim)))
        return np.concatenate(rows).astype(np.float32)
