"""How late one stream is against another along a take: the lag of every segment, and the line through them."""

from __future__ import annotations

from math import hypot

from sensorloom.flows.audit.report_takes import SegmentFacts, SyncFacts
from sensorloom.flows.pages.html import Html, concat, tag
from sensorloom.flows.pages.scale import Scale, coordinate, ticks
from sensorloom.flows.pages.traces import time_axis
from sensorloom.flows.pages.words import signed

__all__ = ["lag_plot"]

_HEIGHT, _WIDTH = 150, 1000
_SIGMAS = 1.96


def lag_plot(sync: SyncFacts, start_s: float, label: str) -> Html:
    """Draw lag against time since `start_s` with the fitted line in its 95% interval; faint dots are weak segments."""
    times = [segment.time_s for segment in sync.segments]
    time = _widened(min(times), max(times))
    lag = _lag_scale(sync)
    drawn = [_grid(lag), _fit(sync, time, lag), *(_segment(segment, time, lag) for segment in sync.segments)]
    plot = tag("svg", *drawn, class_="lags", height=_HEIGHT, role="img", aria_label=label)
    numbers = concat(
        [
            tag("text", f"{signed(mark)} ms", x="100%", y=_y(mark, lag) + 4, class_="tick", text_anchor="end")
            for mark in ticks(lag, 6)
        ]
    )
    side = tag("svg", numbers, class_="side", height=_HEIGHT, aria_hidden="true")
    return tag("div", side, tag("div", plot, time_axis(time, start_s)), class_="lag-plot")


def _widened(low: float, high: float) -> Scale:
    room = 0.03 * (high - low) or 1.0
    return Scale(low - room, high + room)


def _lag_scale(sync: SyncFacts) -> Scale:
    """Return an axis that holds the middle of all segments; the whiskers of weak ones may leave it."""
    lags = sorted(segment.lag_ms for segment in sync.segments)
    if sync.offset_ms is not None:
        half = sync.offset_ci_ms or 0.0
        lags = sorted([*lags, sync.offset_ms - half, sync.offset_ms + half])
    middle = lags[len(lags) // 2]
    reach = max(5.0, *(abs(value - middle) for value in lags))
    return Scale(middle - 1.15 * reach, middle + 1.15 * reach)


def _grid(lag: Scale) -> Html:
    """Draw a line at each marked lag, a stronger one where there is none."""
    return concat(
        [
            tag(
                "line",
                x1="0",
                x2="100%",
                y1=_y(mark, lag),
                y2=_y(mark, lag),
                class_="grid" if mark else "zero",
            )
            for mark in ticks(lag, 6)
        ]
    )


def _fit(sync: SyncFacts, time: Scale, lag: Scale) -> Html:
    """Draw offset + drift × time with its interval, widest at the ends; nothing where nothing could be told."""
    if sync.offset_ms is None:
        return concat([])
    times = [segment.time_s for segment in sync.segments]
    middle_s = (min(times) + max(times)) / 2
    steps = [time.low + (time.high - time.low) * place / 20 for place in range(21)]
    line = [sync.offset_ms + (sync.drift_ppm or 0.0) * 1e-3 * (step - middle_s) for step in steps]
    halves = [
        hypot(sync.offset_ci_ms or 0.0, (sync.drift_ci_ppm or 0.0) * 1e-3 * (step - middle_s))
        for step in steps
    ]
    upper = [value + half for value, half in zip(line, halves, strict=True)]
    lower = [value - half for value, half in zip(line, halves, strict=True)]
    there = [_place(step, value, time, lag) for step, value in zip(steps, upper, strict=True)]
    back = [_place(step, value, time, lag) for step, value in zip(steps, lower, strict=True)]
    ends = [_place(steps[place], line[place], time, lag) for place in (0, -1)]
    return tag(
        "svg",
        tag("path", d=f"M{'L'.join([*there, *reversed(back)])}z", class_="interval"),
        tag("path", d=f"M{'L'.join(ends)}", class_="fit"),
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        preserveAspectRatio="none",
        width="100%",
        height=_HEIGHT,
    )


def _segment(segment: SegmentFacts, time: Scale, lag: Scale) -> Html:
    x = time.percent(segment.time_s)
    kind = "strong" if segment.strength >= 0.25 else "weak"
    reach = _SIGMAS * segment.sigma_ms
    whisker = tag(
        "line",
        x1=x,
        x2=x,
        y1=_y(segment.lag_ms - reach, lag),
        y2=_y(segment.lag_ms + reach, lag),
        class_=f"whisker {kind}",
    )
    return concat([whisker, tag("circle", cx=x, cy=_y(segment.lag_ms, lag), r="3.5", class_=f"dot {kind}")])


def _place(step: float, value: float, time: Scale, lag: Scale) -> str:
    return f"{coordinate(_WIDTH * time.share(step))} {_y(value, lag)}"


def _y(value: float, lag: Scale) -> int:
    return round(_HEIGHT * (1 - lag.share(value)))
