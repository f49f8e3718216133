from __future__ import annotations

import numpy as np

from sensorloom.align.sync.path import follow


def ridge(lags, width=200, height=30.0, seed=0):
    """Evidence that rises at `lags` and is chance elsewhere."""
    evidence = np.random.default_rng(seed).gamma(1, 0.7, (len(lags), width))
    evidence[np.arange(len(lags)), lags] += height
    return evidence


def test_a_slow_drift_is_followed():
    lags = 50 + np.arange(40) // 2
    assert np.array_equal(follow(ridge(lags)), lags)


def test_a_jump_that_lasts_is_followed():
    lags = np.where(np.arange(40) < 15, 50, 170)
    assert np.array_equal(follow(ridge(lags)), lags)


def test_two_segments_elsewhere_are_no_jump():
    lags = np.full(40, 50)
    lags[20:22] = 150
    assert np.abs(follow(ridge(lags)) - 50).max() <= 2


def test_segments_that_know_nothing_are_bridged():
    evidence = ridge(np.full(40, 50))
    evidence[10:20] = 0
    assert np.abs(follow(evidence) - 50).max() <= 2


def test_a_single_segment_takes_its_peak():
    assert follow(ridge([77])).tolist() == [77]
