"""Runs in the tables of the papers: each published value beside ours, with the data that each was measured on. Pure.

A candidate set of another size makes another task: so R@k stands beside its chance, and R@10 as a multiple of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from sensorloom.training.chance import retrieval_chance
from sensorloom.training.evaluation.paper_classes import class_tables, few_shot_tables
from sensorloom.training.evaluation.paper_rows import (
    PaperRow,
    PaperTable,
    Whose,
    number_words,
    render_text,
    table_notes,
)
from sensorloom.training.evaluation.published import PublishedRetrieval, published_retrieval

if TYPE_CHECKING:
    from sensorloom.training.evaluation.judged import Evaluation
    from sensorloom.training.evaluation.retrieval import RetrievalScores

__all__ = [
    "PaperRow",
    "PaperTable",
    "class_tables",
    "few_shot_tables",
    "number_words",
    "paper_tables",
    "render_text",
    "retrieval_table",
]

_RETRIEVAL = ("candidates", "R@1", "R@10", "R@50", "MRR", "R@10 / chance")
_OTHER_SIZE = (
    "Recalls of candidate sets of different sizes are different tasks: compare each with its chance."
)


def paper_tables(evaluations: Sequence[Evaluation]) -> tuple[PaperTable, ...]:
    """Return every table and figure that any of the evaluations has numbers for."""
    return (*retrieval_table(evaluations), *class_tables(evaluations), *few_shot_tables(evaluations))


def retrieval_table(evaluations: Sequence[Evaluation]) -> tuple[PaperTable, ...]:
    """Return runs in the layout of AURA-MFM's Table 2, one block a task, none where no run retrieves anything.

    The score is that of one right answer among all candidates, as the paper's.
    """
    tasks: dict[tuple[str, str], list[tuple[Evaluation, RetrievalScores]]] = {}
    for evaluation in evaluations:
        for score in evaluation.retrieval:
            if score.variant == "one-right":
                tasks.setdefault((score.query, score.key), []).append((evaluation, score))
    rows = [row for (query, key), scored in tasks.items() for row in _task_rows(query, key, scored)]
    if not rows:
        return ()
    notes = (_OTHER_SIZE, *table_notes(evaluations, [row for row in rows if row.whose == "paper"]))
    return (
        PaperTable("AURA-MFM Table 2", "Retrieval between IMU and others", _RETRIEVAL, tuple(rows), notes),
    )


def _task_rows(
    query: str, key: str, scored: Sequence[tuple[Evaluation, RetrievalScores]]
) -> Iterable[PaperRow]:
    task = f"{query} → {key}"
    chances = {}
    for evaluation, score in scored:
        chances[score.candidates, evaluation.data] = score.chance
        numbers = (score.r1, score.r10, score.r50, score.mrr)
        yield _retrieval_row(
            task, evaluation.name, "run", score.candidates, numbers, score.chance, evaluation.data
        )
    for (candidates, data), chance in chances.items():
        yield _chance_row(task, candidates, chance, data)
    published = {
        row: None
        for evaluation, _ in scored
        for row in published_retrieval(evaluation.view, query, key)  # each once, in order
    }
    sizes = dict.fromkeys(row.candidates for row in published if row.candidates is not None)
    for row in published:
        yield _published_row(task, row)
    for size in sizes:
        yield _chance_row(task, size, retrieval_chance(size), "the papers' candidates")


def _retrieval_row(
    task: str,
    name: str,
    whose: Whose,
    candidates: int | None,
    numbers: tuple[float, float, float, float],
    chance: Mapping[str, float] | None,
    data: str,
) -> PaperRow:
    above = None if chance is None or not chance["r10"] else numbers[1] / chance["r10"]
    return PaperRow(task, name, whose, (candidates, *numbers, above), data)


def _chance_row(task: str, candidates: int, chance: Mapping[str, float], data: str) -> PaperRow:
    numbers = (chance["r1"], chance["r10"], chance["r50"], chance["mrr"])
    return _retrieval_row(task, f"chance among {candidates:,}", "chance", candidates, numbers, chance, data)


def _published_row(task: str, row: PublishedRetrieval) -> PaperRow:
    chance = None if row.candidates is None else retrieval_chance(row.candidates)
    name = f"{row.model}, cited" if row.candidates is None else f"{row.model} ({row.task})"
    numbers = (row.r1, row.r10, row.r50, row.mrr)
    return _retrieval_row(task, name, "paper", row.candidates, numbers, chance, row.measured_on)
