"""A confusion matrix as a table whose cells are the darker, the larger their share of their row."""

from __future__ import annotations

from collections.abc import Sequence

from sensorloom.flows.pages.html import Html, tag
from sensorloom.flows.pages.scale import coordinate
from sensorloom.flows.pages.words import count, percent

__all__ = ["confusion_table"]


def confusion_table(caption: str, classes: Sequence[str], counts: Sequence[Sequence[int]]) -> Html:
    """Return `counts` [true class][called class] as a table; columns are numbered, rows carry number and name.

    A cell says its count; which share of its row that is, it says where it is pointed at.
    """
    head = tag(
        "tr",
        tag("th", "True class \\ called", scope="col"),
        *(tag("th", str(at + 1), title=name, scope="col") for at, name in enumerate(classes)),
        tag("th", "windows", scope="col", class_="number"),
    )
    rows = [_row(at, name, counts[at], classes) for at, name in enumerate(classes)]
    inside = tag(
        "table",
        tag("caption", tag("span", caption, class_="unseen")),
        tag("thead", head),
        tag("tbody", *rows),
    )
    return tag("div", inside, class_="scroll confusion", role="region", aria_label=caption, tabindex=0)


def _row(at: int, name: str, counts: Sequence[int], classes: Sequence[str]) -> Html:
    total = sum(counts)
    cells = [
        tag(
            "td",
            str(value) if value else "",
            class_="right" if called == at else "wrong",
            style=f"--share: {coordinate(value / total if total else 0.0)}",
            title=f"{name} called {classes[called]}: {percent(value, total)}",
        )
        for called, value in enumerate(counts)
    ]
    label = tag("th", f"{at + 1}. {name}", scope="row")
    return tag("tr", label, *cells, tag("td", count(total), class_="number"))
