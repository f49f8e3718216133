"""Classification metrics on integer class indices, in plain numpy.

Everything follows from the confusion matrix int64[N, N], rows the true class, columns the predicted one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Chance", "accuracy", "chance_levels", "class_f1", "confusion_matrix", "macro_f1"]


def confusion_matrix(
    labels: NDArray[np.int64], predictions: NDArray[np.int64], num_classes: int
) -> NDArray[np.int64]:
    """Count int64[num_classes, num_classes]: entry (i, j) is how often true class i was called j.

    Raises ValueError if the inputs differ in length or hold an index outside [0, num_classes).
    """
    if labels.shape != predictions.shape or labels.ndim != 1:
        raise ValueError(
            f"labels and predictions must be equally long vectors, got {labels.shape} and {predictions.shape}"
        )
    for name, values in (("labels", labels), ("predictions", predictions)):
        if len(values) and not (values.min() >= 0 and values.max() < num_classes):
            raise ValueError(
                f"{name} must lie in [0, {num_classes}), got values from {values.min()} to {values.max()}"
            )
    pairs = labels.astype(np.int64) * num_classes + predictions.astype(np.int64)
    return np.bincount(pairs, minlength=num_classes**2).astype(np.int64).reshape(num_classes, num_classes)


def accuracy(confusion: NDArray[np.int64]) -> float:
    """Return the share of examples on the diagonal; raises ValueError for an empty matrix."""
    return float(np.trace(confusion) / _total(confusion))


def class_f1(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return F1 float64[N] = 2·TP / (2·TP + FP + FN) per class, 0 for a class that never occurs.

    That is what scikit-learn's `f1_score(average=None, zero_division=0)` gives.
    """
    hits = np.diag(confusion).astype(np.float64)
    mentions = confusion.sum(axis=0) + confusion.sum(axis=1)
    scores = np.zeros_like(hits)
    np.divide(2 * hits, mentions, out=scores, where=mentions > 0)
    return scores


def macro_f1(confusion: NDArray[np.int64], *, count_absent: bool = False) -> float:
    """Return the unweighted mean of F1 over classes; raises ValueError for an empty matrix.

    By default over the classes that occur as a label or a prediction, scikit-learn's
    `f1_score(average="macro", zero_division=0)`; with `count_absent` over all N, which is the same call with
    `labels=range(N)`, where a class that never occurs counts as 0.
    """
    _total(confusion)
    scores = class_f1(confusion)
    if count_absent:
        return float(scores.mean())
    occurs = (confusion.sum(axis=0) + confusion.sum(axis=1)) > 0
    return float(scores[occurs].mean())


@dataclass(frozen=True, slots=True)
class Chance:
    """What two classifiers that never look at the data score on the evaluated split.

    `majority_*`: always the split's most frequent class (measured on the split itself, so it is an upper
    bound on such a guess). `uniform_*`: each class equally often, at random; its F1 is that of the expected
    confusion matrix.
    """

    majority_accuracy: float
    majority_macro_f1: float
    uniform_accuracy: float
    uniform_macro_f1: float

    @property
    def accuracy(self) -> float:
        """The greater accuracy of the two."""
        return max(self.majority_accuracy, self.uniform_accuracy)

    @property
    def macro_f1(self) -> float:
        """The greater macro-F1 of the two."""
        return max(self.majority_macro_f1, self.uniform_macro_f1)


def chance_levels(confusion: NDArray[np.int64]) -> Chance:
    """Return the chance levels for the true labels of `confusion`; raises ValueError for an empty matrix."""
    total, num_classes = _total(confusion), len(confusion)
    support = confusion.sum(axis=1)
    majority = np.zeros_like(confusion)
    majority[:, int(support.argmax())] = support
    # The expected matrix of a uniform guess, times num_classes so that it stays in whole numbers.
    uniform = np.repeat(support[:, None], num_classes, axis=1)
    return Chance(
        majority_accuracy=float(support.max() / total),
        majority_macro_f1=macro_f1(majority),
        uniform_accuracy=accuracy(uniform),
        uniform_macro_f1=macro_f1(uniform),
    )


def _total(confusion: NDArray[np.int64]) -> int:
    total = int(confusion.sum())
    if total == 0:
        raise ValueError("no example was evaluated: the confusion matrix is empty")
    return total
