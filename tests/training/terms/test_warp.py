"""Transformations of the time axis: what they keep, how often they cut where, and how much they warp."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.interpolate import CubicSpline

from sensorloom.training.terms.augment import Augmentation
from sensorloom.training.terms.warp import warp_time

PRESETS = ("paper", "repo")


def ramp(count: int, samples: int, slots: int = 1) -> torch.Tensor:
    return torch.arange(1.0, samples + 1, dtype=torch.float64).expand(count, slots, 6, samples)


@settings(max_examples=40, deadline=None)
@given(st.integers(6, 60), st.integers(-(2**63), 2**63 - 1), st.sampled_from(PRESETS))
def test_a_permutation_keeps_the_samples_and_moves_all_channels_alike(
    samples: int, seed: int, preset: str
) -> None:
    got = Augmentation(("permute",), preset)(ramp(1, samples, 2), torch.tensor([seed]))[0]
    assert torch.equal(got, got[:1, :1].expand_as(got))
    order = got[0, 0].tolist()
    assert sorted(order) == list(range(1, samples + 1))
    assert sum(after != before + 1 for before, after in pairwise(order)) <= 4


@pytest.mark.parametrize(("preset", "distinct"), [("paper", False), ("repo", True)])
def test_the_cuts_of_repo_are_distinct_and_those_of_paper_need_not_be(preset: str, distinct: bool) -> None:
    """§1.5 (without replacement) and §5.3 row 6 (with): with 5 places for 4 cuts the number of segments tells."""
    got = Augmentation(("permute",), preset)(ramp(4000, 6), torch.arange(4000))[:, 0, 0]
    breaks = (got.diff(dim=1) != 1).sum(dim=1)
    segments = 4 * (4 / 5) if distinct else None
    assert breaks.max() == 4
    share_of_none = (breaks == 0).double().mean()
    if segments is not None:
        # Of two neighbouring segments in order, 1 in 5 orders keeps the second right behind the first.
        assert breaks.double().mean() == pytest.approx(segments, abs=0.06)
        assert share_of_none == pytest.approx(1 / 120, abs=0.006)
    else:
        assert breaks.double().mean() < 2.7
        assert share_of_none > 0.02


@pytest.mark.parametrize("preset", PRESETS)
def test_every_place_is_cut_equally_often(preset: str) -> None:
    samples, count = 9, 6000
    got = Augmentation(("permute",), preset)(ramp(count, samples), torch.arange(count))[:, 0, 0]
    parted = np.zeros(samples - 1)
    for order in got.tolist():
        together = {before for before, after in pairwise(order) if after == before + 1}
        parted += [before not in together for before in range(1, samples)]
    assert stats.chisquare(parted).pvalue > 1e-3


@pytest.mark.parametrize("preset", PRESETS)
def test_every_segment_stands_at_every_place_equally_often(preset: str) -> None:
    """The first and the last segment can be told: they hold the ends, and neither is empty."""
    got = Augmentation(("permute",), preset)(ramp(6000, 200), torch.arange(6000))[:, 0, 0]
    first_there, last_there = (got[:, 0] == 1).double().mean(), (got[:, -1] == 200).double().mean()
    assert first_there == pytest.approx(1 / 5, abs=0.02)
    assert last_there == pytest.approx(1 / 5, abs=0.02)
    in_turn = (got == 1).double().argmax(dim=1) < (got == 200).double().argmax(dim=1)
    assert in_turn.double().mean() == pytest.approx(1 / 2, abs=0.03)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("constant", [3.25, -9.81, 0.1])
def test_a_warped_constant_is_the_constant(preset: str, constant: float) -> None:
    imu = torch.full((50, 2, 6, 100), constant)
    assert torch.equal(Augmentation(("warp",), preset)(imu, torch.arange(50)), imu)


@pytest.mark.parametrize("preset", PRESETS)
def test_warping_keeps_the_ends_and_goes_on_in_time(preset: str) -> None:
    place = Augmentation(("warp",), preset)(ramp(300, 250), torch.arange(300)) - 1
    assert torch.allclose(place[..., 0], torch.zeros(300, 1, 6, dtype=place.dtype))
    assert torch.allclose(place[..., -1], torch.full((300, 1, 6), 249.0, dtype=place.dtype))
    assert place.diff(dim=-1).min() > 0
    assert (place - ramp(300, 250) + 1).abs().amax(dim=-1).median() > 2


def test_a_speed_below_zero_never_leaves_the_window() -> None:
    """At a sigma of 0.2 an end knot lies below 0 once in some 300 batches of 1,024 windows; here often."""
    place = warp_time(ramp(500, 60), torch.arange(500), 0, sigma=0.7) - 1
    assert (place.diff(dim=-1) < 0).any(dim=-1).double().mean() > 0.1
    assert place.min() == 0
    assert place.max() == 59
    assert ((place[..., 1] == 0) | (place[..., -2] == 59)).any()


def test_the_speed_of_a_warp_has_the_stated_sigma() -> None:
    """§5.3 row 7: 6 knots of N(1, 0.2²), scaled to the window; against numpy's own draws through scipy's spline."""
    count, samples = 700, 101
    place = Augmentation(("warp",))(ramp(count, samples), torch.arange(count)) - 1
    speed = place.diff(dim=-1)[..., 9::10].reshape(-1, 10)
    values = np.random.default_rng(1).normal(1, 0.2, (6, 20_000))
    curve = CubicSpline(np.linspace(0, 100, 6), values)(np.arange(101.0))[1:]
    curve *= 100 / curve.sum(axis=0)
    np.testing.assert_allclose(speed.std(dim=0).numpy(), curve[9::10].std(axis=1), rtol=0.08)
    np.testing.assert_allclose(speed.mean(dim=0).numpy(), curve[9::10].mean(axis=1), rtol=0.02)


def test_every_channel_is_warped_on_its_own_in_paper_and_by_one_of_150_splines_in_repo() -> None:
    """§5.3 row 7: "low cost" = choose from 150 splines drawn beforehand, for each channel."""
    curves = {}
    for preset in PRESETS:
        got = Augmentation(("warp",), preset)(ramp(400, 40, 2), torch.arange(400))
        curves[preset] = {tuple(row) for row in got.flatten(0, 2).tolist()}
        assert (got != got[:, :1, :1]).any()
    assert len(curves["paper"]) == 400 * 12
    assert len(curves["repo"]) == 150
