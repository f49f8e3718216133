"""Tables that read well aloud, sort on a click and scroll by themselves on a phone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sensorloom.flows.pages.html import Html, concat, tag

__all__ = ["Column", "cell", "row", "table"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its heading, whether it holds numbers, may be sorted by, and may be left out on a phone."""

    heading: str
    numeric: bool = False
    sortable: bool = False
    minor: bool = False


def table(
    caption: str,
    columns: Sequence[Column],
    bodies: Iterable[Html],
    *,
    name: str | None = None,
    titled: bool = False,
) -> Html:
    """Return a table in a region that scrolls sideways; `bodies` are `tbody` elements, kept whole when sorted.

    The caption is only read aloud where the table is `titled` by a heading above it.
    """
    head = tag("thead", tag("tr", *(_heading(column) for column in columns)))
    inside = tag(
        "table",
        tag("caption", tag("span", caption, class_="unseen" if titled else None)),
        head,
        *bodies,
        id=name,
    )
    return tag("div", inside, class_="scroll", role="region", aria_label=caption, tabindex=0)


def row(*cells: Html) -> Html:
    """Return one table row."""
    return tag("tr", *cells)


def cell(
    content: str,
    *,
    numeric: bool = False,
    minor: bool = False,
    heading: bool = False,
    value: float | None = None,
) -> Html:
    """Return a cell; `heading` makes it its row's name, `value` is what sorting goes by where the text is not."""
    shown = concat([content])
    kind = _classes(numeric, minor)
    sort_value = None if value is None else repr(value)
    if heading:
        return tag("th", shown, scope="row", class_=kind, data_value=sort_value)
    return tag("td", shown, class_=kind, data_value=sort_value)


def _heading(column: Column) -> Html:
    kind = _classes(column.numeric, column.minor)
    return tag("th", column.heading, scope="col", class_=kind, data_sort=column.sortable)


def _classes(numeric: bool, minor: bool) -> str | None:
    return " ".join(name for name, has in (("number", numeric), ("minor", minor)) if has) or None
