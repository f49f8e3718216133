"""The scores by which runs are compared: those of their validation, or of an evaluation. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sensorloom.flows.sweeps.report import Score

if TYPE_CHECKING:
    from sensorloom.training.evaluation.classification import HeadFacts, ProtocolScore
    from sensorloom.training.evaluation.few_shot import FewShotCurve
    from sensorloom.training.evaluation.judged import ClassifiedView, Evaluation
    from sensorloom.training.run import RunResult

__all__ = ["BY_VALIDATION", "evaluation_scores", "validation_scores"]

BY_VALIDATION = "the validation split in the best epoch, which was chosen by it"
_WORDS = {"r10": "R@10", "mrr": "MRR"}


def validation_scores(result: RunResult) -> dict[str, Score]:
    """Return the finite scores of the best epoch on the validation split, in words, each with its chance."""
    scores = result.scores
    found = {}
    for name, value in scores.items():
        if value is not None and not name.endswith(("_chance", "/candidates")):
            found[_words(name)] = Score(value, scores.get(f"{name}_chance"))
    return found


def evaluation_scores(evaluation: Evaluation) -> dict[str, Score]:
    """Return the scores of an evaluation in words, each with its chance: retrieval, then each view with labels.

    Retrieval is that of one right answer among all candidates, and once more without the other windows of its take. The
    chance of an accuracy is that of whoever always says the same class or any class, whichever is more. Of a curve of
    few shots there is its last point, which is named by its labels: so many a class, or all.
    """
    found = {}
    for each in evaluation.retrieval:
        pair = f"{each.query} → {each.key}"
        if each.variant == "one-right":
            found[f"{pair} R@10"] = Score(each.r10, each.chance["r10"])
            found[f"{pair} MRR"] = Score(each.mrr, each.chance["mrr"])
        elif each.variant == "other-takes":
            found[f"{pair} R@10, other takes"] = Score(each.r10, each.chance["r10"])
    for judged in evaluation.views:
        found |= dict(_class_scores(judged))
    return found


def _class_scores(judged: ClassifiedView) -> Iterator[tuple[str, Score]]:
    for score in judged.scores:
        name = f"{judged.view}, {_name(score)}"
        yield f"{name}, accuracy", Score(score.accuracy, score.chance.accuracy)
        yield f"{name}, macro-F1", Score(score.macro_f1, score.chance.macro_f1)
    for curve in judged.few_shot:
        last = curve.points[-1]
        name = f"{judged.view}, few-shot by {last.words()}, {_head(curve.head)}, accuracy"
        yield name, Score(last.accuracy, curve.chance.accuracy)


def _name(score: ProtocolScore | FewShotCurve) -> str:
    return f"{score.protocol}, {_head(score.head)}"


def _head(head: HeadFacts) -> str:
    return f"{head.kind} ({head.wording})" if head.wording else head.kind


def _words(name: str) -> str:
    """Return `imu → text R@10` of `imu-text/r10`, `macro-F1` of `val_macro_f1`, `loss: ss` of `val_ss`."""
    pair, slash, measure = name.partition("/")
    if slash:
        return f"{pair.replace('-', ' → ')} {_WORDS.get(measure, measure)}"
    known = {"val_macro_f1": "macro-F1", "val_accuracy": "accuracy", "val_loss": "loss"}
    return known.get(name) or f"loss: {name.removeprefix('val_')}"
