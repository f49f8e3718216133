"""Rows that are found again: against comparing each with each, and planted among many."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorloom.embed.near_duplicates import find_twins

WITHIN = 0.05


def units(count, dim, seed, spread=1.0):
    """Unit vectors about a common direction, as an encoder gives them."""
    rng = np.random.default_rng(seed)
    raw = rng.standard_normal(dim) + spread * rng.standard_normal((count, dim))
    return (raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(np.float16)


def slow_twins(values, present, unit, inside):
    """Compare each with each by plain loops."""
    rows = values.astype(np.float64).tolist()
    first = list(range(len(rows)))
    for n in range(len(rows)):
        for earlier in range(n):
            both = present[n] and present[earlier] and unit[n] == unit[earlier]
            if both and first[n] == n and rows[n] == rows[earlier]:
                first[n] = earlier
    pairs = set()
    for n in range(len(rows)):
        for m in range(n):
            told = present[n] and present[m] and first[n] == n and first[m] == m
            if told and (inside or unit[n] != unit[m]) and math.dist(rows[n], rows[m]) <= WITHIN:
                pairs.add((m, n))
    return first, pairs


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 40), st.integers(0, 2**31), st.booleans(), st.data())
def test_few_rows_agree_with_comparing_each_with_each(count, seed, inside, data):
    rng = np.random.default_rng(seed)
    values = units(max(count, 1), 16, seed)[:count]
    for place in range(1, count):
        if rng.random() < 0.3:
            values[place] = values[rng.integers(place)]
        elif rng.random() < 0.3:
            near = values[rng.integers(place)] + 0.005 * rng.standard_normal(16)
            values[place] = near.astype(np.float16)
    present, unit = rng.random(count) < 0.9, rng.integers(0, data.draw(st.integers(1, 5)), count)
    first, pairs = slow_twins(values, present, unit, inside)
    found = find_twins(values, present, unit, WITHIN, inside=inside)
    assert found.first.tolist() == first
    got = set(map(tuple, found.pairs.tolist()))
    assert got <= pairs
    # Pairs that are close by far are found; at the limit itself one in a hundred may be missed.
    near = {
        (a, b)
        for a, b in pairs
        if math.dist(values[a].astype(float).tolist(), values[b].astype(float).tolist()) < WITHIN / 2
    }
    assert len(near - got) <= 0.02 * len(near)


def test_copies_are_found_among_many_takes_of_neighbours():
    count, dim, rng = 6000, 64, np.random.default_rng(0)
    scenes = np.repeat(units(count // 50, dim, 1).astype(np.float32), 50, axis=0)
    values = scenes + 0.3 * rng.standard_normal((count, dim)) / math.sqrt(dim)
    values = (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float16)
    take = np.repeat(np.arange(count // 50), 50)
    source, copy = np.arange(0, 500), np.arange(3000, 3500)
    values[copy[:250]] = values[source[:250]]
    noise = rng.standard_normal((250, dim))
    noise *= 0.04 / np.linalg.norm(noise, axis=1, keepdims=True)
    values[copy[250:]] = values[source[250:]] + noise
    found = find_twins(values, np.ones(count, np.bool_), take, WITHIN, inside=False)
    planted = set(zip(source.tolist(), copy.tolist(), strict=True))
    got = set(map(tuple, found.pairs.tolist()))
    assert got <= planted
    assert len(got) >= 0.99 * len(planted)
    assert {pair for pair in planted if pair[0] < 250} <= got


def test_rows_that_are_all_the_same_end_in_a_count_of_pairs_that_is_bounded():
    values = np.repeat(units(1, 32, 0), 3000, axis=0)
    found = find_twins(values, np.ones(3000, np.bool_), np.arange(3000), WITHIN, inside=True)
    assert len(found.pairs) == 12000
    one = find_twins(values, np.ones(3000, np.bool_), np.zeros(3000, np.int64), WITHIN, inside=True)
    assert one.first.tolist() == [0] * 3000
    assert len(one.pairs) == 0


def test_of_too_many_pairs_those_of_two_units_are_told_first():
    crowd = np.repeat(units(1, 32, 0), 3000, axis=0)
    crowd += np.random.default_rng(1).normal(0, 1e-3, crowd.shape).astype(crowd.dtype)
    source = units(50, 32, 2)
    values = np.concatenate([crowd, source, source])
    unit = np.concatenate([np.zeros(3050, np.int64), np.ones(50, np.int64)])
    found = find_twins(values, np.ones(len(values), np.bool_), unit, WITHIN, inside=True)
    assert len(found.pairs) == 4 * len(values)
    got = set(map(tuple, found.pairs.tolist()))
    assert {(3000 + place, 3050 + place) for place in range(50)} <= got


def test_equal_bits_count_as_equal_only_where_a_vector_is():
    values = np.repeat(units(1, 8, 0), 4, axis=0)
    found = find_twins(
        values, np.array([True, False, True, False]), np.zeros(4, np.int64), WITHIN, inside=True
    )
    assert found.first.tolist() == [0, 1, 0, 3]


@pytest.mark.parametrize("count", [0, 1])
def test_one_row_has_no_twin(count):
    found = find_twins(
        units(1, 8, 0)[:count], np.ones(count, np.bool_), np.zeros(count, np.int64), 0.1, inside=True
    )
    assert (found.first.tolist(), found.pairs.shape) == ([0][:count], (0, 2))
