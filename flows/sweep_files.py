"""The files of a sweep that are to look at: the page and an SVG of each score."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from sensorloom.flows.page_files import resources
from sensorloom.flows.pages.curves import svg_file
from sensorloom.flows.pages.sweep import render_sweep, sweep_curve
from sensorloom.flows.replacing import replacing
from sensorloom.flows.sweep_report import SweepReport, means, shown_scores

__all__ = ["SweepPaths", "write_sweep_files"]


@dataclass(frozen=True, slots=True)
class SweepPaths:
    """Where the page and the curves lie."""

    page: Path
    curves: tuple[Path, ...]


def write_sweep_files(report: SweepReport, directory: Path) -> SweepPaths:
    """Write `index.html` and `curve-SCORE.svg` into `directory`, in the place of what an earlier call left there."""
    style, script = resources()
    directory.mkdir(parents=True, exist_ok=True)
    for old in directory.glob("curve-*.svg"):
        old.unlink()
    page = directory / "index.html"
    _write(page, render_sweep(report, style=style, script=script))
    found, curves = means(report), []
    for score in shown_scores(report):
        curves.append(directory / f"curve-{_slug(score)}.svg")
        _write(curves[-1], svg_file(sweep_curve(report, score, found)))
    return SweepPaths(page, tuple(curves))


def _slug(score: str) -> str:
    """Return a score as part of a file's name: `imu → text R@10` is `imu-to-text-r10`."""
    return re.sub(r"[^a-z0-9]+", "-", score.lower().replace("→", "to").replace("@", "")).strip("-")


def _write(path: Path, text: str) -> None:
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")
