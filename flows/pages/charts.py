"""Charts as inline SVG. Colours come from the style sheet by class, so light, dark and print need no second chart."""

from __future__ import annotations

from collections.abc import Sequence

from sensorloom.flows.pages.html import Html, concat, tag

__all__ = ["bar", "histogram"]

BAR_WIDTH, BAR_HEIGHT = 400, 14
PLOT_WIDTH, PLOT_HEIGHT, BASE = 240, 72, 84


def bar(start: float, stop: float, kind: str) -> Html:
    """Draw the stretch [start, stop] of a 0 to 1 track as a bar of class `kind`; the text beside it says the number."""
    left = BAR_WIDTH * min(1.0, max(0.0, start))
    right = BAR_WIDTH * min(1.0, max(0.0, stop))
    # What is there but too small to see still shows as a hairline.
    width = max(1.5, right - left) if stop > start else 0.0
    marks = (
        _rect(0, 0, BAR_WIDTH, BAR_HEIGHT, "track"),
        _rect(min(left, BAR_WIDTH - width), 0, width, BAR_HEIGHT, kind),
    )
    return tag(
        "svg",
        *marks,
        class_="bar",
        viewBox=f"0 0 {BAR_WIDTH} {BAR_HEIGHT}",
        preserveAspectRatio="none",
        aria_hidden="true",
    )


def histogram(counts: Sequence[int], label: str, kind: str) -> Html:
    """Draw counts of equal bins from 0 to 100 % as columns; `label` says for a screen reader what is seen."""
    top = max(counts, default=0)
    step = PLOT_WIDTH / max(1, len(counts))
    columns = [
        _rect(index * step + 0.75, PLOT_HEIGHT - height, step - 1.5, height, kind)
        for index, value in enumerate(counts)
        if (height := _height(value, top)) > 0
    ]
    axis = tag("line", x1=0, y1=PLOT_HEIGHT, x2=PLOT_WIDTH, y2=PLOT_HEIGHT, class_="axis")
    return tag(
        "svg",
        _rect(0, 0, PLOT_WIDTH, PLOT_HEIGHT, "plot"),
        concat(columns),
        axis,
        *(_tick(place) for place in (0, 50, 100)),
        class_="histogram",
        viewBox=f"0 0 {PLOT_WIDTH} {BASE + 4}",
        role="img",
        aria_label=label,
    )


def _height(value: int, top: int) -> float:
    return max(2.0, PLOT_HEIGHT * value / top) if value else 0.0


def _tick(percent: int) -> Html:
    anchor = {0: "start", 50: "middle", 100: "end"}[percent]
    return tag(
        "text", f"{percent}%", x=_n(PLOT_WIDTH * percent / 100), y=BASE, class_="tick", text_anchor=anchor
    )


def _rect(x: float, y: float, width: float, height: float, kind: str) -> Html:
    return tag("rect", x=_n(x), y=_n(y), width=_n(width), height=_n(height), class_=kind)


def _n(value: float) -> str:
    """Return a coordinate with two digits at most: the same text on every machine."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
