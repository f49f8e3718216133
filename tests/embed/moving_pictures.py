"""Pictures whose motion is known: a smooth generated world, looked at from a place and an angle."""

from __future__ import annotations

import functools

import numpy as np
from scipy import ndimage

SIZE_PX = (96, 170)  # height, width
_WORLD_PX = 640


@functools.cache
def _world(seed: int) -> np.ndarray:
    """Return brightness in 20 to 235, nothing in it finer than about 6 px, as the B-spline float64[640, 640] of it."""
    noise = np.random.default_rng(seed).normal(size=(_WORLD_PX, _WORLD_PX))
    octaves = [sigma * ndimage.gaussian_filter(noise, sigma, mode="wrap") for sigma in (2, 4, 8, 16)]
    world = np.tanh(np.sum(octaves, axis=0) / np.std(np.sum(octaves, axis=0)))
    return ndimage.spline_filter(20 + 215 * (world + 1) / 2, mode="grid-wrap")


def look(right_px=0.0, down_px=0.0, turn_rad=0.0, *, seed=0, size_px=SIZE_PX, noise=0.0) -> np.ndarray:
    """Return uint8[h, w]: the picture at rest, its content turned about the centre against the clock, then shifted."""
    height, width = size_px
    y = (np.arange(height) - (height - 1) / 2)[:, None] - down_px
    x = (np.arange(width) - (width - 1) / 2)[None] - right_px
    cosine, sine = np.cos(turn_rad), np.sin(turn_rad)
    # Content at (x, y) came from there turned back, with the clock; y points down.
    places = np.stack([cosine * y + sine * x, cosine * x - sine * y]) + _WORLD_PX / 2
    picture = ndimage.map_coordinates(_world(seed), places, order=3, mode="grid-wrap", prefilter=False)
    if noise:
        rng = np.random.default_rng([seed, int(1000 * abs(right_px + down_px))])
        picture = picture + 2 * noise * ndimage.gaussian_filter(rng.normal(size=size_px), 0.7)
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)
