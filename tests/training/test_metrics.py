"""Metrics against a slow reference with loops, and against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorloom.training.metrics import accuracy, chance_levels, class_f1, confusion_matrix, macro_f1

pairs = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60)


def reference_f1(truth: list[int], guess: list[int], classes: list[int]) -> float:
    """scikit-learn's definition, counted one by one: a precision or recall of 0/0 is 0, and so is its F1."""
    scores = []
    for item in classes:
        hits = sum(1 for a, b in zip(truth, guess, strict=True) if a == b == item)
        called, real = guess.count(item), truth.count(item)
        precision = hits / called if called else 0.0
        recall = hits / real if real else 0.0
        scores.append(2 * precision * recall / (precision + recall) if precision + recall else 0.0)
    return sum(scores) / len(scores)


@given(pairs)
def test_scores_equal_the_slow_reference(rows: list[tuple[int, int]]) -> None:
    truth, guess = [a for a, _ in rows], [b for _, b in rows]
    confusion = confusion_matrix(np.array(truth), np.array(guess), 5)
    assert confusion.sum() == len(rows)
    assert all(confusion[a, b] == rows.count((a, b)) for a in range(5) for b in range(5))
    assert accuracy(confusion) == pytest.approx(np.mean([a == b for a, b in rows]))
    assert macro_f1(confusion) == pytest.approx(reference_f1(truth, guess, sorted({*truth, *guess})))
    assert macro_f1(confusion, count_absent=True) == pytest.approx(reference_f1(truth, guess, list(range(5))))


def test_a_class_that_never_occurs_scores_nothing_and_counts_only_on_request() -> None:
    confusion = confusion_matrix(np.array([0, 1]), np.array([0, 1]), 3)
    assert class_f1(confusion).tolist() == [1, 1, 0]
    assert macro_f1(confusion) == 1
    assert macro_f1(confusion, count_absent=True) == pytest.approx(2 / 3)


def test_chance_is_that_of_the_evaluated_labels() -> None:
    labels = np.array([0, 0, 0, 1])
    chance = chance_levels(confusion_matrix(labels, np.array([1, 1, 1, 1]), 4))
    assert chance.majority_accuracy == 0.75
    assert chance.majority_macro_f1 == pytest.approx((2 * 3 / 7 + 0) / 2)
    assert chance.uniform_accuracy == 0.25
    expected = [2 * 0.75 / (3 + 1), 2 * 0.25 / (1 + 1), 0, 0]
    assert chance.uniform_macro_f1 == pytest.approx(np.mean(expected))


def test_indices_outside_the_classes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"predictions must lie in \[0, 2\), got values from 0 to 2"):
        confusion_matrix(np.array([0, 1]), np.array([0, 2]), 2)
    with pytest.raises(ValueError, match=r"equally long vectors, got \(2,\) and \(1,\)"):
        confusion_matrix(np.array([0, 1]), np.array([0]), 2)


def test_an_empty_evaluation_is_refused() -> None:
    empty = np.zeros((2, 2), np.int64)
    for metric in (accuracy, macro_f1, chance_levels):
        with pytest.raises(ValueError, match="no example was evaluated"):
            metric(empty)
