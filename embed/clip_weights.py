"""Weights files of CLIP models, read without running anything in them, in the layout of open_clip.

Three layouts are known: open_clip's own (that of OpenAI's CLIP); CLIP4Clip's, the same under `clip.` beside
temporal heads [ArrowLuo/CLIP4Clip, modules/modeling.py]; and that of a CLIPModel of transformers, as in
Searchium-ai/clip4clip-webvid150k [methods §1.2]. Which activation a model was trained with is in none of them, and
weights trained with QuickGELU fit a model without it and give other vectors. Those that OpenAI and CLIP4Clip saved
are known by what lies beside them; a CLIPModel's are not, and must be asked for by the name that ends in `-quickgelu`.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from sensorloom.embed.errors import EncoderError

__all__ = ["Checkpoint", "check_fits", "read_weights", "to_open_clip"]

_HEADS_OF_CLIP4CLIP = (
    "transformerClip.",
    "frame_position_embeddings.",
    "lstm_visual.",
    "cross.",
    "similarity_dense.",
)
# Beside the weights in OpenAI's archives; and what no vector depends on.
_NUMBERS_OF_OPENAI = {"input_resolution", "context_length", "vocab_size"}
_WITHOUT_EFFECT = re.compile(r"logit_scale|logit_bias|.*\.(num_batches_tracked|position_ids)")

_TOWERS = {"vision_model.": "visual.", "text_model.": ""}
_NAMES = {
    "embeddings.class_embedding": "class_embedding",
    "embeddings.patch_embedding.weight": "conv1.weight",
    "embeddings.position_embedding.weight": "positional_embedding",
    "embeddings.token_embedding.weight": "token_embedding.weight",
}
_PARTS = {
    "pre_layrnorm": "ln_pre",  # spelled so in transformers
    "post_layernorm": "ln_post",
    "final_layer_norm": "ln_final",
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}
_PROJECTIONS = {"visual_projection.weight": "visual.proj", "text_projection.weight": "text_projection"}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Tensors by name as a file has them, and whose they are where those are known to train with QuickGELU."""

    weights: Mapping[str, Tensor]
    quick_gelu_of: str | None


def read_weights(path: Path) -> Checkpoint:
    """Read the tensors of a `.safetensors` file, or of one that torch.save wrote, by name, on the CPU.

    A training checkpoint holds them under `state_dict`; the prefix `module.` of parallel training is dropped.
    Raises `EncoderError` for a file that would run code when read, is damaged, or holds no tensors by name.
    """
    held: object = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    if isinstance(held, Mapping) and isinstance(held.get("state_dict"), Mapping):
        held = held["state_dict"]
    if not isinstance(held, Mapping) or not held or not all(_is_weight(*item) for item in held.items()):
        raise EncoderError(f"{path}: holds no weights by name (a state dict), but {_kind(held)}")
    if all(name.startswith("module.") or name in _NUMBERS_OF_OPENAI for name in held):
        held = {name.removeprefix("module."): value for name, value in held.items()}
    weights = {name: value for name, value in held.items() if name not in _NUMBERS_OF_OPENAI}
    return Checkpoint(weights, _quick_gelu_of(list(held)))


def _quick_gelu_of(names: list[str]) -> str | None:
    if _NUMBERS_OF_OPENAI.issubset(names):
        return "OpenAI"
    is_clip4clip = any(name.startswith("clip.") for name in names)
    is_clip4clip &= any(name.startswith(_HEADS_OF_CLIP4CLIP) for name in names)
    return "CLIP4Clip" if is_clip4clip else None


def to_open_clip(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return `weights` under open_clip's names: those of CLIP4Clip and of transformers renamed, others as they are.

    Temporal heads of CLIP4Clip are left out: they join frames, which pooling does here [methods §1.2].
    """
    if any(name.startswith("clip.") for name in weights):
        kept = {name: value for name, value in weights.items() if not name.startswith(_HEADS_OF_CLIP4CLIP)}
        weights = {name.removeprefix("clip."): value for name, value in kept.items()}
    if any(name.startswith(tuple(_TOWERS)) for name in weights):
        return _from_transformers(weights)
    return dict(weights)


def check_fits(weights: Mapping[str, Tensor], model: Mapping[str, Tensor], path: Path, name: str) -> None:
    """Raise `EncoderError` unless `weights` has every tensor that vectors of `model` depend on, and no other."""
    expected, given = (
        {key for key in tensors if not _WITHOUT_EFFECT.fullmatch(key)} for tensors in (model, weights)
    )
    reshaped = [key for key in sorted(expected & given) if weights[key].shape != model[key].shape]
    shapes = [f"{key} {list(weights[key].shape)} instead of {list(model[key].shape)}" for key in reshaped]
    faults = [
        f"{len(keys)} {what} ({', '.join(keys[:3])}{', …' if len(keys) > 3 else ''})"
        for what, keys in (
            ("missing", sorted(expected - given)),
            ("not of this model", sorted(given - expected)),
            ("of another shape", shapes),
        )
        if keys
    ]
    if faults:
        raise EncoderError(
            f"{path}: is not a checkpoint of {name}: of {len(expected)} weights {'; '.join(faults)}; name the model"
            " that the file was trained as"
        )


def _read_safetensors(path: Path) -> object:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise EncoderError(f"{path}: is no sound safetensors file ({error}); fetch it again") from error


def _read_torch(path: Path) -> object:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise EncoderError(
            f"{path}: holds more than tensors, and reading that could run any code ({_first_line(error)}); nothing of"
            " it was run. Ask its author for .safetensors, or save its state dict alone"
        ) from error
    except Exception as error:  # a damaged file makes torch.load raise nearly anything
        if "TorchScript" in str(error):
            raise EncoderError(
                f"{path}: is a TorchScript archive, a program with weights, which is not run here. OpenAI publishes"
                ' such files: ask for the tag openai (pretrained = "openai"), or give the'
                " open_clip_model.safetensors of the same model"
            ) from error
        raise EncoderError(
            f"{path}: is no sound file of torch.save ({type(error).__name__}: {_first_line(error)}); fetch it again"
        ) from error


def _is_weight(name: object, value: object) -> bool:
    return isinstance(name, str) and (isinstance(value, Tensor) or name in _NUMBERS_OF_OPENAI)


def _kind(held: object) -> str:
    if not isinstance(held, Mapping):
        return f"a {type(held).__name__}"
    return f"a dictionary of {', '.join(map(repr, list(held)[:4]))}" if held else "nothing"


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:200]


def _from_transformers(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the weights of a CLIPModel: queries, keys and values are joined, projections transposed."""
    converted: dict[str, Tensor] = {}
    for name, value in weights.items():
        if name in _PROJECTIONS:
            converted[_PROJECTIONS[name]] = value.T
        elif ".self_attn.q_proj." in name:
            parts = [weights.get(name.replace(".q_proj.", f".{part}_proj.")) for part in "qkv"]
            if all(part is not None for part in parts):
                converted[_renamed(name)] = torch.cat([part for part in parts if part is not None])
        elif not re.search(r"\.self_attn\.[kv]_proj\.", name):
            converted[_renamed(name)] = value
    return converted


def _renamed(name: str) -> str:
    """Return open_clip's name for one of transformers', or the name itself where it is not known."""
    tower = next((tower for tower in _TOWERS if name.startswith(tower)), None)
    if tower is None:
        return name
    part = name.removeprefix(tower)
    part = _NAMES.get(part, re.sub(r"^encoder\.layers\.", "transformer.resblocks.", part))
    part = re.sub(r"self_attn\.q_proj\.(weight|bias)$", r"attn.in_proj_\1", part)
    for old, new in _PARTS.items():
        part = re.sub(rf"(^|\.){re.escape(old)}\.", rf"\g<1>{new}.", part)
    return _TOWERS[tower] + part
