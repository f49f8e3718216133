"""How a view's windows fall into splits by label, and what the splits share."""

from __future__ import annotations

from collections.abc import Sequence

from sensorloom.align.split import SPLITS
from sensorloom.flows.audit.report import LeakFacts, ViewFacts
from sensorloom.flows.pages.html import Html, tag
from sensorloom.flows.pages.tables import Column, cell, row, table
from sensorloom.flows.pages.words import count

__all__ = ["leakage", "split_table"]

_KINDS = {
    "participant": ("participant", "participants"),
    "capture": ("capture", "captures"),
    "overlap": ("pair of overlapping windows", "pairs of overlapping windows"),
    "signal": ("pair of windows with nearly the same signal", "pairs of windows with nearly the same signal"),
    "vector": ("pair of windows with nearly the same vector", "pairs of windows with nearly the same vector"),
    "text": ("text in the same words", "texts in the same words"),
}
_LEAKS = (Column("Between"), Column("Shared", numeric=True), Column("Of what"), Column("For example"))


def split_table(view: ViewFacts) -> Html:
    """Return windows by label and split; a label that train lacks and another split has is marked."""
    splits = _split_names(view)
    windows = {(item.label, item.split): item.windows for item in view.labels}
    columns = [
        Column("Label", sortable=True),
        *(Column(split, numeric=True, sortable=True) for split in splits),
    ]
    bodies = [
        tag("tbody", _label_row(label, splits, windows))
        for label in sorted({label for label, _ in windows}, key=str.casefold)
    ]
    bodies.append(tag("tbody", *_totals(view, splits), class_="total"))
    heading = tag("h4", "Windows by split and label")
    return tag(
        "div", heading, table(f"{view.view}: windows by split and label", columns, bodies, titled=True)
    )


def leakage(view: ViewFacts) -> Html:
    """Return what the splits share, or the sentence that they share nothing."""
    heading = tag("h4", "Leakage between splits")
    if not view.leaks:
        names = ", ".join(_split_names(view))
        said = f"{names} share no participant, no capture and no instant of recording."
        if len(view.splits) < 2:
            said = "There is only one split, so nothing can leak."
        return tag("div", heading, tag("p", tag("span", "✓", aria_hidden="true"), " ", said, class_="sound"))
    bodies = [tag("tbody", _leak_row(leak)) for leak in view.leaks]
    return tag(
        "div", heading, table(f"{view.view}: what splits share", _LEAKS, bodies, titled=True), class_="narrow"
    )


def _split_names(view: ViewFacts) -> list[str]:
    """Return the view's splits, train first."""
    there = [split.split for split in view.splits]
    return [*(name for name in SPLITS if name in there), *(name for name in there if name not in SPLITS)]


def _label_row(label: str, splits: Sequence[str], windows: dict[tuple[str, str], int]) -> Html:
    unseen = (label, "train") not in windows
    cells = [cell(label or "(no label)", heading=True)]
    for split in splits:
        value = windows.get((label, split), 0)
        lacking = unseen and split == "train"
        shown = tag("span", "none", class_="warning") if lacking else count(value) if value else "-"
        cells.append(cell(shown, numeric=True, value=value))
    return row(*cells)


def _totals(view: ViewFacts, splits: Sequence[str]) -> list[Html]:
    facts = {split.split: split for split in view.splits}
    lines = (
        ("Windows", [facts[name].windows for name in splits]),
        ("Takes", [facts[name].takes for name in splits]),
        ("Participants", [facts[name].participants for name in splits]),
    )
    return [
        row(cell(name, heading=True), *(cell(count(value), numeric=True) for value in values))
        for name, values in lines
    ]


def _leak_row(leak: LeakFacts) -> Html:
    singular, plural = _KINDS.get(leak.kind, (leak.kind, leak.kind))
    return row(
        cell(f"{leak.first} and {leak.second}", heading=True),
        cell(tag("span", count(leak.count), class_=leak.severity), numeric=True),
        cell(singular if leak.count == 1 else plural),
        cell(tag("ul", *(tag("li", tag("code", example)) for example in leak.examples), class_="plain")),
    )
