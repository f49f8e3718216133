"""Generated pictures that move as a generated wearer does: what the head camera sees, and a person seen from outside.

The world is a cloud of smooth spots on a torus: value noise of several sizes, blended by B-splines in whole numbers,
so that its bytes do not depend on the machine. Nothing in it is finer than 8 px: H.264 stores it well, and motion
can be estimated from it to a fraction of a pixel. Angles are taken as small ones: yaw and pitch shift the picture by
angle times focal length, roll turns it about its centre.

Axes are the camera's: x right, y down, z forward, rotations right-handed, as a gyroscope with these axes integrates.
Positive pitch (about x) looks up and moves the picture down; positive yaw (about y) looks right and moves it left;
positive roll (about z) tilts the camera clockwise and turns the picture against the clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sensorloom.ingest.miniature.seeding import generator
from sensorloom.ingest.miniature.tints import Tint

__all__ = ["Camera", "redact", "render_person", "render_view"]

Floats = NDArray[np.float64]
Picture = NDArray[np.uint8]

# The world repeats every 512 px. Each pixel is kept 8 by 8 times, so the nearest of them is a bilinear sample.
_WORLD_PX = 512
_FINE = 8
_FINE_BITS = np.uint16(6)
_SPOT_PX = (8, 16, 32, 64)
_SPOT_CONTRAST = (1, 2, 3, 3)
# A place along an axis of the world is a 32-bit fraction of its width: sums wrap around by themselves.
_PLACES = 2**32
_TO_FINE_BITS = 20  # 32 less the 12 bits of 4096 fine pixels
_ROW_BITS = np.uint32(0xFFF00000)
_ROW_TO_OFFSET_BITS = 8
_LUMA_PER_MILLE = np.array([299, 587, 114])  # BT.601

# Parts of the person, in parts of the picture's short side; the hands circle about the shoulders.
_HAND_RADIUS = 0.04
_REACH = 0.12
_SHOULDERS = (-0.26, 0.26)


@dataclass(frozen=True, slots=True)
class Camera:
    """Size of the picture, and the focal length that turns radians into pixels."""

    width_px: int
    height_px: int
    focal_px: float


def render_view(
    camera: Camera,
    yaw_rad: Floats,
    pitch_rad: Floats,
    roll_rad: Floats,
    seed: str,
    *,
    tint: Tint | None = None,
) -> Iterator[Picture]:
    """Yield what a turning camera sees, uint8[H, W, 3] for each of the angles float64[F], one at a time.

    The world is the seed's own, in the colours of `tint`, or in any where there is none.
    """
    world, colours = _world(seed), _palette(seed, tint, brightest=235)
    x = np.arange(camera.width_px) - camera.width_px / 2
    y = np.arange(camera.height_px) - camera.height_px / 2
    for yaw, pitch, roll in zip(yaw_rad, pitch_rad, roll_rad, strict=True):
        cosine, sine = np.cos(roll), np.sin(roll)
        east = np.add.outer(_place(-sine * y), _place(cosine * x + yaw * camera.focal_px))
        south = np.add.outer(_place(cosine * y), _place(sine * x - pitch * camera.focal_px))
        yield _look_up(world, colours, east, south)


def render_person(
    width_px: int, height_px: int, hand_step_px: Floats, seed: str, *, tint: Tint | None = None
) -> Iterator[Picture]:
    """Yield a person before a still background, uint8[H, W, 3] for each of `hand_step_px` float64[F], one at a time.

    Both hands circle at a constant distance, and before frame i each moves by `hand_step_px[i]` along its circle, so
    what changes between two frames grows with that step until it reaches a hand's width, 8 % of the short side.
    """
    short_px = min(width_px, height_px)
    still = _still_person(width_px, height_px, seed, tint)
    angles = np.cumsum(hand_step_px) / (_REACH * short_px)
    for angle in angles:
        picture = still.copy()
        for shoulder, turn in zip(_SHOULDERS, (1.0, -1.0), strict=True):
            x = width_px / 2 + short_px * (shoulder + _REACH * np.sin(turn * angle))
            y = height_px / 2 + short_px * _REACH * np.cos(angle)
            _draw_disc(picture, x, y, _HAND_RADIUS * short_px)
        yield picture


def redact(pictures: Iterable[Picture], is_redacted: NDArray[np.bool_]) -> Iterator[Picture]:
    """Yield `pictures`, black where `is_redacted` bool[F] says so: their times stay, as in Ego4D."""
    for picture, is_black in zip(pictures, is_redacted, strict=True):
        yield np.zeros_like(picture) if is_black else picture


def _place(place_px: Floats) -> NDArray[np.uint32]:
    turns = place_px / _WORLD_PX
    places: NDArray[np.uint32] = ((turns - np.floor(turns)) * (_PLACES - 1)).astype(np.uint32)
    return places


def _look_up(
    world: Picture, colours: NDArray[np.uint32], east: NDArray[np.uint32], south: NDArray[np.uint32]
) -> Picture:
    """Return the colours uint8[H, W, 3] of the world at places uint32[H, W]; both are used up."""
    east >>= np.uint32(_TO_FINE_BITS)
    south &= _ROW_BITS
    south >>= np.uint32(_ROW_TO_OFFSET_BITS)
    south |= east
    rgbx = colours.take(world.ravel().take(south))
    return np.ascontiguousarray(rgbx.view(np.uint8).reshape(*rgbx.shape, 4)[..., :3])


def _palette(seed: str, tint: Tint | None, brightest: int) -> NDArray[np.uint32]:
    """Return 256 colours from dark to bright, as the bytes red, green, blue, 0."""
    ends = generator(seed, "palette").integers([[10], [brightest - 70]], [[60], [brightest]], (2, 3))
    dark, bright = ends if tint is None else _tinted(ends, tint)
    steps = np.arange(256)[:, None]
    rgbx = np.zeros((256, 4), np.uint8)
    rgbx[:, :3] = (dark * (255 - steps) + bright * steps) // 255
    return rgbx.view(np.uint32).ravel()


def _tinted(ends: NDArray[np.int64], tint: Tint) -> NDArray[np.int64]:
    """Return colours int64[2, 3] turned towards the tint's hues by three quarters, nearly as bright as before."""
    hues = np.array(tint)
    hued = ends @ _LUMA_PER_MILLE[:, None] * hues // (hues @ _LUMA_PER_MILLE)[:, None]
    tinted: NDArray[np.int64] = np.minimum(255, (3 * hued + ends) // 4)
    return tinted


@lru_cache(maxsize=1)
def _world(seed: str) -> Picture:
    """Return the brightness of the world, uint8[4096, 4096], 8 fine pixels to a pixel.

    The last one is kept, 16 MiB: the cameras of a take are rendered one after the other.
    """
    octaves = [
        contrast * _spots(seed, spot_px) for spot_px, contrast in zip(_SPOT_PX, _SPOT_CONTRAST, strict=True)
    ]
    height: NDArray[np.int64] = np.sum(octaves, axis=0)
    least, most = int(height.min()), int(height.max())
    coarse = ((height - least) * 255 // (most - least)).astype(np.uint16)
    rows = _between(coarse, np.roll(coarse, -1, axis=0), axis=1).reshape(-1, _WORLD_PX)
    fine = _between(rows, np.roll(rows, -1, axis=1), axis=2)
    fine >>= _FINE_BITS  # the weights of both axes add up to 64
    world = fine.astype(np.uint8).reshape(len(rows), -1)
    world.flags.writeable = False
    return world


def _spots(seed: str, spot_px: int) -> NDArray[np.int64]:
    """Return value noise int64[512, 512] of one spot size, smooth to the second derivative."""
    count = _WORLD_PX // spot_px
    grid = generator(seed, "world", spot_px).integers(0, 1 << 16, (count, count))
    return _spline(_spline(grid, spot_px).T, spot_px).T


def _spline(grid: NDArray[np.int64], spot_px: int) -> NDArray[np.int64]:
    """Blend rows int64[n, m] to int64[n * spot_px, m] by uniform cubic B-splines, around the torus."""
    step, size = np.arange(spot_px)[:, None], spot_px
    weights = (
        (size - step) ** 3,
        3 * step**3 - 6 * step**2 * size + 4 * size**3,
        -3 * step**3 + 3 * step**2 * size + 3 * step * size**2 + size**3,
        step**3,
    )
    rows = [np.roll(grid, 1 - place, axis=0)[:, None, :] for place in range(4)]
    blended: NDArray[np.int64] = np.sum(
        [weight[None] * row for weight, row in zip(weights, rows, strict=True)], axis=0
    )
    return (blended // (6 * size**3)).reshape(-1, grid.shape[1])


def _between(here: NDArray[np.uint16], after: NDArray[np.uint16], axis: int) -> NDArray[np.uint16]:
    """Return 8 steps from each value of [n, m] towards the one after it, along a new `axis`, times 8."""
    step = np.arange(_FINE, dtype=np.uint16)
    step = np.expand_dims(step, (0, 3 - axis))
    fine = (np.uint16(_FINE) - step) * np.expand_dims(here, axis)
    fine += step * np.expand_dims(after, axis)
    return fine


def _still_person(width_px: int, height_px: int, seed: str, tint: Tint | None) -> Picture:
    """Return the background, dim, with head and trunk before it: what never moves."""
    world, colours = _world(seed), _palette(seed, tint, brightest=150)
    columns = _place(np.arange(width_px, dtype=np.float64))
    rows = _place(np.arange(height_px, dtype=np.float64))
    east, south = np.meshgrid(columns, rows)
    picture = _look_up(world, colours, east, south)
    short_px = min(width_px, height_px)
    for y, radius in ((-0.22, 0.07), (-0.06, 0.1), (0.06, 0.1), (0.18, 0.1)):
        _draw_disc(picture, width_px / 2, height_px / 2 + y * short_px, radius * short_px)
    return picture


def _draw_disc(picture: Picture, x_px: float, y_px: float, radius_px: float) -> None:
    """Draw a bright disc with a soft edge, so that it can move by parts of a pixel."""
    reach = int(radius_px) + 2
    top, left = max(0, int(y_px) - reach), max(0, int(x_px) - reach)
    patch = picture[top : int(y_px) + reach + 1, left : int(x_px) + reach + 1]
    rows, columns = np.ogrid[top : top + patch.shape[0], left : left + patch.shape[1]]
    cover = np.clip(radius_px + 0.5 - np.hypot(rows - y_px, columns - x_px), 0.0, 1.0)[:, :, None]
    patch[:] = (patch * (1 - cover) + np.array([240, 220, 200]) * cover).astype(np.uint8)
