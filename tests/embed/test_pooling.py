"""Frames of a window → one vector: against slow loops and numbers worked out by hand."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from sensorloom.align.view import Pooling
from sensorloom.embed.pooling import mean_of_present, pool, spread

RULES = get_args(Pooling)
ULP = 2.0**-11
"""Of float16 just below 1: what keeping a component may cost."""


def frames(count, dim=8, seed=0):
    rng = np.random.default_rng(seed)
    raw = rng.normal(0, 1, (count, dim)).astype(np.float32) * rng.uniform(1, 30, (count, 1)).astype(
        np.float32
    )
    norms = np.linalg.norm(raw, axis=1).astype(np.float32)
    return (raw / norms[:, None]).astype(np.float16), norms


def slow_pool(vectors, norms, row, rule, num_frames):
    """Pool one window by plain loops over lists."""
    places = range(len(row))
    if num_frames is not None:
        places = [math.floor(i * (len(row) - 1) / max(1, num_frames - 1)) for i in range(num_frames)]
    there = [place for place, frame in enumerate(row) if frame >= 0]
    if not there:
        return None
    shown = [row[min(there, key=lambda other, at=place: (abs(other - at), other))] for place in places]
    if rule == "middle":
        shown = [shown[len(shown) // 2]]
    elif rule == "first-middle-last":
        shown = [shown[0], shown[len(shown) // 2], shown[-1]]
    else:
        shown = sorted(set(shown))
    total = [0.0] * vectors.shape[1]
    for frame in shown:
        weight = 1.0 if rule == "normalise-mean-normalise" else float(norms[frame])
        for axis, value in enumerate(vectors[frame].tolist()):
            total[axis] += weight * value
    length = math.sqrt(sum(value * value for value in total))
    return [value / length for value in total] if length else None


@settings(max_examples=150, deadline=None)
@given(
    mask=arrays.arrays(np.bool_, st.tuples(st.integers(0, 5), st.integers(1, 12))),
    rule=st.sampled_from(RULES),
    data=st.data(),
)
def test_every_rule_is_what_a_plain_loop_gives_whatever_is_missing(mask, rule, data):
    instants = mask.shape[1]
    num_frames = data.draw(st.none() | st.integers(1, instants))
    vectors, norms = frames(40)
    starts = np.arange(len(mask))[:, None] * 3
    rows = np.where(mask, starts + np.arange(instants), -1)
    pooled, present = pool(vectors, norms, rows, rule, num_frames)
    assert (pooled.dtype, pooled.shape, present.dtype) == (np.float16, (len(mask), 8), np.bool_)
    assert present.tolist() == mask.any(axis=1).tolist()
    for window in range(len(mask)):
        expected = slow_pool(vectors, norms, rows[window].tolist(), rule, num_frames)
        if expected is None:
            assert not pooled[window].any()
        else:
            assert pooled[window] == pytest.approx(np.array(expected), abs=ULP)
            assert np.linalg.norm(pooled[window].astype(np.float64)) == pytest.approx(1, abs=2e-3)


def test_the_norms_weigh_with_primus_and_not_with_clip4clip():
    # Two frames at right angles, one three times as long: (3, 1) / √10 against (1, 1) / √2.
    vectors, norms = np.eye(2, dtype=np.float16), np.array([3, 1], np.float32)
    rows = np.array([[0, 1]])
    primus, _ = pool(vectors, norms, rows, "mean-then-normalise")
    clip4clip, _ = pool(vectors, norms, rows, "normalise-mean-normalise")
    assert primus[0] == pytest.approx(np.array([3, 1]) / math.sqrt(10), abs=ULP)
    assert clip4clip[0] == pytest.approx(np.array([1, 1]) / math.sqrt(2), abs=ULP)


def test_the_rules_of_aura_take_the_frames_that_its_code_takes():
    vectors, norms = np.eye(50, dtype=np.float16), np.arange(1, 51, dtype=np.float32)
    rows = np.arange(50)[None]
    assert np.flatnonzero(pool(vectors, norms, rows, "middle")[0][0]).tolist() == [25]
    # 50 frames → 10 by linspace → the one at index 5.
    assert np.flatnonzero(pool(vectors, norms, rows, "middle", 10)[0][0]).tolist() == [27]
    total, _ = pool(vectors, norms, rows, "first-middle-last", 10)
    assert np.flatnonzero(total[0]).tolist() == [0, 27, 49]
    weights = np.array([1, 28, 50])
    assert total[0][[0, 27, 49]] == pytest.approx(weights / np.linalg.norm(weights), abs=ULP)


def test_a_missing_middle_is_shown_by_the_nearest_frame_of_two_the_earlier():
    vectors, norms = frames(9)
    for row, shown in (
        ([0, 1, -1, 3, 4], 1),
        ([0, -1, -1, 3, 4], 3),
        ([0, -1, -1, -1, 4], 0),
        ([-1, -1, -1, -1, 4], 4),
    ):
        pooled, present = pool(vectors, norms, np.array([row]), "middle")
        assert present.all()
        assert pooled[0] == pytest.approx(vectors[shown].astype(np.float64), abs=2 * ULP)


def test_a_missing_one_of_k_frames_is_stood_in_for_and_counts_once():
    vectors, norms = frames(9)
    rows = np.array([[0, 1, -1, 3, 4]])
    two = pool(vectors, norms, np.array([[0, 1, 4]]), "mean-then-normalise")[0]
    assert np.array_equal(pool(vectors, norms, rows, "mean-then-normalise", 3)[0], two)
    none_at_all = np.array([[0, -1, -1, -1, -1]])
    for rule in RULES:
        assert np.array_equal(
            pool(vectors, norms, none_at_all, rule)[0],
            pool(vectors, norms, np.array([[0]]), rule)[0],
        )


def test_windows_without_frames_and_vectors_that_cancel_are_zero_and_not_present():
    vectors, norms = np.array([[1, 0], [-1, 0]], np.float16), np.array([2, 2], np.float32)
    for rule in RULES:
        pooled, present = pool(vectors, norms, np.array([[-1, -1], [0, 0]]), rule)
        assert (pooled[0].tolist(), present.tolist()) == ([0, 0], [False, True])
        no_frame = pool(vectors[:0], norms[:0], np.full((3, 2), -1), rule)
        assert (no_frame[0].shape, no_frame[1].tolist()) == ((3, 2), [False] * 3)
        assert pool(vectors, norms, np.empty((0, 4), np.int64), rule)[0].shape == (0, 2)
    for rule in RULES[:2]:
        pooled, present = pool(vectors, norms, np.array([[0, 1]]), rule)
        assert (pooled.tolist(), present.tolist()) == ([[0, 0]], [False])


def test_a_window_is_pooled_alike_whatever_stands_beside_it(monkeypatch):
    vectors, norms = frames(400, dim=32)
    rows = np.arange(300)[:, None] + np.arange(50)
    for rule in RULES:
        whole = pool(vectors, norms, rows, rule)[0]
        monkeypatch.setattr("sensorloom.embed.pooling._BLOCK_BYTES", 8 * 50 * 32 * 7)
        assert np.array_equal(pool(vectors, norms, rows, rule)[0], whole)
        assert np.array_equal(pool(vectors, norms, rows[123:124], rule)[0], whole[123:124])


@settings(max_examples=200, deadline=None)
@given(instants=st.integers(1, 400), data=st.data())
def test_places_are_those_of_torch_linspace_cut_to_whole_numbers(instants, data):
    num_frames = data.draw(st.integers(1, instants))
    places = spread(instants, num_frames)
    if num_frames == 1:
        assert places.tolist() == [0]
        return
    exact = [i * (instants - 1) // (num_frames - 1) for i in range(num_frames)]
    assert places.tolist() == exact
    assert (places[0], places[-1]) == (0, instants - 1)
    assert (np.diff(places) > 0).all()


@pytest.mark.parametrize("num_frames", [1, 2, 5, 10, 12, 50])
def test_places_of_50_frames_are_those_of_the_published_code(num_frames):
    torch = pytest.importorskip("torch")
    assert spread(50, num_frames).tolist() == torch.linspace(0, 49, num_frames).long().tolist()


@pytest.mark.parametrize("num_frames", [0, 11])
def test_no_more_frames_can_be_spread_than_there_are_instants(num_frames):
    with pytest.raises(ValueError, match=rf"of 10 instants 1 … 10 can be chosen, not {num_frames}"):
        spread(10, num_frames)


def test_the_mean_of_cameras_is_over_those_that_are_there():
    vectors = np.array([[[1, 0], [0, 1]], [[1, 0], [0, 1]], [[1, 0], [0, 1]], [[1, 0], [-1, 0]]], np.float16)
    present = np.array([[True, True], [False, True], [False, False], [True, True]])
    mean, there = mean_of_present(vectors, present)
    assert mean.astype(np.float64) == pytest.approx(
        np.array([[math.sqrt(0.5)] * 2, [0, 1], [0, 0], [0, 0]]), abs=ULP
    )
    assert there.tolist() == [True, True, False, False]
