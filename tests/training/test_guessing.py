"""What is told from guessing is told so: guesses are named, what is above by two standard errors is not."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest

from sensorloom.training.chance import retrieval_chance
from sensorloom.training.guessing import class_verdict, pair_verdicts


def scores(candidates: int, **found: float) -> dict[str, float | None]:
    chance = retrieval_chance(candidates)
    told = {f"imu-text/{name}": value for name, value in found.items()}
    levels = {f"imu-text/{name}_chance": chance[name] for name in found}
    return {**told, **levels, "imu-text/candidates": float(candidates), "val_loss": 1.0}


def test_recall_below_chance_is_said_with_its_numbers() -> None:
    assert pair_verdicts(scores(46, r10=4 / 46, mrr=0.9)) == (
        "IMU → text is not told from guessing (R@10 0.087, chance 0.217, 46 candidates)",
    )


@pytest.mark.parametrize(("errors", "is_told"), [(1.9, False), (2.1, True)])
def test_two_standard_errors_above_chance_are_told_from_guessing(errors: float, is_told: bool) -> None:
    chance = 10 / 100
    found = chance + errors * sqrt(chance * (1 - chance) / 100)
    assert (pair_verdicts(scores(100, r10=found, mrr=0.0)) == ()) is is_told


@pytest.mark.parametrize(("errors", "is_told"), [(1.9, False), (2.1, True)])
def test_among_few_candidates_the_reciprocal_rank_is_held_against_chance(
    errors: float, is_told: bool
) -> None:
    """Of 12 candidates ten are found by guessing; the error is that of 1 / r over all ranks, counted out."""
    reciprocal = 1 / np.arange(1, 13)
    found = reciprocal.mean() + errors * reciprocal.std() / sqrt(12)
    said = pair_verdicts(scores(12, r10=1.0, mrr=float(found)))
    assert (said == ()) is is_told
    if said:
        assert "not told from guessing (MRR 0." in said[0]


def test_scores_without_pairs_have_no_verdict() -> None:
    assert pair_verdicts({"val_loss": 2.0}) == ()


def test_a_single_candidate_tells_nothing() -> None:
    (said,) = pair_verdicts(scores(1, r10=1.0, mrr=1.0))
    assert said.endswith("(MRR 1.000, chance 1.000, 1 candidates)")


def test_a_classifier_is_held_against_the_most_frequent_class() -> None:
    assert class_verdict(0.69, 0.5, 100, "test") == ""
    assert class_verdict(0.59, 0.5, 100, "test") == (
        "The classifier is not told from naming the most frequent class on split 'test' (accuracy 0.590, "
        "the most frequent class 0.500, 100 windows)"
    )
