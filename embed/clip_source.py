"""Where a CLIP model comes from: its architecture, its preprocessing and its weights, none of them loaded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sensorloom.embed.clip_config import CONFIG_NAME, read_config
from sensorloom.embed.encoder import EncoderSpec
from sensorloom.embed.errors import EncoderError

__all__ = [
    "ClipSource",
    "folder_source",
    "is_path",
    "model_folder",
    "random_seed",
    "slug",
    "weights_file",
]

_GENERATED = Path(__file__).with_name("generated")
_LOCAL_DIR = "local-dir:"
_SUFFIXES = (".safetensors", ".bin", ".pt", ".pth")
# As open_clip names the files that it publishes, best first.
_PREFERRED = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
    "model.safetensors",
)


@dataclass(frozen=True, slots=True)
class ClipSource:
    """A CLIP model that was found.

    `model` is what open_clip builds it by, `architecture` its model_cfg, `preprocess` what differs from open_clip's
    default preprocessing; `weights` a file, or the seed of random weights. `label` becomes the encoder's name.
    """

    label: str
    model: str
    architecture: Mapping[str, Any]
    preprocess: Mapping[str, Any]
    weights: Path | int
    folder: Path | None = None


def model_folder(model: str) -> Path | None:
    """Return the folder that holds `model`, None for one that open_clip knows by name.

    Raises `EncoderError` where the folder, or its open_clip_config.json, is not there.
    """
    if model == "generated":
        if not (_GENERATED / CONFIG_NAME).is_file():
            raise EncoderError(
                f"{_GENERATED / CONFIG_NAME}: is not there: the model 'generated' was left out of this installation;"
                " install the package again, or name another model"
            )
        return _GENERATED
    if not model.startswith(_LOCAL_DIR):
        return None
    folder = Path(model.removeprefix(_LOCAL_DIR)).expanduser()
    if not folder.is_dir():
        raise EncoderError(f"{folder}: is no folder; local-dir: takes the folder of a model")
    if not (folder / CONFIG_NAME).is_file():
        raise EncoderError(
            f"{folder / CONFIG_NAME}: is not there; local-dir: takes a folder as open_clip saves it. For weights alone"
            " name their architecture as the model (ViT-B-32, …) and their file as pretrained"
        )
    return folder


def folder_source(spec: EncoderSpec, folder: Path) -> ClipSource:
    """Return the model of `folder`: with the weights beside its configuration, or those that `spec` names.

    Raises `EncoderError` where its configuration is broken, or names code or another place, or its weights are missing
    or not one file.
    """
    architecture, preprocess = read_config(folder)
    label = spec.model if spec.model == "generated" else f"{slug(folder.resolve().name)}.local"
    weights: Path | int
    if not spec.pretrained:
        weights = _weights_in(folder)
    else:
        seed = random_seed(spec.pretrained)
        label = f"{label.removesuffix('.local')}.{slug(_pretrained_label(spec.pretrained))}"
        weights = weights_file(spec.pretrained) if seed is None else seed
    return ClipSource(label, f"{_LOCAL_DIR}{folder}", architecture, preprocess, weights, folder)


def random_seed(pretrained: str) -> int | None:
    """Return the seed of `random[:SEED]`, 0 where none is given; None for anything else."""
    if pretrained.partition(":")[0] != "random":
        return None
    seed = re.fullmatch(r"random(?::(\d{1,9}))?", pretrained)
    if seed is None:
        raise EncoderError(
            f"pretrained {pretrained!r}: a seed is a whole number from 0 to 999999999: random:0"
        )
    return int(seed[1] or 0)


def is_path(pretrained: str) -> bool:
    """Tell whether `pretrained` is meant as a file rather than as a tag."""
    return "/" in pretrained or pretrained.endswith(_SUFFIXES) or Path(pretrained).is_file()


def weights_file(pretrained: str) -> Path:
    """Return the weights file `pretrained`, or raise `EncoderError` where there is none."""
    path = Path(pretrained).expanduser()
    if not path.is_file():
        raise EncoderError(f"{path}: there is no such weights file")
    return path


def slug(words: str) -> str:
    """Return `words` in lower-case letters, digits, dashes and underscores."""
    return re.sub(r"[^a-z0-9_]+", "-", words.lower()).strip("-") or "unnamed"


def _pretrained_label(pretrained: str) -> str:
    seed = random_seed(pretrained)
    return Path(pretrained).stem if seed is None else f"random-{seed}"


def _weights_in(folder: Path) -> Path:
    for name in _PREFERRED:
        if (folder / name).is_file():
            return folder / name
    found = sorted(path for path in folder.iterdir() if path.suffix in _SUFFIXES)
    if len(found) == 1:
        return found[0]
    named = ", ".join(path.name for path in found) or "none"
    raise EncoderError(
        f"{folder}: which file holds the weights? There should be one {_PREFERRED[0]} beside {CONFIG_NAME}; there"
        f" are: {named}. Name one as pretrained"
    )
