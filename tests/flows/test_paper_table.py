"""Tables of papers on the terminal: a screen of rows, ours first, and what the others are is in the page."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sensorloom.flows.commands.paper_table import print_paper_tables
from sensorloom.training.evaluation.paper_rows import PaperRow, PaperTable, Whose

Capture = pytest.CaptureFixture[str]


def row(task: str, name: str, whose: Whose, *numbers: float) -> PaperRow:
    return PaperRow(task, name, whose, numbers, f"data of {whose}")


def said_of(capsys: Capture, *tables: PaperTable) -> str:
    print_paper_tables(tables)
    return " ".join(capsys.readouterr().out.split())


def test_a_task_has_runs_chance_and_the_best_published_row(capsys: Capture) -> None:
    rows = (
        row("", "ours", "run", 0.25, 0.5),
        row("", "most frequent", "chance", 0.125, 0.25),
        row("", "worse", "paper", 0.75, 0.0625),
        row("", "better", "paper", 0.0625, 0.75),
    )
    said = said_of(capsys, PaperTable("Table 3", "Classes", ("F1", "acc."), rows, ("a note",)))
    assert "ours 0.2500 0.5000 a most frequent 0.1250 0.2500 b best published: better 0.0625 0.7500 c" in said
    assert "a: data of run; b: data of chance; c: data of paper; the page has 1 more row" in said
    assert "worse" not in said


def test_chance_has_no_row_where_a_column_is_a_multiple_of_it(capsys: Capture) -> None:
    rows = (row("imu → text", "ours", "run", 0.25, 2.0), row("imu → text", "guess", "chance", 0.125, 1.0))
    said = said_of(capsys, PaperTable("Table 2", "Retrieval", ("R@10", "R@10 / chance"), rows, ()))
    assert "imu → text ours 0.2500 2.0000 a a: data of run; the page has 1 more row" in said


def test_of_labels_a_class_the_most_are_shown(capsys: Capture) -> None:
    rows = tuple(row(f"{shots} a class", "ours", "run", shots / 100) for shots in (5, 50))
    chance = row("chance", "most frequent", "chance", 0.125)
    said = said_of(capsys, PaperTable("Figure 4", "Accuracy", ("accuracy",), (*rows, chance), ()))
    assert "50 a class ours 0.5000 a chance most frequent 0.1250 b" in said
    assert " 5 a class" not in said


def test_all_tables_together_fit_a_screen(capsys: Capture) -> None:
    rows = tuple(row(f"task {number}", "ours", "run", 0.5) for number in range(40))
    tables = [PaperTable(f"Figure {number}", "Many", ("R@10",), rows, ()) for number in range(2)]
    print_paper_tables(tables)
    said = capsys.readouterr().out
    assert len(said.splitlines()) <= 40
    assert "Figure 1: Many" in said
    assert "the page has 39 more rows" in said


def test_a_published_row_keeps_its_doubt_and_a_table_its_notes(capsys: Capture) -> None:
    doubtful = replace(row("", "theirs", "paper", 0.75), doubt="one [number] for both")
    tables = [
        PaperTable(name, "Classes", ("F1",), (row("", "ours", "run", 0.5), doubtful), ("other [data]",))
        for name in ("Table 3", "Table 4")
    ]
    said = said_of(capsys, *tables)
    assert (
        "best published: theirs * 0.7500 b a: data of run; b: data of paper; * one [number] for both" in said
    )
    assert said.count("other [data]") == 1


def test_the_best_is_that_of_the_last_column_in_which_a_run_has_a_number(capsys: Capture) -> None:
    numbers: list[tuple[str, Whose, tuple[float | None, ...]]] = [
        ("ours", "run", (0.25, None)),
        ("by zero-shot", "paper", (0.75, 0.125)),
        ("by fine-tune", "paper", (0.5, 0.875)),
        ("fine-tuned alone", "paper", (None, 1.0)),
    ]
    rows = tuple(PaperRow("", name, whose, each, "data") for name, whose, each in numbers)
    said = said_of(capsys, PaperTable("Table 3", "Classes", ("zero-shot acc.", "fine-tune acc."), rows, ()))
    assert "best published: by zero-shot 0.7500 0.1250 a" in said
    assert "by fine-tune" not in said
    cited = replace(rows[1], name="cited", numbers=(0.25, None))
    ours = replace(rows[0], numbers=(0.25, 0.5))
    assert "published: cited" in said_of(
        capsys, PaperTable("Table 3", "Classes", ("a", "b"), (ours, cited), ())
    )
    none = (rows[0], rows[3])
    assert "published" not in said_of(capsys, PaperTable("Table 3", "Classes", ("a", "b"), none, ()))


def test_a_task_is_shown_whole_or_not_at_all(capsys: Capture) -> None:
    """A run never stands without what guessing gives."""
    tasks = [(f"task {number}.", whose) for number in range(9) for whose in ("run", "chance", "paper")]
    rows = tuple(row(task, f"{whose} of {task}", whose, 0.5) for task, whose in tasks)  # type: ignore[arg-type]
    shots = (row("5 a class", "shots", "run", 0.5), row("chance", "guess of shots", "chance", 0.5))
    tables = [
        PaperTable("Table 3", "Classes", ("F1",), rows, ()),
        PaperTable("Figure 4", "Shots", ("accuracy",), shots, ()),
    ]
    said = said_of(capsys, *tables)
    assert "paper of task 7." in said
    assert "task 8." not in said
    assert "the page has 3 more rows" in said
    assert "guess of shots" in said
