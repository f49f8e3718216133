"""Emblems: what a generated picture shows of what its wearer does, a shape in a colour on a pane of grey glass.

The scene is seen through the pane, with half its contrast, and all colours are of one luma (BT.601). So an emblem is
in the colours alone: motion, brightness and freezes, which are measured on luma, stay those of the scene, also where
an emblem changes or stands still before a scene that moves. Everything is in whole numbers: the bytes do not depend
on the machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["COLOURS", "FULL", "SHAPES", "Emblem", "Place", "draw_emblem"]

Picture = NDArray[np.uint8]
Grid = NDArray[np.int64]
Place = Literal["hands", "beside"]

FULL = 16
"""Opacity of an emblem that is not fading; 0 leaves the pane bare."""

COLOURS: Mapping[str, tuple[int, int, int]] = MappingProxyType(
    {
        "red": (252, 68, 62),
        "gold": (184, 113, 4),
        "green": (0, 190, 82),
        "teal": (0, 156, 255),
        "blue": (104, 105, 255),
        "magenta": (226, 44, 250),
    }
)
_GREY = 122
_LUMA_PER_MILLE = np.array([299, 587, 114])

# Side of the pane and its place (left, top), in thousandths of the picture's short side, from the picture's middle.
_SIDE = {"hands": 320, "beside": 290}
_LEFT = {"hands": -160, "beside": 185}
_MARGIN = 20
_SAMPLES = 4
_MOST = FULL * _SAMPLES**2
# A pane reaches from -1000 to 1000 both ways, and is thinner from 600 on.
_EDGE = 400


def _disc(x: Grid, y: Grid) -> NDArray[np.bool_]:
    return x * x + y * y < 720**2


def _ring(x: Grid, y: Grid) -> NDArray[np.bool_]:
    return _disc(x, y) & (x * x + y * y > 400**2)


def _square(x: Grid, y: Grid) -> NDArray[np.bool_]:
    return np.maximum(abs(x), abs(y)) < 620


def _diamond(x: Grid, y: Grid) -> NDArray[np.bool_]:
    return abs(x) + abs(y) < 820


def _triangle(x: Grid, y: Grid) -> NDArray[np.bool_]:
    return (y < 620) & (2 * abs(x) < y + 800)


def _plus(x: Grid, y: Grid) -> NDArray[np.bool_]:
    return (np.minimum(abs(x), abs(y)) < 230) & (np.maximum(abs(x), abs(y)) < 760)


def _bars(x: Grid, y: Grid) -> NDArray[np.bool_]:
    return (abs(y) < 700) & (abs(abs(x) - 430) < 230)


def _steps(x: Grid, y: Grid) -> NDArray[np.bool_]:
    return (abs(x) < 700) & (abs(abs(y) - 430) < 230)


SHAPES: Mapping[str, Callable[[Grid, Grid], NDArray[np.bool_]]] = MappingProxyType(
    {
        "disc": _disc,
        "ring": _ring,
        "square": _square,
        "diamond": _diamond,
        "triangle": _triangle,
        "plus": _plus,
        "bars": _bars,
        "steps": _steps,
    }
)


@dataclass(frozen=True, slots=True)
class Emblem:
    """A shape of `SHAPES` in a colour of `COLOURS`."""

    shape: str
    colour: str

    def __str__(self) -> str:
        return f"{self.colour} {self.shape}"


def draw_emblem(picture: Picture, emblem: Emblem | None, opacity: int, place: Place) -> None:
    """Draw the pane into `picture` uint8[H, W, 3], and on it `emblem` with an opacity of up to `FULL`.

    It is at the bottom's middle, as if held in the `hands` (10 % of a square picture), or to the right of a person's
    head, `beside` them (8 %): in both cases inside the square that a centre crop leaves.
    """
    height_px, width_px = picture.shape[:2]
    short_px = min(width_px, height_px)
    side_px = short_px * _SIDE[place] // 1000
    left_px = width_px // 2 + short_px * _LEFT[place] // 1000
    margin_px = short_px * _MARGIN // 1000
    top_px = height_px - margin_px - side_px if place == "hands" else (height_px - short_px) // 2 + margin_px
    patch = picture[top_px : top_px + side_px, left_px : left_px + side_px]
    luma = patch.astype(np.int64) @ _LUMA_PER_MILLE // 1000
    grey = (luma + _GREY)[:, :, None] // 2
    drawn = patch + (grey - patch) * _pane_cover(side_px)[:, :, None] // _MOST
    if emblem is not None:
        tone = np.array(COLOURS[emblem.colour]) - _GREY
        drawn += tone * _shape_cover(emblem.shape, side_px)[:, :, None] * opacity // (_MOST * FULL)
    patch[:] = np.clip(drawn, 0, 255)


@cache
def _pane_cover(side_px: int) -> Grid:
    """Return how much of each pixel the pane covers; a hard edge that stands still would be seen as no motion."""
    x, y = _places(side_px)
    over = np.maximum(np.stack([abs(x), abs(y)]) - (1000 - _EDGE), 0)
    return _pixels(np.maximum(0, FULL - (over**2).sum(axis=0) * FULL // _EDGE**2))


@cache
def _shape_cover(shape: str, side_px: int) -> Grid:
    return _pixels(SHAPES[shape](*_places(side_px)) * np.int64(FULL))


def _places(side_px: int) -> tuple[Grid, Grid]:
    """Return x and y of 4 by 4 places in each pixel, int64[4n, 4n]."""
    count = side_px * _SAMPLES
    places = (2 * np.arange(count) + 1) * 1000 // count - 1000
    x, y = np.broadcast_arrays(places[None], places[:, None])
    return x, y


def _pixels(cover: Grid) -> Grid:
    """Sum int64[4n, 4n] over the places of each pixel, to int64[n, n]."""
    side_px = len(cover) // _SAMPLES
    summed: Grid = cover.reshape(side_px, _SAMPLES, side_px, _SAMPLES).sum(axis=(1, 3))
    return summed
