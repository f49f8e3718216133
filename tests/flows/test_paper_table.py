"""Tables of papers on the terminal: a screen of rows, ours first, and what the others are is in the page."""

from __future__ import annotations

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
