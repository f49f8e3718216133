"""Tables of papers on the terminal, as much of them as a screen holds: our rows, and of the paper's the best."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
"""Rows of all tables together, but for the first task of each; the page has them all."""


def print_paper_tables(tables: Sequence[PaperTable]) -> None:
    """Print the first tasks of each table; what its rows were measured on, and what is odd of them, stands below it."""
    left = _ROWS
    for table in tables:
        rows: list[PaperRow] = []
        for task in _tasks(table):
            if rows and len(task) > left:
                break
            rows += task
            left -= len(task)
        _print(table, rows, hidden=len(table.rows) - len(rows))
    for note in dict.fromkeys(note for table in tables for note in table.notes):
        out.print(f"[dim]{escape(note)}[/]")


def _print(table: PaperTable, rows: Sequence[PaperRow], *, hidden: int) -> None:
    from sensorloom.training.evaluation.paper_tables import number_words

    letters = dict(zip(dict.fromkeys(row.measured_on for row in rows), ascii_lowercase, strict=False))
    doubts = dict.fromkeys(row.doubt for row in rows if row.doubt)
    marks = {doubt: "*" * number for number, doubt in enumerate(doubts, start=1)}
    shown: list[tuple[Any, ...]] = [
        (
            row.task,
            _name(row, marks),
            *(number_words(number) for number in row.numbers),
            letters.get(row.measured_on, row.measured_on),
        )
        for row in rows
    ]
    columns = ("", "", *(name.replace(" ", "\n", 1) for name in table.columns), "on")
    print_table(f"{table.source}: {table.title}", columns, shown)
    told = [f"{letter}: {words}" for words, letter in letters.items()]
    told += [f"{mark} {doubt}" for doubt, mark in marks.items()]
    told += [f"the page has {counted(hidden, 'more row')}"] if hidden else []
    out.print(f"[dim]{escape('; '.join(told))}[/]")


def _name(row: PaperRow, marks: Mapping[str, str]) -> str:
    name = f"best published: {row.name}" if row.whose == "paper" else row.name
    return f"{name} {marks[row.doubt]}" if row.doubt else name


def _tasks(table: PaperTable) -> Iterator[list[PaperRow]]:
    """Yield of each task the rows of runs, what guessing gives where no column is a multiple of it, and the best.

    Of tasks that rise in labels a class there is the last, and a task of guesses alone belongs to the one before it.
    """
    tasks = [(task, list(rows)) for task, rows in groupby(table.rows, key=lambda row: row.task)]
    rising = [task for task, _ in tasks if task.endswith(" a class")]
    has_multiple = any(name.endswith("/ chance") for name in table.columns)
    shown: list[list[PaperRow]] = []
    for task, rows in tasks:
        if task in rising[:-1]:
            continue
        runs = [row for row in rows if row.whose == "run"]
        guesses = [row for row in rows if row.whose == "chance" and not has_multiple]
        if shown and len(guesses) == len(rows):
            shown[-1] += guesses
        else:
            papers = [row for row in rows if row.whose == "paper"]
            shown.append([*runs, *guesses, *_best(papers, runs)])
    yield from (rows for rows in shown if rows)


def _best(papers: Sequence[PaperRow], runs: Sequence[PaperRow]) -> list[PaperRow]:
    """Return the row that is greatest in the last column in which a run has a number, too; nothing without one."""
    for column in reversed(range(len(papers[0].numbers) if papers else 0)):
        scored = [(number, row) for row in papers if (number := row.numbers[column]) is not None]
        if scored and any(row.numbers[column] is not None for row in runs):
            return [max(scored, key=lambda pair: pair[0])[1]]
    return []
