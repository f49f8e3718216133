"""Mixtures: weights as they were written, and no source ever a whole example away from its due."""

from __future__ import annotations

import math
import pickle
import re
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorloom.training.streaming.apportion import SourceSchedule, exact_weights

weight_lists = st.lists(st.integers(1, 40), min_size=1, max_size=8).map(tuple)
PINNED = [0, 1, 0, 1, 0, 0, 2, 0, 1]


def strays(weights: tuple[int, ...], sources: list[int]) -> Fraction:
    """The largest distance of any count from its due, over every prefix, in exact fractions."""
    counts, worst = [0] * len(weights), Fraction(0)
    for length, source in enumerate(sources, start=1):
        counts[source] += 1
        dues = [Fraction(weight * length, sum(weights)) for weight in weights]
        worst = max(worst, *(abs(due - count) for due, count in zip(dues, counts, strict=True)))
    return worst


@given(weight_lists)
def test_no_count_strays_a_whole_example_over_any_prefix(weights: tuple[int, ...]) -> None:
    schedule = SourceSchedule(weights)
    sources = schedule.sources(0, 2 * sum(weights) + 1)
    assert sources.dtype == np.int64
    bound = 1 - Fraction(1, 2 * len(weights) - 2) if len(weights) > 1 else 0
    assert strays(weights, sources.tolist()) <= bound < 1


@given(weight_lists)
def test_the_schedule_is_the_one_that_the_paper_describes(weights: tuple[int, ...]) -> None:
    """Tijdeman's algorithm step by step, in fractions: of those whose due exceeds their count enough, the one
    whose next example is due first."""
    margin = Fraction(1, max(1, 2 * len(weights) - 2))
    counts, expected = [0] * len(weights), []
    for time in range(1, sum(weights) + 1):
        shares = [Fraction(weight, sum(weights)) for weight in weights]
        may = [i for i in range(len(weights)) if shares[i] * time - counts[i] >= margin or len(weights) == 1]
        given_ = min(may, key=lambda i: math.ceil((counts[i] + 1 - margin) / shares[i]))
        counts[given_] += 1
        expected.append(given_)
    assert SourceSchedule(weights).sources(0, sum(weights)).tolist() == expected


@given(weight_lists, st.integers(0, 700), st.integers(0, 50))
def test_the_schedule_repeats_and_its_counts_are_those_of_its_sources(
    weights: tuple[int, ...], start: int, length: int
) -> None:
    schedule = SourceSchedule(weights)
    sources, counts = schedule.sources(start, start + length), schedule.counts(start)
    assert sum(weights) % schedule.period == 0
    later = start + 3 * sum(weights)
    assert np.array_equal(schedule.sources(later, later + length), sources)
    assert counts.dtype == np.int64
    assert counts.tolist() == np.bincount(schedule.sources(0, start), minlength=len(weights)).tolist()
    assert schedule.counts(later).tolist() == (counts + 3 * np.array(weights)).tolist()
    assert schedule.counts(start + length).tolist() == (
        (counts + np.bincount(sources, minlength=len(weights))).tolist()
    )


@pytest.mark.parametrize("weights", [(50_000, 30_001, 7), (70_001, 1), (123_457,), (20_000, 20_001) * 4])
def test_the_pattern_is_the_same_whatever_was_asked_first(weights: tuple[int, ...]) -> None:
    """Longer than the chunks that it is made in, and asked for across their borders."""
    whole = SourceSchedule(weights).sources(0, sum(weights))
    for starts in ((40_000, 0, 16_383), (16_384, 16_385, sum(weights) - 5), (32_768, 1, 32_760)):
        schedule = SourceSchedule(weights)
        for start in starts:
            positions = np.arange(start, start + 20) % len(whole)
            assert np.array_equal(schedule.sources(start, start + 20), whole[positions])
            expected = np.bincount(whole[:start], minlength=len(weights))
            assert np.array_equal(schedule.counts(start), expected)
    assert np.array_equal(np.bincount(whole), weights)
    dues = np.arange(1, len(whole) + 1)[:, None] * np.array(weights)
    counts = np.cumsum(whole[:, None] == np.arange(len(weights)), axis=0)
    assert np.abs(counts * sum(weights) - dues).max() < sum(weights)


def test_a_common_factor_shortens_the_pattern_and_changes_nothing_else() -> None:
    small, large = SourceSchedule((2, 3, 5)), SourceSchedule((400_000_000, 600_000_000, 1_000_000_000))
    assert large.period == small.period == 10
    assert np.array_equal(small.sources(0, 30), large.sources(0, 30))
    assert large.counts(10**12).tolist() == [2 * 10**11, 3 * 10**11, 5 * 10**11]


def test_a_schedule_is_pinned_and_can_be_pickled() -> None:
    """Pinned: a saved position of a mixture counts on the pattern."""
    schedule = SourceSchedule((5, 3, 1))
    assert schedule.sources(0, 9).tolist() == PINNED
    assert pickle.loads(pickle.dumps(schedule)).sources(2, 9).tolist() == PINNED[2:]
    assert schedule.sources(4, 4).tolist() == []


def test_a_copy_for_another_process_does_not_carry_the_pattern() -> None:
    schedule = SourceSchedule((70_001, 30_000, 7))
    whole, small = schedule.sources(0, 100_008), len(pickle.dumps(SourceSchedule((70_001, 30_000, 7))))
    assert len(pickle.dumps(schedule)) == small < 200
    copy = pickle.loads(pickle.dumps(schedule))
    assert np.array_equal(copy.sources(90_000, 100_008), whole[90_000:])
    assert np.array_equal(copy.counts(50_000), schedule.counts(50_000))


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=5))
def test_weights_by_examples_are_the_sizes(sizes: list[int]) -> None:
    assert exact_weights("examples", sizes) == tuple(sizes)


@given(st.lists(st.integers(1, 9999), min_size=1, max_size=6))
def test_decimals_count_as_they_are_written(thousandths: list[int]) -> None:
    weights = [number / 1000 for number in thousandths]
    factor = math.gcd(*thousandths)
    expected = tuple(number // factor for number in thousandths)
    assert exact_weights(weights, [1] * len(weights)) == expected


def test_weights_may_be_whole_numbers_and_small() -> None:
    assert exact_weights([0.3, 0.7], [5, 5]) == (3, 7)
    assert exact_weights([2, 4, 6], [5, 5, 5]) == (1, 2, 3)
    assert exact_weights([1e-6, 1], [5, 5]) == (1, 10**6)


def test_a_temperature_flattens_the_sizes() -> None:
    sizes = [10_000, 100, 1]
    assert exact_weights("examples", sizes, 2.0) == exact_weights([0.900901, 0.090090, 0.009009], sizes)
    assert exact_weights("examples", sizes, math.inf) == (1, 1, 1)
    # Below one it sharpens; a share that would vanish stays at a millionth.
    assert exact_weights("examples", sizes, 0.01) == (10**6, 1, 1)


@pytest.mark.parametrize(("arguments", "message"), [
    (([], []), "a mixture needs at least one source, got none"),
    (("examples", [3, 0]), "source 1 of the mixture has 0 examples; leave it out"),
    (([0.5], [3, 4]), "1 weights for 2 sources: [0.5]"),
    (([0.5, -1.0], [3, 4]), "weight 1 must be positive and finite, got -1.0"),
    (([0.0, 1.0], [3, 4]), "weight 0 must be positive and finite, got 0.0"),
    (([math.nan, 1.0], [3, 4]), "weight 0 must be positive and finite, got nan"),
    (([1.0, math.inf], [3, 4]), "weight 1 must be positive and finite, got inf"),
    (("size", [3, 4]), "weights are 'examples' or one number for each source, got 'size'"),
    (("examples", [3, 4], 0.0), "the temperature must be positive, got 0.0"),
    (("examples", [3, 4], math.nan), "the temperature must be positive, got nan"),
    (([1, 2], [3, 4], 2.0), "temperature 2.0 flattens weights='examples' only; the weights [1, 2] stand as"),
])  # fmt: skip
def test_weights_that_mean_nothing_are_refused(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        exact_weights(*arguments)


@pytest.mark.parametrize(("weights", "message"), [
    ((), "weights that are positive whole numbers, got ()"),
    ((3, 0), "weights that are positive whole numbers, got (3, 0)"),
    ((1,) * 65_537, "a schedule has at most 65536 sources, got 65537"),
    (exact_weights([1 / 3, 1 / 7], [1, 1]), "examples, more than 100000000; write fewer digits (0.333 for"),
])  # fmt: skip
def test_schedules_that_cannot_be_are_refused(weights: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        SourceSchedule(weights)


@pytest.mark.parametrize(("start", "stop"), [(-1, 3), (4, 3)])
def test_positions_that_cannot_be_are_refused(start: int, stop: int) -> None:
    with pytest.raises(ValueError, match=re.escape(f"start at 0 and rise, got [{start}, {stop})")):
        SourceSchedule((1, 2)).sources(start, stop)
    with pytest.raises(ValueError, match="positions of a schedule start at 0, got -2"):
        SourceSchedule((1, 2)).counts(-2)
