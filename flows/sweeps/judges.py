"""Who gives the scores of a finished run: its own validation, or an evaluation by protocols."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sensorloom.flows.chosen_encoder import named_spec
from sensorloom.flows.config import Config
from sensorloom.flows.sweeps.report import Score
from sensorloom.flows.sweeps.scores import BY_VALIDATION, evaluation_scores, validation_scores
from sensorloom.flows.sweeps.sweep import Judge

if TYPE_CHECKING:
    from sensorloom.training.evaluation.classification import Tune
    from sensorloom.training.evaluation.judged import Evaluation
    from sensorloom.training.evaluation.judging import Asked, Listen
    from sensorloom.training.run import RunResult

__all__ = ["asked_of", "by_protocols", "by_validation", "judged"]


def by_validation() -> Judge:
    """Return who takes the scores of validation, which the run has already."""
    return Judge(BY_VALIDATION, validation_scores)


def by_protocols(config: Config, split: str, asked: Asked, fit: Sequence[str] = ()) -> Judge:
    """Return who evaluates each run on `split` as `asked`, and keeps the evaluation beside it.

    `fit` are the `key=value`s that `asked` changes fits by.
    """
    where = f"on {', '.join(asked.views)}" if asked.views else "on every view with labels that fits"
    more = f" {where}" if asked.is_of_classes() else ""
    times = f", {asked.seeds} fits each" if asked.seeds > 1 else ""
    changed = f", fitted with {', '.join(fit)}" if fit else ""
    name = f"{', '.join(asked.protocols)} of split {split!r}{more}{times}{changed}"
    return Judge(name, partial(_scores, config, split, asked), asked.views, split)


def asked_of(
    config: Config, protocols: Sequence[str], views: Sequence[str], tune: Tune | None = None
) -> Asked:
    """Return what to evaluate by; classes are said by the encoder of `[embed]`. Raises RunError for an unknown name."""
    from sensorloom.training.evaluation.judging import Asked

    return Asked(protocols=tuple(protocols), views=tuple(views), spec=named_spec(config), tune=tune)


def judged(run: Path, split: str, asked: Asked, store: str, on_progress: Listen | None = None) -> Evaluation:
    """Evaluate a run, and write its facts and its page into the folder of the run as `evaluate` does."""
    from sensorloom.flows.evaluation_page import write_evaluation
    from sensorloom.training.evaluation.judge import evaluate_run
    from sensorloom.training.evaluation.paper_tables import paper_tables

    evaluation = evaluate_run(run, split, asked=asked, store=store, on_progress=on_progress)
    write_evaluation(evaluation, paper_tables([evaluation]), run)
    return evaluation


def _scores(config: Config, split: str, asked: Asked, result: RunResult) -> dict[str, Score]:
    return evaluation_scores(judged(result.run_dir, split, asked, config.store.url))
