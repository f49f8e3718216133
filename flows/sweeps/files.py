"""The files of a sweep that are to look at: the page and an SVG of each score."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sensorloom.flows.curve_files import write_curves
from sensorloom.flows.page_files import resources
from sensorloom.flows.pages.sweep import render_sweep, sweep_curve
from sensorloom.flows.sweeps.report import SweepReport, means, shown_scores
from sensorloom.training.replacing import write_whole

__all__ = ["SweepPaths", "write_sweep_files"]


@dataclass(frozen=True, slots=True)
class SweepPaths:
    """Where the page and the curves lie."""

    page: Path
    curves: tuple[Path, ...]


def write_sweep_files(report: SweepReport, directory: Path, earlier: Iterable[str] = ()) -> SweepPaths:
    """Write `index.html` and `curve-SCORE.svg` into `directory`, in the place of the `earlier` curves."""
    style, script = resources()
    directory.mkdir(parents=True, exist_ok=True)
    page = directory / "index.html"
    write_whole(page, render_sweep(report, style=style, script=script))
    found = means(report)
    drawn = {score: sweep_curve(report, score, found) for score in shown_scores(report)}
    return SweepPaths(page, write_curves(directory, drawn, earlier))
