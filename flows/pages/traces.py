"""Signals of one window, three axes a sensor, one sensor below the other; parts without measurement are shaded."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from sensorloom.flows.audit.report_windows import Trace
from sensorloom.flows.pages.html import Html, tag
from sensorloom.flows.pages.scale import Scale, coordinate, ticks
from sensorloom.flows.pages.words import minus

__all__ = ["time_axis", "traces"]

_WIDTH, _HEIGHT, _ROOM = 500, 60, 3
_AXES = ("x", "y", "z")


def traces(shown: Sequence[Trace], start_s: float, stop_s: float) -> Html:
    """Draw every sensor over [start_s, stop_s) with one axis of time below them all."""
    time = Scale(start_s, stop_s)
    drawn = [tag("div", _name(trace), _plot(trace, time), class_="trace") for trace in shown]
    return tag("div", *drawn, time_axis(time, start_s), class_="traces")


def time_axis(time: Scale, origin_s: float) -> Html:
    """Draw the seconds since `origin_s` below plots that share them."""
    since = Scale(time.low - origin_s, time.high - origin_s)
    marks = [
        tag("text", f"{mark:g}", x=since.percent(mark), y=11, class_="tick", text_anchor="middle")
        for mark in ticks(since, 8)
        if 0.02 < since.share(mark) < 0.95
    ]
    unit = tag("text", "s", x="100%", y=11, class_="tick", text_anchor="end")
    return tag("svg", *marks, unit, class_="scale", aria_hidden="true")


def _name(trace: Trace) -> Html:
    """Return what stands above a plot: whose signal, over which range."""
    low, high = _range(trace)
    span = f"{_short(low)} to {_short(high)} {trace.unit}"
    return tag("p", tag("b", trace.position), " ", trace.kind.replace("_", " "), tag("small", span))


def _plot(trace: Trace, time: Scale) -> Html:
    gaps = [
        tag(
            "rect",
            x=coordinate(_WIDTH * time.share(start)),
            y=0,
            width=coordinate(max(1.0, _WIDTH * (time.share(stop) - time.share(start)))),
            height=_HEIGHT,
            class_="invalid",
        )
        for start, stop in trace.invalid
    ]
    scale = Scale(*_range(trace))
    lines = [
        tag("path", d=_path(trace, values, time, scale), class_=f"axis-{name}")
        for name, values in zip(_AXES, trace.values, strict=False)
    ]
    return tag(
        "svg",
        *gaps,
        *lines,
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        preserveAspectRatio="none",
        role="img",
        aria_label=_said(trace),
    )


def _path(trace: Trace, values: Sequence[float], time: Scale, scale: Scale) -> str:
    """Return the path of one axis in whole units of the drawing, lifted over what holds no measurement."""
    parts: list[str] = []
    before: tuple[int, int] | None = None
    for index, value in enumerate(values):
        place_s = trace.start_s + index * trace.step_s
        if not isfinite(value) or any(start <= place_s < stop for start, stop in trace.invalid):
            before = None
            continue
        x = round(_WIDTH * time.share(place_s))
        y = round(_HEIGHT - _ROOM - (_HEIGHT - 2 * _ROOM) * scale.share(value))
        parts.append(f"M{x} {y}" if before is None else f"l{x - before[0]} {y - before[1]}")
        before = (x, y)
    # A point alone would not be seen.
    return "".join(parts) + ("h1" if parts and parts[-1][0] == "M" else "")


def _range(trace: Trace) -> tuple[float, float]:
    """Return the lowest and highest measured value, never equal."""
    valid = [
        value
        for axis in trace.values
        for index, value in enumerate(axis)
        if isfinite(value)
        and not any(start <= trace.start_s + index * trace.step_s < stop for start, stop in trace.invalid)
    ]
    low, high = min(valid, default=0.0), max(valid, default=0.0)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _said(trace: Trace) -> str:
    lost = sum(stop - start for start, stop in trace.invalid)
    low, high = _range(trace)
    missing = f"; {lost:.2g} s without measurement" if lost > 0 else ""
    return (
        f"{trace.position} {trace.kind.replace('_', ' ')} over time,"
        f" {_short(low)} to {_short(high)} {trace.unit}{missing}"
    )


def _short(value: float) -> str:
    return minus(f"{value:.3g}")
