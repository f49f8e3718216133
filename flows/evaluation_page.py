"""The files of an evaluation: what was found as JSON, and a page to look at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sensorloom.flows.kept_evaluation import keep_fuller
from sensorloom.flows.page_files import resources
from sensorloom.flows.pages.evaluation import render_evaluation
from sensorloom.training.replacing import write_whole

if TYPE_CHECKING:
    from sensorloom.training.evaluation.judged import Evaluation
    from sensorloom.training.evaluation.paper_tables import PaperTable

__all__ = ["evaluation_facts", "write_evaluation"]


@dataclass(frozen=True, slots=True)
class EvaluationPaths:
    """Where the facts and the page of an evaluation lie, and those of the earlier one that was kept."""

    facts: Path
    page: Path
    earlier: tuple[Path, ...] = ()


def evaluation_facts(evaluation: Evaluation, tables: tuple[PaperTable, ...]) -> dict[str, Any]:
    """Return an evaluation and its tables as plain JSON values."""
    return {**evaluation.facts(), "tables": [table.facts() for table in tables]}


def write_evaluation(evaluation: Evaluation, tables: tuple[PaperTable, ...], folder: Path) -> EvaluationPaths:
    """Write `evaluation-<split>.json` and `evaluation-<split>.html` into `folder`, in the place of earlier ones.

    Earlier ones are kept beside them if this evaluation lacks a protocol, view, head, pair, position or missing sensor
    that they have.
    """
    from sensorloom.training.evaluation.judge import facts_path, save_evaluation

    style, script = resources()
    facts = facts_path(folder, evaluation.split)
    page = facts.with_suffix(".html")
    rendered = render_evaluation(evaluation, tables, style=style, script=script)
    earlier = keep_fuller(facts, page, evaluation.facts())
    save_evaluation(evaluation, folder, {"tables": [table.facts() for table in tables]})
    write_whole(page, rendered)
    return EvaluationPaths(facts, page, earlier)
