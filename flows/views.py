"""From the name of a view and the configuration to its recipe."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sensorloom.align.named_views import VIEWS
from sensorloom.align.stage import STAGE as INGEST
from sensorloom.align.view import View
from sensorloom.flows.config import Config
from sensorloom.flows.errors import ConfigError
from sensorloom.ingest.reader import get_reader

__all__ = ["resolve_view"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def resolve_view(name: str, config: Config) -> View:
    """Return the recipe of view `name` with the changes that `[views.<name>]` makes to it.

    A new name defines a view when it gives `datasets` and `positions`. Raises `ConfigError` for a name that is
    neither known nor defined or cannot name tables, and for values that no view can have.
    """
    changes = config.views[name].model_dump(exclude_none=True) if name in config.views else {}
    changes = {key: tuple(value) if isinstance(value, list) else value for key, value in changes.items()}
    lacking = {"datasets", "positions"} - changes.keys()
    if name not in VIEWS and lacking:
        if name in config.views:
            raise ConfigError(
                f"[views.{name}] defines a new view, so it needs {' and '.join(sorted(lacking))} too"
            )
        raise ConfigError(_unknown(name, config))
    # The findings of view v lie under `v.<bucket>`, those of ingest under `ingest.<bucket>`.
    if name == INGEST or not _NAME.fullmatch(name):
        raise ConfigError(
            f"a view cannot be called {name!r}: its name is letters, digits, _ and -, begins with a letter or digit,"
            f" and is not {INGEST!r}, which is the name of a stage"
        )
    try:
        view = _changed(VIEWS[name], changes) if name in VIEWS else _defined(name, changes)
    except ValueError as error:
        raise ConfigError(f"[views.{name}] {error}") from error
    if "label_source" in changes and not view.classes:
        raise ConfigError(
            f"[views.{name}] label_source = {view.label_source!r} says where labels come from, and classes, which ones"
            " give windows, is missing"
        )
    _check_positions(view)
    return view


def _changed(view: View, changes: Mapping[str, Any]) -> View:
    """Return a named view with changes; one of the length alone keeps how much windows overlap."""
    if "length_s" in changes and "stride_s" not in changes:
        changes = {**changes, "stride_s": round(changes["length_s"] * view.stride_s / view.length_s, 6)}
    return replace(view, **changes)


def _defined(name: str, changes: Mapping[str, Any]) -> View:
    """Return a view of the user's own; its windows stand end to end unless a stride is given."""
    if "length_s" in changes and "stride_s" not in changes:
        changes = {**changes, "stride_s": changes["length_s"]}
    return View(**{"name": name, "classes": (), **changes})


def _check_positions(view: View) -> None:
    known = {position for dataset in view.datasets for position in get_reader(dataset).positions}
    for position in view.positions:
        if position not in known:
            raise ConfigError(
                f"[views.{view.name}] {' and '.join(view.datasets)} has no position {position!r};"
                f" known: {', '.join(sorted(known))}"
            )


def _unknown(name: str, config: Config) -> str:
    known = sorted({*VIEWS, *config.views})
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    new = f"A new one needs [views.{name}] with datasets and positions."
    return f"unknown view {name!r}{hint} Known: {', '.join(known)}. {new}"
