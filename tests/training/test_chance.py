"""Chance levels: against published rows, every order of a few candidates, and guesses that are made."""

from __future__ import annotations

from itertools import permutations
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorloom.training.chance import RANKS, SplitChance, class_chance, retrieval_chance, split_chance


@pytest.mark.parametrize(
    ("candidates", "row"),
    [
        (240, (0.0042, 0.0417, 0.2083, 0.0253)),
        (1000, (0.0010, 0.0100, 0.0500, 0.0075)),
        (1216, (0.0008, 0.0082, 0.0411, 0.0063)),
        (1280, (0.0008, 0.0078, 0.0391, 0.0060)),
    ],
)
def test_one_right_answer_gives_the_published_chance_rows(candidates, row):
    """[methods §7, table 2, chance rows]"""
    found = retrieval_chance(candidates)
    assert [found[name] for name in ("r1", "r10", "r50", "mrr")] == pytest.approx(row, abs=6e-5)


@given(st.integers(1, 7), st.data())
def test_several_right_answers_agree_with_trying_every_order(candidates, data):
    positives = data.draw(st.integers(1, candidates))
    firsts = [
        1 + min(order.index(right) for right in range(positives)) for order in permutations(range(candidates))
    ]
    found = retrieval_chance(candidates, positives)
    assert found["mrr"] == pytest.approx(np.mean([1 / first for first in firsts]))
    for rank in RANKS:
        assert found[f"r{rank}"] == pytest.approx(np.mean([first <= rank for first in firsts]))


@given(st.integers(1, 400), st.data())
def test_recall_is_one_less_the_chance_to_miss_every_right_answer(candidates, data):
    positives = data.draw(st.integers(1, candidates))
    for rank in RANKS:
        missed = comb(candidates - positives, rank) / comb(candidates, rank) if rank <= candidates else 0
        assert retrieval_chance(candidates, positives)[f"r{rank}"] == pytest.approx(1 - missed)


@pytest.mark.parametrize(("candidates", "positives"), [(0, 1), (5, 0), (5, 6)])
def test_nothing_to_find_has_no_chance(candidates, positives):
    with pytest.raises(ValueError, match=f"can be right, not {positives}; chance needs one at least"):
        retrieval_chance(candidates, positives)


def test_the_majority_guess_is_scored_on_the_very_split():
    found = class_chance([6, 3, 1])
    assert found["majority"] == 0.6
    assert found["uniform"] == pytest.approx(1 / 3)
    # F1 of the majority class is 2·6 / (10 + 6), of the two others 0.
    assert found["macro_f1_majority"] == pytest.approx(0.75 / 3)


def test_the_uniform_guess_comes_out_as_it_does_when_it_is_made_often():
    counts = np.array([60, 30, 10, 0])
    truth = np.repeat(np.arange(4), counts * 500)
    guess = np.random.default_rng(0).integers(0, 4, len(truth))
    hits = np.array([((truth == c) & (guess == c)).sum() for c in range(4)])
    f1 = 2 * hits / (np.bincount(truth, minlength=4) + np.bincount(guess, minlength=4))
    found = class_chance(counts.tolist())
    assert found["uniform"] == pytest.approx((truth == guess).mean(), abs=0.01)
    assert found["macro_f1_uniform"] == pytest.approx(f1.mean(), abs=0.01)


@pytest.mark.parametrize("counts", [[], [0, 0], [3, -1]])
def test_classes_without_windows_are_refused(counts):
    with pytest.raises(ValueError, match="counts of classes must be 0 or more, and one above 0, got"):
        class_chance(counts)


def test_each_split_has_its_own_chance():
    rows = [{"split": "test", "label_index": label} for label in (0, 0, 1, None, -1)]
    rows += [{"split": "train", "label_index": None}] * 2
    test, train = split_chance(rows, num_classes=2, retrieves=True)
    assert (test.split, test.windows, test.candidates) == ("test", 5, 5)
    assert test.retrieval == retrieval_chance(5)
    assert test.classes == class_chance([2, 1])
    assert train == SplitChance("train", 2, 2, retrieval_chance(2), {})


def test_a_view_of_signals_alone_retrieves_nothing():
    (only,) = split_chance([{"split": "train", "label_index": 1}], num_classes=2, retrieves=False)
    assert (only.candidates, only.retrieval) == (0, {})
    assert only.classes["majority"] == 1.0
