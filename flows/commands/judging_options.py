"""What the command line says of an evaluation, as values: `--protocols` and `--fit`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from sensorloom.flows.errors import ConfigError

if TYPE_CHECKING:
    from sensorloom.training.evaluation.classification import Tune

__all__ = ["chosen_protocols", "chosen_tune"]

_EVERYTHING = "all"
_FIT: Mapping[str, Callable[[str], float]] = MappingProxyType(
    {"learning_rate": float, "weight_decay": float, "batch_size": int, "epochs": int}
)


def chosen_protocols(text: str) -> tuple[str, ...]:
    """Return the protocols of `A,B`, each once: all for `all`, the usual ones for nothing.

    Raises ConfigError for a name that nobody knows.
    """
    from sensorloom.training.evaluation.judging import ALL, USUAL

    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if names == (_EVERYTHING,):
        return ALL
    unknown = [name for name in names if name not in ALL]
    if unknown:
        near = get_close_matches(unknown[0], ALL, 1)
        hint = f"did you mean {near[0]}? Known" if near else "known"
        raise ConfigError(
            f"--protocols {text}: unknown protocols: {', '.join(unknown)}; {hint}: {', '.join(ALL)}, "
            f"or {_EVERYTHING} alone"
        )
    return names or USUAL


def chosen_tune(settings: Sequence[str]) -> Tune | None:
    """Return what changes the settings of each fit by `key=value`s. Raises ConfigError for another key or value."""
    changes: dict[str, Any] = {}
    for setting in settings:
        key, _, text = setting.partition("=")
        if key not in _FIT:
            raise ConfigError(f"--fit {setting}: no such setting of a fit; known: {', '.join(_FIT)}")
        try:
            changes[key] = _FIT[key](text)
        except ValueError as error:
            kind = "a whole number" if _FIT[key] is int else "a number"
            raise ConfigError(f"--fit {setting}: {key} must be {kind}, got {text!r}") from error
    return (lambda fit: replace(fit, **changes)) if changes else None
