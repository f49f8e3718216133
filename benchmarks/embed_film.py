"""Generate one film, H.264 with B-frames: a camera that wanders over a textured world, with sensor noise."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from harness import emit
from scipy import ndimage

from sensorloom.ingest.miniature.video import Encoding, write_video

FRAMES_PER_S = 30
NOISES = 8
"""Pictures of sensor noise that take turns."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", type=int, nargs=2, required=True, help="width and height, px")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--work", required=True)
    arguments = parser.parse_args()
    count = round(arguments.seconds * FRAMES_PER_S)
    times_ns = np.rint(np.arange(count) * (1e9 / FRAMES_PER_S)).astype(np.int64)
    with arguments.out.open("wb") as file:
        write_video(file, pictures(count, *arguments.size), times_ns, Encoding(crf=26))
    emit({"frames": count, "mb": arguments.out.stat().st_size / 1e6})


def pictures(count: int, width_px: int, height_px: int) -> Iterator[np.ndarray]:
    """Yield uint8[H, W, 3]: what a camera sees that moves by up to 8 px a frame over a world twice its size."""
    rng = np.random.default_rng(0)
    world = textured(rng, 2 * height_px, 2 * width_px)
    noises = rng.normal(0, 2, (NOISES, height_px, width_px, 1)).astype(np.int16)
    for frame in range(count):
        top, left = (
            int(side / 2 * (1 + 0.95 * np.sin(2 * np.pi * frame / period)))
            for side, period in ((height_px, 610), (width_px, 450))
        )
        view = world[top : top + height_px, left : left + width_px] + noises[frame % NOISES]
        yield np.clip(view, 0, 255).astype(np.uint8)


def textured(rng: np.random.Generator, height_px: int, width_px: int) -> np.ndarray:
    """Return int16[h, w, 3] with structure of every size from 1 to 64 px, in colours."""
    layers = []
    for _ in range(3):
        noise = rng.normal(size=(height_px, width_px)).astype(np.float32)
        scales = [scale * ndimage.gaussian_filter(noise, scale, mode="wrap") for scale in (1, 4, 16, 64)]
        layers.append(np.sum(scales, axis=0))
    world = np.stack(layers, axis=2)
    world = world.mean(axis=2, keepdims=True) + 0.4 * world
    return (128 + 45 * world / world.std()).astype(np.int16)


if __name__ == "__main__":
    main()
