"""Tables and curves of several runs, put together from those of each. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sensorloom.training.evaluation.paper_tables import PaperRow, PaperTable

__all__ = ["FewShot", "RunTables", "as_in_paper", "merged", "renamed", "table_from_json"]


@dataclass(frozen=True, slots=True)
class FewShot:
    """A point of a curve: the accuracy that a run reaches on a view by a head after so many labels a class."""

    view: str
    head: str
    run: str
    share: float
    shots: int
    accuracy: float
    error: float | None
    chance: float


@dataclass(frozen=True, slots=True)
class RunTables:
    """What one run of a table came to: its own tables and points, what has no score and why, or why it failed."""

    name: str
    run: str
    tables: tuple[PaperTable, ...] = ()
    points: tuple[FewShot, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    failure: str = ""


def as_in_paper(tables: Iterable[PaperTable], partner: str) -> tuple[PaperTable, ...]:
    """Return tables of retrieval with their tasks as the paper calls them: `imu → text` is `IMU → EC` of partner EC.

    One camera or source of texts of several keeps its name: `imu → video: ego` is `IMU → Video: ego`.
    """
    return tuple(
        replace(table, rows=tuple(replace(row, task=_task(row.task, partner)) for row in table.rows))
        for table in tables
    )


def _task(task: str, partner: str) -> str:
    query, arrow, key = task.partition(" → ")
    if not arrow or "imu" not in (query, key):
        return task
    _, colon, slot = (key if query == "imu" else query).partition(":")
    name = f"{partner}{colon}{slot}"
    return f"IMU → {name}" if query == "imu" else f"{name} → IMU"


def renamed(tables: Iterable[PaperTable], old: str, new: str) -> tuple[PaperTable, ...]:
    """Return the tables with the rows of the run `old` under its name `new` in the paper."""
    return tuple(
        replace(table, rows=tuple(_renamed(row, old, new) for row in table.rows)) for table in tables
    )


def _renamed(row: PaperRow, old: str, new: str) -> PaperRow:
    if row.whose != "run" or not row.name.startswith(old):
        return row
    return replace(row, name=new + row.name.removeprefix(old))


def merged(tables: Sequence[PaperTable]) -> tuple[PaperTable, ...]:
    """Return one table for all of one title, of every task first the runs, then each other row once."""
    by_title: dict[tuple[str, str], list[PaperTable]] = {}
    for table in tables:
        by_title.setdefault((table.source, table.title), []).append(table)
    return tuple(_one(found) for found in by_title.values())


def _one(tables: Sequence[PaperTable]) -> PaperTable:
    rows = [row for table in tables for row in table.rows]
    ordered: dict[PaperRow, None] = {}
    for task in sorted(dict.fromkeys(row.task for row in rows), key=_place):
        own = [row for row in rows if row.task == task]
        ordered |= dict.fromkeys(row for row in own if row.whose == "run")
        ordered |= dict.fromkeys(row for row in own if row.whose != "run")
    notes = dict.fromkeys(note for table in tables for note in table.notes)
    return replace(tables[0], rows=tuple(ordered), notes=tuple(notes))


def _place(task: str) -> tuple[bool, int]:
    """Sort tasks of few shots by their number; others keep their order, and stand before what has no number."""
    number, _, rest = task.partition(" ")
    is_shots = rest == "a class" and number.isdigit()
    return (task == "chance", int(number) if is_shots else 0)


def table_from_json(facts: Mapping[str, Any]) -> PaperTable:
    """Return the table that `PaperTable.facts` told of."""
    rows = tuple(PaperRow(**{**row, "numbers": tuple(row["numbers"])}) for row in facts["rows"])
    return PaperTable(facts["source"], facts["title"], tuple(facts["columns"]), rows, tuple(facts["notes"]))
