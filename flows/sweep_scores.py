"""The scores by which the runs of a sweep are compared: those of their validation, or of an evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sensorloom.flows.sweep import Judge
from sensorloom.flows.sweep_report import Score

if TYPE_CHECKING:
    from sensorloom.training.run import RunResult

__all__ = ["BY_VALIDATION", "validation_scores"]

_WORDS = {"r10": "R@10", "mrr": "MRR"}


def validation_scores(result: RunResult) -> dict[str, Score]:
    """Return the finite scores of the best epoch on the validation split, in words, each with its chance."""
    scores = result.scores
    found = {}
    for name, value in scores.items():
        if value is not None and not name.endswith(("_chance", "/candidates")):
            found[_words(name)] = Score(value, scores.get(f"{name}_chance"))
    return found


def _words(name: str) -> str:
    """Return `imu → text R@10` of `imu-text/r10`, `macro-F1` of `val_macro_f1`, `loss: ss` of `val_ss`."""
    pair, slash, measure = name.partition("/")
    if slash:
        return f"{pair.replace('-', ' → ')} {_WORDS.get(measure, measure)}"
    known = {"val_macro_f1": "macro-F1", "val_accuracy": "accuracy", "val_loss": "loss"}
    return known.get(name) or f"loss: {name.removeprefix('val_')}"


BY_VALIDATION = Judge("the best epoch on the validation split, by which it was chosen", validation_scores)
