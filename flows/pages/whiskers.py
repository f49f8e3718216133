"""Measured numbers with their intervals: a dot and a whisker a row, all on one axis.

Places along the axis are percent of the width, so a drawing fills its cell and dots stay round.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sensorloom.flows.pages.html import Html, concat, tag
from sensorloom.flows.pages.scale import Scale, coordinate, ticks
from sensorloom.flows.pages.words import minus

__all__ = ["axis", "lane", "whisker"]

_MIDDLE, _RADIUS, _CAP = 12, 4, 4
_LANE_HEIGHT, _LANE_WIDTH = 22, 1000


def whisker(scale: Scale, value: float, half_width: float | None, kind: str, limit: float | None) -> Html:
    """Draw `value` ± `half_width` as a row of class `kind` over the band within ±`limit`; text beside says them."""
    marks = [_ground(scale, limit)]
    if half_width is not None:
        low, high = scale.percent(value - half_width), scale.percent(value + half_width)
        marks.append(tag("line", x1=low, x2=high, y1=_MIDDLE, y2=_MIDDLE, class_=f"whisker {kind}"))
        marks += [
            tag("line", x1=end, x2=end, y1=_MIDDLE - _CAP, y2=_MIDDLE + _CAP, class_=f"whisker {kind}")
            for end, place in ((low, value - half_width), (high, value + half_width))
            if scale.low < place < scale.high
        ]
    marks.append(tag("circle", cx=scale.percent(value), cy=_MIDDLE, r=_RADIUS, class_=f"dot {kind}"))
    return tag("svg", *marks, class_="whiskers", aria_hidden="true")


def lane(scale: Scale, values: Sequence[tuple[str, float]], limit: float | None, label: str) -> Html:
    """Draw all `values` (class, value) as ticks in one lane; `label` says for a screen reader what is seen."""
    kinds = sorted({kind for kind, _ in values})
    drawn = [_ticks([scale.share(value) for own, value in values if own == kind], kind) for kind in kinds]
    inside = tag(
        "svg",
        *drawn,
        viewBox=f"0 0 {_LANE_WIDTH} {_LANE_HEIGHT}",
        preserveAspectRatio="none",
        width="100%",
        height=_LANE_HEIGHT,
    )
    return tag("svg", _ground(scale, limit), inside, class_="whiskers", role="img", aria_label=label)


def axis(scale: Scale, unit: str) -> Html:
    """Draw the numbers of the axis, to stand below the rows that share it; a phone shows every other one."""
    marks = ticks(scale)
    step = marks[1] - marks[0] if len(marks) > 1 else 1.0
    texts = (
        tag(
            "text",
            _number(mark),
            x=scale.percent(mark),
            y=11,
            class_="tick minor" if round(mark / step) % 2 else "tick",
            text_anchor="middle",
        )
        for mark in marks
    )
    drawn = tag("svg", *texts, class_="scale", aria_hidden="true")
    said = tag("span", f"{unit}, {_number(scale.low)} to {_number(scale.high)}", class_="unseen")
    return concat([drawn, said])


def _ground(scale: Scale, limit: float | None) -> Html:
    """Draw the band that counts as sound, and the line of 0."""
    zero = scale.percent(0.0)
    line = tag("line", x1=zero, x2=zero, y1=0, y2="100%", class_="zero")
    if limit is None:
        return line
    left, right = 100 * scale.share(-limit), 100 * scale.share(limit)
    band = tag(
        "rect",
        x=f"{coordinate(left)}%",
        width=f"{coordinate(right - left)}%",
        y=0,
        height="100%",
        class_="band",
    )
    return concat([band, line])


def _ticks(shares: Iterable[float], kind: str) -> Html:
    """Draw ticks at shares of the width as one path: hundreds of them in few bytes."""
    path = "".join(f"M{round(share * _LANE_WIDTH)} 4v14" for share in sorted(shares))
    return tag("path", d=path, class_=f"ticks {kind}")


def _number(value: float) -> str:
    return minus(f"{value:+.4g}") if value else "0"
