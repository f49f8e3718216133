"""The colours of generated places: a tint for the shadows and one for the lights of every scenario."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["TINTS", "Tint"]

Rgb = tuple[int, int, int]
Tint = tuple[Rgb, Rgb]
"""Hue of the shadows and of the lights; how bright they are is the scene's own."""

_RED, _ORANGE, _YELLOW, _LIME = (255, 96, 80), (255, 160, 60), (240, 225, 70), (160, 235, 70)
_GREEN, _TEAL, _SKY, _BLUE = (70, 230, 110), (60, 220, 205), (90, 180, 255), (110, 120, 255)
_VIOLET, _PINK, _GREY = (180, 100, 255), (255, 100, 195), (200, 200, 200)

# By the place of an Ego4D scenario, and by the parent task of an Ego-Exo4D take: as far apart as 16 pairs of these
# hues can be.
TINTS: Mapping[str, Tint] = MappingProxyType(
    {
        "kitchen": (_PINK, _YELLOW),
        "street": (_VIOLET, _BLUE),
        "workshop": (_ORANGE, _RED),
        "living room": (_RED, _PINK),
        "bedroom": (_ORANGE, _BLUE),
        "dining room": (_SKY, _RED),
        "field": (_YELLOW, _LIME),
        "studio": (_BLUE, _SKY),
        "garden": (_LIME, _GREEN),
        "building site": (_BLUE, _GREEN),
        "Bike Repair": (_SKY, _TEAL),
        "Cooking": (_BLUE, _LIME),
        "Dance": (_GREEN, _PINK),
        "Music": (_PINK, _VIOLET),
        "Basketball": (_YELLOW, _GREY),
        "Health": (_YELLOW, _SKY),
    }
)
