"""The files of a reproduction that are to look at: the page and an SVG of each curve."""

from __future__ import annotations

import re
from pathlib import Path

from sensorloom.flows.page_files import resources
from sensorloom.flows.pages.curves import svg_file
from sensorloom.flows.pages.reproduce import render_reproduced, reproduced_curves
from sensorloom.flows.replacing import replacing
from sensorloom.flows.reproduce import Reproduced

__all__ = ["write_reproduced"]


def write_reproduced(report: Reproduced, directory: Path) -> Path:
    """Write `index.html` and `curve-….svg` into `directory` and return the page."""
    style, script = resources()
    directory.mkdir(parents=True, exist_ok=True)
    for old in directory.glob("curve-*.svg"):
        old.unlink()
    for name, drawing in reproduced_curves(report).items():
        slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
        _write(directory / f"curve-{slug}.svg", svg_file(drawing))
    page = directory / "index.html"
    _write(page, render_reproduced(report, style=style, script=script))
    return page


def _write(path: Path, text: str) -> None:
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")
