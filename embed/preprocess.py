"""What a picture goes through before a frozen image tower sees it, as open_clip prepares it.

The reference is open_clip's own transform (`open_clip.transform.image_transform`), which resizes with Pillow,
antialiased, and crops with torchvision: `to_tower(rgb, preprocess, "pil")` equals it byte for byte. The fast path lets
FFmpeg's swscale resize while it turns the stored planes into RGB, and crops by the same rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image

__all__ = [
    "Preprocess",
    "ResizeBackend",
    "ResizeMode",
    "choose_backend",
    "decode_px",
    "resize_fingerprint",
    "to_tower",
]

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


def choose_backend(preprocess: Preprocess, asked: ResizeBackend) -> ResizeBackend:
    """Return `asked`, or `pil` where swscale does not serve: it does square towers, bicubic, by the short side."""
    serves = (
        preprocess.mode == "shortest"
        and preprocess.interpolation == "bicubic"
        and preprocess.height_px == preprocess.width_px
    )
    return asked if serves else "pil"


def decode_px(preprocess: Preprocess, backend: ResizeBackend) -> int | None:
    """Return the short side at which frames are to be decoded for `to_tower`; None is full size."""
    return preprocess.height_px if backend == "swscale" else None


def to_tower(rgb: NDArray[np.uint8], preprocess: Preprocess, backend: ResizeBackend) -> NDArray[np.uint8]:
    """Return a decoded picture uint8[h, w, 3] as the tower sees it, uint8[H, W, 3], before mean and std.

    With `pil` the picture is the full frame. With `swscale` it was decoded at `decode_px` and is only cropped (a view);
    raises `ValueError` for one of another short side.
    """
    if backend == "pil":
        return _resized_by_pillow(rgb, preprocess)
    side_px = preprocess.height_px
    if min(rgb.shape[:2]) != side_px:
        raise ValueError(
            f"a picture of {rgb.shape[1]} by {rgb.shape[0]} px reached a tower of {side_px} px; decode it at a short"
            f" side of {side_px} px"
        )
    top, left = (_centred(side, side_px) for side in rgb.shape[:2])
    return rgb[top : top + side_px, left : left + side_px]


def resize_fingerprint(backend: ResizeBackend, preprocess: Preprocess) -> str:
    """Return what resizes the pictures, with its version: vectors depend on it."""
    if backend == "swscale":
        from sensorloom.ingest.video import scaler_version

        return f"swscale {preprocess.interpolation}, {scaler_version()}"
    from importlib.metadata import version

    return f"PIL {preprocess.interpolation}, Pillow {version('pillow')}"


def _resized_by_pillow(rgb: NDArray[np.uint8], preprocess: Preprocess) -> NDArray[np.uint8]:
    from PIL import Image

    picture = Image.fromarray(np.ascontiguousarray(rgb))
    target = (preprocess.height_px, preprocess.width_px)
    is_square = target[0] == target[1]
    # open_clip hands its interpolation on, but not for the short side of a tower that is not square: bicubic there.
    is_bilinear = preprocess.interpolation == "bilinear" and (preprocess.mode != "shortest" or is_square)
    height_px, width_px = _resized_px((picture.height, picture.width), target, preprocess.mode)
    if (width_px, height_px) != picture.size:
        method = Image.Resampling.BILINEAR if is_bilinear else Image.Resampling.BICUBIC
        picture = picture.resize((width_px, height_px), method)
    return np.asarray(_centred_picture(picture, target, preprocess.fill))


def _resized_px(size: tuple[int, int], target: tuple[int, int], mode: ResizeMode) -> tuple[int, int]:
    """Return height and width before the crop.

    [torchvision `Resize` for squares by the short side: the long side rounded down; open_clip `ResizeKeepRatio`
    otherwise: sides rounded to the nearest, halves to even]
    """
    if mode == "squash":
        return target
    if mode == "shortest" and target[0] == target[1]:
        short = min(size)
        return target[0] * size[0] // short, target[0] * size[1] // short
    ratios = [side / wanted for side, wanted in zip(size, target, strict=True)]
    ratio = max(ratios) if mode == "longest" else min(ratios)
    return round(size[0] / ratio), round(size[1] / ratio)


def _centred(side_px: int, crop_px: int) -> int:
    """Return where a centred crop begins: halves to even, as torchvision's `center_crop` rounds."""
    return round((side_px - crop_px) / 2)


def _centred_picture(picture: Image.Image, target: tuple[int, int], fill: int) -> Image.Image:
    """Return the centre of a picture, with borders of `fill` where it is smaller than `target` (height, width)."""
    from PIL import ImageOps

    height_px, width_px = target
    wide, high = max(0, width_px - picture.width), max(0, height_px - picture.height)
    if wide or high:
        border = (wide // 2, high // 2, (wide + 1) // 2, (high + 1) // 2)
        picture = ImageOps.expand(picture, border, (fill, fill, fill))
    left, top = _centred(picture.width, width_px), _centred(picture.height, height_px)
    return picture.crop((left, top, left + width_px, top + height_px))
