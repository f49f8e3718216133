"""What is told of a CLIP model before it is loaded: its name, width, preprocessing and fingerprint."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from typing import Any, get_args

from sensorloom.embed.clip_source import ClipSource
from sensorloom.embed.encoder import EncoderSpec, Identity, Precision
from sensorloom.embed.errors import EncoderError
from sensorloom.embed.preprocess import Preprocess, ResizeMode

__all__ = ["check_same", "describe", "random_weights"]

_NORMALISATION = "L2 in float32, kept as float16"

# open_clip's own where a configuration says nothing (open_clip/transform.py, PreprocessCfg): those of OpenAI's CLIP.
_PREPROCESS: dict[str, Any] = {
    "mean": (0.48145466, 0.4578275, 0.40821073),
    "std": (0.26862954, 0.26130258, 0.27577711),
    "interpolation": "bicubic",
    "resize_mode": "shortest",
    "fill_color": 0,
}
_TOKENS = 77


def describe(spec: EncoderSpec, source: ClipSource, weights: str, tokenizer: str) -> Identity:
    """Return the identity of `source` as asked for by `spec`; `weights` and `tokenizer` tell of their bytes.

    Raises `EncoderError` for a precision or resize mode that is not known, or a configuration without sense.
    """
    if spec.precision not in get_args(Precision):
        raise EncoderError(
            f"precision {spec.precision!r} is not known; there are {', '.join(get_args(Precision))}"
        )
    own = _preprocess(source, None)
    preprocess = _preprocess(source, spec.mode)
    suffix = "" if spec.precision == "fp32" else f"-{spec.precision}"
    suffix += "" if preprocess.mode == own.mode else f"-{preprocess.mode}"
    return Identity(
        spec=spec,
        name=source.label + suffix,
        dim=_whole(source, source.architecture.get("embed_dim"), "embed_dim"),
        preprocess=preprocess,
        fingerprint={
            "weights": weights,
            "architecture": json.dumps(source.architecture, sort_keys=True, separators=(",", ":")),
            "preprocessing": json.loads(json.dumps(asdict(preprocess))),
            "precision": spec.precision,
            "normalisation": _NORMALISATION,
            "tokenizer": f"{tokenizer}, {_context_length(source)} tokens",
        },
    )


def check_same(found: Identity, identity: Identity) -> None:
    """Raise `EncoderError`, naming what differs, where an encoder `found` is not the one that was identified."""
    now, before = found.fingerprint, identity.fingerprint
    fields = sorted(field for field in now.keys() | before.keys() if now.get(field) != before.get(field))
    if fields:
        raise EncoderError(
            f"encoder {identity.name} is not what it was identified as:"
            f" {'; '.join(_difference(field, now.get(field), before.get(field)) for field in fields)}. Run the command"
            " again, with the same files, torch and open_clip everywhere"
        )


def _difference(field: str, now: object, before: object) -> str:
    """Tell in which keys a field differs where it holds many, else from what to what."""
    if field == "architecture":
        now, before = json.loads(str(now)), json.loads(str(before))
    if not isinstance(now, Mapping) or not isinstance(before, Mapping):
        return f"{field} is {now}, was {before}"
    keys = sorted(key for key in now.keys() | before.keys() if now.get(key) != before.get(key))
    return f"{field} differs in {', '.join(keys)}"


def random_weights(seed: int) -> str:
    """Return what stands for the digest of random weights: all that they depend on."""
    return f"random, seed {seed}, torch {version('torch')}, open_clip {version('open_clip_torch')}"


def _preprocess(source: ClipSource, mode: ResizeMode | None) -> Preprocess:
    given = _PREPROCESS | {key: value for key, value in source.preprocess.items() if value is not None}
    chosen = mode or given["resize_mode"]
    if chosen not in get_args(ResizeMode):
        raise EncoderError(
            f"{source.label}: resize mode {chosen!r} is not known; there are {', '.join(get_args(ResizeMode))}"
        )
    if given["interpolation"] not in ("bicubic", "bilinear"):
        raise EncoderError(
            f"{source.label}: interpolation {given['interpolation']!r} is not known; there are bicubic, bilinear"
        )
    height_px, width_px = _size(source)
    return Preprocess(
        height_px=height_px,
        width_px=width_px,
        mode=chosen,
        interpolation=given["interpolation"],
        mean=_colours(source, given["mean"], "mean"),
        std=_colours(source, given["std"], "std"),
        fill=_fill(source, given["fill_color"]),
    )


def _size(source: ClipSource) -> tuple[int, int]:
    """Return height and width of the tower's pictures in pixels: the tower's own, as open_clip takes them."""
    vision = source.architecture.get("vision_cfg")
    size = vision.get("image_size", 224) if isinstance(vision, Mapping) else None
    sides = size if isinstance(size, list) and len(size) == 2 else [size, size]
    height_px, width_px = (_whole(source, side, "vision_cfg.image_size") for side in sides)
    return height_px, width_px


def _whole(source: ClipSource, value: object, key: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= 65_536:
        raise EncoderError(
            f"{source.label}: {key} of its model_cfg must be a whole number above 0, got {value!r}"
        )
    return value


def _colours(source: ClipSource, values: object, key: str) -> tuple[float, float, float]:
    if isinstance(values, (int, float)):
        values = (values,) * 3
    numbers = list(values) if isinstance(values, (list, tuple)) else []
    if len(numbers) != 3 or not all(isinstance(number, (int, float)) for number in numbers):
        raise EncoderError(
            f"{source.label}: {key} of its preprocess_cfg must be three numbers, got {values!r}"
        )
    red, green, blue = map(float, numbers)
    if key == "std" and not min(red, green, blue) > 0:
        raise EncoderError(f"{source.label}: std of its preprocess_cfg must be above 0, got {values!r}")
    return red, green, blue


def _fill(source: ClipSource, value: object) -> int:
    if not isinstance(value, int) or not 0 <= value <= 255:
        raise EncoderError(
            f"{source.label}: fill_color of its preprocess_cfg must be 0 to 255, got {value!r}"
        )
    return value


def _context_length(source: ClipSource) -> int:
    text = source.architecture.get("text_cfg")
    length = text.get("context_length", _TOKENS) if isinstance(text, Mapping) else None
    return _whole(source, length, "text_cfg.context_length")
