"""Health of vectors: measured in parts as at once, against slow sums, and each rule with a plant and without."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorloom.align.rules import RULES, tune
from sensorloom.embed.health import judge_vectors, measure_sums, measure_vectors, sum_vectors


def units(count=60, dim=16, seed=0, common=0.0):
    rng = np.random.default_rng(seed)
    raw = common + rng.standard_normal((count, dim))
    return (raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(np.float16)


def everywhere(vectors):
    return np.ones(len(vectors), np.bool_)


def judge(vectors, rules=RULES, present=None, names=()):
    sums = sum_vectors(vectors, everywhere(vectors) if present is None else present)
    return judge_vectors("v", measure_sums("video/ego", sums), sums, rules, names)


def test_numbers_agree_with_slow_sums():
    vectors = units(40, common=0.4)
    measured = measure_vectors("text", vectors, everywhere(vectors))
    rows = [row / np.linalg.norm(row) for row in vectors.astype(np.float64)]
    cosines = [float(a @ b) for a, b in itertools.combinations(rows, 2)]
    assert measured.mean_cosine == pytest.approx(np.mean(cosines), abs=1e-5)
    centre = np.mean(rows, axis=0)
    assert measured.spread == pytest.approx(
        np.sqrt(np.mean([((row - centre) ** 2).sum() for row in rows])), abs=1e-5
    )
    spectrum = np.linalg.svd(np.array(rows) - centre, compute_uv=False) ** 2
    shares = spectrum[spectrum > 1e-9] / spectrum.sum()
    assert measured.effective_rank == pytest.approx(np.exp(-(shares * np.log(shares)).sum()), rel=1e-4)
    assert (measured.rows, measured.present, measured.dimensions, measured.not_finite) == (40, 40, 16, 0)


def test_effective_rank_counts_directions():
    eight = np.concatenate([np.eye(16)[:8], -np.eye(16)[:8]]).astype(np.float16)
    assert measure_vectors("x", eight, everywhere(eight)).effective_rank == pytest.approx(8)
    same = np.repeat(eight[:1], 30, axis=0)
    measured = measure_vectors("x", same, everywhere(same))
    assert (measured.effective_rank, measured.spread) == (0, 0)
    assert measured.mean_cosine == pytest.approx(1)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=4), st.integers(0, 1000))
def test_shards_add_up_to_the_whole(sizes, seed):
    vectors = units(max(1, sum(sizes)), seed=seed)[: sum(sizes)]
    present = np.random.default_rng(seed).random(len(vectors)) < 0.8
    cuts = np.cumsum(sizes)[:-1]
    parts = [
        sum_vectors(*part) for part in zip(np.split(vectors, cuts), np.split(present, cuts), strict=True)
    ]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    one, other = measure_sums("x", total), measure_vectors("x", vectors, present)
    assert (one.rows, one.present) == (other.rows, other.present) == (len(vectors), present.sum())
    for name in ("norm_mean", "spread", "effective_rank", "mean_cosine"):
        if getattr(other, name) is None:
            assert getattr(one, name) is None
        else:
            assert getattr(one, name) == pytest.approx(getattr(other, name), abs=1e-4)


def test_sound_vectors_are_not_accused():
    assert judge(units()) == ()
    assert judge(units(common=0.8)) == ()
    assert judge(units()[:0]) == ()
    nothing = measure_vectors("x", units(), np.zeros(60, np.bool_))
    assert (nothing.present, nothing.norm_mean, nothing.mean_cosine) == (0, None, None)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_vectors_that_are_not_finite_are_named(value):
    vectors = units()
    vectors[[7, 9], 3] = value
    (finding,) = judge(vectors, names=[f"w{n}" for n in range(60)])
    assert (finding.rule, finding.severity, finding.target) == ("vector-not-finite", "error", "v#video/ego")
    assert finding.sentence == "2 vectors of 60 hold NaN or infinity, the first is w7"
    assert finding.numbers == {"vectors": 2, "of_vectors": 60}
    absent = np.isfinite(vectors).all(axis=1)
    assert judge(vectors, present=absent) == ()
    assert judge(vectors, tune({"vector-not-finite": {"severity": "off"}})) == ()


@pytest.mark.parametrize("length", [0.0, 0.93, 1.08])
def test_a_vector_of_another_length_is_named(length):
    vectors = units()
    vectors[5] = (vectors[5].astype(np.float32) * length).astype(np.float16)
    (finding,) = judge(vectors)
    assert finding.rule == "vector-norm-off"
    assert finding.numbers["worst_norm"] == pytest.approx(length, abs=2e-3)
    assert finding.sentence.startswith("1 vector of 60 are not of length 1, the worst,")
    assert finding.sentence.endswith("is row 5")
    assert judge(vectors, tune({"vector-norm-off": {"threshold": 1.5}})) == ()


def test_a_narrow_cone_that_fills_its_directions_is_sound():
    vectors = units(common=6.0)
    assert (
        measure_vectors("text", vectors, everywhere(vectors)).mean_cosine > RULES["vectors-collapsed"].limit
    )
    assert judge(vectors) == ()


def test_vectors_along_a_line_have_collapsed():
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.normal(size=(16, 2)))[0].T
    vectors = axes[0] + 0.1 * rng.normal(size=(40, 1)) * axes[1]
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
    (finding,) = judge(vectors)
    assert finding.rule == "vectors-collapsed"
    assert finding.numbers["effective_rank"] < 3


def test_vectors_that_are_all_alike_have_collapsed():
    vectors = units(common=30.0)
    (finding,) = judge(vectors)
    assert finding.rule == "vectors-collapsed"
    assert finding.numbers["mean_cosine"] > 0.99
    assert "of 16 directions" in finding.sentence
    assert judge(vectors[:19]) == ()
