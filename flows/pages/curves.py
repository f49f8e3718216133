"""Curves with error bars as one SVG, drawn alike on a page and alone in a file.

Colours come from the style sheet by class; a file brings its own (`svg_file`). A line is told from another by its
marker and its dashes too, so that it needs no colour.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import isfinite, log10

from sensorloom.flows.pages.html import Html, concat, tag, verbatim
from sensorloom.flows.pages.scale import Scale, coordinate, ticks
from sensorloom.flows.pages.words import minus

__all__ = ["Line", "Point", "curves_svg", "svg_file"]

_WIDTH, _TOP, _BOTTOM, _LEFT, _RIGHT = 640, 34, 262, 58, 622
_LEGEND_TOP, _LEGEND_ROW, _LONG_NAME = 316, 19, 38
_MARK = 3.6
_KINDS = 8
_ROOM = 0.06
_NEAREST = 0.07  # of the axis' length between two numbers beside it


@dataclass(frozen=True, slots=True)
class Point:
    """A measured value; `error` is half the length of its bar, in units of y."""

    x: float
    y: float
    error: float = 0.0


@dataclass(frozen=True, slots=True)
class Line:
    """Points under one name; they are drawn in the order of x, those that are not finite left out."""

    name: str
    points: Sequence[Point]

    def drawn(self) -> list[Point]:
        """Return the finite points in the order of x; an error that is not finite is none."""
        finite = (point for point in self.points if isfinite(point.x) and isfinite(point.y))
        points = (Point(each.x, each.y, each.error if isfinite(each.error) else 0.0) for each in finite)
        return sorted(points, key=lambda point: point.x)


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where numbers stand in the drawing."""

    x: Scale
    y: Scale
    log_x: bool
    names: Sequence[str] | None

    def across(self, value: float) -> float:
        return _LEFT + (_RIGHT - _LEFT) * self.x.share(log10(value) if self.log_x else value)

    def up(self, value: float) -> float:
        return _BOTTOM - (_BOTTOM - _TOP) * self.y.share(value)


def curves_svg(
    lines: Sequence[Line],
    *,
    title: str,
    x_label: str,
    y_label: str,
    log_x: bool = False,
    chance: float | None = None,
    x_names: Sequence[str] | None = None,
) -> Html:
    """Draw `lines` over one pair of axes, with a dashed line at `chance` and a legend below.

    `x_names` are choices in the place of numbers: the x of a point is then the place of its choice, from 0, and points
    are not joined. Raises ValueError for an x of 0 or less on a logarithmic axis.
    """
    drawn = [line.drawn() for line in lines]
    if log_x and any(point.x <= 0 for points in drawn for point in points):
        raise ValueError(f"{title}: a logarithmic axis has no place for an x of 0 or less")
    frame = replace(_frame(drawn, log_x, chance), names=x_names)
    return tag(
        "svg",
        tag("text", title, x=_LEFT, y=18, class_="curves-title"),
        _y_axis(frame, y_label),
        _x_axis(frame, drawn, x_label),
        *([] if chance is None else [_chance(frame, chance)]),
        *(
            _line(frame, line.name, points, at)
            for at, (line, points) in enumerate(zip(lines, drawn, strict=True))
        ),
        *([] if any(drawn) else [_empty()]),
        _legend([line.name for line in lines]),
        class_="curves",
        viewBox=f"0 0 {_WIDTH} {_height(lines)}",
        role="img",
        aria_label=f"{title}: {y_label} over {x_label}",
    )


def svg_file(drawing: Html) -> str:
    """Return a drawing of `curves_svg` as the text of an SVG file with colours of its own."""
    size = drawing.partition('viewBox="')[2].partition('"')[0]
    paper = tag("rect", width="100%", height="100%", class_="paper")
    style = tag("style", verbatim(_STYLE))
    whole = tag("svg", style, paper, drawing, xmlns="http://www.w3.org/2000/svg", viewBox=size)
    return f"{whole}\n"


def _frame(drawn: Sequence[Sequence[Point]], log_x: bool, chance: float | None) -> _Frame:
    points = [point for each in drawn for point in each]
    across = [log10(point.x) if log_x else point.x for point in points]
    low, high = min(across, default=0.0), max(across, default=1.0)
    room = _ROOM * (high - low) or 0.5
    heights = [point.y + sign * point.error for point in points for sign in (-1, 1)]
    heights += [] if chance is None else [chance]
    return _Frame(Scale(low - room, high + room), _heights(heights), log_x, None)


def _heights(values: Sequence[float]) -> Scale:
    """Return the axis of y: from 0 where that costs the curves less than half of it."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    room = _ROOM * (high - low) or 0.05 * abs(high) or 0.5
    return Scale(0.0 if 0 <= low <= high / 2 else low - room, high + room)


def _y_axis(frame: _Frame, label: str) -> Html:
    parts = []
    for mark in ticks(frame.y):
        y = coordinate(frame.up(mark))
        parts.append(tag("line", x1=_LEFT, x2=_RIGHT, y1=y, y2=y, class_="grid"))
        place = coordinate(frame.up(mark) + 4)
        parts.append(tag("text", _number(mark), x=_LEFT - 8, y=place, class_="mark", text_anchor="end"))
    middle = (_TOP + _BOTTOM) // 2
    turned = f"rotate(-90 14 {middle})"
    name = tag("text", label, x=14, y=middle, transform=turned, class_="mark", text_anchor="middle")
    return concat([*parts, name])


def _x_axis(frame: _Frame, drawn: Sequence[Sequence[Point]], label: str) -> Html:
    parts = [tag("line", x1=_LEFT, x2=_RIGHT, y1=_BOTTOM, y2=_BOTTOM, class_="axis")]
    for mark, said in _x_marks(frame, drawn):
        x = coordinate(frame.across(mark))
        parts.append(tag("line", x1=x, x2=x, y1=_BOTTOM, y2=_BOTTOM + 4, class_="axis"))
        parts.append(tag("text", said, x=x, y=_BOTTOM + 18, class_="mark", text_anchor="middle"))
    middle = (_LEFT + _RIGHT) // 2
    return concat([*parts, tag("text", label, x=middle, y=_BOTTOM + 36, class_="mark", text_anchor="middle")])


def _x_marks(frame: _Frame, drawn: Sequence[Sequence[Point]]) -> Iterable[tuple[float, str]]:
    """Return the numbers below the axis: of a logarithmic one those that were measured, as far as they fit."""
    if frame.names is not None:
        return [(float(at), name) for at, name in enumerate(frame.names) if frame.x.low < at < frame.x.high]
    if not frame.log_x:
        return [(mark, _number(mark)) for mark in ticks(frame.x, 7)]
    kept: list[float] = []
    for x in sorted({point.x for points in drawn for point in points}):
        if not kept or frame.x.share(log10(x)) - frame.x.share(log10(kept[-1])) >= _NEAREST:
            kept.append(x)
    return [(mark, _number(mark)) for mark in kept]


def _chance(frame: _Frame, chance: float) -> Html:
    y = frame.up(chance)
    line = tag("line", x1=_LEFT, x2=_RIGHT, y1=coordinate(y), y2=coordinate(y), class_="chance")
    place = coordinate(y - 4 if y > _TOP + 16 else y + 12)
    said = tag("text", f"chance {_number(chance)}", x=_RIGHT, y=place, class_="mark", text_anchor="end")
    return concat([line, said])


def _line(frame: _Frame, name: str, points: Sequence[Point], at: int) -> Html:
    """Draw the path, the error bars and the markers of one line; a marker tells its numbers where it is pointed at."""
    places = [(frame.across(point.x), frame.up(point.y)) for point in points]
    path = " ".join(f"{coordinate(x)},{coordinate(y)}" for x, y in places)
    joined = len(points) > 1 and frame.names is None
    parts = [tag("polyline", points=path, class_="path")] if joined else []
    for point, (x, y) in zip(points, places, strict=True):
        if point.error > 0:
            parts.append(_bar(x, frame.up(point.y - point.error), frame.up(point.y + point.error)))
        margin = f" ± {_number(point.error)}" if point.error > 0 else ""
        where = _number(point.x) if frame.names is None else frame.names[int(point.x)]
        told = tag("title", f"{name}: {_number(point.y)}{margin} at {where}")
        parts.append(tag("path", told, d=_marker(at, x, y), class_="marker"))
    return tag("g", *parts, class_=f"curve curve-{at % _KINDS}")


def _bar(x: float, low: float, high: float) -> Html:
    left, right = coordinate(x - 4), coordinate(x + 4)
    stem = f"M{coordinate(x)} {coordinate(low)}V{coordinate(high)}"
    ends = "".join(f"M{left} {coordinate(y)}H{right}" for y in (low, high))
    return tag("path", d=stem + ends, class_="bar-of-error")


def _marker(at: int, x: float, y: float) -> str:
    """Return the outline of the marker of line `at`: a disc, a square, a diamond, a triangle, and anew."""
    across, up = coordinate(x), coordinate(y)
    left, right, top, bottom = (coordinate(v) for v in (x - _MARK, x + _MARK, y - _MARK, y + _MARK))
    arc = f"a{_MARK} {_MARK} 0 1 0"
    shapes = (
        f"M{left} {up}{arc} {2 * _MARK:g} 0{arc} {-2 * _MARK:g} 0z",
        f"M{left} {top}H{right}V{bottom}H{left}z",
        f"M{left} {up}L{across} {top}L{right} {up}L{across} {bottom}z",
        f"M{across} {top}L{right} {bottom}H{left}z",
    )
    return shapes[at % len(shapes)]


def _legend(names: Sequence[str]) -> Html:
    columns = _columns(names)
    parts = []
    for at, name in enumerate(names):
        x = _LEFT + (at % columns) * (_RIGHT - _LEFT) // columns
        y = _LEGEND_TOP + (at // columns) * _LEGEND_ROW
        stroke = tag("polyline", points=f"{x},{y} {x + 26},{y}", class_="path")
        sign = tag("path", d=_marker(at, x + 13, y), class_="marker")
        said = tag("text", name, x=x + 34, y=y + 4, class_="mark")
        parts.append(tag("g", stroke, sign, said, class_=f"curve curve-{at % _KINDS}"))
    return concat(parts)


def _columns(names: Sequence[str]) -> int:
    return 1 if any(len(name) > _LONG_NAME for name in names) else 2


def _height(lines: Sequence[Line]) -> int:
    columns = _columns([line.name for line in lines])
    return _LEGEND_TOP - 6 + -(-len(lines) // columns) * _LEGEND_ROW


def _empty() -> Html:
    middle, height = (_LEFT + _RIGHT) // 2, (_TOP + _BOTTOM) // 2
    return tag("text", "nothing was measured", x=middle, y=height, class_="mark", text_anchor="middle")


def _number(value: float) -> str:
    return minus(f"{value:.4g}") if value else "0"


_STYLE = """
text { font: 12px system-ui, sans-serif; fill: #59636b; }
.curves-title { font-size: 14px; font-weight: 600; fill: #1d2327; }
.paper { fill: #ffffff; }
.grid, .axis { stroke: #e3e0d9; } .axis { stroke: #9aa5ab; }
.chance { stroke: #59636b; stroke-dasharray: 2 4; }
.path { fill: none; stroke-width: 2; } .bar-of-error { fill: none; stroke-width: 1.4; }
.curve { stroke: currentColor; } .curve .marker { fill: currentColor; stroke: none; } .curve text { stroke: none; }
.curve-0 { color: #14655c; } .curve-1 { color: #b4531f; } .curve-2 { color: #3d6fb0; } .curve-3 { color: #855400; }
.curve-4 { color: #a3281c; } .curve-5 { color: #7a4f9a; } .curve-6 { color: #59636b; } .curve-7 { color: #1d2327; }
.curve-1 .path, .curve-5 .path { stroke-dasharray: 7 3; } .curve-2 .path, .curve-6 .path { stroke-dasharray: 2 3; }
.curve-3 .path, .curve-7 .path { stroke-dasharray: 9 3 2 3; }
"""
