"""The page of a query: its hits drawn from the streams of their takes, with frames where the raw videos are at hand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from sensorloom.align.timeline import SLOW_STEP_NS, MocapTrack, Quality
from sensorloom.flows.audit.load import load_take
from sensorloom.flows.audit.pictures import ToDraw, draw
from sensorloom.flows.audit.windows import WorstWindow
from sensorloom.flows.page_files import resources
from sensorloom.flows.pages.query import render_query
from sensorloom.flows.queries.facts import Answer, Form, Hit, HitPicture, Motion
from sensorloom.flows.queries.query import Searcher
from sensorloom.ingest.take import NS_PER_S

__all__ = ["draw_hits", "motion_of", "page_of_answer"]

MAX_DRAWN = 20
"""At most so many windows of an answer are drawn, the first; the others stand in its table alone."""
_POSE_DIGITS = 3
_NO_FORM = Form()


def page_of_answer(
    searcher: Searcher,
    answer: Answer | None,
    *,
    raw: Path | None = None,
    form: Form = _NO_FORM,
) -> str:
    """Return the page of an answer; frames are decoded where `raw`, the parent of the data sets' folders, is given.

    `form` is as `render_query` takes it.
    """
    style, script = resources()
    folder = files("sensorloom.flows.pages")
    own_style, own_script = (
        folder.joinpath(name).read_text(encoding="utf-8") for name in ("query.css", "query.js")
    )
    pictures = {} if answer is None else draw_hits(searcher, answer.hits[:MAX_DRAWN], raw)
    return render_query(answer, pictures, style=style + own_style, script=script + own_script, form=form)


def draw_hits(searcher: Searcher, hits: Sequence[Hit], raw: Path | None) -> dict[str, HitPicture]:
    """Return the hits drawn, by window; a take that was dropped since the view was built leaves its hits out."""
    repo, snapshot = searcher.repo, searcher.repo.resolve(searcher.view.snapshot_id)
    streams = repo.manifest(snapshot, "streams")
    of_take: dict[str, list[Hit]] = defaultdict(list)
    for hit in hits:
        of_take[hit.take_id].append(hit)
    pictures: dict[str, HitPicture] = {}
    for take_id, mine in of_take.items():
        shard = streams.get(take_id)
        if shard is None:
            continue
        aligned, _ = load_take(repo, shard, None)
        drawn = [_to_draw(searcher, hit) for hit in mine]
        for window, picture in zip(drawn, draw(aligned, drawn, raw), strict=True):
            start_ns = window.worst.start_ns
            motion = motion_of(aligned.mocap, start_ns, start_ns + window.worst.length_ns)
            pictures[picture.window_id] = HitPicture(picture, motion)
    return pictures


def _to_draw(searcher: Searcher, hit: Hit) -> ToDraw:
    row = searcher.windows.row(searcher.windows.number(hit.window_id))
    recipe: dict[str, Any] = searcher.windows.attribute("view") or {}
    length_ns = row["stop_ns"] - row["start_ns"]
    window = WorstWindow(searcher.view.view, row["start_ns"], length_ns, hit.score, (), {})
    return ToDraw(window, row, tuple(recipe.get("positions") or ()), bool(recipe.get("cameras")))


def motion_of(mocap: MocapTrack | None, start_ns: int, stop_ns: int) -> Motion | None:
    """Return the joints at each instant of mocap in `[start_ns, stop_ns)`; None where not one of them was seen."""
    if mocap is None:
        return None
    first, stop = (-((mocap.start_ns - at) // SLOW_STEP_NS) for at in (start_ns, stop_ns))
    rows = slice(max(0, first), max(0, stop))
    seen = np.asarray(mocap.quality[rows]) != Quality.INVALID
    if not seen.any():
        return None
    places = np.round(np.asarray(mocap.values[rows], np.float64), _POSE_DIGITS).tolist()
    frames = (
        tuple((x, y, z) if there else None for (x, y, z), there in zip(points, shown, strict=True))
        for points, shown in zip(places, seen.tolist(), strict=True)
    )
    return Motion(mocap.joints, SLOW_STEP_NS / NS_PER_S, tuple(frames))
