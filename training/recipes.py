"""Recipes: functions that return a frozen configuration, varied by `replace` or `--set key=value`.

Where the values come from: PRIMUS's "standard training" is AdamW, learning rate 1e-4, weight decay 1e-4,
batch 256, 20 epochs, a linear warm-up over max(steps / 100, 10) steps and then a cosine to 0, all parameters
of a randomly initialised encoder with a linear head; AURA's fine-tuning is AdamW (amsgrad) 5e-5, weight decay
1e-3, batch 1024, 100 epochs, best epoch by validation macro-F1. From the former are the optimiser, weight
decay, epochs and schedule here, from the latter the choice of the best epoch. **Ours** are the learning rate
1e-3 and the batch of 8: at 1e-4 and 256 the hundred windows of a generated miniature give twenty small steps
and nothing is learned. Ours too are the clipping of gradients at norm 1 and, following the papers' text and
not their code, a GRU over time and a Transformer with skip connections. For PRIMUS's own: `--set
learning_rate=1e-4 --set batch_size=256 --set clip_norm=0`.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any, Literal, get_args, get_type_hints

from sensorloom.training.errors import RecipeError
from sensorloom.training.models.cnn_gru import GruAxis

__all__ = [
    "RECIPES",
    "EncoderName",
    "TrainConfig",
    "apply_settings",
    "config_from_json",
    "make_recipe",
    "standard_crossl_pamap2",
    "standard_pamap2",
    "standard_realworld",
]

EncoderName = Literal["cnn-gru", "transformer"]
TransformerName = Literal["SS", "S", "B", "L"]
Weighting = Literal["none", "balanced"]
_KINDS: Mapping[type, str] = MappingProxyType(
    {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """Everything that decides the numbers of a supervised run, but for the data itself."""

    recipe: str
    view: str
    encoder: EncoderName = "cnn-gru"
    gru_axis: GruAxis = "time"
    """`channel` runs the GRU over channels, as the published code of PRIMUS and IMU2CLIP does."""
    transformer_size: TransformerName = "SS"
    patch: int = 8
    """Samples per Transformer patch; must divide the window."""
    residual: bool = True
    """`False` leaves out the Transformer's skip connections, as AURA's published code does."""
    class_weights: Weighting = "none"
    """`balanced` weights classes by the inverse of their share of the training split."""
    epochs: int = 20
    batch_size: int = 8
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    clip_norm: float = 1.0
    """Largest norm of the whole gradient; 0 leaves gradients as they are."""
    seed: int = 0
    train_split: str = "train"
    val_split: str = "val"
    snapshot: str = "main"
    device: str = "auto"
    """`auto` takes the first CUDA device if there is one, else the CPU."""
    checkpoint_every: int = 200
    """Steps between checkpoints, besides the one after every epoch."""
    keep_checkpoints: int = 2

    def __post_init__(self) -> None:
        hints = get_type_hints(TrainConfig)
        for name, kind in hints.items():
            if kind in _KINDS:
                right = type(getattr(self, name)) in ((int, float) if kind is float else (kind,))
                _require(self, name, right, _KINDS[kind])
        for name in ("epochs", "batch_size", "patch", "checkpoint_every", "keep_checkpoints"):
            _require(self, name, getattr(self, name) >= 1, "at least 1")
        _require(self, "learning_rate", 0 < self.learning_rate < math.inf, "greater than 0 and finite")
        for name in ("weight_decay", "clip_norm"):
            _require(self, name, 0 <= getattr(self, name) < math.inf, "at least 0 and finite")
        _require(self, "seed", 0 <= self.seed < 2**64, "in [0, 2**64)")
        for name, kind in hints.items():
            choices = get_args(kind)
            if choices:
                _require(self, name, getattr(self, name) in choices, f"one of {', '.join(choices)}")


def standard_pamap2() -> TrainConfig:
    """Train from scratch on 5 s of the chest sensor, 18 PAMAP2 activities (AURA's Table 4, random rows)."""
    return TrainConfig(recipe="standard-pamap2", view="har-pamap2")


def standard_realworld() -> TrainConfig:
    """Train from scratch on 5 s of the head sensor, 8 REALWORLD activities (PRIMUS's setting)."""
    return TrainConfig(recipe="standard-realworld", view="har-realworld")


def standard_crossl_pamap2() -> TrainConfig:
    """Train from scratch on 5.12 s of hand, ankle and chest, 12 PAMAP2 activities (CroSSL's windows)."""
    return TrainConfig(recipe="standard-crossl-pamap2", view="crossl-pamap2")


RECIPES: Mapping[str, Callable[[], TrainConfig]] = MappingProxyType(
    {
        "standard-pamap2": standard_pamap2,
        "standard-realworld": standard_realworld,
        "standard-crossl-pamap2": standard_crossl_pamap2,
    }
)


def make_recipe(name: str) -> TrainConfig:
    """Return the configuration of a recipe; raises RecipeError that lists the known ones."""
    if name not in RECIPES:
        raise RecipeError(f"unknown recipe {name!r}; known: {', '.join(RECIPES)}")
    return RECIPES[name]()


def apply_settings(config: TrainConfig, settings: Mapping[str, str]) -> TrainConfig:
    """Return `config` with each `key=value` of `settings` parsed to the key's type.

    Raises RecipeError for an unknown key, naming the nearest one, and for a value of the wrong type or range.
    """
    hints = {name: kind for name, kind in get_type_hints(TrainConfig).items() if name != "recipe"}
    parsed: dict[str, Any] = {}
    for key, text in settings.items():
        if key not in hints:
            near = difflib.get_close_matches(key, hints, n=1, cutoff=0.0)
            raise RecipeError(
                f"recipe {config.recipe} has no setting {key!r}; did you mean {near[0]!r}? "
                f"Known: {', '.join(hints)}"
            )
        parsed[key] = _parse(key, text, hints[key])
    return replace(config, **parsed)


def config_from_json(record: Mapping[str, Any]) -> TrainConfig:
    """Rebuild a configuration from its JSON object; raises RecipeError for a wrong key, type or value."""
    names = {item.name for item in fields(TrainConfig)}
    if set(record) != names:
        odd = sorted(set(record) ^ names)
        raise RecipeError(
            f"a stored configuration must have exactly the known keys; missing or unknown: {odd}"
        )
    return TrainConfig(**record)


def _parse(key: str, text: str, kind: Any) -> Any:
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise RecipeError(f"{key} must be {_KINDS[bool]}, got {text!r}")
        return text.lower() == "true"
    if kind not in (int, float):
        return text
    try:
        return kind(text)
    except ValueError:
        raise RecipeError(f"{key} must be {_KINDS[kind]}, got {text!r}") from None


def _require(config: TrainConfig, name: str, holds: bool, rule: str) -> None:
    if not holds:
        raise RecipeError(f"{name} must be {rule}, got {getattr(config, name)!r}")
