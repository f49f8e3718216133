"""Forms that filter a table once the script runs; hidden until then, as without it they would do nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sensorloom.flows.pages.html import Html, tag

__all__ = ["boxes", "choice", "filter_form", "search"]


def filter_form(
    table: str, controls: Iterable[Html], said: str, *, noun: str, page: int | None = None
) -> Html:
    """Return the form of the table with id `table`; `said` is how many `noun` are shown before anything is filtered.

    With `page`, so many rows are shown at a time.
    """
    shown = tag("output", said, aria_live="polite", data_noun=noun)
    more = tag("button", "Show all", type="button", hidden=True) if page else ""
    return tag(
        "form",
        *controls,
        shown,
        more,
        class_="filter",
        hidden=True,
        data_for=table,
        data_page=page,
        aria_label=f"Filter {noun}",
    )


def search(hint: str) -> Html:
    """Return a field for words that a row must hold, all of them."""
    return tag("label", "Filter ", tag("input", type="search", name="words", placeholder=hint))


def boxes(name: str, legend: str, values: Sequence[str], *, off: Sequence[str] = ()) -> Html:
    """Return one box a value of the rows' `data-<name>`; rows of values without a tick, at first `off`, are hidden."""
    ticked = (
        tag(
            "label",
            tag("input", type="checkbox", name=name, value=value, checked=value not in off),
            " ",
            value,
        )
        for value in values
    )
    return tag("fieldset", tag("legend", legend, class_="unseen"), *ticked)


def choice(name: str, label: str, values: Mapping[str, str]) -> Html:
    """Return a choice of one value of the rows' `data-<name>` by its word, or of all."""
    options = (tag("option", word, value=value) for value, word in values.items())
    return tag("label", f"{label} ", tag("select", tag("option", "all", value=""), *options, name=name))
