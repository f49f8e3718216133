"""A table of a paper on the terminal, our rows beside its own."""

from __future__ import annotations

from itertools import groupby
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from sensorloom.flows.commands.shared import out, print_table

if TYPE_CHECKING:
    from sensorloom.training.evaluation.paper_tables import PaperTable

__all__ = ["print_paper_table"]


def print_paper_table(table: PaperTable) -> None:
    """Print a table of a paper; what rows were measured on stands below it, by letter."""
    from sensorloom.training.evaluation.paper_tables import number_words

    letters = dict(zip(dict.fromkeys(row.measured_on for row in table.rows), ascii_lowercase, strict=False))
    doubts = dict.fromkeys(row.doubt for row in table.rows if row.doubt)
    marks = {doubt: f" {'*' * number}" for number, doubt in enumerate(doubts, start=1)}
    rows: list[tuple[Any, ...]] = []
    for task, group in groupby(table.rows, key=lambda row: row.task):
        if task:
            rows.append((task, *("" for _ in table.columns), ""))
        rows += [
            (
                f"  {row.name}{marks.get(row.doubt, '')}",
                *(number_words(number) for number in row.numbers),
                letters.get(row.measured_on, row.measured_on),
            )
            for row in group
        ]
    columns = ("", *(name.replace(" ", "\n", 1) for name in table.columns), "on")
    print_table(f"{table.source}: {table.title}", columns, rows)
    told = [f"{letter}: {words}" for words, letter in letters.items()]
    remarks = (f"{mark.strip()} {doubt}" for doubt, mark in marks.items())
    for line in (*told, *remarks, *table.notes):
        out.print(f"[dim]{escape(line)}[/]")
