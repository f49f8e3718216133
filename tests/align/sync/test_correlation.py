from __future__ import annotations

import numpy as np
import pytest

from sensorloom.align.sync.correlation import effective_halves, information, information_by_fft


def canonical(own, other):
    """-log of the product of 1 - r² over the canonical correlations, by QR and SVD."""
    left, right = np.linalg.qr(own)[0], np.linalg.qr(other)[0]
    return -np.log1p(-(np.linalg.svd(left.T @ right, compute_uv=False) ** 2)).sum()


@pytest.mark.parametrize("sizes", [(3, 3), (1, 3), (3, 2)])
def test_every_lag_says_what_canonical_correlations_say(sizes):
    rng = np.random.default_rng(0)
    own, other = rng.normal(size=(2, 60, sizes[0])), rng.normal(size=(2, 75, sizes[1]))
    other[:, 9:69, :1] += own[:, :, :1]
    curves = information_by_fft(own, np.ones((2, 60), bool), other, np.ones((2, 75), bool))
    assert curves.shape == (2, 16)
    for row in range(2):
        for lag in range(16):
            slow = canonical(own[row], other[row, lag : lag + 60])
            assert curves[row, lag] == pytest.approx(slow, abs=2e-3, rel=0.01)
    assert curves.argmax(axis=1).tolist() == [9, 9]


def test_missing_samples_count_for_neither_side():
    rng = np.random.default_rng(1)
    own, other = rng.normal(size=(1, 80, 3)), rng.normal(size=(1, 90, 3))
    own_valid, other_valid = rng.random((1, 80)) < 0.9, rng.random((1, 90)) < 0.9
    own[~own_valid], other[~other_valid] = 0, 0
    curves = information_by_fft(own, own_valid, other, other_valid)
    for lag in range(11):
        both = own_valid[0] & other_valid[0, lag : lag + 80]
        slow = both.mean() * canonical(own[0, both], other[0, lag : lag + 80][both])
        assert curves[0, lag] == pytest.approx(slow, abs=2e-3, rel=0.01)


def test_lags_where_less_than_half_meets_are_unknown():
    own, valid = np.random.default_rng(2).normal(size=(1, 40, 1)), np.ones((1, 40), bool)
    other = np.concatenate((np.zeros((1, 25, 1)), own), axis=1)
    other_valid = np.arange(65)[None] >= 25
    curves = information_by_fft(own, valid, other, other_valid)
    assert np.flatnonzero(np.isfinite(curves[0]))[0] == 5


def test_single_channels_must_agree_in_sign():
    one = np.ones((1, 1))
    assert information(0.5 * one, one, one) == pytest.approx(-np.log(0.75), rel=1e-3)
    assert information(-0.5 * one, one, one) == pytest.approx(np.log(0.75), rel=1e-3)
    assert information(0 * one, 0 * one, one) == 0


def white_curves(own):
    """Curves [8, 301] of white segments `own` [8, 200, 3] against white noise that has nothing to do with them."""
    other = np.random.default_rng(3).normal(size=(8, 500, 3))
    return information_by_fft(own, np.ones((8, 200), bool), other, np.ones((8, 500), bool))


def white_halves(active_s):
    curves = white_curves(np.random.default_rng(4).normal(size=(8, 200, 3)))
    return effective_halves(curves, 9, np.full(8, active_s))


def test_effective_samples_of_white_noise_are_its_samples():
    sure, usual = white_halves(1e3)
    assert 2 * usual == pytest.approx(np.full(8, 196.5), rel=0.2)
    assert sure == pytest.approx(usual, rel=0.25)
    assert np.all(sure <= usual)


def test_what_moves_for_a_moment_proves_no_more_than_that_moment_holds():
    sure, usual = white_halves(0.5)
    assert 2 * sure == pytest.approx(np.full(8, 6.0))
    assert np.array_equal(usual, white_halves(1e3)[1])


def test_rests_that_meet_rests_do_not_make_of_two_bouts_a_proof():
    """A fifth of the lags, where bouts meet, show twenty times what the others do."""
    curves = np.random.default_rng(5).chisquare(9, (4, 1000)) / 200
    curves[:, ::5] *= 20
    sure, usual = effective_halves(curves, 9, np.full(4, 1e3))
    assert np.all(2 * usual > 150)
    assert np.all(2 * sure < 20)


def test_nothing_known_proves_something_finite():
    assert np.isfinite(effective_halves(np.full((1, 5), np.nan), 9, np.zeros(1))).all()
