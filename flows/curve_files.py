"""The SVG files of curves: how they are called, and which of an earlier call make room."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from sensorloom.flows.pages.curves import svg_file
from sensorloom.flows.pages.html import Html
from sensorloom.flows.slugs import slug
from sensorloom.training.replacing import write_whole

__all__ = ["curve_name", "earlier_curves", "write_curves"]

_OURS = re.compile(r"curve-[a-z0-9-]*\.svg")


def curve_name(name: str) -> str:
    """Return the name of the file of the curve `name`."""
    return f"curve-{slug(name)}.svg"


def earlier_curves(facts: Path) -> tuple[str, ...]:
    """Return the names of the curves that the file `facts` tells of; nothing where it is not there or not readable."""
    try:
        names = json.loads(facts.read_text(encoding="utf-8"))["curves"]
        return tuple(name for name in names if _OURS.fullmatch(name))
    except (OSError, ValueError, LookupError, TypeError):
        return ()


def write_curves(directory: Path, drawn: Mapping[str, Html], earlier: Iterable[str]) -> tuple[Path, ...]:
    """Write each curve into `directory`, in the place of the `earlier` ones, and return the files."""
    for name in earlier:
        (directory / name).unlink(missing_ok=True)
    written = []
    for name, drawing in drawn.items():
        written.append(directory / curve_name(name))
        write_whole(written[-1], svg_file(drawing))
    return tuple(written)
