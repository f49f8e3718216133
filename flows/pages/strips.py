"""The quality of every stream along a take, one strip below the other on one axis of time."""

from __future__ import annotations

from collections.abc import Sequence

from sensorloom.flows.audit.report_takes import Strip
from sensorloom.flows.pages.html import Html, tag
from sensorloom.flows.pages.scale import Scale, coordinate
from sensorloom.flows.pages.tables import Column, cell, row, table
from sensorloom.flows.pages.traces import time_axis
from sensorloom.flows.pages.words import CODE_WORDS, duration, percent

__all__ = ["strips"]

_WIDTH, _HEIGHT = 1000, 14
_LEAST = 1.5


def strips(shown: Sequence[Strip], caption: str) -> Html:
    """Return a table: each stream, its strip, and in words how much of it is what."""
    start_s = min(strip.start_s for strip in shown)
    stop_s = max((stop for strip in shown for _, _, stop in strip.runs), default=start_s + 1.0)
    time = Scale(start_s, max(stop_s, start_s + 1e-3))
    columns = (Column("Stream"), Column("Along the take"), Column("Of its time"))
    bodies = [tag("tbody", *(_row(strip, time) for strip in shown))]
    foot = tag(
        "tbody", row(cell(""), cell(time_axis(time, start_s)), cell("")), class_="foot", aria_hidden="true"
    )
    return tag(
        "div",
        table(caption, columns, [*bodies, foot], titled=True),
        _legend({code for strip in shown for code, _, _ in strip.runs}),
        class_="strips",
    )


def _row(strip: Strip, time: Scale) -> Html:
    return row(cell(strip.name, heading=True), cell(_drawn(strip, time)), cell(_said(strip)))


def _drawn(strip: Strip, time: Scale) -> Html:
    """Draw all runs of a code as one path; what is short still shows as a hairline."""
    codes = [code for code in CODE_WORDS if any(run[0] == code for run in strip.runs)]
    codes += sorted({run[0] for run in strip.runs} - set(codes))
    paths = (tag("path", d=_path(strip, code, time), class_=f"run-{_known(code)}") for code in codes)
    return tag(
        "svg",
        tag("rect", width=_WIDTH, height=_HEIGHT, class_="track"),
        *paths,
        class_="strip",
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        preserveAspectRatio="none",
        aria_hidden="true",
    )


def _path(strip: Strip, code: str, time: Scale) -> str:
    parts = []
    for own, start, stop in strip.runs:
        if own == code:
            left, right = _WIDTH * time.share(start), _WIDTH * time.share(stop)
            width = coordinate(max(right - left, _LEAST))
            parts.append(f"M{coordinate(min(left, _WIDTH - _LEAST))} 0h{width}v{_HEIGHT}h-{width}z")
    return "".join(parts)


def _said(strip: Strip) -> str:
    """Say how the strip's time falls to its codes, the most first."""
    seconds: dict[str, float] = {}
    for code, start, stop in strip.runs:
        seconds[code] = seconds.get(code, 0.0) + stop - start
    whole = sum(seconds.values())
    most_first = sorted(seconds.items(), key=lambda item: (-item[1], item[0]))
    said = ", ".join(
        f"{percent(length, whole)} {CODE_WORDS.get(code, code)}" for code, length in most_first if length > 0
    )
    return f"{said} of {duration(whole)}" if said else "-"


def _legend(codes: set[str]) -> Html:
    items = (
        tag(
            "li",
            tag("span", class_=f"key key-{_known(code)}", aria_hidden="true"),
            " ",
            CODE_WORDS.get(code, code),
        )
        for code in sorted(codes, key=lambda code: [*CODE_WORDS, code].index(code))
    )
    return tag("ul", *items, class_="legend")


def _known(code: str) -> str:
    return code if code in CODE_WORDS else "invalid"
