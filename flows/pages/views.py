"""One article a view: where the seconds went, how windows fall into splits, what leaks, how sound they are."""

from __future__ import annotations

from collections.abc import Iterator

from sensorloom.flows.audit.report import NUM_BINS, Report, Shares, ViewFacts
from sensorloom.flows.pages.charts import bar, histogram
from sensorloom.flows.pages.html import Html, tag
from sensorloom.flows.pages.splits import leakage, split_table
from sensorloom.flows.pages.tables import Column, cell, row, table
from sensorloom.flows.pages.vectors import chance, health
from sensorloom.flows.pages.words import DROP_WORDS, count, duration, percent, recipe_words

__all__ = ["views"]

_SHARES = {
    "valid": ("Recorded", "samples resampled from recorded ones at their recorded times", "kept"),
    "retimed": ("Re-timed", "samples whose stall-and-burst stamps were spread back", "care-mark"),
    "interpolated": ("Interpolated", "samples that bridge a loss within the gap limit", "care-mark"),
    "least_covered_sensor": ("Worst sensor", "usable samples of the least covered sensor", "kept"),
}

_OPEN = 2
"""More views than these are folded."""
_SUMMARY = (
    Column("View", sortable=True),
    Column("Data sets", sortable=True, minor=True),
    Column("Windows", numeric=True, sortable=True),
    Column("Leaks", numeric=True, sortable=True),
    Column("Time kept", numeric=True, sortable=True, minor=True),
    Column("Share", numeric=True, sortable=True),
    Column(""),
)
_FUNNEL = (
    Column("Step"),
    Column("Takes", numeric=True, minor=True),
    Column("Time", numeric=True),
    Column("Share", numeric=True),
    Column(""),
)


def views(report: Report) -> Html:
    """Return the section of all views."""
    title = tag("h2", "Views")
    if not report.views:
        hint = tag(
            "p", "No view is built. Run ", tag("code", "sensorloom build"), " to cut windows.", class_="lead"
        )
        return tag("section", title, hint, id="views")
    summary = _summary(report) if len(report.views) > 1 else ""
    folded = len(report.views) > _OPEN
    return tag("section", title, summary, *(_view(view, folded) for view in report.views), id="views")


def _summary(report: Report) -> Html:
    """Return one row a view, to compare them and to find them."""
    bodies = [tag("tbody", _line_of(view)) for view in report.views]
    return table("All views", _SUMMARY, bodies, titled=True)


def _line_of(view: ViewFacts) -> Html:
    share = view.kept_s / (view.recorded_s or 1.0)
    leaks = sum(leak.count for leak in view.leaks)
    shared = tag("span", count(leaks), class_=view.leaks[0].severity) if leaks else "none"
    return row(
        cell(tag("a", view.view, href=f"#view-{view.view}"), heading=True),
        cell(", ".join(view.datasets), minor=True),
        cell(count(view.windows), numeric=True, value=view.windows),
        cell(shared, numeric=True, value=leaks),
        cell(duration(view.kept_s), numeric=True, minor=True, value=view.kept_s),
        cell(percent(view.kept_s, view.recorded_s), numeric=True, value=share),
        cell(bar(0, share, "kept")),
    )


def _view(view: ViewFacts, folded: bool) -> Html:
    """Return all of one view, folded where there are many: its anchor is inside, so that a link unfolds it."""
    title = tag("h3", view.view, " ", tag("small", _in_short(view)))
    parts = [
        tag(
            "p",
            f"{', '.join(view.datasets)}: {recipe_words(view.recipe)}.",
            class_="lead",
            id=f"view-{view.view}",
        ),
        _funnel(view),
    ]
    if view.windows:
        parts += [split_table(view), chance(view), leakage(view), _coverage(view), health(view)]
    if folded:
        return tag("details", tag("summary", title), *parts, class_="view")
    return tag("article", title, *parts, class_="view")


def _in_short(view: ViewFacts) -> str:
    """Say what a view keeps, and what takes most of the rest."""
    parts = [count(view.windows, "window"), f"{percent(view.kept_s, view.recorded_s)} of the time"]
    most = max(view.dropped, key=lambda drop: drop.seconds, default=None)
    if most is not None and most.seconds > 0:
        parts.append(f"most dropped: {DROP_WORDS.get(most.reason, most.reason).lower()}")
    return ", ".join(parts)


def _funnel(view: ViewFacts) -> Html:
    caption = f"{view.view}: what became of {duration(view.recorded_s)} of recorded time"
    return table(caption, _FUNNEL, [tag("tbody", *_funnel_rows(view))])


def _funnel_rows(view: ViewFacts) -> Iterator[Html]:
    """Yield the recorded time, each drop as a bar hanging where the one before it ended, and what is kept."""
    whole = view.recorded_s or 1.0
    yield _step("Recorded", None, view.recorded_s, whole, bar(0, view.recorded_s / whole, "all"))
    left = view.recorded_s
    for drop in view.dropped:
        if drop.seconds > 0:
            name = tag("span", DROP_WORDS.get(drop.reason, drop.reason), class_="less")
            drawn = bar((left - drop.seconds) / whole, left / whole, "drop")
            yield _step(name, drop.takes or None, drop.seconds, whole, drawn)
            left -= drop.seconds
    kept = tag("b", f"Kept in {count(view.windows, 'window')}")
    yield _step(kept, None, view.kept_s, whole, bar(0, view.kept_s / whole, "kept"))


def _step(name: str, takes: int | None, seconds: float, whole: float, drawn: Html) -> Html:
    return row(
        cell(name, heading=True),
        cell("" if takes is None else count(takes), numeric=True, minor=True),
        cell(duration(seconds), numeric=True),
        cell(percent(seconds, whole), numeric=True),
        cell(drawn),
    )


def _coverage(view: ViewFacts) -> Html:
    """Return a histogram of each share, and only a line of text of one that all windows have alike."""
    spread = [shares for shares in view.shares if max(shares.counts) < view.windows]
    alike = [_line(shares, view.windows) for shares in view.shares if shares not in spread]
    figures = tag("div", *(_figure(shares, view.windows) for shares in spread), class_="figures")
    lines = tag("ul", *alike, class_="plain")
    return tag(
        "div",
        tag("h4", "Coverage of the windows"),
        lines if alike else "",
        figures if spread else "",
        class_="coverage",
    )


def _line(shares: Shares, windows: int) -> Html:
    name, meaning, _ = _SHARES[shares.share]
    return tag("li", tag("b", name), ": share of ", meaning, ". ", _said(shares.counts, windows), ".")


def _figure(shares: Shares, windows: int) -> Html:
    name, meaning, kind = _SHARES[shares.share]
    said = _said(shares.counts, windows)
    drawn = histogram(shares.counts, f"Histogram of windows by share of {meaning}: {said}", kind)
    caption = tag("figcaption", tag("b", name), ": share of ", meaning, ". ", said, ".")
    return tag("figure", drawn, caption)


def _said(counts: tuple[int, ...], windows: int) -> str:
    """Say where most windows lie: the fullest bin and how many are in it."""
    fullest = max(range(NUM_BINS), key=counts.__getitem__)
    low, high = 100 * fullest // NUM_BINS, 100 * (fullest + 1) // NUM_BINS
    return f"{percent(counts[fullest], windows)} of windows at {low} to {high}%"
