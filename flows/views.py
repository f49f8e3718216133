"""From the name of a view and the configuration to its recipe."""

from __future__ import annotations

import difflib
from dataclasses import replace

from sensorloom.align.view import VIEWS, View
from sensorloom.flows.config import Config
from sensorloom.flows.errors import ConfigError

__all__ = ["resolve_view"]

_GRID_RATE_HZ = 200


def resolve_view(name: str, config: Config) -> View:
    """Return the recipe of view `name` with the changes that `[views.<name>]` makes to it.

    A new name defines a view when it gives `datasets` and `positions`. Raises `ConfigError` for a name that is
    neither known nor defined, or a length that is no whole number of samples.
    """
    changes = config.views[name].model_dump(exclude_none=True) if name in config.views else {}
    changes = {key: tuple(value) if isinstance(value, list) else value for key, value in changes.items()}
    if name in VIEWS:
        view = replace(VIEWS[name], **changes)
    elif changes.keys() >= {"datasets", "positions"}:
        view = View(**{"name": name, "classes": (), **changes})
    else:
        raise ConfigError(_unknown(name, config))
    for field in ("length_s", "stride_s"):
        samples = getattr(view, field) * _GRID_RATE_HZ
        if abs(samples - round(samples)) > 1e-6:
            raise ConfigError(f"views.{name}.{field} = {getattr(view, field)} s is {samples:g} samples at 200 Hz; take a multiple of 5 ms")
    return view


def _unknown(name: str, config: Config) -> str:
    known = sorted({*VIEWS, *config.views})
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    return f"unknown view {name!r}{hint} Known: {', '.join(known)}. A new one needs [views.{name}] with datasets and positions."
