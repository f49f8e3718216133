"""The files of a reproduction that are to look at: the page and an SVG of each curve."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sensorloom.flows.curve_files import write_curves
from sensorloom.flows.page_files import resources
from sensorloom.flows.pages.reproduce import render_reproduced, reproduced_curves
from sensorloom.flows.reproduction.reproduce import Reproduced
from sensorloom.training.replacing import write_whole

__all__ = ["write_reproduced"]


def write_reproduced(report: Reproduced, directory: Path, earlier: Iterable[str] = ()) -> Path:
    """Write `index.html` and `curve-….svg` into `directory`, in the place of the `earlier` curves; return the page."""
    style, script = resources()
    directory.mkdir(parents=True, exist_ok=True)
    write_curves(directory, reproduced_curves(report), earlier)
    page = directory / "index.html"
    write_whole(page, render_reproduced(report, style=style, script=script))
    return page
