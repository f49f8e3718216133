"""Configurations as flat `key=value` settings: checked field by field, changed by texts. Pure."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, replace
from types import MappingProxyType
from typing import Any, TypeVar, get_args, get_type_hints

from sensorloom.training.errors import RecipeError
from sensorloom.training.presets import preset_settings

__all__ = ["apply_settings", "check_config", "part"]

Config = TypeVar("Config", bound=Any)
_Rule = tuple[Callable[[Any], bool], str]

_KINDS: Mapping[type, str] = MappingProxyType(
    {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
)
_COUNT: _Rule = (lambda value: value >= 1, "at least 1")
_POSITIVE: _Rule = (lambda value: 0 < value < math.inf, "greater than 0 and finite")
_WEIGHT: _Rule = (lambda value: 0 <= value < math.inf, "at least 0 and finite")
_SHARE: _Rule = (lambda value: 0 <= value <= 1, "in [0, 1]")
_RULES: Mapping[str, _Rule] = MappingProxyType(
    {
        **dict.fromkeys(
            (
                *("epochs", "batch_size", "patch", "checkpoint_every", "keep_checkpoints", "queue_length"),
                "embedding_size",
            ),
            _COUNT,
        ),
        **dict.fromkeys(("learning_rate", "divisor"), _POSITIVE),
        **dict.fromkeys(
            (
                *("weight_decay", "clip_norm", "min_gap_s", "ss", "mm", "nn_imu", "nn_teacher"),
                *("semantic_weight", "local_weight", "term_norms_every", "final_weight_decay"),
            ),
            _WEIGHT,
        ),
        **dict.fromkeys(("imu_only", "semantic_ramp", "warmup"), _SHARE),
        "keep": (lambda value: 0 < value <= 1, "in (0, 1]"),
        "seed": (lambda value: 0 <= value < 2**64, "in [0, 2**64)"),
    }
)
"""What a setting of this name must hold, in whichever configuration it stands."""
_FIXED = "recipe"


def check_config(config: Any) -> None:
    """Raise RecipeError for a field of the wrong type, outside its range or of a choice that there is not."""
    hints = _kinds_of(config)
    for name, kind in hints.items():
        if kind in _KINDS:
            right = type(getattr(config, name)) in ((int, float) if kind is float else (kind,))
            _require(config, name, right, _KINDS[kind])
    for name in hints.keys() & _RULES.keys():
        holds, rule = _RULES[name]
        _require(config, name, holds(getattr(config, name)), rule)
    for name, kind in hints.items():
        choices = get_args(kind)
        if choices:
            _require(config, name, getattr(config, name) in choices, f"one of {', '.join(choices)}")


def apply_settings(config: Config, settings: Mapping[str, str]) -> Config:
    """Return `config` with each `key=value` of `settings` parsed to the key's type.

    Another `preset` first brings all of its settings [`presets`]. Raises RecipeError for an unknown key, naming the
    nearest one, for a value of the wrong type or range, and for a preset that the recipe has not.
    """
    hints = {name: kind for name, kind in _kinds_of(config).items() if name != _FIXED}
    parsed: dict[str, Any] = {}
    for key, text in settings.items():
        if key not in hints:
            near = difflib.get_close_matches(key, hints, n=1, cutoff=0.0)
            raise RecipeError(
                f"recipe {config.recipe} has no setting {key!r}; did you mean {near[0]!r}? "
                f"Known: {', '.join(hints)}"
            )
        parsed[key] = _parse(key, text, hints[key])
    preset = settings.get("preset", config.preset)
    chosen = preset_settings(config.recipe, preset) if preset != config.preset else {}
    return replace(config, **{**chosen, **parsed})


def part(key: str, text: str, known: Iterable[str]) -> tuple[str, ...]:
    """Return the names of a setting such as "text,video"; RecipeError unless they differ and are all known."""
    names = tuple(name.strip() for name in text.split(","))
    if len(set(names)) < len(names) or not set(names) <= set(known):
        raise RecipeError(f"{key} must be different ones of {','.join(known)}, got {text!r}")
    return names


def _kinds_of(config: Any) -> dict[str, Any]:
    hints = get_type_hints(type(config))
    return {item.name: hints[item.name] for item in fields(config)}


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


def _require(config: Any, name: str, holds: bool, rule: str) -> None:
    if not holds:
        raise RecipeError(f"{name} must be {rule}, got {getattr(config, name)!r}")
