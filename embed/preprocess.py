"""What a picture goes through before a frozen image tower sees it, as open_clip prepares it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Preprocess", "ResizeBackend", "ResizeMode"]

ResizeMode = Literal["shortest", "longest", "squash"]
ResizeBackend = Literal["swscale", "pil"]


@dataclass(frozen=True, slots=True)
class Preprocess:
    """The preprocessing graph of one image tower.

    Pictures become `height_px` by `width_px`: by the short side and a centre crop (`shortest`), by the long side and
    padding with `fill` (`longest`), or out of proportion (`squash`). Then `(x / 255 - mean) / std` by colour.
    """

    height_px: int
    width_px: int
    mode: ResizeMode
    interpolation: Literal["bicubic", "bilinear"]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    fill: int = 0
