"""A CLIP model small enough for a test, saved as open_clip saves models, with random weights."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import open_clip
import torch
from safetensors.torch import save_file

SIDE_PX = 48
DIM = 24
CONFIG = {
    "model_cfg": {
        "embed_dim": DIM,
        "vision_cfg": {"image_size": SIDE_PX, "layers": 2, "width": 64, "head_width": 32, "patch_size": 16},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
    },
    "preprocess_cfg": {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.25]},
}


def write_config(folder: Path, config: dict | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "open_clip_config.json").write_text(json.dumps(config or CONFIG), encoding="utf-8")
    return folder


def random_model(folder: Path, seed: int = 0) -> torch.nn.Module:
    """Return the model of the configuration in `folder`, in eval mode, with weights whose vectors differ well."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        logging.getLogger().addHandler(logging.NullHandler())
        model = open_clip.create_model(f"local-dir:{folder}", load_weights=False).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.05)
    return model


def write_model(folder: Path, seed: int = 0) -> torch.nn.Module:
    """Write a model to `folder`, and return it."""
    model = random_model(write_config(folder), seed)
    save_file(state_of(model), folder / "open_clip_model.safetensors")
    return model


def state_of(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone().contiguous() for name, value in model.state_dict().items()}
