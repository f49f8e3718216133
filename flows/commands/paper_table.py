"""Tables of papers on the terminal, as much of them as a screen holds: our rows, and of the paper's the best."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from sensorloom.flows.commands.shared import out, print_table
from sensorloom.ingest.take import counted

if TYPE_CHECKING:
    from sensorloom.training.evaluation.paper_tables import PaperRow, PaperTable

__all__ = ["print_paper_tables"]

_ROWS = 24
"""Rows of all tables together; the page has them all."""


def print_paper_tables(tables: Sequence[PaperTable]) -> None:
    """Print the head of each table; what its rows were measured on stands below it, by letter."""
    left = _ROWS
    for table in tables:
        every = list(_shown(table))
        rows = every[: max(left, 1)]
        left -= len(rows)
        _print(table, rows, hidden=len(table.rows) - len(rows))


def _print(table: PaperTable, rows: Sequence[PaperRow], *, hidden: int) -> None:
    from sensorloom.training.evaluation.paper_tables import number_words

    letters = dict(zip(dict.fromkeys(row.measured_on for row in rows), ascii_lowercase, strict=False))
    shown: list[tuple[Any, ...]] = [
        (
            row.task,
            f"best published: {row.name}" if row.whose == "paper" else row.name,
            *(number_words(number) for number in row.numbers),
            letters.get(row.measured_on, row.measured_on),
        )
        for row in rows
    ]
    columns = ("", "", *(name.replace(" ", "\n", 1) for name in table.columns), "on")
    print_table(f"{table.source}: {table.title}", columns, shown)
    told = [f"{letter}: {words}" for words, letter in letters.items()]
    told += [f"the page has {counted(hidden, 'more row')}"] if hidden else []
    out.print(f"[dim]{escape('; '.join(told))}[/]")


def _shown(table: PaperTable) -> Iterator[PaperRow]:
    """Yield of each task the rows of runs, what guessing gives where no column is a multiple of it, and the best.

    Of tasks that rise in labels a class there is the last.
    """
    tasks = [(task, list(rows)) for task, rows in groupby(table.rows, key=lambda row: row.task)]
    rising = [task for task, _ in tasks if task.endswith(" a class")]
    has_multiple = any(name.endswith("/ chance") for name in table.columns)
    for task, rows in tasks:
        if task in rising[:-1]:
            continue
        yield from (row for row in rows if row.whose == "run")
        yield from (row for row in rows if row.whose == "chance" and not has_multiple)
        yield from _best(row for row in rows if row.whose == "paper")


def _best(rows: Iterable[PaperRow]) -> list[PaperRow]:
    """Return the row that is greatest in the last column, nothing of none."""
    ordered = sorted(
        rows, key=lambda row: [-1.0 if number is None else number for number in reversed(row.numbers)]
    )
    return ordered[-1:]
