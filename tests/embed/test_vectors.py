"""What is kept of vectors: unit vectors in float16, their norms, and none that is unfit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sensorloom.embed.errors import VectorError
from sensorloom.embed.vectors import TOLERANCE_COSINE, agree, normalise

ROWS = arrays(
    np.float32,
    st.tuples(st.integers(1, 5), st.sampled_from([1, 3, 64])),
    elements=st.floats(-(2.0**50), 2.0**50, width=32),
).filter(lambda raw: (np.linalg.norm(raw.astype(np.float64), axis=1) > 1e-30).all())


@given(ROWS)
def test_a_vector_is_kept_as_its_direction_and_its_length(raw):
    vectors, norms = normalise(raw, dim=raw.shape[1], what="clip")
    assert (vectors.dtype, norms.dtype) == (np.float16, np.float32)
    exact = raw.astype(np.float64)
    lengths = np.linalg.norm(exact, axis=1)
    np.testing.assert_allclose(norms, lengths, rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(vectors.astype(np.float64), axis=1), 1, atol=1e-3)
    np.testing.assert_allclose(vectors, exact / lengths[:, None], atol=5e-4)
    assert agree(vectors, raw) >= TOLERANCE_COSINE


@pytest.mark.parametrize("scale", [1e-35, 1e-22, 1.0, 1e19, 1e36])
def test_lengths_whose_squares_float32_cannot_hold_are_kept(scale):
    raw = np.full((1, 16), scale, np.float32)
    vectors, norms = normalise(raw, dim=16, what="clip")
    np.testing.assert_allclose(norms, 4 * np.float64(scale), rtol=1e-6)
    assert np.array_equal(vectors, np.full((1, 16), 0.25, np.float16))


def test_wide_vectors_stay_of_unit_length():
    raw = np.random.default_rng(0).normal(0, 3, (8, 4096)).astype(np.float32)
    vectors, _ = normalise(raw, dim=4096, what="clip")
    assert abs(np.linalg.norm(vectors.astype(np.float64), axis=1) - 1).max() < 1e-3


def test_no_vectors_are_none():
    vectors, norms = normalise(np.zeros((0, 4), np.float32), dim=4, what="clip")
    assert (vectors.shape, norms.shape) == ((0, 4), (0,))
    assert agree(vectors, vectors) == 1.0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(value):
    raw = np.ones((3, 4), np.float32)
    raw[1, 2] = value
    with pytest.raises(
        VectorError, match=r"vit\.mine: 1 of 3 vectors \(the first is number 1\) hold values that"
    ):
        normalise(raw, dim=4, what="vit.mine")


def test_vectors_without_direction_are_refused():
    raw = np.ones((3, 4), np.float32)
    raw[1:] = 0
    with pytest.raises(VectorError, match=r"clip: 2 of 3 vectors \(the first is number 1\) are all zeros"):
        normalise(raw, dim=4, what="clip")


@pytest.mark.parametrize("value", [1e-40, 3e38])
def test_lengths_beyond_float32_are_refused(value):
    with pytest.raises(
        VectorError, match=r"clip: 1 of 1 vectors .* have a norm outside float32's 1\.2e-38 to 3\.4e\+38"
    ):
        normalise(np.full((1, 16), value, np.float32), dim=16, what="clip")


@pytest.mark.parametrize("shape", [(3, 5), (4,), (2, 2, 4)])
def test_another_width_is_refused(shape):
    with pytest.raises(
        VectorError, match=r"clip: vectors of shape \[.*\] where \[n, 4\] was promised; the weights are"
    ):
        normalise(np.ones(shape, np.float32), dim=4, what="clip")


def test_another_type_is_refused():
    with pytest.raises(VectorError, match="clip: vectors of float64; an encoder returns float32"):
        normalise(np.ones((1, 4)), dim=4, what="clip")


def test_agreement_is_the_cosine_of_the_pair_that_agrees_least():
    first = np.array([[1, 0], [2, 2], [0, 5]], np.float16)
    second = np.array([[3, 0], [1, 0], [0, 1]], np.float32)
    assert agree(first, second) == pytest.approx(np.sqrt(0.5))
    assert agree(first[:1], -second[:1]) == -1
    assert np.isnan(agree(first[:1], np.array([[np.nan, 0]])))
    assert np.isnan(agree(first[:1], np.zeros((1, 2))))


def test_vectors_of_different_shapes_cannot_be_compared():
    with pytest.raises(VectorError, match=r"vectors \[1, 3\] cannot be compared with \[1, 4\]; both must be"):
        agree(np.ones((1, 3)), np.ones((1, 4)))
